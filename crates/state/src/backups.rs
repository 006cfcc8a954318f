//! The backups that the cluster knows of: each that a replica gave to somebody, and those that replicas keep by the clock.

use crate::state::State;
use alloc::vec::Vec;
use core::fmt;
use latchkey_domain::{NodeId, Revision, UnixMillis};

/// Backups of one replica that are named. Of those beyond, the oldest are counted.
pub const BACKUPS_MAX: usize = 256;

/// One backup: what its header says it is, so that whoever finds a file can tell which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Backup {
    /// The last record that it covers.
    pub revision: Revision,
    /// When it was taken, by the wall clock of the replica that took it.
    pub taken_at: UnixMillis,
    /// The replica that took it.
    pub node: NodeId,
}

/// As it is named everywhere: `backups/{epoch}-{index}-{replica}-{milliseconds since 1970}`.
impl fmt::Display for Backup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { revision: Revision { epoch, index }, taken_at, node } = self;
        write!(f, "backups/{epoch}-{index}-{node}-{}", taken_at.millis())
    }
}

/// The backups of one replica, as far as the cluster knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReplicaBackups {
    /// The newest that it gave to somebody: what became of it only he knows.
    pub given: Option<Backup>,
    /// How many its folder keeps at most; 0: it writes none by the clock.
    pub keep: u32,
    /// Those in its folder, the oldest first; at most [`BACKUPS_MAX`].
    pub kept: Vec<Backup>,
    /// How many older ones lie in its folder, beyond those that are named.
    pub older: u32,
}

impl ReplicaBackups {
    /// Of a folder with these, in the one form that there is for them.
    #[must_use]
    pub fn of_folder(keep: u32, older: u32, mut kept: Vec<Backup>) -> Self {
        kept.sort_unstable();
        kept.dedup();
        let beyond = kept.len().saturating_sub(BACKUPS_MAX);
        kept.drain(..beyond);
        let older = older.saturating_add(u32::try_from(beyond).unwrap_or(u32::MAX));
        Self { given: None, keep, kept, older }
    }
}

impl State {
    /// The newest backup that the cluster knows of, kept or not.
    #[must_use]
    pub fn newest_backup(&self) -> Option<Backup> {
        let known = self.replicas().filter_map(|replica| replica.backups.as_deref());
        known.flat_map(|backups| backups.given.iter().chain(backups.kept.last())).max().copied()
    }
}
