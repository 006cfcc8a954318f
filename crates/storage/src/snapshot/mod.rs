//! Snapshot files: ordinary files, never a value of sled.
//!
//! A file is `format (1) || payload || payload length (8) || SHA-256 of all before (32)`. What the payload means is the
//! caller's. A file appears under its name only after it is whole and synced, and is read only after its hash agrees.

mod check;
mod encoder;
mod name;
mod reader;
mod receiver;
mod writer;

pub use encoder::Encoder;
pub use name::{SnapshotName, SnapshotNameError};
pub use reader::SnapshotReader;
pub use receiver::SnapshotReceiver;
pub use writer::SnapshotWriter;

use std::io::Write;

use crate::error::StoreError;

const SNAPSHOT_FORMAT: u8 = 1;
const HASH_BYTES: usize = 32;
const TRAILER_BYTES: usize = 8 + HASH_BYTES;

/// Where the bytes of a new snapshot go. Dropped unpublished, it leaves nothing behind.
pub(crate) trait Target: Write + Send {
    /// Makes the bytes durable under the name of the snapshot.
    fn publish(self: Box<Self>) -> Result<(), StoreError>;
}
