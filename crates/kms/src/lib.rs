//! Key-encryption keys (KEKs): who wraps the keys that wrap the records (rank 5).
//!
//! In: the trait [`Kms`] that a KEK is used through, the KEK in a file, also one that is awaited, the operating system's randomness, and the
//! check that keeps such files out of a data folder. Out: what is wrapped by whom (`registry`), and records
//! (`crypto::envelope`).
//!
//! # Decisions
//! **The KEK never leaves its [`Kms`].** Callers hand over keys to wrap, so that an HSM or a cloud KMS, which never
//! gives a KEK out, is only another implementer. **Futures are boxed**, since callers hold a `dyn Kms`, chosen by
//! settings, and a call to a KMS costs a thousand times the box.

mod awaited;
mod file;
mod inside;
mod kms;
mod os_entropy;
mod wrapping;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use awaited::AwaitedFileKms;
pub use file::{FileKms, KekFileError};
pub use inside::{InsideError, refuse_inside};
pub use kms::{BoxFuture, Kms, KmsError, Wrapped};
pub use os_entropy::OsEntropy;
