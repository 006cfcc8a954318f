//! sled, with what it needs to keep its word.

use core::ops::Range;
use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::FlockOperation;

use super::fatal::Fatal;
use super::options::Options;
#[cfg(feature = "testing")]
use super::options::{Planted, Testing};
use crate::error::StoreError;

/// Removals in one batch. One batch of 195,000 peaked at 1,158 MiB, batches of 512 at 80 MiB.
pub(super) const REMOVALS_MAX: usize = 512;

/// The trees, and the file that must be synced.
pub(super) struct Engine {
    pub(super) log: sled::Tree,
    pub(super) words: sled::Tree,
    pub(super) rows: sled::Tree,
    pub(super) fatal: Fatal,
    db: sled::Db,
    data: File,
    #[cfg(feature = "testing")]
    testing: Testing,
}

impl Engine {
    /// Opens sled. May panic where sled does: the caller runs it in a thread.
    pub(super) fn open(path: &Path, options: &Options) -> Result<Self, sled::Error> {
        wait_for_earlier_life(&path.join("db"))?;
        let db = sled::Config::new().path(path).cache_capacity(options.cache_bytes).flush_every_ms(None).open()?;
        Ok(Self {
            log: db.open_tree("log")?,
            words: db.open_tree("words")?,
            rows: db.open_tree("rows")?,
            fatal: Fatal::new(options.on_fatal.clone()),
            db,
            data: File::open(path.join("db"))?,
            #[cfg(feature = "testing")]
            testing: options.testing.clone(),
        })
    }

    /// Makes all that was applied durable. A failure ends the process: the kernel has dropped the pages.
    ///
    /// sled's own flush calls `sync_file_range`, which neither writes the file's metadata nor empties the disk's cache.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        self.fatal.running()?;
        self.db.flush().map_err(|error| self.fatal.trip(&format!("sled cannot flush: {error}")))?;
        self.sync_data().map_err(|error| self.fatal.trip(&format!("the disk cannot sync: {error}")))
    }

    pub(super) fn apply(&self, tree: &sled::Tree, batch: sled::Batch) -> Result<(), StoreError> {
        self.fatal.running()?;
        tree.apply_batch(batch).map_err(|error| self.fatal.trip(&format!("sled cannot write: {error}")))
    }

    /// Removes up to [`REMOVALS_MAX`] keys of `range`, and says how many there were.
    pub(super) fn remove_some(&self, tree: &sled::Tree, range: Range<Vec<u8>>) -> Result<usize, StoreError> {
        let mut batch = sled::Batch::default();
        let mut removed = 0;
        for key in tree.range(range).keys().take(REMOVALS_MAX) {
            batch.remove(key.map_err(|error| self.unreadable(error))?);
            removed += 1;
        }
        if removed > 0 {
            self.apply(tree, batch)?;
        }
        Ok(removed)
    }

    /// What a failed read means: damage, or the end.
    pub(super) fn unreadable(&self, error: sled::Error) -> StoreError {
        match error {
            sled::Error::Corruption { .. } => StoreError::damaged(format!("sled file: {error}")),
            other => self.fatal.trip(&format!("sled cannot read: {other}")),
        }
    }

    #[cfg(not(feature = "testing"))]
    fn sync_data(&self) -> io::Result<()> {
        self.data.sync_data()
    }

    #[cfg(feature = "testing")]
    fn sync_data(&self) -> io::Result<()> {
        if self.testing.fail_sync.load(core::sync::atomic::Ordering::Relaxed) {
            return Err(io::Error::other("asked to fail"));
        }
        if self.planted(Planted::SkippedSync) { Ok(()) } else { self.data.sync_data() }
    }

    #[cfg(feature = "testing")]
    pub(super) fn planted(&self, planted: Planted) -> bool {
        self.testing.planted == Some(planted)
    }
}

/// Waits until sled's file is closed. Dropped, sled closes it on a thread of its own, a moment later, and would find its
/// own lock there. Nobody else can hold it: the folder's lock is ours.
fn wait_for_earlier_life(file: &Path) -> io::Result<()> {
    match File::open(file) {
        Ok(file) => Ok(rustix::fs::flock(file, FlockOperation::LockExclusive)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
