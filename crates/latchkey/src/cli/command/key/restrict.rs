//! `latchkey key restrict`.

use crate::cli::command::rotation::Why;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::names::{self, Kind};
use crate::cli::{moment, span};
use clap::{ArgGroup, Args};
use latchkey_wire::pb::v1 as pb;
use prost_types::Timestamp;
use std::time::Duration;

/// Which, to what, and for how long.
#[derive(Args, Debug)]
#[command(group = ArgGroup::new("what").required(true).multiple(true).args(["permissions", "no_permissions", "networks"]),
    group = ArgGroup::new("end").required(true).args(["end_time", "for_span"]),
    after_help = "Examples:
  latchkey key restrict acme/orders/0Jx5k3f9QmZ2aB7c --permission orders:read --for 2h --reason-text 'spike of writes'
  latchkey key restrict acme/orders/0Jx5k3f9QmZ2aB7c --no-permissions --until 2026-12-31T00:00:00Z")]
pub(crate) struct Restrict {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE/KEY")]
    name: String,
    /// What it may do at most; again for more.
    #[arg(long = "permission", value_name = "PATTERN")]
    permissions: Vec<String>,
    /// It may do nothing.
    #[arg(long, conflicts_with = "permissions")]
    no_permissions: bool,
    /// Where it may be used from at most; again for more.
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// How long, at most 90d; `latchkey key resume` ends it before.
    #[arg(long = "for", value_name = "SPAN", value_parser = span::parse)]
    for_span: Option<Duration>,
    /// Until when.
    #[arg(long = "until", value_name = "MOMENT", value_parser = moment::parse)]
    end_time: Option<Timestamp>,
    #[command(flatten)]
    why: Why,
}

impl Restrict {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        use pb::restrict_key_request::End;
        let Self { name, permissions, no_permissions, networks, for_span, end_time, why } = self;
        let Why { reason_text, wait, change } = why;
        let name = context.name(Kind::Key, &name)?;
        let restricted = no_permissions || !permissions.is_empty();
        let dry_run = change.tried.dry_run;
        let request = pb::RestrictKeyRequest {
            name: name.clone(),
            permissions: restricted.then_some(pb::PermissionList { permissions }),
            networks,
            end: end_time.map(End::EndTime).or_else(|| for_span.map(|span| End::Duration(span::to_wire(span)))),
            reason_text,
            etag: change.etag,
            wait_for: wait.wait_for(),
            wait_timeout: wait.wait_timeout(),
            request_id: change.tried.request_id(),
            validate_only: change.tried.dry_run,
        };
        let answer = context.api.waiting(wait.wait()).restrict_key(request).await?;
        context.show_spread(
            &answer,
            &answer.message.regions,
            &format!("{} is restricted", names::short(&name)),
            dry_run,
        )
    }
}
