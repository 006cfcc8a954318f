//! The rows of remembered requests.

use crate::disk::parts::{ID_BYTES, read_revision, write_revision};
use crate::disk::{
    DecodeError, fixed, key_id, read_import_rows, required, rotation_id, time, version_id, write_import_rows,
};
use crate::pb::disk::v1 as disk;
use latchkey_domain::{IdentityNumber, KeyspaceNumber, OwnerNumber, RoleNumber, TenantNumber};
use latchkey_state::{RememberedRequest, RequestSubject};

pub(super) fn write_request(row: &RememberedRequest) -> disk::RequestRow {
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
        RequestSubject::Role(number) => Subject::Role(number.0),
        RequestSubject::Key(keyspace, key) => {
            Subject::Key(disk::KeyChanged { keyspace: keyspace.0, key_id: key.bytes().to_vec() })
        }
        RequestSubject::Counted(count) => Subject::Counted(*count),
        RequestSubject::Imported(keyspace, rows) => {
            Subject::Imported(disk::KeysImported { keyspace: keyspace.0, rows: write_import_rows(rows) })
        }
        RequestSubject::Rotation(keyspace, key, rotation, version) => Subject::Rotation(disk::RotationMoved {
            keyspace: keyspace.0,
            key_id: key.bytes().to_vec(),
            rotation_id: rotation.bytes().to_vec(),
            version_id: version.map(|version| version.bytes().to_vec()),
        }),
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

pub(super) fn read_request(row: &disk::RequestRow) -> Result<RememberedRequest, DecodeError> {
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
        Subject::Role(number) => RequestSubject::Role(RoleNumber(*number)),
        Subject::Key(changed) => {
            RequestSubject::Key(KeyspaceNumber(changed.keyspace), key_id(&changed.key_id, "request.key.key_id")?)
        }
        Subject::Counted(count) => RequestSubject::Counted(*count),
        Subject::Imported(imported) => {
            RequestSubject::Imported(KeyspaceNumber(imported.keyspace), read_import_rows(&imported.rows)?.into())
        }
        Subject::Rotation(moved) => RequestSubject::Rotation(
            KeyspaceNumber(moved.keyspace),
            key_id(&moved.key_id, "request.rotation.key_id")?,
            rotation_id(&moved.rotation_id, "request.rotation.rotation_id")?,
            moved.version_id.as_deref().map(|id| version_id(id, "request.rotation.version_id")).transpose()?,
        ),
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
