//! `latchkey audit access`.

use crate::cli::context::{Context, Page, PageArguments};
use crate::cli::error::CliError;
use crate::cli::moment;
use crate::cli::names::Kind;
use crate::cli::output::{Column, Shape, View};
use crate::cli::span;
use clap::Args;
use latchkey_domain::UnixMillis;
use latchkey_telemetry::{Clock as _, SystemClock};
use latchkey_wire::pb::v1 as pb;
use std::time::Duration;

pub(super) const VIEW: View = View {
    columns: &[
        Column::new("WHEN", "time", Shape::Age),
        Column::new("KIND", "kind", Shape::Word),
        Column::new("OUTCOME", "outcome", Shape::Word),
        Column::new("COUNT", "count", Shape::Number),
        Column::new("KEY", "key", Shape::Name),
        Column::new("CLIENT", "client", Shape::Plain),
        Column::new("METHOD", "method", Shape::Plain),
        Column::new("RESOURCE", "resource", Shape::Plain),
        Column::new("CALLER", "caller", Shape::Name),
        Column::new("TIME", "time", Shape::Time),
    ],
    none: "No line matches.",
};

/// Which lines of the access log.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey audit access acme --since 1h
  latchkey audit access acme/orders --kind denied --outcome EXPIRED
  latchkey audit access acme --network 203.0.113.0/24 --output json

The fields of a filter: kind, outcome, keyspace, key, caller, network, method, region, time, age. Denials beyond a cap are counted
and not shown singly; successes are shown where the keyspace samples them.")]
pub(crate) struct Access {
    /// Of this tenant, keyspace or key; left out: all that you may see.
    #[arg(value_name = "TENANT[/KEYSPACE[/KEY]]")]
    of: Option<String>,
    /// Which lines: comparisons joined by AND.
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    /// Of this kind.
    #[arg(long, value_name = "KIND", value_parser = ["denied", "wrong-secret", "stale", "sampled", "no-identity", "counted"])]
    kind: Option<String>,
    /// With this outcome, such as EXPIRED.
    #[arg(long, value_name = "OUTCOME")]
    outcome: Option<String>,
    /// By clients from this network.
    #[arg(long, value_name = "CIDR")]
    network: Option<String>,
    /// Not older than this.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    since: Option<Duration>,
    /// In the order in which they were.
    #[arg(long)]
    oldest_first: bool,
    #[command(flatten)]
    page: PageArguments,
}

impl Access {
    pub(crate) async fn run(self, context: &Context) -> Result<(), CliError> {
        let parent = self.parent(context)?;
        let (filter, order_by) =
            (self.filter(SystemClock.unix_millis())?, if self.oldest_first { "time" } else { "time desc" });
        let fetch = async |page_size, page_token| {
            let (parent, filter, order_by) = (parent.clone(), filter.clone(), order_by.to_owned());
            let request = pb::ListAccessRequest { parent, filter, order_by, page_size, page_token };
            let answer = context.api.list_access(request).await?;
            Ok(Page::new(&answer, |page| &page.next_page_token))
        };
        context.list(&self.page, &VIEW, "lines", fetch).await
    }

    fn parent(&self, context: &Context) -> Result<String, CliError> {
        let Some(of) = self.of.as_deref().or(context.tenant.as_deref()) else { return Ok(String::new()) };
        let ids = if of.starts_with("tenants/") { of.split('/').count() / 2 } else { of.split('/').count() };
        match ids {
            1 => Kind::Tenant.full(of, None),
            2 => Kind::Keyspace.full(of, None),
            _ => Kind::Key.full(of, None),
        }
    }

    fn filter(&self, now: UnixMillis) -> Result<String, CliError> {
        self.since.map(|since| moment::since(since, now)).transpose()?;
        let word = |text: &String| text.to_uppercase().replace('-', "_");
        let parts = [
            (!self.filter.is_empty()).then(|| self.filter.clone()),
            self.kind.as_ref().map(|kind| format!("kind = {}", word(kind))),
            self.outcome.as_ref().map(|outcome| format!("outcome = \"{}\"", word(outcome))),
            self.network.as_ref().map(|network| format!("network = \"{network}\"")),
            self.since.map(|since| format!("age < {}ms", since.as_millis())),
        ];
        Ok(parts.into_iter().flatten().collect::<Vec<_>>().join(" AND "))
    }
}
