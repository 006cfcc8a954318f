//! `latchkey explain`.

use super::validate::{Question, exit};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::{self, Column, Shape, View};
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use serde_json::Value;

pub(super) const VIEW: View = View {
    columns: &[
        Column::new("CHECK", "outcome", Shape::Plain),
        Column::new("RESULT", "result", Shape::Word),
        Column::new("RECORD", "record", Shape::Name),
        Column::new("DETAIL", "detail", Shape::Plain),
    ],
    none: "Nothing was checked.",
};

/// What to explain, and why you ask.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey explain orders.key --permission-query orders:write --client-ip 192.0.2.7
  latchkey explain orders.key --reason-text 'ticket 4711'

It takes what `latchkey validate` takes, needs the duty operator, and is in the audit log.")]
pub(crate) struct Explain {
    #[command(flatten)]
    question: Question,
    /// Why you ask, in words, for the audit log.
    #[arg(long = "reason-text", value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason_text: String,
}

impl Explain {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let request = Some(self.question.request(context)?);
        let request = pb::ExplainValidationRequest { request, reason_text: self.reason_text };
        let answer = context.api.explain_validation(request).await?;
        let mut value = answer.json();
        if context.printer.is_for_programs() {
            output::print(&context.printer.one(&value))?;
        } else {
            let checks = value.as_object_mut().and_then(|fields| fields.remove("checks"));
            let checks = checks.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
            output::print(&format!("{}\n", context.printer.one(&value)))?;
            output::print(&context.printer.many(&VIEW, &value, &checks))?;
        }
        Ok(exit(answer.message.outcome()))
    }
}
