//! `latchkey cluster`: what it is made of, and how that is changed.

mod add;
mod begin_audit_log;
mod show;
mod step;
mod transfer;
mod watch;

#[cfg(test)]
pub(super) use show::VIEW;
pub(super) use watch::{Watch, find, is_caught_up};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use clap::Subcommand;

/// What to ask of the cluster, and what to make of it.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterTask {
    /// Shows the replicas: who leads, what each has applied, how fresh it is, and who is gone.
    #[command(alias = "status")]
    Show(show::Show),
    /// Adds a replica as a learner, under an id that no replica ever had.
    Add(add::Add),
    /// Gives a learner that has caught up a vote.
    Promote(step::Promote),
    /// Takes a voter's vote; it follows on as a learner.
    Demote(step::Demote),
    /// Removes a replica for good, and waits until it is gone.
    Remove(step::Remove),
    /// Lets another voter lead.
    Transfer(transfer::Transfer),
    /// Begins another audit log, where audit's folder and its archive are both lost.
    BeginAuditLog(begin_audit_log::BeginAuditLog),
}

impl ClusterTask {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Show(task) => task.run(context).await,
            Self::Add(task) => task.run(context).await,
            Self::Promote(task) => task.run(context).await,
            Self::Demote(task) => task.run(context).await,
            Self::Remove(task) => task.run(context).await,
            Self::Transfer(task) => task.run(context).await,
            Self::BeginAuditLog(task) => task.run(context).await,
        }
    }
}
