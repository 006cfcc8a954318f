//! Commands on keys that another system made.

use super::NewKey;
use crate::key::Imported;
use alloc::vec::Vec;
use latchkey_crypto::Digest;
use latchkey_domain::{ImportFormat, ImportRefusal, KeyId, KeyspaceName, RingNumber, VersionId};

/// Makes keys that another system made: the good rows, all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportKeys {
    /// Where.
    pub keyspace: KeyspaceName,
    /// The formats that the rows were read by. Only here is it known whether the keyspace still has them.
    pub formats: Vec<ImportFormat>,
    /// The rows, by index; at most [`super::KEYS_PER_COMMAND_MAX`].
    pub keys: Vec<KeyToImport>,
}

/// A key to be made that another system made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyToImport {
    /// Its index in the batch of the caller, of whose rows not all came this far.
    pub index: u32,
    /// The key; its inner digest is the one that was imported.
    pub key: NewKey,
    /// Where it came from; its version is that of the key.
    pub imported: Imported,
    /// Whether it comes in suspended.
    pub suspended: bool,
    /// The same digest under the other peppers that are in use: the text may have come in under one of them.
    pub also: Vec<(RingNumber, Digest)>,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// Its index in the batch of the caller.
    pub index: u32,
    /// What became of it.
    pub outcome: ImportOutcome,
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The key was made.
    Made(KeyId, VersionId),
    /// It was imported before, by the same text and source id.
    Existing(KeyId, VersionId),
    /// It was refused by itself.
    Refused(ImportRefusal),
}
