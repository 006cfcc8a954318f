//! Why a sealed record does not open.
use super::{OVERHEAD_BYTES, SUITE};
use core::fmt;
use latchkey_domain::RingNumber;

/// Why a sealed record does not open. None of these goes away by trying again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// Shorter than an empty record.
    TooShort {
        /// Bytes found.
        found: usize,
    },
    /// Sealed by a suite that this build does not know.
    Suite {
        /// The suite byte found.
        found: u8,
    },
    /// The commitment differs: another key, another place, or an altered header.
    WrongKey {
        /// The number of the key that the header asks for.
        number: RingNumber,
    },
    /// The key is the right one and the ciphertext is not what was sealed.
    Altered {
        /// The number of the key that the header asks for.
        number: RingNumber,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { found } => {
                write!(f, "a sealed record has at least {OVERHEAD_BYTES} bytes, found {found}")
            }
            Self::Suite { found } => write!(f, "suite {found} sealed this record, this build reads suite {SUITE}"),
            Self::WrongKey { number } => {
                write!(f, "the record asks for key {}, and the key or the place given is another", number.0)
            }
            Self::Altered { number } => write!(f, "the record under key {} was altered", number.0),
        }
    }
}

impl core::error::Error for OpenError {}
