//! `latchkey rotation`.

mod curve;
mod due;
mod frame;
mod start;
mod watch;

#[cfg(test)]
pub(super) use due::VIEW as DUE;

use crate::cli::context::{Context, Page, PageArguments};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::key_texts::KeyTextArguments;
use crate::cli::names::Kind;
use crate::cli::output::{Column, Shape, View, json};
use crate::cli::recipient;
use crate::cli::shared::{ChangeArguments, WaitArguments, words};
use crate::cli::span;
use clap::{Args, Subcommand};
use latchkey_wire::pb::v1 as pb;
use std::path::PathBuf;
use std::time::Duration;

/// Asks for one step of a rotation and shows what it came to: the requests of all of them have the same fields.
macro_rules! step {
    ($step:expr, $context:ident, $call:ident($request:ident $({ $($more:ident),+ })?)) => {{
        let Step { name, why: Why { reason_text, wait, change } } = $step;
        let dry_run = change.tried.dry_run;
        let request = pb::$request {
            name: $context.name(Kind::Rotation, &name)?,
            reason_text,
            etag: change.etag,
            request_id: change.tried.request_id(),
            validate_only: dry_run,
            wait_for: wait.wait_for(),
            wait_timeout: wait.wait_timeout(),
            $($($more,)+)?
        };
        $context.show_change(&$context.api.waiting(wait.wait()).$call(request).await?, dry_run)?;
    }};
}

pub(super) const VIEW: View = View {
    columns: &[
        Column::new("ROTATION", "name", Shape::Name),
        Column::new("STATE", "state", Shape::Word),
        Column::new("OVERLAP ENDS", "overlapEndTime", Shape::Age),
        Column::new("BEGUN", "createTime", Shape::Age),
        Column::new("ENDED", "endTime", Shape::Age),
        Column::new("HELD FOR", "hold.cause", Shape::Word),
        Column::new("WHY", "reasonText", Shape::Plain),
    ],
    none: "There is no rotation.",
};

/// What to do with rotations. `latchkey key rotate` shows the new key text to you; `start` lets the service deliver it.
#[derive(Debug, Subcommand)]
pub(crate) enum RotationTask {
    /// Begins a rotation whose steps the rotation service takes: it delivers the new secret, and ends the old version when
    /// its traffic has moved.
    Start(Box<start::Start>),
    /// Lists the rotations of a key, or those in progress of a keyspace or a tenant.
    #[command(alias = "ls")]
    List(List),
    /// Shows a rotation, with the use of both versions.
    #[command(alias = "get")]
    Show(Show),
    /// Shows how the use moves from the old version to the new one, live, until the rotation ends.
    Watch(watch::Watch),
    /// Lists the keys that are due by their policy.
    Due(due::Due),
    /// Makes a version that is kept ready, and prints its key text: the next rotation activates it.
    Prepare(Prepare),
    /// Lets a rotation wait: nothing is retired meanwhile, but by the bound of the hold.
    Hold(Hold),
    /// Lets a rotation that waits go on where it was.
    Resume(Resume),
    /// Ends the overlap now: only the new version is accepted.
    Complete(Step),
    /// Gives up a rotation whose overlap has not begun: its new version is revoked.
    Cancel(Cancel),
    /// Goes back to the old version while it lives.
    RollBack(RollBack),
}

/// Which to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey rotation list acme/orders
  latchkey rotation list acme --state held
  latchkey rotation list acme/orders/0Jx5k3f9QmZ2aB7c")]
pub(crate) struct List {
    /// A tenant or a keyspace: those in progress. A key: all of its last ones. Needed where --tenant names none.
    #[arg(value_name = "TENANT[/KEYSPACE[/KEY]]")]
    parent: Option<String>,
    /// In this state only.
    #[arg(long, value_name = "STATE", value_parser = words("Rotation.State"), conflicts_with = "filter")]
    state: Option<i32>,
    /// Which, as `state != OVERLAP AND state != HELD`.
    #[arg(long, value_name = "FILTER", default_value = "", hide_default_value = true)]
    filter: String,
    #[command(flatten)]
    page: PageArguments,
}

/// Which to show.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey rotation show acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP")]
pub(crate) struct Show {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE/KEY/ROTATION")]
    name: String,
}

/// Of which key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey rotation prepare acme/orders/0Jx5k3f9QmZ2aB7c --key-text-file next.key
  latchkey key rotate acme/orders/0Jx5k3f9QmZ2aB7c")]
pub(crate) struct Prepare {
    /// The key.
    #[arg(value_name = "TENANT/KEYSPACE/KEY")]
    name: String,
    /// Seal the key text to this public key, PEM, instead of showing it.
    #[arg(long, value_name = "FILE")]
    recipient: Option<PathBuf>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    shown: KeyTextArguments,
}

/// Which to end.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey rotation complete acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP")]
pub(crate) struct Step {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE/KEY/ROTATION")]
    name: String,
    #[command(flatten)]
    why: Why,
}

/// Which to let wait.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  latchkey rotation hold acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP --reason-text 'the shop deploys first'"
)]
pub(crate) struct Hold {
    #[command(flatten)]
    step: Step,
}

/// Which to let go on.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey rotation resume acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP")]
pub(crate) struct Resume {
    #[command(flatten)]
    step: Step,
}

/// Which to give up.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  latchkey rotation cancel acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP --reason-text 'not needed'"
)]
pub(crate) struct Cancel {
    #[command(flatten)]
    step: Step,
}

/// Which to turn back.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey rotation roll-back acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP --overlap 1h --reason-text 'the new one was not delivered'")]
pub(crate) struct RollBack {
    #[command(flatten)]
    step: Step,
    /// How long the new version is accepted still [default: as long as the overlap was to be].
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    overlap: Option<Duration>,
}

/// Why, and how safely.
#[derive(Args, Clone, Debug)]
pub(super) struct Why {
    /// Why, in words, for the audit log.
    #[arg(long = "reason-text", value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub(super) reason_text: String,
    #[command(flatten)]
    pub(super) wait: WaitArguments,
    #[command(flatten)]
    pub(super) change: ChangeArguments,
}

impl RotationTask {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Start(task) => return task.run(context).await,
            Self::List(task) => list(&task, context).await?,
            Self::Show(task) => {
                let name = context.name(Kind::Rotation, &task.name)?;
                context.show(&context.api.get_rotation(pb::GetRotationRequest { name }).await?)?;
            }
            Self::Watch(task) => return task.run(context).await,
            Self::Due(task) => task.run(context).await?,
            Self::Prepare(task) => prepare(task, context).await?,
            Self::Hold(task) => step!(task.step, context, hold_rotation(HoldRotationRequest)),
            Self::Resume(task) => step!(task.step, context, resume_rotation(ResumeRotationRequest)),
            Self::Complete(task) => step!(task, context, complete_rotation(CompleteRotationRequest)),
            Self::Cancel(task) => step!(task.step, context, cancel_rotation(CancelRotationRequest)),
            Self::RollBack(task) => {
                let overlap = task.overlap.map(span::to_wire);
                step!(task.step, context, roll_back_rotation(RollBackRotationRequest { overlap }));
            }
        }
        Ok(Exit::Done)
    }
}

async fn list(task: &List, context: &Context) -> Result<(), CliError> {
    // A keyspace without its tenant has one segment, a key with all of its own has three.
    let key = task.parent.as_deref().filter(|name| name.matches('/').count() >= 2);
    let key = key.and_then(|name| context.name(Kind::Key, name).ok());
    let parent = key.map_or_else(|| due::parent(context, task.parent.as_deref()), Ok)?;
    let words = json::enum_words("Rotation.State");
    let state = words.iter().find(|(_, number)| Some(*number) == task.state);
    let filter = state.map_or_else(|| task.filter.clone(), |(word, _)| format!("state = {word}"));
    let fetch = async |page_size, page_token| {
        let (parent, filter) = (parent.clone(), filter.clone());
        let request = pb::ListRotationsRequest { parent, page_size, page_token, filter };
        let answer = context.api.list_rotations(request).await?;
        Ok(Page::new(&answer, |page| &page.next_page_token))
    };
    context.list(&task.page, &VIEW, "rotations", fetch).await
}

async fn prepare(task: Prepare, context: &Context) -> Result<(), CliError> {
    let Prepare { name, recipient, why, shown } = task;
    let Why { reason_text, wait, change } = why;
    let dry_run = change.tried.dry_run;
    let request = pb::PrepareStandbyRequest {
        name: context.name(Kind::Key, &name)?,
        reason_text,
        etag: change.etag,
        request_id: change.tried.request_id(),
        validate_only: change.tried.dry_run,
        wait_for: wait.wait_for(),
        wait_timeout: wait.wait_timeout(),
        recipient: recipient.as_deref().map(recipient::read).transpose()?,
    };
    let place = shown.reserve()?;
    let answer = context.api.waiting(wait.wait()).prepare_standby(request).await?;
    place.show(context, &answer, dry_run)
}

/// Milliseconds since 1970 of a moment.
fn millis(time: Option<prost_types::Timestamp>) -> Option<u64> {
    let time = time?;
    let millis = time.seconds.checked_mul(1_000)?.checked_add(i64::from(time.nanos / 1_000_000))?;
    u64::try_from(millis).ok()
}
