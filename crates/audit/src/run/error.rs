//! What can be wrong with a run.

use super::keys::KeysAway;
use std::io;
use std::path::PathBuf;

/// Why a run is not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The disk.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The bytes are not what was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Where, what was expected and what was found.
        what: String,
    },
    /// It was written by another build.
    #[error(
        "{} has format {found}, and this build reads format {expected}: start the build that wrote it, or a newer one",
        path.display()
    )]
    Format {
        /// Which file.
        path: PathBuf,
        /// The format that it says it has.
        found: u8,
        /// The format that is read here.
        expected: u8,
    },
    /// Items have to come in the order of tenant and key, no two alike.
    #[error("items of {} come out of order", path.display())]
    Order {
        /// Which file.
        path: PathBuf,
    },
    /// An item that no block holds.
    #[error("an item of {} has {bytes} bytes, at most {bytes_max} are held", path.display())]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// Its bytes.
        bytes: usize,
        /// The bound.
        bytes_max: usize,
    },
    /// Items were given for a tenant whose key was destroyed.
    #[error("tenant {tenant} was destroyed, and has no key to seal its items")]
    Destroyed {
        /// Its number.
        tenant: u32,
    },
    /// A key is away.
    #[error(transparent)]
    KeysAway(#[from] KeysAway),
}

impl RunError {
    /// Whether the file itself is wrong, and stays so.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// Whether the file is whole, as far as can be told, and of another build.
    #[must_use]
    pub const fn is_of_another_build(&self) -> bool {
        matches!(self, Self::Format { .. })
    }
}
