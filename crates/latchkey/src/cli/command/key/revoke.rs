//! `latchkey key revoke`.

use super::sure::{agreed, agreed_by_text};
use crate::cli::confirm::YesArguments;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::names;
use crate::cli::shared::{ChangeArguments, WaitArguments, words};
use crate::cli::span;
use clap::{ArgGroup, Args};
use latchkey_wire::pb::v1 as pb;
use std::path::PathBuf;
use std::time::Duration;

/// Which, and why.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("which").required(true).args(["name", "key_text_file"]), after_help = "Examples:
  latchkey key revoke acme/orders/0Jx5k3f9QmZ2aB7c --reason compromised --reason-text 'found in a log'
  latchkey key revoke acme/orders/0Jx5k3f9QmZ2aB7c/1Wq8Zr4tYv6uN3mP --reason superseded --grace 1h
  latchkey key revoke acme/orders/0Jx5k3f9QmZ2aB7c --reason unused --dry-run
  latchkey key revoke --key-text-file found.key

By key text no identity is needed: whoever holds a key may end it.")]
pub(crate) struct Revoke {
    /// A key, or one version of it.
    #[arg(value_name = "TENANT/KEYSPACE/KEY[/VERSION]")]
    name: Option<String>,
    /// The file with the text of the key to revoke; - is standard input. Asks validation, and needs no identity.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["grace", "etag", "dry_run", "request_id"])]
    key_text_file: Option<PathBuf>,
    /// Why [default with --key-text-file: compromised].
    #[arg(long, value_name = "REASON", value_parser = words("RevocationReason"), required_unless_present = "key_text_file")]
    reason: Option<i32>,
    /// Why, in words, for the audit log.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason_text: String,
    /// How long it is accepted still [default: not at all].
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    grace: Option<Duration>,
    /// Ask a replica of validation instead of issuance: for the day when issuance is away.
    #[arg(long)]
    at_validation: bool,
    #[command(flatten)]
    sure: YesArguments,
    #[command(flatten)]
    wait: WaitArguments,
    #[command(flatten)]
    change: ChangeArguments,
}

impl Revoke {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self { name, key_text_file, reason, reason_text, grace, at_validation, sure, wait, change } = self;
        let dry_run = change.tried.dry_run;
        let request = pb::RevokeKeyRequest {
            reason: reason.unwrap_or_default(),
            reason_text,
            wait_for: wait.wait_for(),
            wait_timeout: wait.wait_timeout(),
            ..pb::RevokeKeyRequest::default()
        };
        let api = context.api.waiting(wait.wait());
        let answer = match (key_text_file, name) {
            (Some(file), _) => {
                let key_text = context.key_text(&file, "the text of the key to revoke")?.to_string();
                if !sure.yes {
                    agreed_by_text(context, &key_text)?;
                }
                api.unsigned().revoke_key_at_validation(pb::RevokeKeyRequest { key_text, ..request }).await?
            }
            (None, name) => {
                let name = names::key_or_version(&name.unwrap_or_default(), context.tenant.as_deref())?;
                // For the day when issuance is away there is nobody to look it up.
                if !sure.yes && !dry_run && !at_validation {
                    agreed(context, &name, "revoked").await?;
                }
                let request = pb::RevokeKeyRequest {
                    name,
                    grace: grace.map(span::to_wire),
                    validate_only: change.tried.dry_run,
                    request_id: change.tried.request_id(),
                    etag: change.etag,
                    ..request
                };
                if at_validation {
                    api.revoke_key_at_validation(request).await?
                } else {
                    api.revoke_key(request).await?
                }
            }
        };
        let what = told(&answer.message);
        context.show_spread(&answer, &answer.message.regions, &what, dry_run)
    }
}

/// What came of it, in a word: while a grace runs it is accepted still.
fn told(answer: &pb::RevokeKeyResponse) -> String {
    let name = names::short(answer.key.as_ref().map_or("the key", |key| &key.name));
    let what = match answer.key.as_ref().map(pb::Key::state) {
        Some(pb::key::State::Revoked) => name,
        _ if answer.versions.len() == 1 => format!("1 version of {name}"),
        _ => format!("{} versions of {name}", answer.versions.len()),
    };
    if answer.immediate { format!("REVOKED: {what}") } else { format!("To be REVOKED when the grace is over: {what}") }
}
