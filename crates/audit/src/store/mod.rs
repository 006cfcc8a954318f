//! The segment store: entries in ordinary files, appended in the order of their sequences, never changed.
//!
//! ```text
//! folder   = lock, witness, segment-<first sequence, 20 digits> ...
//! segment  = format (1) || cluster (16) || first sequence (8) || peaks of the tree before it (32 each) || CRC-32 (4), frames
//! frame    = length (4) || CRC-32 (4) || leaf (32) || tenant (4, 0: the cluster) || sealed entry
//! witness  = two slots of format (1) || cluster (16) || next sequence (8) || CRC-32 (4)
//! ```
//! All integers are big-endian. The CRC of a frame covers its sequence too, so a frame that is whole but stands elsewhere is found.
//! The leaf lies in the clear: it tells nothing of the entry, the tree is rebuilt from leaves without any key, and stays whole when a
//! tenant's audit key is destroyed. So does the tenant's number, which the header of the sealed entry tells anyway.
//!
//! **Durable** means: written, and `sync_data` has returned. What was durable may be trimmed by the cluster once the witness says so,
//! and never before; so at a start **what lies below the witness must be whole, and what lies above it is cut from the first frame
//! that is not**. Nothing that is cut was trimmed: the cluster sends it again.
//!
//! In: files, and what is wrong with them. Out: what is in an entry and how it is sealed (`entry`), keys (`vault`).

mod error;
mod folder;
mod frame;
mod header;
mod options;
mod reader;
mod recovery;
mod segment;
mod summary;
mod witness;
mod writer;

pub use error::{AppendError, OpenError, ReadError};
pub use frame::{FRAME_BYTES_MAX, Frame};
pub use options::{FreeBytes, OnFatal, StoreOptions};
pub use reader::{Block, Reader};
pub use segment::{BLOCK_ENTRIES, Segment};
pub use summary::{Summary, Term};
pub use writer::Writer;

use folder::Folder;
use latchkey_domain::ClusterId;
use std::path::Path;

/// A data folder that this process holds.
#[derive(Debug)]
pub struct Store {
    /// Appends.
    pub writer: Writer,
    /// Reads what is durable; cheap to clone.
    pub reader: Reader,
    /// How many bytes of an append that a kill interrupted were cut. They were never trimmed.
    pub cut_bytes: u64,
}

impl Store {
    /// Opens the folder; `None` where nothing was stored in it yet.
    ///
    /// # Errors
    /// [`OpenError`]: another process has it, or what lies there is not what was stored. Nothing is changed then.
    pub fn open(path: &Path, options: StoreOptions) -> Result<Option<Self>, OpenError> {
        let folder = Folder::hold(path)?;
        if folder.is_new()? { Ok(None) } else { recovery::open(folder, options).map(Some) }
    }

    /// Opens the folder, and makes it one of `cluster` where nothing was stored in it yet.
    ///
    /// # Errors
    /// As [`Self::open`]; [`OpenError::OtherCluster`].
    pub fn open_or_create(path: &Path, cluster: ClusterId, options: StoreOptions) -> Result<Self, OpenError> {
        let folder = Folder::hold(path)?;
        if folder.is_new()? {
            recovery::create(&folder, cluster)?;
        }
        let store = recovery::open(folder, options)?;
        let found = store.reader.cluster();
        if found != cluster {
            return Err(OpenError::OtherCluster { path: path.into(), found, expected: cluster });
        }
        Ok(store)
    }
}

#[cfg(test)]
mod tests;
