//! Writing the bytes of a snapshot, to a file or to another replica.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

use super::SNAPSHOT_FORMAT;

/// Puts a payload into the form that [`crate::SnapshotReceiver`] takes and a snapshot file has.
///
/// What is written to it is the payload. The bytes depend on the payload alone, not on how it was cut into writes.
pub struct Encoder<W: Write> {
    inner: W,
    hasher: Sha256,
    payload_bytes: u64,
}

impl<W: Write> Encoder<W> {
    /// Starts with the format byte.
    /// # Errors
    /// Those of `inner`.
    pub fn new(mut inner: W) -> io::Result<Self> {
        inner.write_all(&[SNAPSHOT_FORMAT])?;
        Ok(Self { inner, hasher: Sha256::new_with_prefix([SNAPSHOT_FORMAT]), payload_bytes: 0 })
    }

    /// Ends with the trailer, and gives back the writer and the SHA-256.
    /// # Errors
    /// Those of the writer.
    pub fn finish(mut self) -> io::Result<(W, [u8; 32])> {
        let length = self.payload_bytes.to_be_bytes();
        self.hasher.update(length);
        let hash: [u8; 32] = self.hasher.finalize().into();
        self.inner.write_all(&length)?;
        self.inner.write_all(&hash)?;
        self.inner.flush()?;
        Ok((self.inner, hash))
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.payload_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
