//! Why a cluster does not go on.

use crate::backup::BackupError;
use crate::keyring::KeyringError;
use crate::sealing::UnsealError;
use crate::snapshot_file::SnapshotError;
use crate::words::WordError;
use latchkey_domain::{NodeId, Refusal};
use latchkey_storage::{OpenError, StoreError};
use std::io;
use std::path::PathBuf;

/// Why a cluster does not go on. The folder is as it was, or does not start and can be tried again.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The backup.
    #[error("the backup cannot be used")]
    Backup(#[from] BackupError),
    /// The storage.
    #[error("the storage cannot be opened or made")]
    Open(#[from] OpenError),
    /// The storage refuses.
    #[error("the storage cannot be read or written")]
    Store(#[from] StoreError),
    /// The state.
    #[error("the state of the survivor cannot be read")]
    State(#[from] SnapshotError),
    /// A record of its log.
    #[error("record {index} of the survivor's log cannot be read; take another survivor, or a backup")]
    Record {
        /// Which.
        index: u64,
        /// Why not.
        #[source]
        source: UnsealError,
    },
    /// A record of its log.
    #[error("a record of the survivor's log is none; take another survivor, or a backup")]
    Word(#[from] WordError),
    /// A key is away.
    #[error("a key of the cluster is not to be had")]
    Keyring(#[from] KeyringError),
    /// A file or folder.
    #[error("cannot {action} {path}")]
    Io {
        /// A verb.
        action: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// There is a replica in the folder.
    #[error("{path} holds a replica already; restore into a new folder, or move this one away")]
    NotEmpty {
        /// The storage in the data folder.
        path: PathBuf,
    },
    /// The survivor had fenced itself.
    #[error("this replica had fenced itself: {why}. Take another survivor, or a backup")]
    Fenced {
        /// Why.
        why: String,
    },
    /// The log of the survivor does not follow its state.
    #[error(
        "the state of this replica ends at record {applied}, its log begins at {first}; take another survivor, or a backup"
    )]
    Hole {
        /// The last record that is applied.
        applied: u64,
        /// The first record in the log.
        first: u64,
    },
    /// There is no cluster yet.
    #[error("there was no cluster yet: found one with `init`")]
    NotFounded,
    /// The state is one that a newer build wrote.
    #[error("the cluster runs at feature level {found}, this build knows {newest}; use the newer build")]
    Newer {
        /// Of the cluster.
        found: u32,
        /// Of this build.
        newest: u32,
    },
    /// The id is taken.
    #[error(
        "node {node} was a replica of this cluster, and may still be there; give node.id a number that was never used"
    )]
    NodeUsed {
        /// Which.
        node: NodeId,
    },
    /// The epoch is over.
    #[error("epoch {asked} is not above {last}, the last that is known of; name a higher one, or none")]
    EpochOver {
        /// What was asked for.
        asked: u64,
        /// The last one.
        last: u64,
    },
    /// The state refuses to go on.
    #[error("the cluster refuses to begin an epoch: {0:?}")]
    Refused(Refusal),
    /// What was written is not what was to be.
    #[error("the new folder does not hold the state that was written to it; check the disk, and do it again")]
    NotWhole,
}

impl RestoreError {
    pub(super) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
