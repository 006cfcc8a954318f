//! The words of the log.

use bytes::Bytes;

/// One record of the raft log, sealed and encoded by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// The raft log index.
    pub index: u64,
    /// At most [`crate::RECORD_BYTES_MAX`] bytes.
    pub bytes: Bytes,
}

/// A point up to which the log was purged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Purged {
    /// The highest index that was purged.
    pub through: u64,
    /// The caller's own name for that point, such as an encoded log id.
    pub marker: Bytes,
}

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogBounds {
    /// The point up to which it was purged, promises included.
    pub purged: Option<Purged>,
    /// The lowest index that can be read.
    pub first: Option<u64>,
    /// The highest index that can be read.
    pub last: Option<u64>,
}
