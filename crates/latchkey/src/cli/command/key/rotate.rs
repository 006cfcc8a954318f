//! `latchkey key rotate`.

use crate::cli::command::rotation::Why;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::key_texts::KeyTextArguments;
use crate::cli::names::Kind;
use crate::cli::output;
use crate::cli::span;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use std::time::Duration;

/// Which, and for how long both are accepted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey key rotate acme/orders/0Jx5k3f9QmZ2aB7c --overlap 48h --key-text-file orders.key
  latchkey key rotate acme/orders/0Jx5k3f9QmZ2aB7c --overlap 0s --reason-text 'found in a log'
  latchkey rotation list acme/orders/0Jx5k3f9QmZ2aB7c")]
pub(crate) struct Rotate {
    /// The key.
    #[arg(value_name = "TENANT/KEYSPACE/KEY")]
    name: String,
    /// How long the old version is accepted still, at most 90d; 0s: not at all.
    #[arg(long, value_name = "SPAN", value_parser = span::parse, default_value = "24h")]
    overlap: Duration,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    shown: KeyTextArguments,
}

impl Rotate {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self { name, overlap, why: Why { reason_text, wait, change }, shown } = self;
        let dry_run = change.tried.dry_run;
        let request = pb::RotateKeyRequest {
            name: context.name(Kind::Key, &name)?,
            overlap: Some(span::to_wire(overlap)),
            reason_text,
            etag: change.etag,
            request_id: change.tried.request_id(),
            validate_only: change.tried.dry_run,
            wait_for: wait.wait_for(),
            wait_timeout: wait.wait_timeout(),
        };
        let place = shown.reserve()?;
        let answer = context.api.waiting(wait.wait()).rotate_key(request).await?;
        if !dry_run && context.printer.is_for_people() {
            output::note(&format!(
                "{name} has a new version; the old one is accepted for {}.",
                span::show(u64::try_from(overlap.as_millis()).unwrap_or(u64::MAX))
            ));
        }
        place.show(context, &answer, dry_run)
    }
}
