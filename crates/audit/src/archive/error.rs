//! What can go wrong between the service and its archive.

use crate::journal::ReadError;
use latchkey_domain::ClusterId;
use tonic::Status;

/// Why something was not archived, or not read back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The store is away, full, or does not let us in. It may pass.
    #[error(
        "cannot {action} {path} in the archive: see that its store is there, has room and lets audit in; nothing is lost meanwhile"
    )]
    Away {
        /// A verb.
        action: &'static str,
        /// The object.
        path: String,
        /// The reason.
        #[source]
        source: object_store::Error,
    },
    /// The address of the archive is none.
    #[error("{url} is no place for an archive: {what}")]
    Place {
        /// What was configured.
        url: String,
        /// What was expected.
        what: String,
    },
    /// What lies in the archive is not what was put there.
    #[error("{path} in the archive is damaged: {what}; put back a copy of this object")]
    Damaged {
        /// The object.
        path: String,
        /// What was expected, and what was found.
        what: String,
    },
    /// The archive and the log of this service are two logs.
    #[error(
        "{path} in the archive is not what the log has there: {what}; one of both was changed, or two services write to one \
         archive: keep both as evidence"
    )]
    Fork {
        /// The object.
        path: String,
        /// Where they differ.
        what: String,
    },
    /// The archive of another cluster.
    #[error("the archive is that of cluster {found}, expected {expected}; correct archive.url")]
    OtherCluster {
        /// Whose it is.
        found: ClusterId,
        /// Whose it should be.
        expected: ClusterId,
    },
    /// What is to be archived cannot be read.
    #[error(transparent)]
    Journal(#[from] ReadError),
    /// What an entry commits to cannot be told now. It may pass.
    #[error("what entry {sequence} commits to is not known: {}", status.message())]
    Sealed {
        /// The entry.
        sequence: u64,
        /// The reason.
        status: Status,
    },
}

impl ArchiveError {
    /// Whether it is worth another attempt. Nothing is acknowledged meanwhile, and nothing lost.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Away { .. } | Self::Sealed { .. })
    }

    #[expect(clippy::needless_pass_by_value, reason = "texts and errors are given as they are")]
    pub(super) fn damaged(path: &str, what: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), what: what.to_string() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "texts and errors are given as they are")]
    pub(super) fn fork(path: &str, what: impl ToString) -> Self {
        Self::Fork { path: path.to_owned(), what: what.to_string() }
    }
}

impl From<ArchiveError> for Status {
    fn from(error: ArchiveError) -> Self {
        match error.may_pass() {
            true => {
                tracing::warn!(error = %Chain(&error), "the archive does not answer");
                Self::unavailable("the archive of the audit log does not answer; try again")
            }
            false => latchkey_transport::status::bug(&error.to_string()),
        }
    }
}

/// An error and what caused it, on one line.
pub(super) struct Chain<'a>(pub(super) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
