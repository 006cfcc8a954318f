//! The boundaries of the journal: opening a folder, appending to it, reading from it.

use latchkey_domain::ClusterId;
use std::io;
use std::path::PathBuf;

/// Why a folder did not open. The folder is left as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process has it open.
    #[error("{path} is in use by another process; stop that one, or choose another folder")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder belongs to another cluster.
    #[error("{path} holds the audit log of cluster {found}, expected {expected}; choose another folder")]
    OtherCluster {
        /// The folder.
        path: PathBuf,
        /// Whose it is.
        found: ClusterId,
        /// Whose it should be.
        expected: ClusterId,
    },
    /// Written by a newer build, or not by this program.
    #[error("format {found} in {path}, this build reads up to {newest}")]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format byte.
        found: u8,
        /// The newest that this build reads.
        newest: u8,
    },
    /// What lies here is not what was stored.
    #[error(
        "{path} is damaged: {what}; keep the folder as evidence and put its newest copy back: what came after it the \
         cluster sends again, as far as it has not trimmed it"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, what was expected and what was found.
        what: String,
    },
    /// The archive has other entries than the journal.
    #[error(
        "the first {size} entries in the archive are not those of the journal in {path}; one of both was changed: keep both as evidence"
    )]
    OtherTree {
        /// The segment with the last of them.
        path: PathBuf,
        /// How many the archive has.
        size: u64,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}")]
    Io {
        /// A verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
}

/// Why entries were not appended. None of them is stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// No room. Try again later.
    #[error("disk full: {free_bytes} bytes free, {needed_bytes} needed")]
    Full {
        /// Free now.
        free_bytes: u64,
        /// The least that must be free.
        needed_bytes: u64,
    },
    /// An entry is longer than any can be. A bug of whoever made it.
    #[error("an entry of {bytes} bytes, at most {bytes_max}")]
    TooLong {
        /// Its length.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// The operating system refused something that may be tried again.
    #[error("cannot {action}")]
    Io {
        /// A verb.
        action: &'static str,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// What is on the disk is not known any more. Reached only where the hook for this returns, as in a test.
    #[error("the journal has stopped")]
    Stopped,
}

/// Why entries could not be read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// What is read is not what was stored.
    #[error("{path} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where, what was expected and what was found.
        what: String,
    },
    /// The operating system refused.
    #[error("cannot read {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
}
