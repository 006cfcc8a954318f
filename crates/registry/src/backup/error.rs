//! Why a backup is none that can be used, or was not made.

use crate::snapshot_file::SnapshotError;
use latchkey_storage::StoreError;
use latchkey_transport::Unavailable;
use std::io;
use std::path::PathBuf;

/// Why a backup is none that can be used, or was not made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file cannot be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// A verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The bytes are not those that were written.
    #[error("{path} is no whole backup: {source}; take another backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was expected, and what was found.
        #[source]
        source: StoreError,
    },
    /// It is whole, and something else.
    #[error("{path} is no backup: expected {expected}, found {found}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was expected.
        expected: &'static str,
        /// What was found.
        found: String,
    },
    /// Its rows do not open, or make up no state.
    #[error("the rows of {path} cannot be used; is this the key-encryption key of its cluster?")]
    Rows {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: SnapshotError,
    },
    /// Its rows are another state than its header says.
    #[error(
        "{path} holds another state than its header says: expected the hash {expected}, found {found}; take another backup"
    )]
    Hash {
        /// The file.
        path: PathBuf,
        /// The hash in the header, hexadecimal.
        expected: String,
        /// The hash of the rows, hexadecimal.
        found: String,
    },
    /// This replica has no state to give now.
    #[error("this replica cannot give its state now: {0:?}")]
    Unavailable(Unavailable),
    /// The state could not be written out.
    #[error("the state could not be written out")]
    Write(#[from] SnapshotError),
}

impl BackupError {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
