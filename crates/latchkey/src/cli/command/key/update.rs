//! `latchkey key update`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::moment;
use crate::cli::names::{Kind, tenant_of};
use crate::cli::rotation_policy::PolicyArguments;
use crate::cli::shared::{ChangeArguments, mask, pair, pairs};
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use prost_types::Timestamp;

/// What to change. Lists are one field each: what is not given of them is taken away.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey key update acme/orders/0Jx5k3f9QmZ2aB7c --display-name 'nightly export' --purpose reports
  latchkey key update acme/orders/0Jx5k3f9QmZ2aB7c --permission orders:read --permission refunds:read
  latchkey key update acme/orders/0Jx5k3f9QmZ2aB7c --rotation-policy orders-policy.json
  latchkey key update acme/orders/0Jx5k3f9QmZ2aB7c --clear networks --clear metadata")]
pub(crate) struct Update {
    /// Its name.
    #[arg(value_name = "TENANT/KEYSPACE/KEY")]
    name: String,
    /// A name for people.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// Whoever it belongs to.
    #[arg(long, value_name = "[TENANT/]OWNER")]
    owner: Option<String>,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// What it permits; again for more.
    #[arg(long = "permission", value_name = "PATTERN")]
    permissions: Vec<String>,
    /// Its role; again for more.
    #[arg(long = "role", value_name = "[TENANT/]ROLE")]
    roles: Vec<String>,
    /// Where it may be used from; again for more.
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// With which methods; again for more.
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    /// For which resources; again for more.
    #[arg(long = "resource", value_name = "PATTERN")]
    resources: Vec<String>,
    /// Your own words; again for more.
    #[arg(long = "metadata", value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// It is not accepted before this.
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse)]
    not_before: Option<Timestamp>,
    /// When it ends.
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse)]
    expire_time: Option<Timestamp>,
    /// A field to empty; again for more. Without an expire_time it lives as long as its keyspace allows.
    #[arg(long, value_name = "FIELD", value_parser = [
        "display_name", "owner", "purpose", "permissions", "roles", "networks", "methods", "resources", "metadata",
        "not_before", "expire_time", "rotation_policy",
    ])]
    clear: Vec<String>,
    #[command(flatten)]
    change: ChangeArguments,
    #[command(flatten)]
    policy: PolicyArguments,
}

impl Update {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let name = context.name(Kind::Key, &self.name)?;
        let rotation_policy = self.policy.policy()?;
        let given = [&self.given()[..], &[("rotation_policy", rotation_policy.is_some())]].concat();
        let update_mask = Some(mask(&given, &self.clear)?);
        let owner = self.owner.as_ref().map(|owner| super::create::owner(&name, owner)).transpose()?;
        let roles = self.roles.iter().map(|role| Kind::Role.full(role, tenant_of(&name)));
        let key = pb::Key {
            roles: roles.collect::<Result<_, _>>()?,
            name,
            owner: owner.unwrap_or_default(),
            display_name: self.display_name.unwrap_or_default(),
            purpose: self.purpose.unwrap_or_default(),
            permissions: self.permissions,
            networks: self.networks,
            methods: self.methods,
            resources: self.resources,
            metadata: pairs(&self.metadata),
            not_before: self.not_before,
            expire_time: self.expire_time,
            rotation_policy,
            etag: self.change.etag,
            ..pb::Key::default()
        };
        let (request_id, validate_only) = (self.change.tried.request_id(), self.change.tried.dry_run);
        let request = pb::UpdateKeyRequest { key: Some(key), update_mask, request_id, validate_only };
        context.show_change(&context.api.update_key(request).await?, validate_only)
    }

    /// Which fields are given.
    fn given(&self) -> [(&'static str, bool); 11] {
        [
            ("display_name", self.display_name.is_some()),
            ("owner", self.owner.is_some()),
            ("purpose", self.purpose.is_some()),
            ("permissions", !self.permissions.is_empty()),
            ("roles", !self.roles.is_empty()),
            ("networks", !self.networks.is_empty()),
            ("methods", !self.methods.is_empty()),
            ("resources", !self.resources.is_empty()),
            ("metadata", !self.metadata.is_empty()),
            ("not_before", self.not_before.is_some()),
            ("expire_time", self.expire_time.is_some()),
        ]
    }
}
