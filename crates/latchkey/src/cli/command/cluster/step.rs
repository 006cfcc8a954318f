//! `latchkey cluster promote`, `demote` and `remove`.

use super::watch::Watch;
use crate::cli::confirm::{YesArguments, question};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output;
use crate::cli::shared::TryArguments;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use pb::replica::Role;

/// Which to promote.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey cluster promote 4
  latchkey cluster promote 4 --dry-run

It must have caught up: at most 1,000 records behind the leader, and fresh. An odd number of voters is best: an even one
survives no more losses than one less.")]
pub(crate) struct Promote {
    #[command(flatten)]
    which: Which,
}

/// Which to demote.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey cluster demote 3\n  latchkey cluster demote 3 --dry-run")]
pub(crate) struct Demote {
    #[command(flatten)]
    which: Which,
}

/// Which to remove.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey cluster remove 3 --dry-run
  latchkey cluster remove 3
  latchkey cluster remove 3 --yes --wait 5m

It gets no more leases at once, answers no more once it hears of it, and is gone when nobody can be answered by it any
more: at once where it is heard, else when its last lease has ended. Its id is never used again. A removal that is waited
for goes on when you stop waiting.")]
pub(crate) struct Remove {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    sure: YesArguments,
}

#[derive(Args, Debug)]
struct Which {
    /// Its id, as `latchkey cluster show` lists it.
    #[arg(value_name = "ID")]
    id: u64,
    #[command(flatten)]
    watch: Watch,
    #[command(flatten)]
    tried: TryArguments,
}

const HINT: &str = "latchkey cluster show tells what it waits for; what was asked goes on";

impl Promote {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let Which { id, watch, tried } = self.which;
        let (validate_only, request_id) = (tried.dry_run, tried.request_id());
        let request = pb::PromoteReplicaRequest { id, validate_only, request_id };
        let answer = context.api.promote_replica(request).await?;
        if !tried.dry_run {
            watch.until(context, id, |replica| is_in(replica, Role::Voter), HINT).await?;
        }
        context.show_change(&answer, tried.dry_run)?;
        Ok(Exit::Done)
    }
}

impl Demote {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let Which { id, watch, tried } = self.which;
        let (validate_only, request_id) = (tried.dry_run, tried.request_id());
        let request = pb::DemoteReplicaRequest { id, validate_only, request_id };
        let answer = context.api.demote_replica(request).await?;
        if !tried.dry_run {
            watch.until(context, id, |replica| is_in(replica, Role::Learner), HINT).await?;
        }
        context.show_change(&answer, tried.dry_run)?;
        Ok(Exit::Done)
    }
}

impl Remove {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let Which { id, watch, tried } = self.which;
        let request = pb::RemoveReplicaRequest { id, validate_only: true, request_id: String::new() };
        let rehearsed = context.api.remove_replica(request.clone()).await?;
        if tried.dry_run {
            context.show_change(&rehearsed, true)?;
            return Ok(Exit::Done);
        }
        if !self.sure.yes {
            let what = format!("Replica {id} would be removed, finally: its id is never used again.");
            question(&what, &id.to_string())?;
        }
        let request = pb::RemoveReplicaRequest { validate_only: false, request_id: tried.request_id(), ..request };
        let answer = context.api.remove_replica(request).await?;
        watch.until(context, id, |replica| is_in(replica, Role::Retired), HINT).await?;
        if context.printer.is_for_people() {
            output::note(&format!("Replica {id} is gone. Stop its process, and keep its folder only as evidence."));
        }
        context.show_change(&answer, false)?;
        Ok(Exit::Done)
    }
}

fn is_in(replica: Option<&pb::Replica>, role: Role) -> bool {
    replica.is_some_and(|replica| replica.role() == role)
}
