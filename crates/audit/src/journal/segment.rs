//! One segment: where its entries stand.

use super::error::ReadError;
use super::frame::{Encoding, Frame};
use super::reader::Block;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Entries that are read at once. One place in 64 is kept in memory: four bytes for some 25 KiB on the disk.
pub const BLOCK_ENTRIES: u64 = 64;

/// One file of entries, as far as they are durable.
#[derive(Debug)]
pub struct Segment {
    path: PathBuf,
    encoding: Encoding,
    first: u64,
    entries: u64,
    /// Where each block begins.
    places: Vec<u32>,
    end: u32,
}

impl Segment {
    pub(super) const fn new(path: PathBuf, encoding: Encoding, first: u64, header_bytes: u32) -> Self {
        Self { path, encoding, first, entries: 0, places: Vec::new(), end: header_bytes }
    }

    /// The same segment, for one that appends to it.
    pub(super) fn grown(&self, frames: impl IntoIterator<Item = u32>) -> Self {
        let mut grown = Self {
            path: self.path.clone(),
            encoding: self.encoding,
            first: self.first,
            entries: self.entries,
            places: self.places.clone(),
            end: self.end,
        };
        frames.into_iter().for_each(|bytes| grown.add(bytes));
        grown
    }

    /// Takes note of the next frame.
    pub(super) fn add(&mut self, bytes: u32) {
        if self.entries.is_multiple_of(BLOCK_ENTRIES) {
            self.places.push(self.end);
        }
        self.entries += 1;
        self.end += bytes;
    }

    /// Whether a frame may be appended: all of a segment have one encoding.
    pub(super) fn takes_more(&self) -> bool {
        self.encoding == Encoding::NEWEST
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The sequence of its first entry.
    #[must_use]
    pub const fn first(&self) -> u64 {
        self.first
    }

    /// The sequence after its last entry.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.first + self.entries
    }

    /// Bytes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        u64::from(self.end)
    }

    /// Reads the block with the entry `sequence`, which the segment has.
    pub(super) fn block(&self, sequence: u64) -> Result<Block, ReadError> {
        let number = (sequence - self.first) / BLOCK_ENTRIES;
        let at = usize::try_from(number).expect("a segment has fewer blocks than there are addresses");
        let start = self.places[at];
        let end = self.places.get(at + 1).copied().unwrap_or(self.end);
        let mut bytes = vec![0; (end - start) as usize];
        let read = File::open(&self.path).and_then(|file| file.read_exact_at(&mut bytes, u64::from(start)));
        read.map_err(|source| ReadError::Io { path: self.path.clone(), source })?;

        let first = self.first + number * BLOCK_ENTRIES;
        let (mut frames, mut rest) = (Vec::new(), &bytes[..]);
        while !rest.is_empty() {
            let sequence = first + frames.len() as u64;
            let (frame, length) = Frame::decode(self.encoding, sequence, rest).map_err(|what| {
                let offset = u64::from(end) - rest.len() as u64;
                ReadError::Damaged {
                    path: self.path.clone(),
                    what: format!("entry {sequence} at byte {offset}: {what}"),
                }
            })?;
            frames.push(frame);
            rest = &rest[length..];
        }
        Ok(Block { first, frames })
    }
}
