//! Revisions of the state and sequence numbers of the audit tree.

use core::fmt;

/// A point in the history of the state: increasing, with holes. Printed `3:1042`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision {
    /// The cluster's epoch: it rises at each recovery or restore.
    pub epoch: u64,
    /// The index of the log record.
    pub index: u64,
}

impl Revision {
    /// From epoch and log index.
    #[must_use]
    pub const fn new(epoch: u64, index: u64) -> Self {
        Self { epoch, index }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.epoch, self.index)
    }
}

/// The number of an audit entry: from 0, without holes; it is the entry's leaf index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
