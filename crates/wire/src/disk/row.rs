//! Rows: state <-> the message of each table.

use super::parts::{
    read_digest, read_grants, read_metadata, read_names, read_purpose, read_revision, read_revocation, read_settings,
    read_terms, texts, write_grants, write_metadata, write_purpose, write_revision, write_revocation, write_settings,
    write_terms,
};
use super::{DecodeError, decode_message, fixed, key_id, parsed, required, span, time, version_id};
use crate::pb::disk::v1 as disk;
use latchkey_domain::{
    ClusterId, DisplayName, IdentityNumber, KeyspaceNumber, OwnerNumber, Purpose, RingNumber, Slug, TenantNumber,
    Terms, UnixMillis,
};
use latchkey_state::{
    Change, Cluster, Details, Holder, Identity, Key, Keyspace, NextNumbers, Owner, Progress, Rare, RememberedRequest,
    RequestSubject, RingKey, Row, Tenant, Version, Versions,
};
use latchkey_transparency::{Frontier, Hash};
use prost::Message as _;
use std::collections::HashSet;
use std::sync::Arc;

/// Different terms that one load keeps to share. Beyond it keys carry their own: the bound is on this set, not on keys.
pub const TERMS_SHARED_MAX: usize = 65_536;

const ID_BYTES: usize = 12;
const HASH_BYTES: usize = size_of::<Hash>();

/// A row's bytes, before they are sealed. The table is not in them: it is part of the key that they lie under.
#[must_use]
pub fn encode_row(row: &Row) -> Vec<u8> {
    match row {
        Row::Progress(row) => write_progress(row).encode_to_vec(),
        Row::Cluster(row) => write_cluster(row).encode_to_vec(),
        Row::RingKey(row) => write_ring_key_row(row).encode_to_vec(),
        Row::Tenant(row) => write_tenant_row(row).encode_to_vec(),
        Row::Keyspace(row) => write_keyspace_row(row).encode_to_vec(),
        Row::Owner(row) => write_owner(row).encode_to_vec(),
        Row::Identity(row) => write_identity(row).encode_to_vec(),
        Row::Key(row) => write_key(row).encode_to_vec(),
        Row::Request(row) => write_request(row).encode_to_vec(),
    }
}

/// Reads rows. Keys that say the same share their terms, as they did before they were written.
#[derive(Debug, Default)]
pub struct RowReader {
    terms: HashSet<Arc<Terms>>,
}

impl RowReader {
    /// Reads one row of a table, as numbered by [`RowId::table`](latchkey_state::RowId::table).
    ///
    /// # Errors
    /// [`DecodeError`] for a table that this build does not know and for bytes that it would not have written.
    pub fn decode_row(&mut self, table: u8, bytes: &[u8]) -> Result<Row, DecodeError> {
        Ok(match table {
            0 => Row::Progress(read_progress(&decode_message(bytes)?)?),
            1 => Row::Cluster(Arc::new(read_cluster(&decode_message(bytes)?)?)),
            2 => Row::RingKey(Arc::new(read_ring_key_row(&decode_message(bytes)?)?)),
            3 => Row::Tenant(Arc::new(read_tenant_row(&decode_message(bytes)?)?)),
            4 => Row::Keyspace(Arc::new(read_keyspace_row(&decode_message(bytes)?)?)),
            5 => Row::Owner(Arc::new(read_owner(&decode_message(bytes)?)?)),
            6 => Row::Identity(Arc::new(read_identity(&decode_message(bytes)?)?)),
            7 => Row::Key(Arc::new(self.read_key(&decode_message(bytes)?)?)),
            8 => Row::Request(Arc::new(read_request(&decode_message(bytes)?)?)),
            _ => return Err(DecodeError::new("table", format_args!("{table} is none of this build"))),
        })
    }

    fn share(&mut self, terms: Terms) -> Arc<Terms> {
        if let Some(shared) = self.terms.get(&terms) {
            return shared.clone();
        }
        let terms = Arc::new(terms);
        if self.terms.len() < TERMS_SHARED_MAX {
            self.terms.insert(terms.clone());
        }
        terms
    }

    fn read_key(&mut self, row: &disk::KeyRow) -> Result<Key, DecodeError> {
        let created = read_revision(required(row.created, "key.created")?);
        let created_at = time(row.created_at_unix_ms, "key.created_at")?;
        let changed = Change {
            revision: read_revision(required(row.changed, "key.changed")?),
            at: time(row.changed_at_unix_ms, "key.changed_at")?,
        };
        let details = Details {
            purpose: parsed(Purpose::parse(&row.purpose), "key.purpose")?,
            metadata: read_metadata(&row.metadata)?,
            not_before: row.not_before_unix_ms.map(|millis| time(millis, "key.not_before")).transpose()?,
            changed: (changed != Change { revision: created, at: created_at }).then_some(changed),
            revocation: row.revocation.as_ref().map(read_revocation).transpose()?.map(Box::new),
        };
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
            terms: self.share(read_terms(required(row.terms.as_ref(), "key.terms")?)?),
            created,
            created_at,
            expires_at: row.expires_at_unix_ms.map(|millis| time(millis, "key.expires_at")).transpose()?,
            details: Rare::from(details),
            versions: required(Versions::of(versions), "key.versions")?,
        })
    }
}

fn write_key(row: &Key) -> disk::KeyRow {
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
    }
}

fn write_version(version: &Version) -> disk::VersionRow {
    disk::VersionRow {
        id: version.id.bytes().to_vec(),
        pepper: version.pepper.0,
        digest: version.digest.as_bytes().to_vec(),
        inner: version.inner.to_vec(),
        created_at_unix_ms: version.created_at.millis(),
        revocation: version.revocation.as_deref().map(write_revocation),
    }
}

fn read_version(row: &disk::VersionRow) -> Result<Version, DecodeError> {
    Ok(Version {
        id: version_id(&row.id, "version.id")?,
        pepper: RingNumber(row.pepper),
        digest: read_digest(&row.digest)?,
        inner: fixed(&row.inner, "version.inner")?,
        created_at: time(row.created_at_unix_ms, "version.created_at")?,
        revocation: row.revocation.as_ref().map(read_revocation).transpose()?.map(Box::new),
    })
}

fn write_cluster(row: &Cluster) -> disk::ClusterRow {
    disk::ClusterRow {
        cluster_id: row.id.0.to_vec(),
        staleness_floor_ms: row.staleness_floor.millis(),
        staleness_default_ms: row.staleness_default.millis(),
        created_at_unix_ms: row.created_at.millis(),
    }
}

fn read_cluster(row: &disk::ClusterRow) -> Result<Cluster, DecodeError> {
    Ok(Cluster {
        id: ClusterId(fixed(&row.cluster_id, "cluster.id")?),
        staleness_floor: span(row.staleness_floor_ms, "cluster.staleness_floor")?,
        staleness_default: span(row.staleness_default_ms, "cluster.staleness_default")?,
        created_at: time(row.created_at_unix_ms, "cluster.created_at")?,
    })
}

/// Writes a tenant's row.
#[must_use]
pub fn write_tenant_row(row: &Tenant) -> disk::TenantRow {
    disk::TenantRow {
        number: row.number.0,
        id: row.id.to_string(),
        display_name: row.display_name.to_string(),
        created_at_unix_ms: row.created_at.millis(),
        cut: row.cut.map(write_revision),
        tenant_key: row.tenant_key.0,
        audit_key: row.audit_key.0,
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
        cut: row.cut.map(read_revision),
        tenant_key: RingNumber(row.tenant_key),
        audit_key: RingNumber(row.audit_key),
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
        cut: row.cut.map(write_revision),
        data_key: row.data_key.0,
        keys: row.keys,
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
        cut: row.cut.map(read_revision),
        data_key: RingNumber(row.data_key),
        keys: row.keys,
    })
}

fn write_owner(row: &Owner) -> disk::OwnerRow {
    disk::OwnerRow {
        number: row.number.0,
        tenant: row.tenant.0,
        id: row.id.to_string(),
        display_name: row.display_name.to_string(),
        contacts: texts(row.contacts.iter()),
        created_at_unix_ms: row.created_at.millis(),
        cut: row.cut.map(write_revision),
    }
}

fn read_owner(row: &disk::OwnerRow) -> Result<Owner, DecodeError> {
    Ok(Owner {
        number: OwnerNumber(row.number),
        tenant: TenantNumber(row.tenant),
        id: parsed(Slug::parse(&row.id), "owner.id")?,
        display_name: parsed(DisplayName::parse(&row.display_name), "owner.display_name")?,
        contacts: read_names(&row.contacts, "owner.contacts")?,
        created_at: time(row.created_at_unix_ms, "owner.created_at")?,
        cut: row.cut.map(read_revision),
    })
}

fn write_identity(row: &Identity) -> disk::IdentityRow {
    disk::IdentityRow {
        number: row.number.0,
        tenant: row.tenant.0,
        id: row.id.to_string(),
        display_name: row.display_name.to_string(),
        grants: write_grants(&row.grants),
        created_at_unix_ms: row.created_at.millis(),
    }
}

fn read_identity(row: &disk::IdentityRow) -> Result<Identity, DecodeError> {
    Ok(Identity {
        number: IdentityNumber(row.number),
        tenant: TenantNumber(row.tenant),
        id: parsed(Slug::parse(&row.id), "identity.id")?,
        display_name: parsed(DisplayName::parse(&row.display_name), "identity.display_name")?,
        grants: read_grants(&row.grants)?,
        created_at: time(row.created_at_unix_ms, "identity.created_at")?,
    })
}

/// Writes the row of a wrapped key.
#[must_use]
pub fn write_ring_key_row(row: &RingKey) -> disk::RingKeyRow {
    disk::RingKeyRow {
        number: row.number.0,
        id: row.id.to_vec(),
        purpose: Some(write_purpose(row.purpose)),
        wrapped_by: row.wrapped_by.0,
        wrapped: row.wrapped.to_vec(),
        created_at_unix_ms: row.created_at.millis(),
    }
}

/// Reads the row of a wrapped key.
///
/// # Errors
/// [`DecodeError`] where a part is missing, unknown or not of its form.
pub fn read_ring_key_row(row: &disk::RingKeyRow) -> Result<RingKey, DecodeError> {
    Ok(RingKey {
        number: RingNumber(row.number),
        id: fixed(&row.id, "ring_key.id")?,
        purpose: read_purpose(row.purpose)?,
        wrapped_by: RingNumber(row.wrapped_by),
        wrapped: row.wrapped.as_slice().into(),
        created_at: time(row.created_at_unix_ms, "ring_key.created_at")?,
    })
}

fn write_request(row: &RememberedRequest) -> disk::RequestRow {
    use disk::request_row::{Nothing, Subject};
    let subject = match &row.subject {
        RequestSubject::Tenant(number) => Subject::Tenant(number.0),
        RequestSubject::Keyspace(number) => Subject::Keyspace(number.0),
        RequestSubject::Owner(number) => Subject::Owner(number.0),
        RequestSubject::Identity(number) => Subject::IdentityMade(number.0),
        RequestSubject::Keys(keyspace, keys) => Subject::Keys(disk::KeysMade {
            keyspace: keyspace.0,
            ids: keys.iter().flat_map(|(key, version)| [*key.bytes(), *version.bytes()]).flatten().collect(),
        }),
        RequestSubject::Revoked(keyspace, key, version) => Subject::Revoked(disk::KeyRevoked {
            keyspace: keyspace.0,
            key_id: key.bytes().to_vec(),
            version_id: version.map(|version| version.bytes().to_vec()),
        }),
        RequestSubject::Nothing => Subject::Nothing(Nothing {}),
    };
    disk::RequestRow {
        identity: row.identity.0,
        id: row.id.to_vec(),
        hash: row.hash.to_vec(),
        at_unix_ms: row.at.millis(),
        revision: Some(write_revision(row.revision)),
        subject: Some(subject),
        replay: row.replay.as_deref().map(<[u8]>::to_vec),
    }
}

fn read_request(row: &disk::RequestRow) -> Result<RememberedRequest, DecodeError> {
    use disk::request_row::{Nothing, Subject};
    let subject = match required(row.subject.as_ref(), "request.subject")? {
        Subject::Tenant(number) => RequestSubject::Tenant(TenantNumber(*number)),
        Subject::Keyspace(number) => RequestSubject::Keyspace(KeyspaceNumber(*number)),
        Subject::Owner(number) => RequestSubject::Owner(OwnerNumber(*number)),
        Subject::IdentityMade(number) => RequestSubject::Identity(IdentityNumber(*number)),
        Subject::Keys(keys) => {
            if !keys.ids.len().is_multiple_of(2 * ID_BYTES) {
                return Err(DecodeError::new("request.keys", "a part of an id"));
            }
            let pairs = keys.ids.chunks_exact(2 * ID_BYTES).map(|pair| {
                let (key, version) = pair.split_at(ID_BYTES);
                Ok((key_id(key, "request.keys")?, version_id(version, "request.keys")?))
            });
            RequestSubject::Keys(KeyspaceNumber(keys.keyspace), pairs.collect::<Result<_, DecodeError>>()?)
        }
        Subject::Revoked(revoked) => RequestSubject::Revoked(
            KeyspaceNumber(revoked.keyspace),
            key_id(&revoked.key_id, "request.revoked.key_id")?,
            revoked.version_id.as_deref().map(|id| version_id(id, "request.revoked.version_id")).transpose()?,
        ),
        Subject::Nothing(Nothing {}) => RequestSubject::Nothing,
    };
    Ok(RememberedRequest {
        identity: IdentityNumber(row.identity),
        id: fixed(&row.id, "request.id")?,
        hash: fixed(&row.hash, "request.hash")?,
        at: time(row.at_unix_ms, "request.at")?,
        revision: read_revision(required(row.revision, "request.revision")?),
        subject,
        replay: row.replay.as_deref().map(Into::into),
    })
}

fn write_progress(row: &Progress) -> disk::ProgressRow {
    disk::ProgressRow {
        last: Some(write_revision(row.last)),
        clock_unix_ms: row.clock.millis(),
        feature_level: row.feature_level,
        next_tenant: row.next.tenant,
        next_keyspace: row.next.keyspace,
        next_owner: row.next.owner,
        next_identity: row.next.identity,
        next_ring: row.next.ring,
        tree_size: row.frontier.size(),
        tree_peaks: row.frontier.peaks().iter().flat_map(Hash::as_bytes).copied().collect(),
    }
}

fn read_progress(row: &disk::ProgressRow) -> Result<Progress, DecodeError> {
    if !row.tree_peaks.len().is_multiple_of(HASH_BYTES) {
        return Err(DecodeError::new("progress.tree_peaks", "a part of a hash"));
    }
    let peaks = row.tree_peaks.chunks_exact(HASH_BYTES).map(|peak| fixed(peak, "progress.tree_peaks").map(Hash::new));
    let peaks = peaks.collect::<Result<Vec<Hash>, _>>()?;
    Ok(Progress {
        last: read_revision(required(row.last, "progress.last")?),
        clock: time(row.clock_unix_ms, "progress.clock")?,
        feature_level: row.feature_level,
        next: NextNumbers {
            tenant: row.next_tenant,
            keyspace: row.next_keyspace,
            owner: row.next_owner,
            identity: row.next_identity,
            ring: row.next_ring,
        },
        frontier: parsed(Frontier::from_parts(row.tree_size, peaks), "progress.tree")?,
    })
}
