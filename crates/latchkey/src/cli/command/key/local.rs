//! `latchkey key deny-locally`, `allow-locally` and `local-denials`: on one replica, for when no leader is to be had.

use crate::cli::api::Api;
use crate::cli::confirm::{YesArguments, question};
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::names;
use crate::cli::output::{self, Column, Shape, View};
use crate::cli::shared::words;
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use serde_json::Value;

pub(in crate::cli::command) const DENIALS: View = View {
    columns: &[
        Column::new("KEY", "name", Shape::Name),
        Column::new("THEN", "then", Shape::Word),
        Column::new("REASON", "reason", Shape::Word),
        Column::new("TEXT", "reasonText", Shape::Plain),
        Column::new("BY", "deniedBy", Shape::Name),
        Column::new("DENIED", "denyTime", Shape::Age),
        Column::new("IN AUDIT", "recorded", Shape::Plain),
    ],
    none: "The replica denies no key.",
};

/// Which replica.
#[derive(Args, Clone, Debug)]
pub(super) struct At {
    /// The replica to ask, by its address; ask each one of a region to stop a key there [default: that of the profile].
    #[arg(long, value_name = "HOST:PORT")]
    at: Option<String>,
}

/// Which, why, and what then.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey key deny-locally acme/orders/0Jx5k3f9QmZ2aB7c --reason compromised --then revoke
  latchkey key deny-locally acme/orders/0Jx5k3f9QmZ2aB7c --reason compromised --then suspend --at eu-2.example:7720

For when there is no quorum and key revoke answers UNAVAILABLE. It stops the key on one replica and on no other; when that
replica hears of a leader again, it does to the key what --then says.")]
pub(crate) struct DenyLocally {
    /// A key, or one version of it.
    #[arg(value_name = "TENANT/KEYSPACE/KEY[/VERSION]")]
    name: String,
    /// Why.
    #[arg(long, value_name = "REASON", value_parser = words("RevocationReason"))]
    reason: i32,
    /// Why, in words, for the audit log.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason_text: String,
    /// What is to become of it everywhere when there is a leader again.
    #[arg(long, value_name = "WHAT", value_parser = words("LocalDenial.FollowUp"))]
    then: i32,
    #[command(flatten)]
    at: At,
    #[command(flatten)]
    sure: YesArguments,
}

/// Which.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey key allow-locally acme/orders/0Jx5k3f9QmZ2aB7c --at eu-2.example:7720")]
pub(crate) struct AllowLocally {
    /// What was denied: a key, or one version of it.
    #[arg(value_name = "TENANT/KEYSPACE/KEY[/VERSION]")]
    name: String,
    #[command(flatten)]
    at: At,
}

/// Where.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  latchkey key local-denials\n  latchkey key local-denials --at eu-2.example:7720")]
pub(crate) struct LocalDenials {
    #[command(flatten)]
    at: At,
}

impl At {
    fn api(&self, context: &Context) -> Result<Api, CliError> {
        match &self.at {
            Some(address) => context.api.at_replica(address),
            None => Ok(context.api.clone()),
        }
    }
}

impl DenyLocally {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self { name, reason, reason_text, then, at, sure } = self;
        let name = names::key_or_version(&name, context.tenant.as_deref())?;
        if !sure.yes {
            // Nobody can be asked what it is: there may be no leader, and no issuance.
            let short = names::short(&name);
            question(&format!("One replica would accept {short} no more."), &short)?;
        }
        let request = pb::DenyKeyLocallyRequest { name, reason, reason_text, then };
        context.show(&at.api(context)?.deny_key_locally(request).await?)
    }
}

impl AllowLocally {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let name = names::key_or_version(&self.name, context.tenant.as_deref())?;
        let request = pb::AllowKeyLocallyRequest { name };
        context.show(&self.at.api(context)?.allow_key_locally(request).await?)
    }
}

impl LocalDenials {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let answer = self.at.api(context)?.list_local_denials(pb::ListLocalDenialsRequest {}).await?;
        let whole = answer.json();
        let rows = whole.get("denials").and_then(Value::as_array).cloned().unwrap_or_default();
        output::print(&context.printer.many(&DENIALS, &whole, &rows))
    }
}
