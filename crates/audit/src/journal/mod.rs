//! The journal: entries in ordinary files, appended in the order of their sequences, never changed. A segment goes once the archive
//! has all of it.
//!
//! ```text
//! folder   = lock, witness, segment-<first sequence, 20 digits> ...
//! segment  = format (1) || cluster (16) || first sequence (8) || peaks of the tree before it (32 each) || CRC-32 (4), frames
//! frame    = length (4) || CRC-32 (4) || leaf (32) || tenant (4, 0: the cluster) || preimage (57) || sealed entry
//! witness  = two slots of format (1) || cluster (16) || next sequence (8) || CRC-32 (4)
//! ```
//! The format of a segment is 2; in those of format 1, from before there was an archive, frames have no preimage, and nothing is
//! appended to them. All integers are big-endian. The CRC of a frame covers its sequence too, so a frame that is whole but stands elsewhere is found.
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
mod witness;
mod writer;

pub use error::{AppendError, OpenError, ReadError};
pub use frame::{Encoding, FRAME_BYTES_MAX, Frame, Preimage};
pub use options::{FreeBytes, JournalOptions, OnFatal};
pub use reader::{Block, Reader};
pub use segment::{BLOCK_ENTRIES, Segment};
pub use writer::Writer;

use folder::Folder;
use latchkey_domain::ClusterId;
use latchkey_transparency::Frontier;
use std::path::Path;

/// A data folder that this process holds.
#[derive(Debug)]
pub struct Journal {
    /// Appends.
    pub writer: Writer,
    /// Reads what is durable; cheap to clone.
    pub reader: Reader,
    /// How many bytes of an append that a kill interrupted were cut. They were never trimmed.
    pub cut_bytes: u64,
}

impl Journal {
    /// Opens the folder; `None` where nothing was stored in it yet.
    ///
    /// # Errors
    /// [`OpenError`]: another process has it, or what lies there is not what was stored. Nothing is changed then.
    pub fn open(path: &Path, options: JournalOptions) -> Result<Option<Self>, OpenError> {
        Self::open_after(path, options, &Frontier::new())
    }

    /// As [`Self::open`], where an archive has the entries of `published`. What was released may be missing here, and more: then
    /// [`Writer::skip_to`] is for the caller, who can look whether what is here is how the archive begins.
    ///
    /// # Errors
    /// As [`Self::open`]; [`OpenError::OtherTree`].
    pub fn open_after(path: &Path, options: JournalOptions, published: &Frontier) -> Result<Option<Self>, OpenError> {
        let folder = Folder::hold(path)?;
        if folder.is_new()? { Ok(None) } else { recovery::open(folder, options, published).map(Some) }
    }

    /// Opens the folder, and makes it one of `cluster` where nothing was stored in it yet.
    ///
    /// # Errors
    /// As [`Self::open`]; [`OpenError::OtherCluster`].
    pub fn open_or_create(path: &Path, cluster: ClusterId, options: JournalOptions) -> Result<Self, OpenError> {
        Self::open_or_create_after(path, cluster, options, &Frontier::new())
    }

    /// As [`Self::open_or_create`], where an archive has the entries of `published`.
    ///
    /// # Errors
    /// As [`Self::open_after`]; [`OpenError::OtherCluster`].
    pub fn open_or_create_after(
        path: &Path,
        cluster: ClusterId,
        options: JournalOptions,
        published: &Frontier,
    ) -> Result<Self, OpenError> {
        let folder = Folder::hold(path)?;
        if folder.is_new()? {
            recovery::create(&folder, cluster, published)?;
        }
        let journal = recovery::open(folder, options, published)?;
        let found = journal.reader.cluster();
        if found != cluster {
            return Err(OpenError::OtherCluster { path: path.into(), found, expected: cluster });
        }
        Ok(journal)
    }
}

#[cfg(test)]
mod tests;
