//! Backups: the state at one revision as a file that any replica writes, anybody can check for damage, and only who has the
//! key-encryption key can open.
//!
//! ```text
//! file    = format (1) || payload || payload length (8) || SHA-256 of all before (32)        the storage's frame
//! payload = "LATCHKEY BACKUP\n" || BackupHeader || SnapshotHeader || frames: rows, then entries that nobody has taken
//! ```
//! The messages have their lengths in front. Rows and entries are sealed as they are at rest, so a backup is worth what the
//! key-encryption key is: it may lie anywhere but beside that.

mod error;
mod header;
mod pace;
mod read;
mod schedule;
mod stream;
mod told;
mod verify;
mod write;

pub use error::BackupError;
pub use header::BackupHeader;
pub use read::BackupFile;
pub use schedule::BackupPlan;
pub use stream::BackupStream;

pub(crate) use pace::{Paced, in_background};
