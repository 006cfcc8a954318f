//! The two boundaries of this crate: opening a folder, and using an open store.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why a folder did not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The path names a file, or cannot be made a folder.
    #[error("{path} is not a folder")]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
    },
    /// Nothing was created here yet.
    #[error("{path} holds no replica: it was never initialised")]
    NotInitialised {
        /// The data folder.
        path: PathBuf,
    },
    /// Creating was asked for where something lies already.
    #[error("{path} is not empty: found {found}")]
    NotEmpty {
        /// The data folder.
        path: PathBuf,
        /// The first entry that is in the way.
        found: String,
    },
    /// Another process has the folder open.
    #[error("{path} is in use by another process")]
    Locked {
        /// The data folder.
        path: PathBuf,
    },
    /// Written by a newer build, or not by this program.
    #[error("format {found} in {path}, this build reads up to {newest}")]
    Format {
        /// The file that carries the format.
        path: PathBuf,
        /// The format byte found.
        found: u8,
        /// The newest format that this build reads.
        newest: u8,
    },
    /// The folder belongs to a replica of another cluster.
    #[error("{path} belongs to cluster {found}, expected {expected}")]
    OtherCluster {
        /// The data folder.
        path: PathBuf,
        /// The cluster in the folder, hexadecimal.
        found: String,
        /// The cluster in the settings, hexadecimal.
        expected: String,
    },
    /// What lies here is not what was acknowledged. The folder is left as it is, as evidence.
    #[error("{path} is damaged: {what}; keep the folder as evidence and run `latchkey replica rebuild`")]
    Damaged {
        /// The data folder.
        path: PathBuf,
        /// What was expected and what was found.
        what: String,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// A verb: `open`, `lock`, `sync`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
}

/// Why an open store did not do what was asked. Cloned to all who wait for one batch.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room, with the reserve kept back for purging and snapshots. Refuse callers and retry later.
    #[error("disk full: {free_bytes} bytes free beside the reserve, {needed_bytes} needed")]
    DiskFull {
        /// Free beside the reserve.
        free_bytes: u64,
        /// The least that must be free.
        needed_bytes: u64,
    },
    /// Bytes are not what was written. The replica must be fenced: it may answer nobody.
    #[error("damaged {what}; keep the folder as evidence and run `latchkey replica rebuild`")]
    Damaged {
        /// What was expected and what was found.
        what: String,
    },
    /// An index that does not follow. A bug of the caller.
    #[error("expected index {expected}, found {found}")]
    Gap {
        /// The index that would have followed.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// A value above its bound. A bug of the caller.
    #[error("{what} of {bytes} bytes, at most {bytes_max}")]
    TooLong {
        /// What is too long.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// A batch above its bound. A bug of the caller.
    #[error("{what}: {count}, at most {count_max}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many.
        count: usize,
        /// The bound.
        count_max: usize,
    },
    /// A table number that this store keeps for itself. A bug of the caller.
    #[error("table {table}, at most {table_max}")]
    Table {
        /// The number.
        table: u8,
        /// The bound.
        table_max: u8,
    },
    /// A base file stands for the state; the rows are void until the next generation is committed. Retry later.
    #[error("the rows are superseded by snapshot {base} until the next generation is committed")]
    RowsSuperseded {
        /// The base file.
        base: String,
    },
    /// A later generation was begun, or this one was committed.
    #[error("generation {generation} is no longer being written")]
    GenerationAbandoned {
        /// The number of the generation.
        generation: u32,
    },
    /// No finished snapshot file has this name.
    #[error("no snapshot {name}")]
    SnapshotNotFound {
        /// The name.
        name: String,
    },
    /// A received snapshot is not what its sender hashed. Nothing was installed; ask again.
    #[error("snapshot {name} was not received whole: {what}")]
    SnapshotNotWhole {
        /// The name.
        name: String,
        /// What was expected and what was found.
        what: String,
    },
    /// The operating system refused something that may be tried again.
    #[error("cannot {action}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The reason.
        #[source]
        source: Arc<io::Error>,
    },
    /// The store has ended; what was not acknowledged may or may not be on disk.
    #[error("the store has stopped: {why}")]
    Stopped {
        /// What ended it.
        why: Arc<str>,
    },
}

impl StoreError {
    pub(crate) fn io(action: &'static str, source: io::Error) -> Self {
        Self::Io { action, source: Arc::new(source) }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged { what: what.into() }
    }
}
