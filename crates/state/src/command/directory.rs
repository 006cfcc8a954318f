//! Commands on the directory. A change is an `Option`: absent leaves what is there.

use crate::command::WrappedKey;
use crate::records::{StalenessPolicy, TenantQuotas};
use alloc::boxed::Box;
use alloc::vec::Vec;
use latchkey_domain::{
    DisplayName, DurationMillis, ExpiryNotices, Grant, IdentityName, ImportFormat, KeyspaceName, MethodSet, NetworkSet,
    OwnerName, PermissionSet, RoleName, RotationPolicy, Slug, TenantName, TenantNumber,
};

/// Makes a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTenant {
    /// Its id.
    pub tenant: Slug,
    /// What people call it.
    pub display_name: DisplayName,
    /// Where notices go; none before feature level 6.
    pub contacts: Vec<DisplayName>,
    /// Wrapped by the KEK.
    pub tenant_key: WrappedKey,
    /// Wrapped by the tenant key; its ciphertext names the number 0, since the tenant key has none yet.
    pub audit_key: WrappedKey,
}

/// What of a tenant changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TenantChanges {
    /// What people call it.
    pub display_name: Option<DisplayName>,
    /// Its bounds, all of them.
    pub quotas: Option<TenantQuotas>,
    /// Where notices go.
    pub contacts: Option<Vec<DisplayName>>,
}

impl TenantChanges {
    pub(crate) fn is_of_level_6(&self) -> bool {
        self.contacts.as_ref().is_some_and(|contacts| !contacts.is_empty())
    }
}

/// Changes a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateTenant {
    /// Which.
    pub name: TenantName,
    /// What changes.
    pub changes: TenantChanges,
    /// Refuse unless this is its etag.
    pub etag: Option<Box<str>>,
}

/// What of a keyspace changes. Prefix and environment never do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceChanges {
    /// What people call it.
    pub display_name: Option<DisplayName>,
    /// See [`crate::KeyspaceSettings::allowed_permissions`].
    pub allowed_permissions: Option<PermissionSet>,
    /// See [`crate::KeyspaceSettings::allowed_roles`].
    pub allowed_roles: Option<Box<[Slug]>>,
    /// See [`crate::KeyspaceSettings::default_lifetime`].
    pub default_lifetime: Option<Option<DurationMillis>>,
    /// See [`crate::KeyspaceSettings::maximum_lifetime`].
    pub maximum_lifetime: Option<Option<DurationMillis>>,
    /// See [`crate::KeyspaceSettings::networks`].
    pub networks: Option<NetworkSet>,
    /// See [`crate::KeyspaceSettings::staleness_max`]; cleared: the cluster's default.
    pub staleness_max: Option<Option<DurationMillis>>,
    /// See [`crate::KeyspaceSettings::staleness_policy`].
    pub staleness_policy: Option<StalenessPolicy>,
    /// See [`crate::KeyspaceSettings::dead_retention`].
    pub dead_retention: Option<DurationMillis>,
    /// See [`crate::KeyspaceSettings::keys_max`].
    pub keys_max: Option<u64>,
    /// See [`crate::KeyspaceSettings::versions_max`].
    pub versions_max: Option<u64>,
    /// See [`crate::KeyspaceSettings::metadata_bytes_max`].
    pub metadata_bytes_max: Option<u64>,
    /// See [`crate::KeyspaceSettings::self_revocation_off`].
    pub self_revocation_off: Option<bool>,
    /// See [`crate::KeyspaceSettings::import_formats`].
    pub import_formats: Option<Box<[ImportFormat]>>,
    /// See [`crate::KeyspaceSettings::rotation_policy`]; cleared: whenever somebody asks.
    pub rotation_policy: Option<Option<Box<RotationPolicy>>>,
    /// See [`crate::KeyspaceSettings::access_sample_ppm`].
    pub access_sample_ppm: Option<u32>,
    /// See [`crate::KeyspaceSettings::expiry_notices`]; cleared: the default.
    pub expiry_notices: Option<Option<ExpiryNotices>>,
}

impl KeyspaceChanges {
    pub(crate) fn is_of_level_6(&self) -> bool {
        let tells = self.expiry_notices.as_ref().is_some_and(Option::is_some);
        self.access_sample_ppm.is_some_and(|ppm| ppm != 0) || tells
    }

    /// That there shall be no policy is what every build knows.
    pub(crate) fn is_of_level_5(&self) -> bool {
        self.rotation_policy.as_ref().is_some_and(Option::is_some)
    }

    /// That a keyspace shall refuse is what every build knows.
    pub(crate) fn is_of_level_4(&self) -> bool {
        self.staleness_policy.is_some_and(StalenessPolicy::is_of_level_4)
    }

    pub(crate) fn is_of_level_3(&self) -> bool {
        self.import_formats.as_ref().is_some_and(|formats| !formats.is_empty())
    }
}

/// Changes a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateKeyspace {
    /// Which.
    pub name: KeyspaceName,
    /// What changes.
    pub changes: KeyspaceChanges,
    /// Refuse unless this is its etag.
    pub etag: Option<Box<str>>,
}

/// What of an owner changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerChanges {
    /// What people call it.
    pub display_name: Option<DisplayName>,
    /// Where notices go.
    pub contacts: Option<Vec<DisplayName>>,
}

/// Changes an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateOwner {
    /// Which.
    pub name: OwnerName,
    /// What changes.
    pub changes: OwnerChanges,
    /// Refuse unless this is its etag.
    pub etag: Option<Box<str>>,
}

/// Makes a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateRole {
    /// Its name.
    pub name: RoleName,
    /// What people call it.
    pub display_name: DisplayName,
    /// What it permits.
    pub permissions: PermissionSet,
    /// With which methods its keys may be used; empty: any.
    pub methods: MethodSet,
}

/// What of a role changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleChanges {
    /// What people call it.
    pub display_name: Option<DisplayName>,
    /// What it permits.
    pub permissions: Option<PermissionSet>,
    /// With which methods its keys may be used.
    pub methods: Option<MethodSet>,
}

/// Changes a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateRole {
    /// Which.
    pub name: RoleName,
    /// What changes.
    pub changes: RoleChanges,
    /// Refuse unless this is its etag.
    pub etag: Option<Box<str>>,
}

/// What of an identity changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityChanges {
    /// What people call it.
    pub display_name: Option<DisplayName>,
    /// What it may do, and where: all of it.
    pub grants: Option<Vec<Grant>>,
}

/// Changes an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpdateIdentity {
    /// Which.
    pub name: IdentityName,
    /// What changes.
    pub changes: IdentityChanges,
    /// Refuse unless this is its etag.
    pub etag: Option<Box<str>>,
}

/// A record of the directory, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DirectoryName {
    /// A tenant.
    Tenant(TenantName),
    /// A keyspace.
    Keyspace(KeyspaceName),
    /// An owner.
    Owner(OwnerName),
    /// A role.
    Role(RoleName),
    /// An identity.
    Identity(IdentityName),
}

/// Deletes a record of the directory that holds nothing that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// Which.
    pub name: DirectoryName,
    /// Refuse unless this is its etag.
    pub etag: Option<Box<str>>,
    /// Of a tenant: destroy its keys too, and with them all that was ever sealed under them. Of anything else it says nothing.
    pub destroy: bool,
    /// Of a tenant: only if this is its number. It may be one that was deleted before, whoever has its name now.
    pub number: Option<TenantNumber>,
}
