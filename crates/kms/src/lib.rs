//! Key-encryption keys (KEKs): who wraps the keys that wrap the records (rank 5).
//!
//! In: the trait [`Kms`] that KEKs are used through, KEKs in files, also ones that are awaited, the operating system's
//! randomness, and the check that keeps such files out of a data folder. Out: what is wrapped by whom (`registry`), and records
//! (`crypto::envelope`).
//!
//! # Decisions
//! **The KEK never leaves its [`Kms`].** Callers hand over keys to wrap, so that an HSM or a cloud KMS, which never
//! gives a KEK out, is only another implementer. **One [`Kms`] holds several KEKs while one takes the place of another**:
//! whoever unwraps need not know which it was, and whoever wraps says which it shall be, since a key that is wrapped under a
//! KEK which others do not have yet would lock them out. **Futures are boxed**, since callers hold a `dyn Kms`, chosen by
//! settings, and a call to a KMS costs a thousand times the box.

mod awaited;
mod file;
mod inside;
mod keks;
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
