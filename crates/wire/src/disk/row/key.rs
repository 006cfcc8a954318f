//! The row of a key, its versions embedded.

use crate::disk::parts::{
    read_digest, read_imported, read_metadata, read_networks, read_permissions, read_revision, read_revocation,
    read_terms, texts, write_imported, write_metadata, write_revision, write_revocation, write_terms,
};
use crate::disk::policy::{read_policy, write_policy};
use crate::disk::{DecodeError, fixed, key_id, parsed, required, rotation_id, time, version_id};
use crate::pb::disk::v1 as disk;
use latchkey_domain::{
    DisplayName, IdentityNumber, KeyspaceNumber, OwnerNumber, Purpose, ReasonText, RingNumber, Terms, UnixMillis,
};
use latchkey_state::{Change, Details, Holder, Key, Rare, Restriction, Suspension, Version, VersionDetails, Versions};
use std::sync::Arc;

pub(super) fn read_key(row: &disk::KeyRow, share: impl FnOnce(Terms) -> Arc<Terms>) -> Result<Key, DecodeError> {
    let created = read_revision(required(row.created, "key.created")?);
    let created_at = time(row.created_at_unix_ms, "key.created_at")?;
    let versions = row.versions.iter().map(read_version).collect::<Result<_, _>>()?;
    Ok(Key {
        id: key_id(&row.id, "key.id")?,
        keyspace: KeyspaceNumber(row.keyspace),
        holder: match row.holder {
            None => Holder::None,
            Some(disk::key_row::Holder::Owner(number)) => Holder::Owner(OwnerNumber(number)),
            Some(disk::key_row::Holder::Identity(number)) => Holder::Identity(IdentityNumber(number)),
        },
        display_name: parsed(DisplayName::parse(&row.display_name), "key.display_name")?,
        terms: share(read_terms(required(row.terms.as_ref(), "key.terms")?)?),
        created,
        created_at,
        expires_at: row.expires_at_unix_ms.map(|millis| time(millis, "key.expires_at")).transpose()?,
        details: Rare::from(read_details(row, Change { revision: created, at: created_at })?),
        versions: required(Versions::of(versions), "key.versions")?,
    })
}

fn read_details(row: &disk::KeyRow, made: Change) -> Result<Details, DecodeError> {
    let changed = Change {
        revision: read_revision(required(row.changed, "key.changed")?),
        at: time(row.changed_at_unix_ms, "key.changed_at")?,
    };
    Ok(Details {
        purpose: parsed(Purpose::parse(&row.purpose), "key.purpose")?,
        metadata: read_metadata(&row.metadata)?,
        not_before: row.not_before_unix_ms.map(|millis| time(millis, "key.not_before")).transpose()?,
        changed: (changed != made).then_some(changed),
        revocation: row.revocation.as_ref().map(read_revocation).transpose()?.map(Box::new),
        suspension: row.suspension.as_ref().map(read_suspension).transpose()?.map(Box::new),
        restriction: row.restriction.as_ref().map(read_restriction).transpose()?.map(Box::new),
        parent: row.parent.as_deref().map(|id| key_id(id, "key.parent")).transpose()?,
        placed: row.placed.map(read_revision),
        rotation: row.rotation.as_deref().map(|id| rotation_id(id, "key.rotation")).transpose()?,
        imported: row.imported.as_ref().map(read_imported).transpose()?.map(Box::new),
        rotation_policy: row.rotation_policy.as_ref().map(read_policy).transpose()?.map(Box::new),
        noticed_through: row.noticed_through_unix_ms.map(|millis| time(millis, "key.noticed_through")).transpose()?,
        expiry_told_through: row
            .expiry_told_through_unix_ms
            .map(|millis| time(millis, "key.expiry_told_through"))
            .transpose()?,
    })
}

pub(super) fn write_key(row: &Key) -> disk::KeyRow {
    let details = row.details.as_ref();
    disk::KeyRow {
        id: row.id.bytes().to_vec(),
        keyspace: row.keyspace.0,
        holder: match row.holder {
            Holder::None => None,
            Holder::Owner(number) => Some(disk::key_row::Holder::Owner(number.0)),
            Holder::Identity(number) => Some(disk::key_row::Holder::Identity(number.0)),
        },
        display_name: row.display_name.to_string(),
        purpose: row.purpose().to_owned(),
        terms: Some(write_terms(&row.terms)),
        metadata: write_metadata(row.metadata()),
        created: Some(write_revision(row.created)),
        created_at_unix_ms: row.created_at.millis(),
        changed: Some(write_revision(row.changed().revision)),
        changed_at_unix_ms: row.changed().at.millis(),
        not_before_unix_ms: row.not_before().map(UnixMillis::millis),
        expires_at_unix_ms: row.expires_at.map(UnixMillis::millis),
        revocation: row.revocation().map(write_revocation),
        versions: row.versions.iter().map(write_version).collect(),
        suspension: row.suspension().map(write_suspension),
        restriction: details.and_then(|details| details.restriction.as_deref()).map(write_restriction),
        parent: row.parent().map(|id| id.bytes().to_vec()),
        placed: details.and_then(|details| details.placed).map(write_revision),
        rotation: row.rotation().map(|id| id.bytes().to_vec()),
        imported: row.imported().map(write_imported),
        rotation_policy: row.rotation_policy().map(write_policy),
        noticed_through_unix_ms: details.and_then(|details| details.noticed_through).map(UnixMillis::millis),
        expiry_told_through_unix_ms: details.and_then(|details| details.expiry_told_through).map(UnixMillis::millis),
    }
}

fn write_version(version: &Version) -> disk::VersionRow {
    let details = version.details.as_ref();
    disk::VersionRow {
        id: version.id.bytes().to_vec(),
        pepper: version.pepper.0,
        digest: version.digest.as_bytes().to_vec(),
        inner: version.inner.to_vec(),
        created_at_unix_ms: version.created_at.millis(),
        revocation: version.revocation().map(write_revocation),
        pending: version.is_pending(),
        retires_at_unix_ms: version.retires_at().map(UnixMillis::millis),
        expires_at_unix_ms: version.expires_at().map(UnixMillis::millis),
        activated_at_unix_ms: details.and_then(|details| details.activated_at).map(UnixMillis::millis),
    }
}

fn read_version(row: &disk::VersionRow) -> Result<Version, DecodeError> {
    let at = |millis: Option<u64>, field| millis.map(|millis| time(millis, field)).transpose();
    Ok(Version {
        id: version_id(&row.id, "version.id")?,
        pepper: RingNumber(row.pepper),
        digest: read_digest(&row.digest)?,
        inner: fixed(&row.inner, "version.inner")?,
        created_at: time(row.created_at_unix_ms, "version.created_at")?,
        details: Rare::from(VersionDetails {
            pending: row.pending,
            retires_at: at(row.retires_at_unix_ms, "version.retires_at")?,
            revocation: row.revocation.as_ref().map(read_revocation).transpose()?.map(Box::new),
            expires_at: at(row.expires_at_unix_ms, "version.expires_at")?,
            activated_at: at(row.activated_at_unix_ms, "version.activated_at")?,
        }),
    })
}

fn write_suspension(suspension: &Suspension) -> disk::Suspension {
    disk::Suspension { at_unix_ms: suspension.at.millis(), text: suspension.text.to_string() }
}

fn read_suspension(row: &disk::Suspension) -> Result<Suspension, DecodeError> {
    Ok(Suspension {
        at: time(row.at_unix_ms, "suspension.at")?,
        text: parsed(ReasonText::parse(&row.text), "suspension.text")?,
    })
}

fn write_restriction(restriction: &Restriction) -> disk::Restriction {
    let list =
        |permissions: &latchkey_domain::PermissionSet| disk::PermissionList { permissions: texts(permissions.iter()) };
    disk::Restriction {
        permissions: restriction.permissions.as_ref().map(list),
        networks: texts(restriction.networks.iter()),
        ends_at_unix_ms: restriction.ends_at.millis(),
        at_unix_ms: restriction.at.millis(),
        text: restriction.text.to_string(),
    }
}

fn read_restriction(row: &disk::Restriction) -> Result<Restriction, DecodeError> {
    let list = |list: &disk::PermissionList| read_permissions(&list.permissions, "restriction.permissions");
    Ok(Restriction {
        permissions: row.permissions.as_ref().map(list).transpose()?,
        networks: read_networks(&row.networks, "restriction.networks")?,
        ends_at: time(row.ends_at_unix_ms, "restriction.ends_at")?,
        at: time(row.at_unix_ms, "restriction.at")?,
        text: parsed(ReasonText::parse(&row.text), "restriction.text")?,
    })
}
