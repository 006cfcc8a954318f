//! `latchkey key suspend` and `latchkey key resume`.

use crate::cli::command::rotation::Why;
use crate::cli::confirm::YesArguments;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::names::{self, Kind};
use clap::Args;
use latchkey_wire::pb::v1 as pb;

/// Which, and why.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  latchkey key suspend acme/orders/0Jx5k3f9QmZ2aB7c --reason-text 'looked at by security'"
)]
pub(crate) struct Suspend {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE/KEY")]
    name: String,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    sure: YesArguments,
}

/// Which, and why.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  latchkey key resume acme/orders/0Jx5k3f9QmZ2aB7c --reason-text 'nothing was wrong'"
)]
pub(crate) struct Resume {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE/KEY")]
    name: String,
    #[command(flatten)]
    why: Why,
}

impl Suspend {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self { name, why: Why { reason_text, wait, change }, sure } = self;
        let dry_run = change.tried.dry_run;
        let name = context.name(Kind::Key, &name)?;
        if !sure.yes && !dry_run {
            super::sure::agreed(context, &name, "suspended").await?;
        }
        let request = pb::SuspendKeyRequest {
            name: name.clone(),
            reason_text,
            etag: change.etag,
            wait_for: wait.wait_for(),
            wait_timeout: wait.wait_timeout(),
            request_id: change.tried.request_id(),
            validate_only: change.tried.dry_run,
        };
        let answer = context.api.waiting(wait.wait()).suspend_key(request).await?;
        let what = format!("{} is SUSPENDED", names::short(&name));
        context.show_spread(&answer, &answer.message.regions, &what, dry_run)
    }
}

impl Resume {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self { name, why: Why { reason_text, wait, change } } = self;
        let dry_run = change.tried.dry_run;
        let name = context.name(Kind::Key, &name)?;
        let request = pb::ResumeKeyRequest {
            name: name.clone(),
            reason_text,
            etag: change.etag,
            wait_for: wait.wait_for(),
            wait_timeout: wait.wait_timeout(),
            request_id: change.tried.request_id(),
            validate_only: change.tried.dry_run,
        };
        let answer = context.api.waiting(wait.wait()).resume_key(request).await?;
        let what = format!("{} is resumed", names::short(&name));
        context.show_spread(&answer, &[], &what, dry_run)
    }
}
