//! `latchkey rotation due`.

use crate::cli::context::{Context, Page, PageArguments};
use crate::cli::error::CliError;
use crate::cli::names::Kind;
use crate::cli::output::{Column, Shape, View};
use crate::cli::span;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use std::time::Duration;

pub(crate) const VIEW: View = View {
    columns: &[
        Column::new("KEY", "key", Shape::Name),
        Column::new("DUE", "dueTime", Shape::Age),
        Column::new("BY", "mode", Shape::Word),
        Column::new("PHASE", "phase", Shape::Plain),
        Column::new("OWN POLICY", "ownPolicy", Shape::Plain),
    ],
    none: "No key is due.",
};

/// Where to look, and how far ahead.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey rotation due acme/orders
  latchkey rotation due acme --within 14d")]
pub(crate) struct Due {
    /// A tenant or a keyspace; needed where --tenant names none.
    #[arg(value_name = "TENANT[/KEYSPACE]")]
    parent: Option<String>,
    /// Also those that will be due within so long; at most 3650d.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    within: Option<Duration>,
    #[command(flatten)]
    page: PageArguments,
}

impl Due {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let parent = parent(context, self.parent.as_deref())?;
        let fetch = async |page_size, page_token| {
            let within = self.within.map(span::to_wire);
            let request = pb::ListDueRotationsRequest { parent: parent.clone(), page_size, page_token, within };
            let answer = context.api.list_due_rotations(request).await?;
            Ok(Page::new(&answer, |page| &page.next_page_token))
        };
        context.list(&self.page, &VIEW, "dueRotations", fetch).await
    }
}

/// A keyspace or a tenant, in full.
pub(super) fn parent(context: &Context, given: Option<&str>) -> Result<String, CliError> {
    let keyspace = given.and_then(|name| context.name(Kind::Keyspace, name).ok());
    // With a tenant from elsewhere one word is a keyspace.
    keyspace.map_or_else(|| context.parent_tenant(given), Ok)
}
