//! The canonical encoding: one byte string for one value, for state hashes and audit events. Numbers are big-endian,
//! whatever has a length is preceded by it as 32 bits, options by 0 or 1.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::fmt::Display;
use latchkey_domain::{Revision, UnixMillis};

/// Collects canonical bytes.
#[derive(Default)]
pub(crate) struct Encoder(Vec<u8>);

impl Encoder {
    /// What was collected.
    #[must_use]
    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// One byte.
    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    /// Four bytes.
    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// Eight bytes.
    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    /// A time, as milliseconds.
    pub(crate) fn time(&mut self, value: UnixMillis) {
        self.u64(value.millis());
    }

    /// A revision, as epoch and index.
    pub(crate) fn revision(&mut self, value: Revision) {
        self.u64(value.epoch);
        self.u64(value.index);
    }

    /// Bytes whose number both sides know.
    pub(crate) fn fixed<const N: usize>(&mut self, value: &[u8; N]) {
        self.0.extend_from_slice(value);
    }

    /// Bytes, preceded by their number.
    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.length(value.len());
        self.0.extend_from_slice(value);
    }

    /// UTF-8 text, preceded by its number of bytes.
    pub(crate) fn text(&mut self, value: &str) {
        self.bytes(value.as_bytes());
    }

    /// Whatever prints in one way only.
    pub(crate) fn printed(&mut self, value: &impl Display) {
        self.text(&value.to_string());
    }

    /// The number of items that follow.
    pub(crate) fn length(&mut self, value: usize) {
        self.u32(u32::try_from(value).expect("every record is bounded far below 4 GiB"));
    }

    /// Nothing, or a tag and the value: for what came later than the records that it stands in.
    pub(crate) fn tagged<T>(&mut self, tag: u8, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        if let Some(value) = value {
            self.u8(tag);
            write(self, value);
        }
    }

    /// Zero, or one and the value.
    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        match value {
            None => self.u8(0),
            Some(value) => {
                self.u8(1);
                write(self, value);
            }
        }
    }

    /// The number of items, then each.
    pub(crate) fn list<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.length(items.len());
        for item in items {
            write(self, item);
        }
    }
}
