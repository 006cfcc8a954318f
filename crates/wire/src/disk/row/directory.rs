//! The rows of the directory.

use crate::disk::parts::{
    read_change, read_grants, read_methods, read_names, read_permissions, read_quotas, read_revision, read_settings,
    texts, write_change, write_grants, write_quotas, write_revision, write_settings,
};
use crate::disk::{DecodeError, parsed, required, span, time};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{
    DisplayName, DurationMillis, IdentityNumber, KeyspaceNumber, OwnerNumber, ReasonText, RingNumber, RoleNumber, Slug,
    TenantNumber, UnixMillis,
};
use latchkey_state::{Change, Identity, Keyspace, Owner, Role, ScopeCut, Tenant, TenantQuotas};

/// The details of a cut, where they are known: feature level 1 kept none.
fn write_cut(cut: &ScopeCut) -> Option<disk::CutDetails> {
    (*cut != ScopeCut::of_level_1(cut.revision)).then(|| disk::CutDetails {
        at_unix_ms: cut.at.millis(),
        reason: disk::RevocationReason::from(cut.reason).into(),
        text: cut.text.to_string(),
        marked: cut.marked,
    })
}

fn read_cut(
    revision: Option<disk::Revision>,
    details: Option<&disk::CutDetails>,
) -> Result<Option<Box<ScopeCut>>, DecodeError> {
    let cut = match (revision.map(read_revision), details) {
        (None, None) => return Ok(None),
        (None, Some(_)) => return Err(DecodeError::new("cut", "details without a revision")),
        (Some(revision), None) => ScopeCut::of_level_1(revision),
        (Some(revision), Some(details)) => ScopeCut {
            revision,
            at: time(details.at_unix_ms, "cut.at")?,
            reason: parsed(words::disk_revocation_reason(details.reason), "cut.reason")?,
            text: parsed(ReasonText::parse(&details.text), "cut.text")?,
            marked: details.marked,
        },
    };
    Ok(Some(Box::new(cut)))
}

fn read_changed(changed: Option<&disk::Change>) -> Result<Option<Change>, DecodeError> {
    changed.map(read_change).transpose()
}

/// Writes a tenant's row.
#[must_use]
pub fn write_tenant_row(row: &Tenant) -> disk::TenantRow {
    disk::TenantRow {
        number: row.number.0,
        id: row.id.to_string(),
        display_name: row.display_name.to_string(),
        created_at_unix_ms: row.created_at.millis(),
        cut: row.cut.as_ref().map(|cut| write_revision(cut.revision)),
        tenant_key: row.tenant_key.0,
        audit_key: row.audit_key.0,
        changed: row.changed.map(write_change),
        cut_details: row.cut.as_deref().and_then(write_cut),
        quotas: (row.quotas != TenantQuotas::default()).then(|| write_quotas(&row.quotas)),
        contacts: texts(row.contacts.iter()),
    }
}

/// Reads a tenant's row.
///
/// # Errors
/// [`DecodeError`] where a part is not of its form.
pub fn read_tenant_row(row: &disk::TenantRow) -> Result<Tenant, DecodeError> {
    Ok(Tenant {
        number: TenantNumber(row.number),
        id: parsed(Slug::parse(&row.id), "tenant.id")?,
        display_name: parsed(DisplayName::parse(&row.display_name), "tenant.display_name")?,
        created_at: time(row.created_at_unix_ms, "tenant.created_at")?,
        cut: read_cut(row.cut, row.cut_details.as_ref())?,
        tenant_key: RingNumber(row.tenant_key),
        audit_key: RingNumber(row.audit_key),
        changed: read_changed(row.changed.as_ref())?,
        quotas: row.quotas.as_ref().map(read_quotas).unwrap_or_default(),
        contacts: read_names(&row.contacts, "tenant.contacts")?,
    })
}

/// Writes a keyspace's row.
#[must_use]
pub fn write_keyspace_row(row: &Keyspace) -> disk::KeyspaceRow {
    disk::KeyspaceRow {
        number: row.number.0,
        tenant: row.tenant.0,
        id: row.id.to_string(),
        settings: Some(write_settings(&row.settings)),
        staleness_max_ms: row.staleness_max.millis(),
        created_at_unix_ms: row.created_at.millis(),
        cut: row.cut.as_ref().map(|cut| write_revision(cut.revision)),
        data_key: row.data_key.0,
        keys: row.keys,
        changed: row.changed.map(write_change),
        cut_details: row.cut.as_deref().and_then(write_cut),
        staleness_before: row.staleness_before.map(|(span, until)| disk::StalenessBefore {
            staleness_max_ms: span.millis(),
            until_unix_ms: until.millis(),
        }),
    }
}

/// Reads a keyspace's row.
///
/// # Errors
/// [`DecodeError`] where a part is missing, unknown or not of its form.
pub fn read_keyspace_row(row: &disk::KeyspaceRow) -> Result<Keyspace, DecodeError> {
    Ok(Keyspace {
        number: KeyspaceNumber(row.number),
        tenant: TenantNumber(row.tenant),
        id: parsed(Slug::parse(&row.id), "keyspace.id")?,
        settings: read_settings(required(row.settings.as_ref(), "keyspace.settings")?)?,
        staleness_max: span(row.staleness_max_ms, "keyspace.staleness_max")?,
        created_at: time(row.created_at_unix_ms, "keyspace.created_at")?,
        cut: read_cut(row.cut, row.cut_details.as_ref())?,
        data_key: RingNumber(row.data_key),
        keys: row.keys,
        changed: read_changed(row.changed.as_ref())?,
        staleness_before: row.staleness_before.as_ref().map(read_staleness_before).transpose()?,
    })
}

pub(super) fn write_owner(row: &Owner) -> disk::OwnerRow {
    disk::OwnerRow {
        number: row.number.0,
        tenant: row.tenant.0,
        id: row.id.to_string(),
        display_name: row.display_name.to_string(),
        contacts: texts(row.contacts.iter()),
        created_at_unix_ms: row.created_at.millis(),
        cut: row.cut.as_ref().map(|cut| write_revision(cut.revision)),
        changed: row.changed.map(write_change),
        cut_details: row.cut.as_deref().and_then(write_cut),
    }
}

pub(super) fn read_owner(row: &disk::OwnerRow) -> Result<Owner, DecodeError> {
    Ok(Owner {
        number: OwnerNumber(row.number),
        tenant: TenantNumber(row.tenant),
        id: parsed(Slug::parse(&row.id), "owner.id")?,
        display_name: parsed(DisplayName::parse(&row.display_name), "owner.display_name")?,
        contacts: read_names(&row.contacts, "owner.contacts")?,
        created_at: time(row.created_at_unix_ms, "owner.created_at")?,
        changed: read_changed(row.changed.as_ref())?,
        cut: read_cut(row.cut, row.cut_details.as_ref())?,
    })
}

pub(super) fn write_identity(row: &Identity) -> disk::IdentityRow {
    disk::IdentityRow {
        number: row.number.0,
        tenant: row.tenant.0,
        id: row.id.to_string(),
        display_name: row.display_name.to_string(),
        grants: write_grants(&row.grants),
        created_at_unix_ms: row.created_at.millis(),
        changed: row.changed.map(write_change),
    }
}

pub(super) fn read_identity(row: &disk::IdentityRow) -> Result<Identity, DecodeError> {
    Ok(Identity {
        number: IdentityNumber(row.number),
        tenant: TenantNumber(row.tenant),
        id: parsed(Slug::parse(&row.id), "identity.id")?,
        display_name: parsed(DisplayName::parse(&row.display_name), "identity.display_name")?,
        grants: read_grants(&row.grants)?,
        created_at: time(row.created_at_unix_ms, "identity.created_at")?,
        changed: read_changed(row.changed.as_ref())?,
    })
}

pub(super) fn write_role(row: &Role) -> disk::RoleRow {
    disk::RoleRow {
        number: row.number.0,
        tenant: row.tenant.0,
        id: row.id.to_string(),
        display_name: row.display_name.to_string(),
        permissions: texts(row.permissions.iter()),
        methods: texts(row.methods.iter()),
        created_at_unix_ms: row.created_at.millis(),
        created: Some(write_revision(row.created)),
        changed: row.changed.map(write_change),
        cut: row.cut.as_ref().map(|cut| write_revision(cut.revision)),
        cut_details: row.cut.as_deref().and_then(write_cut),
    }
}

pub(super) fn read_role(row: &disk::RoleRow) -> Result<Role, DecodeError> {
    Ok(Role {
        number: RoleNumber(row.number),
        tenant: TenantNumber(row.tenant),
        id: parsed(Slug::parse(&row.id), "role.id")?,
        display_name: parsed(DisplayName::parse(&row.display_name), "role.display_name")?,
        permissions: read_permissions(&row.permissions, "role.permissions")?,
        methods: read_methods(&row.methods, "role.methods")?,
        created_at: time(row.created_at_unix_ms, "role.created_at")?,
        created: read_revision(required(row.created, "role.created")?),
        changed: read_changed(row.changed.as_ref())?,
        cut: read_cut(row.cut, row.cut_details.as_ref())?,
    })
}

fn read_staleness_before(before: &disk::StalenessBefore) -> Result<(DurationMillis, UnixMillis), DecodeError> {
    let until = time(before.until_unix_ms, "keyspace.staleness_before.until")?;
    Ok((span(before.staleness_max_ms, "keyspace.staleness_before")?, until))
}
