//! Sorted runs: files of items in the order of their tenant and key, written once, read for as long as they are there, and merged into
//! longer ones. The index of entries and the store of usage are made of them.
//!
//! ```text
//! run       = head, block ..., section of each tenant ..., directory, tail
//! head      = "LKRUN" (5) || format (1) || cluster (16) || run (16, random)
//! part      = length (4) || CRC-32 of offset, length and the rest (4) || sealed       a block, a section, the directory
//! block     = shared with the key before (varint) || own (varint) || value (varint) || key's own bytes || value ...
//! section   = number of bits || bits of a Bloom filter of its keys || of each block: offset, length, items, first key; the last key
//! directory = bytes of a prefix || note || of each tenant: number, items, offset and length of its section
//! tail      = length of the directory (4) || CRC-32 of the head and this length (4)
//! ```
//! A block and a section are of **one tenant only** and sealed under its audit key; the directory is sealed under that of the cluster
//! itself and tells which tenants have how many items. So nothing of a tenant opens without its key, not even the first key of a block:
//! once that is destroyed, its items read as absent, and [`merge`] leaves them out. Each part is bound to its run and its offset.
//!
//! A run appears whole or not at all: it is written beside its name, synced, renamed, and its folder is synced. Every byte is under a CRC
//! or compared, and opens under a key that authenticates it; [`Reader::verify`] finds a changed one also where the key is gone.
//!
//! **Memory**: readers keep the sections that they were asked for last, 1.25 to 2.5 bytes for each distinct prefix of keys and some 40
//! for each block of 16 KiB, all readers of a process together at most [`SECTIONS_BYTES_MAX`]; a writer holds one block, the fences of one tenant and 8 MiB for its Bloom filter at
//! most; a merge one block of each run.

mod block;
mod bloom;
pub(crate) mod codec;
mod directory;
mod error;
mod keys;
mod merge;
mod part;
mod range;
mod reader;
mod section;
mod sections;
mod writer;

pub use error::RunError;
pub use keys::{Keys, KeysAway, SealingKey};
pub use merge::{Merged, MergedItem, merge, merged};
pub use range::Range;
pub use reader::Reader;
pub use sections::SECTIONS_BYTES_MAX;
pub use writer::{Options, Writer};

/// One key with its value.
pub type Item = (Vec<u8>, Vec<u8>);

/// Whose items belong to the cluster itself: numbers of tenants begin at one.
pub const CLUSTER: latchkey_domain::TenantNumber = latchkey_domain::TenantNumber(0);

#[cfg(test)]
mod tests;
