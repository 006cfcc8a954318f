//! Why a server was not reached.

use crate::call::ANSWER_BYTES_MAX;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why there is no answer. No variant can hold a secret.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// A file that the call needs cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file that the call needs holds something else.
    #[error("{path} does not hold {expected}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What it was to hold.
        expected: &'static str,
    },
    /// The name leads to addresses that may not be dialled.
    #[error("{address} is no public address, and it is not among those that may be dialled all the same")]
    Refused {
        /// As it was written.
        address: String,
    },
    /// Nobody accepts a connection.
    #[error("cannot connect")]
    Connect(#[source] io::Error),
    /// Whoever accepts it cannot prove to be the server.
    #[error("no TLS handshake")]
    Handshake(#[source] io::Error),
    /// What it speaks is not HTTP, or it hung up.
    #[error("no whole answer")]
    Http(#[source] hyper::Error),
    /// Its answer is longer than any that was expected.
    #[error("no whole answer within {ANSWER_BYTES_MAX} bytes")]
    Answer,
    /// It was not done in time.
    #[error("no answer within {} s", .0.as_secs())]
    Time(Duration),
}
