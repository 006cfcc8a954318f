//! Why a batch was not taken, and what to do about it. No variant can hold a secret or what a record says.

use latchkey_dial::DialError;
use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Longest text of [`SinkError::told`]. Bytes.
const TOLD_BYTES_MAX: usize = 512;

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The server was not reached, or could not prove to be it.
    #[error("no answer from {server}")]
    Reach {
        /// Where it was to be.
        server: String,
        /// What went wrong.
        #[source]
        source: DialError,
    },
    /// A secret cannot be read.
    #[error("a secret is missing")]
    Secret(#[from] DialError),
    /// The server refused.
    #[error("{server} answered {code}: {to_do}")]
    Refused {
        /// Who.
        server: String,
        /// The status of HTTP, or the code of gRPC. Its words are not repeated: they may repeat ours.
        code: u16,
        /// What to do.
        to_do: &'static str,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
        /// How many records of the batch it has taken before.
        taken: usize,
    },
    /// The batch is larger than what the server reads: a smaller one may do.
    #[error("{server} does not read batches of this size")]
    TooLarge {
        /// Who.
        server: String,
        /// How many records of the batch it has taken before.
        taken: usize,
    },
    /// A record of the batch is wrong to the server, which does not say which: smaller batches tell.
    #[error("{server} refuses a record of this batch")]
    Wrong {
        /// Who.
        server: String,
        /// How many records of the batch it has taken before.
        taken: usize,
    },
    /// The server took a part and is busy with the rest.
    #[error("{server} is busy: it did not take {count} records, the first for {reason}")]
    Busy {
        /// Who.
        server: String,
        /// How many it did not take.
        count: usize,
        /// Its word for the first.
        reason: String,
    },
    /// What the server answers is not what its kind answers.
    #[error("{server} answered something else than {expected}; does its address lead there?")]
    Answer {
        /// Who.
        server: String,
        /// What was expected.
        expected: &'static str,
    },
    /// A file or its folder cannot be used.
    #[error("cannot {verb} {path}")]
    File {
        /// Make, write, rename, read.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The mail server takes no messages.
    #[error("{server} takes no e-mail: {why}")]
    Mail {
        /// Where it was to be.
        server: String,
        /// What went wrong when it was last asked.
        why: String,
        /// How long it is left alone.
        retry_after: Duration,
    },
    /// A connection broke.
    #[error("the connection to {server} broke")]
    Stream {
        /// Who.
        server: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl SinkError {
    /// All that is known, causes included.
    #[must_use]
    pub fn told(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let _ = write!(text, ": {error}");
            cause = error.source();
        }
        text.truncate(text.floor_char_boundary(TOLD_BYTES_MAX));
        text
    }

    /// How many records at the beginning of the batch were taken all the same.
    #[must_use]
    pub const fn taken(&self) -> usize {
        match self {
            Self::Refused { taken, .. } | Self::TooLarge { taken, .. } | Self::Wrong { taken, .. } => *taken,
            _ => 0,
        }
    }

    /// How long the server wants to be left alone.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            Self::Mail { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// The error with the number of records that were taken before it.
    #[must_use]
    pub(crate) fn after(self, before: usize) -> Self {
        match self {
            Self::Refused { server, code, to_do, retry_after, taken } => {
                Self::Refused { server, code, to_do, retry_after, taken: taken + before }
            }
            Self::TooLarge { server, taken } => Self::TooLarge { server, taken: taken + before },
            Self::Wrong { server, taken } => Self::Wrong { server, taken: taken + before },
            // Whoever took some and then could not be reached took some.
            Self::Reach { server, source } if before > 0 => {
                let to_do = if matches!(source, DialError::Time(_)) {
                    "it was too slow; it is tried again"
                } else {
                    "it went away; it is tried again"
                };
                Self::Refused { server, code: 0, to_do, retry_after: None, taken: before }
            }
            other => other,
        }
    }
}

/// What a status of HTTP means for a batch.
pub(crate) fn refused(server: &str, status: http::StatusCode, headers: &http::HeaderMap) -> SinkError {
    let to_do = match status.as_u16() {
        401 => "give a name and password, or a token, that it knows",
        403 => "allow our user to write there",
        404 => "correct the URL, or make what it names",
        410 => "it wants no more; remove the sink, or correct the URL",
        408 | 425 | 429 | 500.. => "it is tried again",
        _ => "look whether the URL in the settings is the right one",
    };
    let seconds = headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let server = server.to_owned();
    if status == http::StatusCode::PAYLOAD_TOO_LARGE {
        return SinkError::TooLarge { server, taken: 0 };
    }
    SinkError::Refused { server, code: status.as_u16(), to_do, retry_after: seconds.map(Duration::from_secs), taken: 0 }
}
