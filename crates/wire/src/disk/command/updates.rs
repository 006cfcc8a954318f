//! Changes. Absent means that something stays, so what can also be cleared is wrapped in a message of its own.

use super::{read_etag, write_etag};
use crate::disk::parts::{
    read_expiry_notices, read_formats, read_grants, read_metadata, read_methods, read_names, read_networks,
    read_permissions, read_quotas, read_resources, read_slugs, texts, write_expiry_notices, write_formats,
    write_grants, write_metadata, write_quotas,
};
use crate::disk::policy::{read_policy, write_policy};
use crate::disk::{DecodeError, parsed, span, time};
use crate::pb::disk::v1 as disk;
use crate::staleness;
use latchkey_domain::{
    DisplayName, DurationMillis, IdentityName, KeyName, KeyspaceName, OwnerName, Purpose, RoleName, RotationPolicy,
    TenantName, UnixMillis,
};
use latchkey_state::{
    ExpiryChange, HolderName, IdentityChanges, KeyChanges, KeyspaceChanges, OwnerChanges, RoleChanges, TenantChanges,
    UpdateIdentity, UpdateKey, UpdateKeyspace, UpdateOwner, UpdateRole, UpdateTenant,
};
use std::fmt::Display;

fn list<T: Display>(values: impl Iterator<Item = T>) -> disk::TextList {
    disk::TextList { texts: texts(values) }
}

fn read_list<T>(
    list: Option<&disk::TextList>,
    read: impl FnOnce(&[String], &'static str) -> Result<T, DecodeError>,
    field: &'static str,
) -> Result<Option<T>, DecodeError> {
    list.map(|list| read(&list.texts, field)).transpose()
}

fn write_span(change: Option<Option<DurationMillis>>) -> Option<disk::SpanChange> {
    change.map(|span| disk::SpanChange { span_ms: span.map(DurationMillis::millis) })
}

fn read_span(
    change: Option<&disk::SpanChange>,
    field: &'static str,
) -> Result<Option<Option<DurationMillis>>, DecodeError> {
    change.map(|change| change.span_ms.map(|millis| span(millis, field)).transpose()).transpose()
}

fn read_display_name(name: Option<&String>) -> Result<Option<DisplayName>, DecodeError> {
    name.map(|name| parsed(DisplayName::parse(name), "display_name")).transpose()
}

pub(super) fn write_tenant(operation: &UpdateTenant) -> disk::UpdateTenant {
    let TenantChanges { display_name, quotas, contacts } = &operation.changes;
    disk::UpdateTenant {
        name: operation.name.to_string(),
        display_name: display_name.as_ref().map(ToString::to_string),
        quotas: quotas.as_ref().map(write_quotas),
        etag: write_etag(operation.etag.as_deref()),
        contacts: contacts.as_ref().map(|contacts| list(contacts.iter())),
    }
}

pub(super) fn read_tenant(operation: &disk::UpdateTenant) -> Result<UpdateTenant, DecodeError> {
    Ok(UpdateTenant {
        name: parsed(TenantName::parse(&operation.name), "name")?,
        changes: TenantChanges {
            display_name: read_display_name(operation.display_name.as_ref())?,
            quotas: operation.quotas.as_ref().map(read_quotas),
            contacts: read_list(operation.contacts.as_ref(), read_names, "contacts")?,
        },
        etag: read_etag(operation.etag.as_ref()),
    })
}

/// A policy, or that there shall be none.
fn write_change(change: Option<&Option<Box<RotationPolicy>>>) -> Option<disk::PolicyChange> {
    change.map(|policy| disk::PolicyChange { policy: policy.as_deref().map(write_policy) })
}

fn read_change(change: Option<&disk::PolicyChange>) -> Result<Option<Option<Box<RotationPolicy>>>, DecodeError> {
    change.map(|change| Ok(change.policy.as_ref().map(read_policy).transpose()?.map(Box::new))).transpose()
}

pub(super) fn write_keyspace(operation: &UpdateKeyspace) -> disk::UpdateKeyspace {
    let changes = &operation.changes;
    let (staleness_policy, last_known_max_ms) = changes.staleness_policy.map(staleness::write_disk).unzip();
    disk::UpdateKeyspace {
        name: operation.name.to_string(),
        display_name: changes.display_name.as_ref().map(ToString::to_string),
        allowed_permissions: changes.allowed_permissions.as_ref().map(|set| list(set.iter())),
        allowed_roles: changes.allowed_roles.as_ref().map(|roles| list(roles.iter())),
        default_lifetime: write_span(changes.default_lifetime),
        maximum_lifetime: write_span(changes.maximum_lifetime),
        networks: changes.networks.as_ref().map(|set| list(set.iter())),
        staleness_max: write_span(changes.staleness_max),
        dead_retention_ms: changes.dead_retention.map(DurationMillis::millis),
        keys_max: changes.keys_max,
        versions_max: changes.versions_max,
        metadata_bytes_max: changes.metadata_bytes_max,
        self_revocation_off: changes.self_revocation_off,
        import_formats: changes
            .import_formats
            .as_ref()
            .map(|formats| disk::ImportFormatList { formats: write_formats(formats) }),
        etag: write_etag(operation.etag.as_deref()),
        staleness_policy,
        last_known_max_ms: last_known_max_ms.flatten(),
        rotation_policy: write_change(changes.rotation_policy.as_ref()),
        access_sample_ppm: changes.access_sample_ppm,
        expiry_notices: changes
            .expiry_notices
            .as_ref()
            .map(|notices| disk::ExpiryNoticesChange { notices: notices.as_ref().map(write_expiry_notices) }),
    }
}

pub(super) fn read_keyspace(operation: &disk::UpdateKeyspace) -> Result<UpdateKeyspace, DecodeError> {
    let retention = operation.dead_retention_ms.map(|millis| span(millis, "dead_retention"));
    let allowed_permissions =
        read_list(operation.allowed_permissions.as_ref(), read_permissions, "allowed_permissions")?;
    let import_formats = operation.import_formats.as_ref().map(|list| read_formats(&list.formats));
    let allowed_roles = read_list(operation.allowed_roles.as_ref(), read_slugs, "allowed_roles")?;
    let staleness_policy =
        operation.staleness_policy.map(|word| staleness::read_disk(word, operation.last_known_max_ms));
    let expiry_notices = operation.expiry_notices.as_ref();
    let expiry_notices = expiry_notices.map(|change| change.notices.as_ref().map(read_expiry_notices).transpose());
    Ok(UpdateKeyspace {
        name: parsed(KeyspaceName::parse(&operation.name), "name")?,
        changes: KeyspaceChanges {
            display_name: read_display_name(operation.display_name.as_ref())?,
            allowed_permissions,
            allowed_roles: allowed_roles.map(Into::into),
            default_lifetime: read_span(operation.default_lifetime.as_ref(), "default_lifetime")?,
            maximum_lifetime: read_span(operation.maximum_lifetime.as_ref(), "maximum_lifetime")?,
            networks: read_list(operation.networks.as_ref(), read_networks, "networks")?,
            staleness_max: read_span(operation.staleness_max.as_ref(), "staleness_max")?,
            staleness_policy: staleness_policy.transpose()?,
            dead_retention: retention.transpose()?,
            keys_max: operation.keys_max,
            versions_max: operation.versions_max,
            metadata_bytes_max: operation.metadata_bytes_max,
            self_revocation_off: operation.self_revocation_off,
            import_formats: import_formats.transpose()?.map(Into::into),
            rotation_policy: read_change(operation.rotation_policy.as_ref())?,
            access_sample_ppm: operation.access_sample_ppm,
            expiry_notices: expiry_notices.transpose()?,
        },
        etag: read_etag(operation.etag.as_ref()),
    })
}

pub(super) fn write_owner(operation: &UpdateOwner) -> disk::UpdateOwner {
    let OwnerChanges { display_name, contacts } = &operation.changes;
    disk::UpdateOwner {
        name: operation.name.to_string(),
        display_name: display_name.as_ref().map(ToString::to_string),
        contacts: contacts.as_ref().map(|contacts| list(contacts.iter())),
        etag: write_etag(operation.etag.as_deref()),
    }
}

pub(super) fn read_owner(operation: &disk::UpdateOwner) -> Result<UpdateOwner, DecodeError> {
    Ok(UpdateOwner {
        name: parsed(OwnerName::parse(&operation.name), "name")?,
        changes: OwnerChanges {
            display_name: read_display_name(operation.display_name.as_ref())?,
            contacts: read_list(operation.contacts.as_ref(), read_names, "contacts")?,
        },
        etag: read_etag(operation.etag.as_ref()),
    })
}

pub(super) fn write_role(operation: &UpdateRole) -> disk::UpdateRole {
    let RoleChanges { display_name, permissions, methods } = &operation.changes;
    disk::UpdateRole {
        name: operation.name.to_string(),
        display_name: display_name.as_ref().map(ToString::to_string),
        permissions: permissions.as_ref().map(|set| list(set.iter())),
        methods: methods.as_ref().map(|set| list(set.iter())),
        etag: write_etag(operation.etag.as_deref()),
    }
}

pub(super) fn read_role(operation: &disk::UpdateRole) -> Result<UpdateRole, DecodeError> {
    Ok(UpdateRole {
        name: parsed(RoleName::parse(&operation.name), "name")?,
        changes: RoleChanges {
            display_name: read_display_name(operation.display_name.as_ref())?,
            permissions: read_list(operation.permissions.as_ref(), read_permissions, "permissions")?,
            methods: read_list(operation.methods.as_ref(), read_methods, "methods")?,
        },
        etag: read_etag(operation.etag.as_ref()),
    })
}

pub(super) fn write_identity(operation: &UpdateIdentity) -> disk::UpdateIdentity {
    let IdentityChanges { display_name, grants } = &operation.changes;
    disk::UpdateIdentity {
        name: operation.name.to_string(),
        display_name: display_name.as_ref().map(ToString::to_string),
        grants: grants.as_ref().map(|grants| disk::update_identity::Grants { grants: write_grants(grants) }),
        etag: write_etag(operation.etag.as_deref()),
    }
}

pub(super) fn read_identity(operation: &disk::UpdateIdentity) -> Result<UpdateIdentity, DecodeError> {
    Ok(UpdateIdentity {
        name: parsed(IdentityName::parse(&operation.name), "name")?,
        changes: IdentityChanges {
            display_name: read_display_name(operation.display_name.as_ref())?,
            grants: operation.grants.as_ref().map(|grants| read_grants(&grants.grants)).transpose()?,
        },
        etag: read_etag(operation.etag.as_ref()),
    })
}

pub(super) fn write_key(operation: &UpdateKey) -> disk::UpdateKey {
    use disk::update_key::{Expiry, Holder, Latest, Nobody};
    let changes = &operation.changes;
    disk::UpdateKey {
        key: operation.key.to_string(),
        display_name: changes.display_name.as_ref().map(ToString::to_string),
        holder: changes.holder.as_ref().map(|holder| match holder {
            HolderName::None => Holder::Nobody(Nobody {}),
            HolderName::Owner(name) => Holder::Owner(name.to_string()),
            HolderName::Identity(name) => Holder::Identity(name.to_string()),
        }),
        purpose: changes.purpose.as_ref().map(ToString::to_string),
        permissions: changes.permissions.as_ref().map(|set| list(set.iter())),
        networks: changes.networks.as_ref().map(|set| list(set.iter())),
        methods: changes.methods.as_ref().map(|set| list(set.iter())),
        resources: changes.resources.as_ref().map(|set| list(set.iter())),
        roles: changes.roles.as_ref().map(|roles| list(roles.iter())),
        metadata: changes
            .metadata
            .as_ref()
            .map(|metadata| disk::MetadataChange { metadata: write_metadata(metadata.iter()) }),
        not_before: changes.not_before.map(|time| disk::TimeChange { time_unix_ms: time.map(UnixMillis::millis) }),
        expiry: changes.expiry.map(|expiry| match expiry {
            ExpiryChange::Latest => Expiry::Latest(Latest {}),
            ExpiryChange::At(time) => Expiry::ExpiresAtUnixMs(time.millis()),
        }),
        etag: write_etag(operation.etag.as_deref()),
        rotation_policy: write_change(changes.rotation_policy.as_ref()),
    }
}

pub(super) fn read_key(operation: &disk::UpdateKey) -> Result<UpdateKey, DecodeError> {
    use disk::update_key::{Expiry, Holder, Latest, Nobody};
    let holder = operation.holder.as_ref().map(|holder| {
        Ok(match holder {
            Holder::Nobody(Nobody {}) => HolderName::None,
            Holder::Owner(name) => HolderName::Owner(parsed(OwnerName::parse(name), "owner")?),
            Holder::Identity(name) => HolderName::Identity(parsed(IdentityName::parse(name), "identity")?),
        })
    });
    let expiry = operation.expiry.map(|expiry| {
        Ok(match expiry {
            Expiry::Latest(Latest {}) => ExpiryChange::Latest,
            Expiry::ExpiresAtUnixMs(millis) => ExpiryChange::At(time(millis, "expires_at")?),
        })
    });
    let not_before = operation
        .not_before
        .as_ref()
        .map(|change| change.time_unix_ms.map(|millis| time(millis, "not_before")).transpose());
    let purpose = operation.purpose.as_deref().map(|text| parsed(Purpose::parse(text), "purpose"));
    Ok(UpdateKey {
        key: parsed(KeyName::parse(&operation.key), "key")?,
        changes: KeyChanges {
            display_name: read_display_name(operation.display_name.as_ref())?,
            holder: holder.transpose()?,
            purpose: purpose.transpose()?,
            permissions: read_list(operation.permissions.as_ref(), read_permissions, "permissions")?,
            networks: read_list(operation.networks.as_ref(), read_networks, "networks")?,
            methods: read_list(operation.methods.as_ref(), read_methods, "methods")?,
            resources: read_list(operation.resources.as_ref(), read_resources, "resources")?,
            roles: read_list(operation.roles.as_ref(), read_slugs, "roles")?,
            metadata: operation.metadata.as_ref().map(|change| read_metadata(&change.metadata)).transpose()?,
            not_before: not_before.transpose()?,
            expiry: expiry.transpose()?,
            rotation_policy: read_change(operation.rotation_policy.as_ref())?,
        },
        etag: read_etag(operation.etag.as_ref()),
    })
}
