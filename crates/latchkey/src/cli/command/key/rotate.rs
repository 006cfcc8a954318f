//! `latchkey key rotate`.

use crate::cli::command::rotation::Why;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::key_texts::KeyTextArguments;
use crate::cli::names::Kind;
use crate::cli::output;
use crate::cli::recipient;
use crate::cli::rotation_policy::delivery;
use crate::cli::span;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use std::path::PathBuf;
use std::time::Duration;

/// As `RotateKey` says.
const OVERLAP_DEFAULT: Duration = Duration::from_secs(86_400);

/// Which, and for how long both are accepted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey key rotate acme/orders/0Jx5k3f9QmZ2aB7c --overlap 48h --key-text-file orders.key
  latchkey key rotate acme/orders/0Jx5k3f9QmZ2aB7c --emergency --reason-text 'found in a log'
  latchkey key rotate acme/orders/0Jx5k3f9QmZ2aB7c --emergency --recipient shop.pem -o json > sealed.json
  latchkey key rotate acme/orders/0Jx5k3f9QmZ2aB7c --deliver orders-files
  latchkey rotation list acme/orders/0Jx5k3f9QmZ2aB7c")]
pub(crate) struct Rotate {
    /// The key.
    #[arg(value_name = "TENANT/KEYSPACE/KEY")]
    name: String,
    /// How long the old version is accepted still, at most 90d; 0s: not at all [default: 24h].
    #[arg(long, value_name = "SPAN", value_parser = span::parse, conflicts_with = "emergency")]
    overlap: Option<Duration>,
    /// End all other versions at once: for a secret that is in the wrong hands. It takes over whatever is in progress, and
    /// activates a standby where there is one.
    #[arg(long, conflicts_with = "deliver")]
    emergency: bool,
    /// Seal the key text to this public key, PEM, instead of showing it.
    #[arg(long, value_name = "FILE", conflicts_with = "deliver")]
    recipient: Option<PathBuf>,
    /// Let the rotation service bring the new secret into this store of its settings, and take all further steps.
    #[arg(long, value_name = "STORE")]
    deliver: Option<String>,
    #[command(flatten)]
    why: Why,
    #[command(flatten)]
    shown: KeyTextArguments,
}

impl Rotate {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self { name, overlap, emergency, recipient, deliver, why, shown } = self;
        let Why { reason_text, wait, change } = why;
        let dry_run = change.tried.dry_run;
        let request = pb::RotateKeyRequest {
            name: context.name(Kind::Key, &name)?,
            // A rotation of the service has terms, and its overlap is one of them.
            overlap: overlap.filter(|_| deliver.is_none()).map(span::to_wire),
            terms: overlap.filter(|_| deliver.is_some()).map(|overlap| pb::RotationTerms {
                overlap: Some(span::to_wire(overlap)),
                ..pb::RotationTerms::default()
            }),
            emergency,
            recipient: recipient.as_deref().map(recipient::read).transpose()?,
            delivery: delivery(deliver.as_deref(), None)?,
            reason_text,
            etag: change.etag,
            request_id: change.tried.request_id(),
            validate_only: change.tried.dry_run,
            wait_for: wait.wait_for(),
            wait_timeout: wait.wait_timeout(),
            ..pb::RotateKeyRequest::default()
        };
        let place = shown.reserve()?;
        let answer = context.api.waiting(wait.wait()).rotate_key(request).await?;
        if !dry_run && context.printer.is_for_people() {
            output::note(&format!("{name} {}.", told(overlap, emergency, deliver.as_deref())));
        }
        place.show(context, &answer, dry_run)
    }
}

/// What has happened, or will.
fn told(overlap: Option<Duration>, emergency: bool, deliver: Option<&str>) -> String {
    let overlap = overlap.unwrap_or(OVERLAP_DEFAULT);
    let span = span::show(u64::try_from(overlap.as_millis()).unwrap_or(u64::MAX));
    match deliver {
        _ if emergency => "has a new version, and no other is accepted any more".to_owned(),
        Some(store) => {
            format!("rotates: the new secret goes to {store}, and `latchkey rotation watch` shows how far it is")
        }
        None => format!("has a new version; the old one is accepted for {span}"),
    }
}
