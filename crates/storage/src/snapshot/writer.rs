//! A snapshot that is being written here.

use std::io::{self, Write};

use super::{Encoder, Target};
use crate::error::StoreError;

/// Takes the payload of a new snapshot. Dropped unfinished, it leaves nothing behind.
pub struct SnapshotWriter {
    encoder: Encoder<Box<dyn Target>>,
}

impl SnapshotWriter {
    pub(crate) fn new(target: Box<dyn Target>) -> Result<Self, StoreError> {
        let encoder = Encoder::new(target).map_err(|source| StoreError::io("start a snapshot", source))?;
        Ok(Self { encoder })
    }

    /// Ends the file and puts it under its name: durable on return. Gives the SHA-256 in its trailer.
    /// # Errors
    /// [`StoreError::Io`]; nothing was left behind. [`StoreError::Stopped`] if the disk did not sync.
    pub fn finish(self) -> Result<[u8; 32], StoreError> {
        let (target, hash) = self.encoder.finish().map_err(|source| StoreError::io("write a snapshot", source))?;
        target.publish()?;
        Ok(hash)
    }
}

impl Write for SnapshotWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.encoder.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}
