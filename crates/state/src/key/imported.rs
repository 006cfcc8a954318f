//! Where a key came from that another system made.

use latchkey_domain::{ImportFormatId, ImportStart, SourceId, UnixMillis, VersionId};

/// Where a key came from. Its making here is its import: what a cut compares, and how old it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The format of its text, one of its keyspace's.
    pub format: ImportFormatId,
    /// The first characters of its text; may be empty.
    pub start: ImportStart,
    /// Its id in the other system, unique in the keyspace; may be empty.
    pub source_id: SourceId,
    /// When the other system made it, where that was said.
    pub source_created_at: Option<UnixMillis>,
    /// The version that its text proves; gone once another took its place for long enough.
    pub version: VersionId,
}
