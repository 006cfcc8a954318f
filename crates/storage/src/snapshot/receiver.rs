//! A snapshot that comes from another replica.

use super::Target;
use super::check::Check;
use crate::error::StoreError;
use crate::snapshot::SnapshotName;

/// Takes the bytes that an [`super::Encoder`] made, in pieces of any size. Dropped unfinished, it leaves nothing behind.
pub struct SnapshotReceiver {
    name: SnapshotName,
    target: Box<dyn Target>,
    check: Check,
}

impl SnapshotReceiver {
    pub(crate) fn new(name: SnapshotName, target: Box<dyn Target>) -> Self {
        Self { name, target, check: Check::default() }
    }

    /// Takes the next piece.
    /// # Errors
    /// [`StoreError::Io`].
    pub fn push(&mut self, piece: &[u8]) -> Result<(), StoreError> {
        self.target.write_all(piece).map_err(|source| StoreError::io("receive a snapshot", source))?;
        self.check.update(piece);
        Ok(())
    }

    /// Checks the whole and puts it under its name: durable on return.
    /// # Errors
    /// [`StoreError::SnapshotNotWhole`] if format, length or hash disagree; nothing was left behind.
    pub fn finish(self) -> Result<(), StoreError> {
        let Self { name, target, check } = self;
        check.end().map_err(|what| StoreError::SnapshotNotWhole { name: name.to_string(), what })?;
        target.publish()
    }
}
