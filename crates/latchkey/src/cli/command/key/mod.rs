//! `latchkey key`.

mod create;
mod export;
mod import;
mod list;
mod local;
mod restrict;
mod revoke;
mod revoke_all;
mod rotate;
mod sure;
mod suspend;
mod update;

pub(super) use create::KeyFields;
#[cfg(test)]
pub(super) use list::VIEW;
#[cfg(test)]
pub(super) use local::DENIALS;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use clap::Subcommand;

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyTask {
    /// Makes a key, and prints its key text: once.
    Create(create::Create),
    /// Imports keys that another system made: their texts stay as they are.
    Import(Box<import::Import>),
    /// Writes an inventory of keys: CSV, JSON lines or Parquet.
    Export(export::Export),
    /// Lists keys of a keyspace.
    #[command(alias = "ls")]
    List(list::List),
    /// Shows a key with its versions.
    #[command(alias = "get")]
    Show(list::Show),
    /// Changes a key: what is given, and nothing else.
    Update(update::Update),
    /// Suspends a key: it is refused until it is resumed.
    Suspend(suspend::Suspend),
    /// Lifts the suspension and the restriction of a key.
    Resume(suspend::Resume),
    /// Lets a key do less for a while.
    Restrict(restrict::Restrict),
    /// Revokes a key, or one version of it: finally.
    Revoke(revoke::Revoke),
    /// Revokes many keys, by scope or by filter: shows how many first, and asks.
    RevokeAll(revoke_all::RevokeAll),
    /// Stops a key on one replica alone: for when there is no quorum that could revoke it.
    DenyLocally(local::DenyLocally),
    /// Takes a denial back, on one replica.
    AllowLocally(local::AllowLocally),
    /// Lists what one replica denies.
    LocalDenials(local::LocalDenials),
    /// Gives a key a new version, and prints its key text; the old one is accepted for an overlap.
    Rotate(rotate::Rotate),
}

impl KeyTask {
    pub(crate) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        match self {
            Self::Create(task) => task.run(context).await?,
            Self::Import(task) => return task.run(context).await,
            Self::Export(task) => task.run(context).await?,
            Self::List(task) => task.run(context).await?,
            Self::Show(task) => task.run(context).await?,
            Self::Update(task) => task.run(context).await?,
            Self::Suspend(task) => task.run(context).await?,
            Self::Resume(task) => task.run(context).await?,
            Self::Restrict(task) => task.run(context).await?,
            Self::Revoke(task) => task.run(context).await?,
            Self::RevokeAll(task) => return task.run(context).await,
            Self::DenyLocally(task) => task.run(context).await?,
            Self::AllowLocally(task) => task.run(context).await?,
            Self::LocalDenials(task) => task.run(context).await?,
            Self::Rotate(task) => task.run(context).await?,
        }
        Ok(Exit::Done)
    }
}
