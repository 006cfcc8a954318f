//! The journal and the archive as one: all entries by their sequences, wherever they are.

use super::{Archive, ArchiveError};
use crate::LogName;
use crate::journal::{Block, Frame, ReadError, Reader};
use std::io;
use tokio::sync::watch;

/// All entries that are durable here. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Log {
    journal: Reader,
    archive: Option<Archive>,
}

impl Log {
    /// Over a journal whose segments go to `archive`, where there is one.
    #[must_use]
    pub const fn new(journal: Reader, archive: Option<Archive>) -> Self {
        Self { journal, archive }
    }

    /// The journal.
    #[must_use]
    pub const fn journal(&self) -> &Reader {
        &self.journal
    }

    /// The archive.
    #[must_use]
    pub const fn archive(&self) -> Option<&Archive> {
        self.archive.as_ref()
    }

    /// The sequence of the next entry: all below it are durable.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.journal.next()
    }

    /// Follows [`Self::next`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.journal.watch()
    }

    /// Which log it is; `None`: it has no entry yet.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn name(&self) -> Result<Option<LogName>, ArchiveError> {
        if let Some(block) = self.journaled(0).await? {
            return Ok(block.frames.first().map(|frame| LogName::of(&frame.leaf)));
        }
        match &self.archive {
            // The hashes of entries are kept for ever.
            Some(archive) if archive.size() > 0 => Ok(Some(LogName::of(&archive.node(0, 0).await?))),
            _ => Ok(None),
        }
    }

    /// The oldest entry that is kept sealed.
    #[must_use]
    pub fn kept_from(&self) -> u64 {
        let journal = self.journal.first();
        self.archive.as_ref().map_or(journal, |archive| archive.kept_from().min(journal))
    }

    /// The entry `sequence` and its neighbours, still sealed; `None` where it is not stored yet, or was not kept.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn block(&self, sequence: u64) -> Result<Option<Block>, ArchiveError> {
        if let Some(block) = self.journaled(sequence).await? {
            return Ok(Some(block));
        }
        match &self.archive {
            Some(archive) => archive.sealed_block(sequence).await,
            None => Ok(None),
        }
    }

    /// The entry `sequence`, still sealed; `None` where it is not stored yet, or was not kept.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn frame(&self, sequence: u64) -> Result<Option<Frame>, ArchiveError> {
        if let Some(mut block) = self.journaled(sequence).await? {
            let at =
                usize::try_from(sequence - block.first).expect("a block has fewer entries than there are addresses");
            return Ok(Some(block.frames.swap_remove(at)));
        }
        match &self.archive {
            Some(archive) => archive.sealed(sequence).await,
            None => Ok(None),
        }
    }

    async fn journaled(&self, sequence: u64) -> Result<Option<Block>, ArchiveError> {
        if self.journal.segment(sequence).is_none() {
            return Ok(None);
        }
        let journal = self.journal.clone();
        let read = tokio::task::spawn_blocking(move || journal.block(sequence)).await;
        match read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic())) {
            // It was released after it was looked up.
            Err(ReadError::Io { source, .. })
                if source.kind() == io::ErrorKind::NotFound && self.journal.segment(sequence).is_none() =>
            {
                Ok(None)
            }
            read => Ok(read?),
        }
    }
}
