//! `latchkey rotation start`: the rotation service takes the steps.

use super::watch;
use crate::cli::command::rotation::Why;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::moment;
use crate::cli::names::Kind;
use crate::cli::output;
use crate::cli::rotation_policy::{TermsArguments, delivery};
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use prost_types::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// How often `--watch` looks.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Which, and where its new secret goes.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey rotation start acme/orders/0Jx5k3f9QmZ2aB7c --deliver orders-files --silence 1h --watch
  latchkey rotation start acme/orders/0Jx5k3f9QmZ2aB7c --recipient shop.pem --overlap 48h \\
      --silence 2h --at-deadline hold --hold-max 7d
  latchkey rotation show acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP -o json | latchkey open-sealed --private-key-file shop.key")]
pub(crate) struct Start {
    /// The key.
    #[arg(value_name = "TENANT/KEYSPACE/KEY")]
    name: String,
    /// Into which store of the rotation service's settings the new secret goes.
    #[arg(long, value_name = "STORE", required_unless_present = "recipient", conflicts_with = "recipient")]
    deliver: Option<String>,
    /// To which public key it is sealed, PEM; `rotation show` gives it once every replica accepts it.
    #[arg(long, value_name = "FILE")]
    recipient: Option<PathBuf>,
    #[command(flatten)]
    terms: TermsArguments,
    /// The new version is not accepted before this, even if it is delivered.
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse)]
    activate_time: Option<Timestamp>,
    /// Watch it until it ends.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    why: Why,
}

impl Start {
    pub(super) async fn run(self, context: &Context) -> Result<Exit, CliError> {
        let Self { name, deliver, recipient, terms, activate_time, watch, why } = self;
        let Why { reason_text, wait, change } = why;
        let dry_run = change.tried.dry_run;
        let request = pb::RotateKeyRequest {
            name: context.name(Kind::Key, &name)?,
            reason_text,
            etag: change.etag,
            request_id: change.tried.request_id(),
            validate_only: dry_run,
            wait_for: wait.wait_for(),
            wait_timeout: wait.wait_timeout(),
            delivery: delivery(deliver.as_deref(), recipient.as_ref())?,
            terms: terms.over(None),
            activate_time,
            ..pb::RotateKeyRequest::default()
        };
        let answer = context.api.waiting(wait.wait()).rotate_key(request).await?;
        let rotation = answer.message.rotation.as_ref().map(|rotation| rotation.name.clone()).unwrap_or_default();
        if !watch || dry_run {
            context.show_change(&answer, dry_run)?;
            return Ok(Exit::Done);
        }
        if context.printer.is_for_people() {
            output::note("The rotation service goes on by itself; Ctrl-C ends the watching alone.");
        }
        watch::follow(context, rotation, LOOK_INTERVAL).await
    }
}
