//! Records of the state, shown as public resources.

use crate::pb::v1;
use crate::time::{write_span, write_time};
use latchkey_domain::{IdentityName, KeyName, OwnerName, Revision, TenantName, TenantNumber, UnixMillis, VersionName};
use latchkey_state::{Holder, Identity, Key, Keyspace, Owner, Revocation, State, Tenant, Version};
use std::fmt::Display;

impl From<Revision> for v1::Revision {
    fn from(revision: Revision) -> Self {
        Self { epoch: revision.epoch, index: revision.index }
    }
}

impl From<v1::Revision> for Revision {
    fn from(revision: v1::Revision) -> Self {
        Self { epoch: revision.epoch, index: revision.index }
    }
}

impl From<&latchkey_domain::Grant> for v1::Grant {
    fn from(grant: &latchkey_domain::Grant) -> Self {
        Self { duty: v1::Duty::from(grant.duty).into(), scope: grant.scope.to_string() }
    }
}

/// The state at one time: what a record is worth depends on both.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The state that records refer to.
    pub state: &'a State,
    /// The time of the cluster.
    pub now: UnixMillis,
    /// The revision that is shown: that of the answer, or of the state.
    pub revision: Revision,
}

impl<'a> View<'a> {
    /// A state as it is at `now`.
    #[must_use]
    pub fn new(state: &'a State, now: UnixMillis) -> Self {
        Self { state, now, revision: state.revision() }
    }

    /// Shows a tenant.
    #[must_use]
    pub fn tenant(&self, tenant: &Tenant) -> v1::Tenant {
        v1::Tenant {
            name: TenantName::new(tenant.id.clone()).to_string(),
            display_name: tenant.display_name.to_string(),
            create_time: Some(write_time(tenant.created_at)),
            revision: Some(self.revision.into()),
        }
    }

    /// Shows a keyspace. Its staleness bound is the one in force.
    #[must_use]
    pub fn keyspace(&self, keyspace: &Keyspace) -> v1::Keyspace {
        let settings = &keyspace.settings;
        v1::Keyspace {
            name: self.state.keyspace_name(keyspace).to_string(),
            display_name: settings.display_name.to_string(),
            prefix: settings.prefix.to_string(),
            environment: settings.environment.to_string(),
            allowed_permissions: texts(settings.allowed_permissions.iter()),
            default_lifetime: settings.default_lifetime.map(write_span),
            maximum_lifetime: settings.maximum_lifetime.map(write_span),
            networks: texts(settings.networks.iter()),
            staleness_max: Some(write_span(keyspace.staleness_max)),
            staleness_policy: v1::StalenessPolicy::from(settings.staleness_policy).into(),
            dead_retention: Some(write_span(settings.dead_retention)),
            quotas: (settings.keys_max != u64::MAX).then_some(v1::KeyspaceQuotas { keys: Some(settings.keys_max), ..v1::KeyspaceQuotas::default() }),
            create_time: Some(write_time(keyspace.created_at)),
            revision: Some(self.revision.into()),
        }
    }

    /// Shows an owner.
    #[must_use]
    pub fn owner(&self, owner: &Owner) -> v1::Owner {
        v1::Owner {
            name: self.owner_name(owner),
            display_name: owner.display_name.to_string(),
            contacts: texts(owner.contacts.iter()),
            create_time: Some(write_time(owner.created_at)),
            revision: Some(self.revision.into()),
        }
    }

    /// Shows an identity.
    #[must_use]
    pub fn identity(&self, identity: &Identity) -> v1::Identity {
        v1::Identity {
            name: self.identity_name(identity),
            display_name: identity.display_name.to_string(),
            grants: identity.grants.iter().map(Into::into).collect(),
            create_time: Some(write_time(identity.created_at)),
            revision: Some(self.revision.into()),
        }
    }

    /// Shows a key with its versions. A key whose keyspace the state does not hold has no name.
    #[must_use]
    pub fn key(&self, key: &Key) -> v1::Key {
        let name = self.state.keyspaces().by_number(key.keyspace).map(|keyspace| self.state.keyspace_name(keyspace));
        let name = name.map(|keyspace| KeyName { keyspace, key: key.id });
        v1::Key {
            name: name.as_ref().map(ToString::to_string).unwrap_or_default(),
            display_name: key.display_name.to_string(),
            owner: self.holder_name(key.holder),
            purpose: key.purpose().to_owned(),
            state: self.key_state(key).into(),
            permissions: texts(key.terms.permissions.iter()),
            networks: texts(key.terms.networks.iter()),
            methods: texts(key.terms.methods.iter()),
            resources: texts(key.terms.resources.iter()),
            metadata: key.metadata().map(|(word, value)| (word.to_owned(), value.to_owned())).collect(),
            create_time: Some(write_time(key.created_at)),
            not_before: key.not_before().map(write_time),
            expire_time: key.expires_at.map(write_time),
            revocation: key.revocation().map(revocation),
            versions: key.versions.iter().map(|version| self.version(name.as_ref(), key, version)).collect(),
            etag: key.etag(),
            revision: Some(self.revision.into()),
        }
    }

    /// The name of whom a key belongs to; empty where nobody was named.
    #[must_use]
    pub fn holder_name(&self, holder: Holder) -> String {
        match holder {
            Holder::None => String::new(),
            Holder::Owner(number) => {
                self.state.owners().by_number(number).map(|owner| self.owner_name(owner)).unwrap_or_default()
            }
            Holder::Identity(number) => {
                let identity = self.state.identities().by_number(number);
                identity.map(|identity| self.identity_name(identity)).unwrap_or_default()
            }
        }
    }

    fn version(&self, name: Option<&KeyName>, key: &Key, version: &Version) -> v1::Version {
        let name = name.map(|key| VersionName { key: key.clone(), version: version.id }.to_string());
        let revoked = version.revocation.as_ref().is_some_and(|revocation| revocation.effective_at <= self.now);
        // What ends a key ends each of its versions, though it stands in the key alone.
        let state = match self.key_state(key) {
            _ if revoked => v1::version::State::Revoked,
            v1::key::State::Revoked => v1::version::State::Revoked,
            v1::key::State::Expired => v1::version::State::Retired,
            v1::key::State::Active | v1::key::State::Suspended | v1::key::State::Unspecified => {
                v1::version::State::Active
            }
        };
        v1::Version {
            name: name.unwrap_or_default(),
            state: state.into(),
            create_time: Some(write_time(version.created_at)),
            revocation: version.revocation.as_deref().map(revocation),
        }
    }

    fn key_state(&self, key: &Key) -> v1::key::State {
        let revoked = key.revocation().is_some_and(|revocation| revocation.effective_at <= self.now);
        if revoked || self.is_cut(key) {
            return v1::key::State::Revoked;
        }
        if key.expires_at.is_some_and(|expires_at| expires_at <= self.now) {
            return v1::key::State::Expired;
        }
        v1::key::State::Active
    }

    fn is_cut(&self, key: &Key) -> bool {
        let Some(keyspace) = self.state.keyspaces().by_number(key.keyspace) else { return false };
        let Some(tenant) = self.state.tenants().by_number(keyspace.tenant) else { return false };
        self.state.is_cut(tenant, keyspace, key)
    }

    fn owner_name(&self, owner: &Owner) -> String {
        let tenant = self.tenant_name(owner.tenant);
        tenant.map(|tenant| OwnerName::new(tenant.tenant, owner.id.clone()).to_string()).unwrap_or_default()
    }

    fn identity_name(&self, identity: &Identity) -> String {
        let tenant = self.tenant_name(identity.tenant);
        tenant.map(|tenant| IdentityName::new(tenant.tenant, identity.id.clone()).to_string()).unwrap_or_default()
    }

    fn tenant_name(&self, number: TenantNumber) -> Option<TenantName> {
        self.state.tenants().by_number(number).map(|tenant| TenantName::new(tenant.id.clone()))
    }
}

fn revocation(revocation: &Revocation) -> v1::Revocation {
    v1::Revocation {
        reason: v1::RevocationReason::from(revocation.reason).into(),
        reason_text: revocation.text.to_string(),
        revoke_time: Some(write_time(revocation.effective_at)),
    }
}

pub(crate) fn texts<T: Display>(values: impl Iterator<Item = T>) -> Vec<String> {
    values.map(|value| value.to_string()).collect()
}
