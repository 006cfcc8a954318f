//! `latchkey cluster show`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::{self, Column, Shape, View};
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use serde_json::Value;

pub(in crate::cli::command) const VIEW: View = View {
    columns: &[
        Column::new("REPLICA", "id", Shape::Plain),
        Column::new("REGION", "region", Shape::Plain),
        Column::new("ROLE", "role", Shape::Plain),
        Column::new("STATE", "state", Shape::Word),
        Column::new("APPLIED", "applied", Shape::Revision),
        Column::new("BEHIND", "recordsBehind", Shape::Plain),
        Column::new("LEASE AGE", "leaseAge", Shape::Span),
        Column::new("CLOCK OFFSET", "clockOffset", Shape::Span),
        Column::new("ADDRESS", "address", Shape::Plain),
    ],
    none: "The replica that answered knows of none.",
};

/// Nothing to say.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey cluster show\n  latchkey cluster show --output yaml")]
pub(crate) struct Show {}

impl Show {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let answer = context.api.get_cluster(pb::GetClusterRequest {}).await?;
        let value = answer.json();
        if context.printer.is_for_programs() {
            output::print(&context.printer.one(&value))?;
            return Ok(Exit::Done);
        }
        let replicas = value.get("replicas").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut whole = value;
        if let Value::Object(fields) = &mut whole {
            fields.remove("replicas");
        }
        let heading = context.printer.one(&whole);
        // A list of names has none.
        if !heading.trim().is_empty() {
            output::print(&format!("{heading}\n"))?;
        }
        output::print(&context.printer.many(&VIEW, &whole, &replicas))?;
        Ok(Exit::Done)
    }
}
