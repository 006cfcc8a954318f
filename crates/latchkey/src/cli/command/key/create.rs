//! `latchkey key create`.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::key_texts::KeyTextArguments;
use crate::cli::names::{Kind, tenant_of};
use crate::cli::recipient;
use crate::cli::rotation_policy::PolicyArguments;
use crate::cli::shared::{TryArguments, WaitArguments, pair, pairs};
use crate::cli::{moment, span};
use clap::Args;
use latchkey_wire::pb::v1 as pb;
use prost_types::Timestamp;
use std::path::PathBuf;
use std::time::Duration;

/// What to make, and where.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey key create acme/orders --permission orders:read --owner shop --lifetime 90d
  latchkey key create acme/orders --role standard --key-text-file orders.key
  latchkey key create acme/orders --recipient shop.pem --rotation-class high --rotation-mode notify --rotation-notice 7d
  latchkey key create acme/orders --output json | jq -r .keyText | vault kv put secret/orders key=-
  latchkey key create system/management --owner acme/gateway --key-text-file gateway.key")]
pub(crate) struct Create {
    /// The keyspace.
    #[arg(value_name = "TENANT/KEYSPACE")]
    keyspace: String,
    #[command(flatten)]
    fields: KeyFields,
    /// Seal the key text to this public key, PEM, instead of showing it.
    #[arg(long, value_name = "FILE")]
    recipient: Option<PathBuf>,
    #[command(flatten)]
    shown: KeyTextArguments,
    #[command(flatten)]
    wait: WaitArguments,
    #[command(flatten)]
    tried: TryArguments,
    #[command(flatten)]
    policy: PolicyArguments,
}

/// What a new key is to be.
#[derive(Args, Clone, Debug)]
pub(in crate::cli::command) struct KeyFields {
    /// A name for people.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    display_name: String,
    /// Whoever it belongs to: an owner of the tenant; of a management key an identity.
    #[arg(long, value_name = "[TENANT/]OWNER")]
    owner: Option<String>,
    /// What it is for.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    purpose: String,
    /// What it permits, such as orders:read or orders:*; again for more.
    #[arg(long = "permission", value_name = "PATTERN")]
    permissions: Vec<String>,
    /// Its role, of the tenant or built in (read-only, standard, admin); again for more.
    #[arg(long = "role", value_name = "[TENANT/]ROLE")]
    roles: Vec<String>,
    /// The key whose child it shall be: it may do no more, and ends with it.
    #[arg(long, value_name = "TENANT/KEYSPACE/KEY")]
    parent_key: Option<String>,
    /// Where it may be used from, CIDR or an address; again for more; none: anywhere.
    #[arg(long = "network", value_name = "CIDR")]
    networks: Vec<String>,
    /// With which methods it may be used; again for more; none: with any.
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,
    /// For which resources it may be used, such as /v1/orders/**; again for more; none: for any.
    #[arg(long = "resource", value_name = "PATTERN")]
    resources: Vec<String>,
    /// Your own words; not secret; again for more.
    #[arg(long = "metadata", value_name = "KEY=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// It is not accepted before this.
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse)]
    not_before: Option<Timestamp>,
    /// When it ends [default: as its keyspace says].
    #[arg(long, value_name = "MOMENT", value_parser = moment::parse, conflicts_with = "lifetime")]
    expire_time: Option<Timestamp>,
    /// How long it lives [default: as its keyspace says].
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    lifetime: Option<Duration>,
}

impl KeyFields {
    /// The request that asks for it. A short owner or role is of the keyspace's tenant.
    pub(in crate::cli::command) fn request(
        self,
        context: &Context,
        parent: String,
    ) -> Result<pb::CreateKeyRequest, CliError> {
        let tenant = tenant_of(&parent).map(str::to_owned);
        let owner = self.owner.map(|name| owner(&parent, &name)).transpose()?;
        let roles = self.roles.iter().map(|name| Kind::Role.full(name, tenant.as_deref()));
        let parent_key = self.parent_key.map(|name| context.name(Kind::Key, &name)).transpose()?;
        let expiry = match (self.expire_time, self.lifetime) {
            (Some(moment), _) => Some(pb::create_key_request::Expiry::ExpireTime(moment)),
            (None, Some(lifetime)) => Some(pb::create_key_request::Expiry::Lifetime(span::to_wire(lifetime))),
            (None, None) => None,
        };
        Ok(pb::CreateKeyRequest {
            roles: roles.collect::<Result<_, _>>()?,
            owner: owner.unwrap_or_default(),
            parent_key: parent_key.unwrap_or_default(),
            display_name: self.display_name,
            purpose: self.purpose,
            permissions: self.permissions,
            networks: self.networks,
            methods: self.methods,
            resources: self.resources,
            metadata: pairs(&self.metadata),
            not_before: self.not_before,
            expiry,
            parent,
            ..pb::CreateKeyRequest::default()
        })
    }
}

/// The full name of an owner; of a management key that is an identity, of any tenant.
pub(super) fn owner(keyspace: &str, name: &str) -> Result<String, CliError> {
    let management = keyspace.starts_with("tenants/system/keyspaces/management");
    let kind = if management { Kind::Identity } else { Kind::Owner };
    kind.full(name, tenant_of(keyspace))
}

impl Create {
    pub(super) async fn run(self, context: &Context) -> Result<(), CliError> {
        let Self { keyspace, fields, recipient, shown, wait, tried, policy } = self;
        let keyspace = context.name(Kind::Keyspace, &keyspace)?;
        let dry_run = tried.dry_run;
        let request = pb::CreateKeyRequest {
            request_id: tried.request_id(),
            validate_only: tried.dry_run,
            wait_for: wait.wait_for(),
            wait_timeout: wait.wait_timeout(),
            rotation_policy: policy.policy()?,
            recipient: recipient.as_deref().map(recipient::read).transpose()?,
            ..fields.request(context, keyspace)?
        };
        let place = shown.reserve()?;
        let answer = context.api.waiting(wait.wait()).create_key(request).await?;
        place.show(context, &answer, dry_run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_management_key_is_an_identity() {
        assert_eq!(owner("tenants/acme/keyspaces/orders", "shop").unwrap(), "tenants/acme/owners/shop");
        let management = "tenants/system/keyspaces/management";
        assert_eq!(owner(management, "acme/gateway").unwrap(), "tenants/acme/identities/gateway");
        assert_eq!(owner(management, "root").unwrap(), "tenants/system/identities/root");
    }
}
