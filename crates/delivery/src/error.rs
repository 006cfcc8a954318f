//! Why a secret did not arrive, and what to do about it. No variant can hold a secret.

use crate::process::ProcessError;
use latchkey_dial::DialError;
use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Longest text of [`DeliveryError::told`]. Bytes: as long as the reason of a held rotation may be.
const TOLD_BYTES_MAX: usize = 512;

/// The exit code by which a hook says that trying again may help (`EX_TEMPFAIL` of sysexits).
const EXIT_TRY_AGAIN: i32 = 75;

/// Why a delivery failed.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// A file or its folder cannot be used.
    #[error("cannot {verb} {path}")]
    File {
        /// Make, write, replace, lock.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// At the place of the file there is something else.
    #[error("{path} is {found}, expected a regular file or nothing; remove it or give another path in the settings")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// Whoever may write into the folder can put a file of their own in the place of ours.
    #[error("{path} has mode {mode:04o}: others may replace files in it; run `chmod o-w {path}`")]
    OpenFolder {
        /// The folder.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The hook did not do what it was asked.
    #[error(transparent)]
    Hook(#[from] ProcessError),
    /// The API server was not reached, or nobody there could prove to be it.
    #[error("no answer from {server}")]
    Reach {
        /// Where it was to be.
        server: String,
        /// What went wrong.
        #[source]
        source: DialError,
    },
    /// The API server refused.
    #[error("{server} answered {code} to {verb} of the Secret {namespace}/{secret}: {to_do}")]
    Refused {
        /// Who.
        server: String,
        /// What it said: the status code of HTTP. Its words are not repeated: they may repeat ours.
        code: u16,
        /// `get` or `patch`.
        verb: &'static str,
        /// The namespace.
        namespace: String,
        /// The name of the Secret.
        secret: String,
        /// What to do.
        to_do: &'static str,
    },
    /// The API server's answer is no Secret.
    #[error("{server} answered something that is no Secret; does its address lead to a Kubernetes API server?")]
    Answer {
        /// Who.
        server: String,
    },
    /// What was staged is not there any more, nor is the version in the place itself.
    #[error("nothing of this rotation is staged for {place}: its text is lost; cancel the rotation and start another")]
    NotStaged {
        /// The place.
        place: String,
    },
    /// A name that cannot be one in that place.
    #[error("{found:?} cannot be {what}; give another form in the settings")]
    Name {
        /// What it was to be.
        what: &'static str,
        /// The name.
        found: String,
    },
}

impl DeliveryError {
    /// Whether the same call may succeed later without anybody's doing.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::File { source, .. } => {
                !matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
            }
            Self::NotAFile { .. }
            | Self::OpenFolder { .. }
            | Self::Answer { .. }
            | Self::NotStaged { .. }
            | Self::Name { .. } => false,
            Self::Hook(error) => match error {
                ProcessError::Start { .. } => false,
                ProcessError::Ended { code, .. } => *code == EXIT_TRY_AGAIN,
                ProcessError::Signal { .. } | ProcessError::Time { .. } | ProcessError::Wait { .. } => true,
            },
            Self::Reach { .. } => true,
            // A conflict: somebody changed the Secret between our look and our write.
            Self::Refused { code, .. } => matches!(code, 408 | 409 | 429 | 500..),
        }
    }

    /// The whole story in one line of at most 512 bytes without control characters, for the reason of a held rotation.
    #[must_use]
    pub fn told(&self) -> String {
        told(self)
    }
}

/// An error and what is below it, in one line.
pub(crate) fn told(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line = format!("{line}: {error}");
        source = error.source();
    }
    line.retain(|letter| !letter.is_control());
    line.truncate(line.floor_char_boundary(TOLD_BYTES_MAX));
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_story_is_one_bounded_line_with_its_cause() {
        let source = io::Error::other(format!("the disk\nis full {}", "ä".repeat(400)));
        let error = DeliveryError::File { verb: "write", path: "/run/k".into(), source };
        let told = error.told();
        assert!(told.starts_with("cannot write /run/k: the diskis full"), "{told}");
        assert!(told.len() <= TOLD_BYTES_MAX && told.len() > TOLD_BYTES_MAX - 2);
    }

    #[test]
    fn what_a_person_must_mend_is_not_tried_again() {
        let refused = |code| DeliveryError::Refused {
            server: "s".into(),
            code,
            verb: "get",
            namespace: "n".into(),
            secret: "s".into(),
            to_do: "",
        };
        for (code, retryable) in
            [(401, false), (403, false), (404, false), (422, false), (409, true), (429, true), (503, true)]
        {
            assert_eq!(refused(code).is_retryable(), retryable, "{code}");
        }
        let file = |kind: io::ErrorKind| DeliveryError::File { verb: "write", path: "/k".into(), source: kind.into() };
        assert!(file(io::ErrorKind::StorageFull).is_retryable());
        assert!(!file(io::ErrorKind::PermissionDenied).is_retryable());
    }
}
