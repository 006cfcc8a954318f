//! `latchkey rotation`.

use crate::cli::context::{Context, Page, PageArguments};
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::key_texts::KeyTextArguments;
use crate::cli::names::Kind;
use crate::cli::output::{Column, Shape, View};
use crate::cli::shared::{ChangeArguments, WaitArguments};
use crate::cli::span;
use clap::{Args, Subcommand};
use latchkey_wire::pb::v1 as pb;
use std::time::Duration;

pub(super) const VIEW: View = View {
    columns: &[
        Column::new("ROTATION", "name", Shape::Name),
        Column::new("STATE", "state", Shape::Word),
        Column::new("OVERLAP ENDS", "overlapEndTime", Shape::Age),
        Column::new("BEGUN", "createTime", Shape::Age),
        Column::new("ENDED", "endTime", Shape::Age),
        Column::new("WHY", "reasonText", Shape::Plain),
    ],
    none: "There is no rotation.",
};

/// What to do with rotations. `latchkey key rotate` begins one.
#[derive(Debug, Subcommand)]
pub(crate) enum RotationTask {
    /// Lists the rotations of a key, or those in progress of a keyspace.
    #[command(alias = "ls")]
    List(List),
    /// Shows a rotation.
    #[command(alias = "get")]
    Show(Show),
    /// Makes a version that is kept ready, and prints its key text: the next rotation activates it.
    Prepare(Prepare),
    /// Ends the overlap now: only the new version is accepted.
    Complete(Step),
    /// Gives up a rotation whose new version was not accepted yet.
    Cancel(Cancel),
    /// Goes back to the old version while it lives.
    RollBack(RollBack),
}

/// Which to list.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey rotation list acme/orders
  latchkey rotation list acme/orders/0Jx5k3f9QmZ2aB7c")]
pub(crate) struct List {
    /// A keyspace, or a key.
    #[arg(value_name = "TENANT/KEYSPACE[/KEY]")]
    parent: String,
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
            Self::List(task) => list(&task, context).await?,
            Self::Show(task) => {
                let name = context.name(Kind::Rotation, &task.name)?;
                context.show(&context.api.get_rotation(pb::GetRotationRequest { name }).await?)?;
            }
            Self::Prepare(task) => prepare(task, context).await?,
            Self::Complete(task) => complete(task, context).await?,
            Self::Cancel(task) => cancel(task.step, context).await?,
            Self::RollBack(task) => roll_back(task, context).await?,
        }
        Ok(Exit::Done)
    }
}

async fn list(task: &List, context: &Context) -> Result<(), CliError> {
    // A keyspace without its tenant has one segment, a key with all of its own has three.
    let parent = context.name(Kind::Key, &task.parent).ok().filter(|_| task.parent.matches('/').count() >= 2);
    let parent = parent.map_or_else(|| context.name(Kind::Keyspace, &task.parent), Ok)?;
    let fetch = async |page_size, page_token| {
        let request = pb::ListRotationsRequest { parent: parent.clone(), page_size, page_token };
        let answer = context.api.list_rotations(request).await?;
        Ok(Page::new(&answer, |page| &page.next_page_token))
    };
    context.list(&task.page, &VIEW, "rotations", fetch).await
}

async fn prepare(task: Prepare, context: &Context) -> Result<(), CliError> {
    let Prepare { name, why, shown } = task;
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
    };
    let place = shown.reserve()?;
    let answer = context.api.waiting(wait.wait()).prepare_standby(request).await?;
    place.show(context, &answer, dry_run)
}

async fn complete(task: Step, context: &Context) -> Result<(), CliError> {
    let Step { name, why: Why { reason_text, wait, change } } = task;
    let dry_run = change.tried.dry_run;
    let request = pb::CompleteRotationRequest {
        name: context.name(Kind::Rotation, &name)?,
        reason_text,
        etag: change.etag,
        request_id: change.tried.request_id(),
        validate_only: change.tried.dry_run,
        wait_for: wait.wait_for(),
        wait_timeout: wait.wait_timeout(),
    };
    context.show_change(&context.api.waiting(wait.wait()).complete_rotation(request).await?, dry_run)
}

async fn cancel(task: Step, context: &Context) -> Result<(), CliError> {
    let Step { name, why: Why { reason_text, wait, change } } = task;
    let dry_run = change.tried.dry_run;
    let request = pb::CancelRotationRequest {
        name: context.name(Kind::Rotation, &name)?,
        reason_text,
        etag: change.etag,
        request_id: change.tried.request_id(),
        validate_only: change.tried.dry_run,
        wait_for: wait.wait_for(),
        wait_timeout: wait.wait_timeout(),
    };
    context.show_change(&context.api.waiting(wait.wait()).cancel_rotation(request).await?, dry_run)
}

async fn roll_back(task: RollBack, context: &Context) -> Result<(), CliError> {
    let RollBack { step: Step { name, why: Why { reason_text, wait, change } }, overlap } = task;
    let dry_run = change.tried.dry_run;
    let request = pb::RollBackRotationRequest {
        name: context.name(Kind::Rotation, &name)?,
        reason_text,
        etag: change.etag,
        request_id: change.tried.request_id(),
        validate_only: change.tried.dry_run,
        wait_for: wait.wait_for(),
        wait_timeout: wait.wait_timeout(),
        overlap: overlap.map(span::to_wire),
    };
    context.show_change(&context.api.waiting(wait.wait()).roll_back_rotation(request).await?, dry_run)
}
