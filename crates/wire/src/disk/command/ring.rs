//! Commands on the keyring.

use crate::disk::parts::{read_digest, read_purpose, write_purpose};
use crate::disk::row::{read_kek, write_kek};
use crate::disk::{DecodeError, fixed, key_id, version_id};
use crate::pb::disk::v1 as disk;
use latchkey_crypto::Digest;
use latchkey_domain::{KeyspaceNumber, RingNumber};
use latchkey_state::{KeyAt, NewRingKey, RedigestVersions, ResealInners, RewrappedKey};

pub(super) fn write_new(operation: &NewRingKey) -> disk::AddRingKey {
    disk::AddRingKey {
        id: operation.id.to_vec(),
        purpose: Some(write_purpose(operation.purpose)),
        wrapped_by: operation.wrapped_by.0,
        wrapped: operation.wrapped.to_vec(),
        kek: write_kek(operation.kek),
    }
}

pub(super) fn read_new(operation: &disk::AddRingKey) -> Result<NewRingKey, DecodeError> {
    Ok(NewRingKey {
        id: fixed(&operation.id, "ring_key.id")?,
        purpose: read_purpose(operation.purpose)?,
        wrapped_by: RingNumber(operation.wrapped_by),
        kek: read_kek(operation.kek.as_deref())?,
        wrapped: operation.wrapped.as_slice().into(),
    })
}

pub(super) fn write_rewrap(keys: &[RewrappedKey]) -> disk::RewrapRingKeys {
    let write = |key: &RewrappedKey| disk::RewrappedKey {
        number: key.number.0,
        wrapped_by: key.wrapped_by.0,
        kek: write_kek(key.kek),
        wrapped: key.wrapped.to_vec(),
    };
    disk::RewrapRingKeys { keys: keys.iter().map(write).collect() }
}

pub(super) fn read_rewrap(operation: &disk::RewrapRingKeys) -> Result<Vec<RewrappedKey>, DecodeError> {
    let read = |key: &disk::RewrappedKey| {
        Ok(RewrappedKey {
            number: RingNumber(key.number),
            wrapped_by: RingNumber(key.wrapped_by),
            kek: read_kek(key.kek.as_deref())?,
            wrapped: key.wrapped.as_slice().into(),
        })
    };
    operation.keys.iter().map(read).collect()
}

pub(super) fn write_redigest(operation: &RedigestVersions) -> disk::RedigestVersions {
    let write =
        |((keyspace, key), version, digest): &(KeyAt, latchkey_domain::VersionId, Digest)| disk::VersionDigest {
            keyspace: keyspace.0,
            key_id: key.bytes().to_vec(),
            version_id: version.bytes().to_vec(),
            digest: digest.as_bytes().to_vec(),
        };
    disk::RedigestVersions { pepper: operation.pepper.0, versions: operation.versions.iter().map(write).collect() }
}

pub(super) fn read_redigest(operation: &disk::RedigestVersions) -> Result<RedigestVersions, DecodeError> {
    let read = |version: &disk::VersionDigest| {
        let at = (KeyspaceNumber(version.keyspace), key_id(&version.key_id, "versions.key_id")?);
        let id = version_id(&version.version_id, "versions.version_id")?;
        Ok((at, id, read_digest(&version.digest)?))
    };
    let versions = operation.versions.iter().map(read).collect::<Result<_, _>>()?;
    Ok(RedigestVersions { pepper: RingNumber(operation.pepper), versions })
}

pub(super) fn write_reseal(operation: &ResealInners) -> disk::ResealInners {
    let write = |version: &(KeyAt, latchkey_domain::VersionId, latchkey_state::SealedInner)| disk::VersionInner {
        keyspace: version.0.0.0,
        key_id: version.0.1.bytes().to_vec(),
        version_id: version.1.bytes().to_vec(),
        inner: version.2.to_vec(),
    };
    disk::ResealInners { data_key: operation.data_key.0, versions: operation.versions.iter().map(write).collect() }
}

pub(super) fn read_reseal(operation: &disk::ResealInners) -> Result<ResealInners, DecodeError> {
    let read = |version: &disk::VersionInner| {
        let at = (KeyspaceNumber(version.keyspace), key_id(&version.key_id, "versions.key_id")?);
        let id = version_id(&version.version_id, "versions.version_id")?;
        Ok((at, id, fixed(&version.inner, "versions.inner")?))
    };
    let versions = operation.versions.iter().map(read).collect::<Result<_, _>>()?;
    Ok(ResealInners { data_key: RingNumber(operation.data_key), versions })
}
