//! A certificate authority for those who have none: a root in a folder, and certificates for our processes and callers.
//!
//! The key of the root lies in the folder, mode 0600. Whoever has it can be every process of the cluster: keep the folder off
//! the machines that serve, and issue from there.

mod authority;
mod description;
mod pem_files;

pub(crate) use authority::{Authority, Wanted};
pub(crate) use description::{Described, describe};
pub(crate) use pem_files::{Pair, write_public};

use latchkey_telemetry::{Clock as _, SystemClock};
use std::path::PathBuf;

/// Why a certificate cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PkiError {
    /// There is a root already.
    #[error("{path} is there already: a second root under its name would make certificates of the first worthless")]
    Exists { path: PathBuf },
    /// A file cannot be read or written.
    #[error("cannot {verb} {path}: {source}")]
    File {
        verb: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A file holds something else.
    #[error("{path} is not what it must be: expected {expected}")]
    Content { path: PathBuf, expected: &'static str },
    /// Others may read the key of the root.
    #[error("{path} has mode {mode:04o}, expected 0600: whoever reads the key of the root can be every process")]
    Mode { path: PathBuf, mode: u32 },
    /// A name of a host is none.
    #[error("expected the name of a host or an address, found {0:?}")]
    Host(String),
    /// The root ends before the certificate would.
    #[error(
        "the root ends in {root_days} days, before a certificate of {days} days would; make another root, and trust both for a while"
    )]
    RootEnds { root_days: i64, days: u32 },
    /// The library refuses.
    #[error("the certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
}

/// By the wall clock, as certificates are.
pub(crate) fn unix_seconds() -> i64 {
    i64::try_from(SystemClock.unix_millis().millis() / 1_000).unwrap_or(i64::MAX)
}
