//! Tenants, keyspaces, owners, roles and identities.

use super::{View, rotation_policy, texts};
use crate::pb::v1;
use crate::staleness;
use crate::time::{write_span, write_time};
use latchkey_domain::{
    BuiltInRole, IdentityName, ImportFormat, ImportPart, OwnerName, RoleName, RoleNumber, Slug, TenantName, UnixMillis,
};
use latchkey_state::{Change, Holder, Identity, Keyspace, KeyspaceSettings, Owner, Role, Tenant, TenantQuotas};

/// What is in force, chosen or not.
fn expiry_notices(settings: &KeyspaceSettings) -> v1::ExpiryNotices {
    let before = settings.expiry_notices_in_force().iter().copied().map(write_span);
    v1::ExpiryNotices { before: before.collect() }
}

/// What a built-in role that permits every word shows as its one permission.
const EVERY_PERMISSION: &str = "*";

impl View<'_> {
    /// Shows a tenant.
    #[must_use]
    pub fn tenant(&self, tenant: &Tenant) -> v1::Tenant {
        v1::Tenant {
            name: TenantName::new(tenant.id.clone()).to_string(),
            display_name: tenant.display_name.to_string(),
            quotas: tenant_quotas(tenant.quotas),
            contacts: texts(tenant.contacts.iter()),
            create_time: Some(write_time(tenant.created_at)),
            update_time: Some(write_time(updated_at(tenant.changed, tenant.created_at))),
            etag: tenant.etag(),
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
            allowed_roles: texts(settings.allowed_roles.iter()),
            default_lifetime: settings.default_lifetime.map(write_span),
            maximum_lifetime: settings.maximum_lifetime.map(write_span),
            networks: texts(settings.networks.iter()),
            staleness_max: Some(write_span(keyspace.staleness_max)),
            staleness_policy: staleness::word(settings.staleness_policy).into(),
            last_known_max: settings.staleness_policy.beyond().map(|max| write_span(max.span())),
            dead_retention: Some(write_span(settings.dead_retention)),
            quotas: keyspace_quotas(settings),
            self_revocation: self_revocation(settings).into(),
            create_time: Some(write_time(keyspace.created_at)),
            update_time: Some(write_time(updated_at(keyspace.changed, keyspace.created_at))),
            etag: keyspace.etag(),
            revision: Some(self.revision.into()),
            import_formats: settings.import_formats.iter().map(import_format).collect(),
            rotation_policy: settings.rotation_policy.as_deref().map(rotation_policy),
            access_sample_ppm: settings.access_sample_ppm,
            expiry_notices: self.state.tells_of_expiry().then(|| expiry_notices(settings)),
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
            update_time: Some(write_time(updated_at(owner.changed, owner.created_at))),
            etag: owner.etag(),
            revision: Some(self.revision.into()),
        }
    }

    /// Shows a role that a tenant made.
    #[must_use]
    pub fn role(&self, role: &Role) -> v1::Role {
        v1::Role {
            name: self.role_name(role),
            display_name: role.display_name.to_string(),
            permissions: texts(role.permissions.iter()),
            methods: texts(role.methods.iter()),
            built_in: false,
            create_time: Some(write_time(role.created_at)),
            update_time: Some(write_time(updated_at(role.changed, role.created_at))),
            etag: role.etag(),
            revision: Some(self.revision.into()),
        }
    }

    /// Shows a role that every tenant has, as this tenant's.
    #[must_use]
    pub fn built_in_role(&self, tenant: &Slug, role: BuiltInRole) -> v1::Role {
        let permissions = if role.permits_all() { &[EVERY_PERMISSION][..] } else { &[] };
        v1::Role {
            name: built_in_name(tenant, role),
            display_name: String::new(),
            permissions: texts(permissions.iter()),
            methods: texts(role.methods().iter()),
            built_in: true,
            create_time: None,
            update_time: None,
            etag: format!("n{}", role.number().0),
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
            update_time: Some(write_time(updated_at(identity.changed, identity.created_at))),
            etag: identity.etag(),
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

    /// The names of roles of a tenant, sorted. One that the state does not hold has none.
    #[must_use]
    pub fn role_names<'r>(&self, tenant: &Slug, roles: impl IntoIterator<Item = &'r RoleNumber>) -> Vec<String> {
        let name = |number: &RoleNumber| match BuiltInRole::by_number(*number) {
            Some(role) => Some(built_in_name(tenant, role)),
            None => self.state.roles().by_number(*number).map(|role| self.role_name(role)),
        };
        let mut names: Vec<String> = roles.into_iter().filter_map(name).collect();
        names.sort_unstable();
        names
    }

    fn owner_name(&self, owner: &Owner) -> String {
        let tenant = self.tenant_name(owner.tenant);
        tenant.map(|tenant| OwnerName::new(tenant.tenant, owner.id.clone()).to_string()).unwrap_or_default()
    }

    fn role_name(&self, role: &Role) -> String {
        let tenant = self.tenant_name(role.tenant);
        tenant.map(|tenant| RoleName::new(tenant.tenant, role.id.clone()).to_string()).unwrap_or_default()
    }

    fn identity_name(&self, identity: &Identity) -> String {
        let tenant = self.tenant_name(identity.tenant);
        tenant.map(|tenant| IdentityName::new(tenant.tenant, identity.id.clone()).to_string()).unwrap_or_default()
    }
}

fn import_format(format: &ImportFormat) -> v1::ImportFormat {
    let part = |part: &ImportPart| v1::ImportPart {
        alphabet: v1::ImportAlphabet::from(part.alphabet).into(),
        length_min: part.length_min.into(),
        length_max: part.length_max.into(),
    };
    v1::ImportFormat {
        id: format.id().to_string(),
        digest: v1::ImportDigest::from(format.digest()).into(),
        prefix: format.prefix().to_owned(),
        parts: format.parts().iter().map(part).collect(),
    }
}

fn updated_at(changed: Option<Change>, created_at: UnixMillis) -> UnixMillis {
    changed.map_or(created_at, |change| change.at)
}

fn built_in_name(tenant: &Slug, role: BuiltInRole) -> String {
    format!("{}/roles/{}", TenantName::new(tenant.clone()), role.as_str())
}

fn tenant_quotas(quotas: TenantQuotas) -> Option<v1::TenantQuotas> {
    let TenantQuotas { keyspaces_max, owners_max, roles_max, identities_max, writes_per_second_max } = quotas;
    (quotas != TenantQuotas::default()).then_some(v1::TenantQuotas {
        keyspaces: keyspaces_max,
        owners: owners_max,
        roles: roles_max,
        identities: identities_max,
        writes_per_second: writes_per_second_max,
    })
}

fn keyspace_quotas(settings: &KeyspaceSettings) -> Option<v1::KeyspaceQuotas> {
    let bound = |max: u64| (max != u64::MAX).then_some(max);
    let quotas = v1::KeyspaceQuotas {
        keys: bound(settings.keys_max),
        metadata_bytes: bound(settings.metadata_bytes_max),
        versions: bound(settings.versions_max),
    };
    (quotas != v1::KeyspaceQuotas::default()).then_some(quotas)
}

const fn self_revocation(settings: &KeyspaceSettings) -> v1::SelfRevocation {
    if settings.self_revocation_off { v1::SelfRevocation::Off } else { v1::SelfRevocation::Allowed }
}
