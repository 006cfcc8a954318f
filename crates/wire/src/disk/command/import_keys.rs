//! Keys to be imported.

use super::create_keys::{read_new_key, write_new_key};
use crate::disk::parts::{read_digest, read_formats, read_imported, write_formats, write_imported};
use crate::disk::{DecodeError, parsed, required};
use crate::pb::disk::v1 as disk;
use latchkey_crypto::Digest;
use latchkey_domain::{KeyspaceName, RingNumber};
use latchkey_state::{ImportKeys, KeyToImport};

pub(super) fn write_import_keys(operation: &ImportKeys) -> disk::ImportKeys {
    disk::ImportKeys {
        keyspace: operation.keyspace.to_string(),
        formats: write_formats(&operation.formats),
        keys: operation.keys.iter().map(write_key).collect(),
    }
}

pub(super) fn read_import_keys(operation: &disk::ImportKeys) -> Result<ImportKeys, DecodeError> {
    Ok(ImportKeys {
        keyspace: parsed(KeyspaceName::parse(&operation.keyspace), "keyspace")?,
        formats: read_formats(&operation.formats)?,
        keys: operation.keys.iter().map(read_key).collect::<Result<_, _>>()?,
    })
}

fn write_key(key: &KeyToImport) -> disk::KeyToImport {
    disk::KeyToImport {
        index: key.index,
        key: Some(write_new_key(&key.key)),
        imported: Some(write_imported(&key.imported)),
        suspended: key.suspended,
        also: key.also.iter().map(write_also).collect(),
    }
}

fn write_also((pepper, digest): &(RingNumber, Digest)) -> disk::PepperedDigest {
    disk::PepperedDigest { pepper: pepper.0, digest: digest.as_bytes().to_vec() }
}

fn read_also(also: &disk::PepperedDigest) -> Result<(RingNumber, Digest), DecodeError> {
    Ok((RingNumber(also.pepper), read_digest(&also.digest)?))
}

fn read_key(key: &disk::KeyToImport) -> Result<KeyToImport, DecodeError> {
    Ok(KeyToImport {
        index: key.index,
        key: read_new_key(required(key.key.as_ref(), "key.key")?)?,
        imported: read_imported(required(key.imported.as_ref(), "key.imported")?)?,
        suspended: key.suspended,
        also: key.also.iter().map(read_also).collect::<Result<_, _>>()?,
    })
}
