//! `latchkey audit`.

mod checkpoint;
mod evidence;
mod verify;

use crate::cli::api::{ANSWER_BYTES_MAX, Answer};
use crate::cli::context::{Context, Page, PageArguments};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::moment;
use crate::cli::names::Kind;
use crate::cli::output::{self, Column, Printer, Shape, View};
use crate::cli::service::Service;
use crate::cli::span;
use clap::{Args, Subcommand};
use latchkey_telemetry::{Clock as _, SystemClock};
use latchkey_wire::pb::v1 as pb;
use pb::audit_service_client::AuditServiceClient;
use pb::watch_entries_response::Item;
use serde_json::Value;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;
use tonic::{Code, Status};

const SEQUENCE: Column = Column::new("SEQ", "sequence", Shape::Number);
const TIME: Column = Column::new("TIME", "time", Shape::Time);
const ACTION: Column = Column::new("ACTION", "action", Shape::Word);
const SUBJECT: Column = Column::new("SUBJECT", "subject", Shape::Name);
const ACTOR: Column = Column::new("ACTOR", "actor", Shape::Actor);
const REASON: Column = Column::new("REASON", "reason", Shape::Word);
const WHY: Column = Column::new("WHY", "reasonText", Shape::Plain);

pub(super) const VIEW: View = View {
    columns: &[SEQUENCE, Column::new("WHEN", "time", Shape::Age), ACTION, SUBJECT, ACTOR, REASON, WHY, TIME],
    none: "No entry matches.",
};

/// While one watches, all is new.
pub(super) const TAIL: View = View { columns: &[SEQUENCE, TIME, ACTION, SUBJECT, ACTOR, REASON, WHY], none: "" };

pub(super) const EXPORTS: View = View {
    columns: &[
        Column::new("SINK", "name", Shape::Word),
        Column::new("KIND", "kind", Shape::Word),
        Column::new("STREAM", "stream", Shape::Word),
        Column::new("NEXT", "nextSequence", Shape::Number),
        Column::new("WAITING", "lagEntries", Shape::Number),
        Column::new("LAG", "lag", Shape::Span),
        Column::new("ASIDE", "setAsideEntries", Shape::Number),
        Column::new("MISSED", "missed", Shape::Number),
        Column::new("TAKEN", "lastTakenTime", Shape::Age),
        Column::new("ERROR", "error", Shape::Plain),
    ],
    none: "No sink is set up.",
};

/// Between two tries to watch again.
const AGAIN: Duration = Duration::from_secs(1);

/// What to ask of the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditTask {
    /// Lists entries, the newest first.
    #[command(alias = "ls")]
    List(List),
    /// Lists lines of the access log, the newest first: denials, samples, calls without an identity.
    Access(super::access::Access),
    /// Prints entries as they are stored, until Ctrl-C.
    Tail(Tail),
    /// Prints the newest signed checkpoint, and the keys that verify it.
    Checkpoint(checkpoint::Checkpoint),
    /// Writes entries with their proofs into a folder, for an auditor.
    Evidence(evidence::Evidence),
    /// Verifies a whole log, or evidence, without believing any service.
    Verify(verify::Verify),
    /// Shows how the sinks do that entries, usage or the access log are sent to.
    #[command(after_help = "Examples:
  latchkey audit exports
  latchkey audit exports --output json | jq '.exports[] | select(.error != null or .missed != null)'")]
    Exports,
}

/// Which entries.
#[derive(Args, Clone, Debug)]
struct Which {
    /// Of this tenant only.
    #[arg(value_name = "TENANT")]
    parent: Option<String>,
    /// Which entries: comparisons joined by AND.
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    /// About this action; a * at the end stands for the rest, as in key.*.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// About this key.
    #[arg(long, value_name = "TENANT/KEYSPACE/KEY")]
    key: Option<String>,
    /// By this identity.
    #[arg(long, value_name = "TENANT/IDENTITY")]
    actor: Option<String>,
}

/// Which to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey audit list acme --action 'key.*' --since 24h
  latchkey audit list --key acme/orders/0Jx5k3f9QmZ2aB7c --oldest-first --limit 0
  latchkey audit list --filter 'actor = \"tenants/acme/identities/deploy\" AND age < 24h' --output json

The fields of a filter: actor, action, subject, key, owner, keyspace, operation, time, age.
The actions, and the facts of each: \"Audit actions\" in proto/README.md.")]
pub(crate) struct List {
    #[command(flatten)]
    which: Which,
    /// Not older than this.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    since: Option<Duration>,
    /// In the order of the log.
    #[arg(long)]
    oldest_first: bool,
    #[command(flatten)]
    page: PageArguments,
}

/// Which to follow.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey audit tail acme
  latchkey audit tail --from-sequence 0 --output json | jq -c 'select(.action == \"access.refused\")'

With --output json each entry is one line.")]
pub(crate) struct Tail {
    #[command(flatten)]
    which: Which,
    /// The first sequence to print [default: from now on].
    #[arg(long, value_name = "N")]
    from_sequence: Option<u64>,
}

impl AuditTask {
    /// `connect` reads the settings, which verifying does not need: an auditor has none.
    pub(crate) async fn run(
        self,
        printer: Printer,
        connect: impl FnOnce() -> Result<Context, CliError>,
    ) -> Result<Exit, CliError> {
        match self {
            Self::List(task) => list(&task, &connect()?).await?,
            Self::Access(task) => task.run(&connect()?).await?,
            Self::Tail(task) => tail(&task, &connect()?).await?,
            Self::Checkpoint(task) => task.run(&connect()?).await?,
            Self::Evidence(task) => task.run(&connect()?).await?,
            Self::Verify(task) => return task.run(printer).await,
            Self::Exports => exports(&connect()?).await?,
        }
        Ok(Exit::Done)
    }
}

impl Which {
    /// The scope; the tenant of `--tenant` counts too.
    fn parent(&self, context: &Context) -> Result<String, CliError> {
        let named = self.parent.as_deref().or(context.tenant.as_deref());
        named.map_or_else(|| Ok(String::new()), |tenant| Kind::Tenant.full(tenant, None))
    }

    /// The filter, with what has a flag of its own.
    fn filter(&self, context: &Context) -> Result<String, CliError> {
        let key = self.key.as_ref().map(|name| context.name(Kind::Key, name)).transpose()?;
        let actor = self.actor.as_ref().map(|name| context.name(Kind::Identity, name)).transpose()?;
        let parts = [
            (!self.filter.is_empty()).then(|| self.filter.clone()),
            self.action.as_ref().map(|action| format!("action = \"{action}\"")),
            key.map(|key| format!("key = \"{key}\"")),
            actor.map(|actor| format!("actor = \"{actor}\"")),
        ];
        Ok(parts.into_iter().flatten().collect::<Vec<_>>().join(" AND "))
    }
}

async fn list(task: &List, context: &Context) -> Result<(), CliError> {
    task.since.map(|since| moment::since(since, SystemClock.unix_millis())).transpose()?;
    let since = task.since.map(|since| format!("age < {}ms", since.as_millis()));
    let filter = [Some(task.which.filter(context)?).filter(|filter| !filter.is_empty()), since];
    let (parent, filter) =
        (task.which.parent(context)?, filter.into_iter().flatten().collect::<Vec<_>>().join(" AND "));
    let order_by = if task.oldest_first { "sequence" } else { "sequence desc" };
    let fetch = async |page_size, page_token| {
        let (parent, filter, order_by) = (parent.clone(), filter.clone(), order_by.to_owned());
        let request = pb::ListEntriesRequest { parent, filter, order_by, page_size, page_token };
        let answer = context.api.list_entries(request).await?;
        Ok(Page::new(&answer, |page| &page.next_page_token))
    };
    context.list(&task.page, &VIEW, "entries", fetch).await
}

async fn exports(context: &Context) -> Result<(), CliError> {
    let whole = context.api.list_exports(pb::ListExportsRequest {}).await?.json();
    let rows = whole.get("exports").and_then(Value::as_array).cloned().unwrap_or_default();
    output::print(&context.printer.many(&EXPORTS, &whole, &rows))
}

/// Follows until somebody ends it. A stream that breaks is begun again from where it was, so no entry is lost or twice.
async fn tail(task: &Tail, context: &Context) -> Result<(), CliError> {
    let request = pb::WatchEntriesRequest {
        parent: task.which.parent(context)?,
        filter: task.which.filter(context)?,
        from_sequence: task.from_sequence,
    };
    let other = |error: std::io::Error| CliError::Other(Box::new(error));
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt()).map_err(other)?, signal(SignalKind::terminate()).map_err(other)?);
    tokio::select! {
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
        failed = follow(request, context) => failed.map(|never| match never {}),
    }
}

async fn follow(mut request: pb::WatchEntriesRequest, context: &Context) -> Result<std::convert::Infallible, CliError> {
    let (mut first, mut reached) = (true, false);
    loop {
        let status = watch(&mut request, context, &mut first, &mut reached).await?;
        let error = context.api.error(Service::Audit, "WatchEntries", &status);
        if !reached || !matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled) {
            return Err(CliError::Call(Box::new(error)));
        }
        output::note(&format!("latchkey: {error}; trying again"));
        sleep(AGAIN).await;
    }
}

/// Prints until the stream ends, and moves the request on; tells why it ended.
async fn watch(
    request: &mut pb::WatchEntriesRequest,
    context: &Context,
    first: &mut bool,
    reached: &mut bool,
) -> Result<Status, CliError> {
    let mut client =
        AuditServiceClient::new(context.api.channel(Service::Audit)).max_decoding_message_size(ANSWER_BYTES_MAX);
    let mut entries = match client.watch_entries(context.api.signed(request.clone())).await {
        Ok(answer) => answer.into_inner(),
        Err(status) => return Ok(status),
    };
    loop {
        let item = match entries.message().await {
            Ok(Some(pb::WatchEntriesResponse { item })) => item,
            Ok(None) => return Ok(Status::unavailable("the service ended the stream")),
            Err(status) => return Ok(status),
        };
        *reached = true;
        match item {
            Some(Item::Entry(entry)) => {
                request.from_sequence = Some(entry.sequence + 1);
                let value = Answer { message: entry, name: "Entry" }.json();
                output::print(&context.printer.row(&TAIL, &value, *first))?;
                *first = false;
            }
            Some(Item::NextSequence(next)) => request.from_sequence = Some(next),
            None => {}
        }
    }
}
