//! Reading a snapshot whose hash agreed.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Take};

use super::check::Check;
use crate::error::StoreError;
use crate::snapshot::SnapshotName;

/// Where the bytes of a finished snapshot come from.
pub(crate) trait Source: Read + Seek + Send {}
impl<T: Read + Seek + Send> Source for T {}

/// Read at once, so that a hash over 1 GiB makes 16,384 calls.
const PIECE_BYTES: usize = 64 << 10;

/// Yields the payload of a snapshot.
pub struct SnapshotReader {
    payload: Take<Box<dyn Source>>,
    payload_bytes: u64,
}

impl SnapshotReader {
    /// Reads `source` twice: once to check it, and then as the caller wishes.
    pub(crate) fn open(name: &SnapshotName, source: Box<dyn Source>) -> Result<Self, StoreError> {
        Self::checked(&format!("snapshot {name}"), source)
    }

    /// Reads a file of this form that lies elsewhere; `what` names it where it is damaged.
    /// # Errors
    /// [`StoreError::Io`]; [`StoreError::Damaged`] where it is not whole, or not what was written.
    pub fn of_file(what: &str, file: File) -> Result<Self, StoreError> {
        Self::checked(what, Box::new(file))
    }

    fn checked(what: &str, mut source: Box<dyn Source>) -> Result<Self, StoreError> {
        let payload_bytes = checked(&mut source)
            .map_err(|source| StoreError::io("read a snapshot", source))?
            .map_err(|problem| StoreError::damaged(format!("{what}: {problem}")))?;
        source.seek(SeekFrom::Start(1)).map_err(|source| StoreError::io("read a snapshot", source))?;
        Ok(Self { payload: source.take(payload_bytes), payload_bytes })
    }

    /// The length of the payload.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.payload_bytes
    }
}

impl Read for SnapshotReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.payload.read(buffer)
    }
}

fn checked(source: &mut impl Read) -> io::Result<Result<u64, String>> {
    let mut check = Check::default();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match source.read(&mut piece)? {
            0 => return Ok(check.end()),
            length => check.update(&piece[..length]),
        }
    }
}
