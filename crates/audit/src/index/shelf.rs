//! The runs and the tail, as they are now.

use super::folder;
use super::join;
use super::tail::{Indexed, Tail};
use super::times::{SPAN_ENTRIES, Times};
use crate::LogName;
use crate::run::{Keys, Options, Reader, RunError, Writer};
use latchkey_domain::ClusterId;
use latchkey_telemetry::OsEntropy;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Entries of a run of level 0: what memory holds of the index, and what a start makes again.
const RUN_ENTRIES: u64 = 16 * SPAN_ENTRIES;
/// Runs of a level that become one of the next.
const RUNS_PER_LEVEL: usize = 8;
/// The level that is not merged any more: 8^5 runs of level 0, 500 million entries.
const LEVEL_MAX: u8 = 5;

/// How an index is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexOptions {
    /// Entries of a run of level 0; a multiple of 1,024.
    pub run_entries: u64,
    /// Runs of a level that become one of the next.
    pub runs_per_level: usize,
    /// How its runs are written.
    pub run: Options,
}

impl Default for IndexOptions {
    fn default() -> Self {
        // The Bloom filters are asked for terms.
        let run = Options { prefix_bytes: 8, ..Options::default() };
        Self { run_entries: RUN_ENTRIES, runs_per_level: RUNS_PER_LEVEL, run }
    }
}

/// The index of one log of entries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Index {
    shelf: Arc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    folder: PathBuf,
    cluster: ClusterId,
    log: LogName,
    keys: Arc<dyn Keys>,
    options: IndexOptions,
    held: RwLock<Held>,
}

/// Runs that follow each other, and the tail that follows them.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) runs: Vec<Arc<Shelved>>,
    pub(super) tail: Tail,
}

/// One run.
#[derive(Debug)]
pub(super) struct Shelved {
    pub(super) level: u8,
    pub(super) first: u64,
    pub(super) next: u64,
    pub(super) times: Times,
    pub(super) reader: Reader,
}

impl Index {
    /// Opens the folder, over a log of a cluster of whose entries these are kept. What is wrong in it, or of another log, goes, and is made
    /// again. Blocks the thread.
    ///
    /// # Errors
    /// [`RunError`], but for damage.
    pub fn open(
        folder: &Path,
        (cluster, log): (ClusterId, LogName),
        keys: Arc<dyn Keys>,
        kept: Range<u64>,
        options: IndexOptions,
    ) -> Result<Self, RunError> {
        let first = kept.start;
        let runs = folder::open(folder, (cluster, log), &keys, kept)?;
        let tail = Tail::new(runs.last().map_or(first, |run| run.next));
        let held = RwLock::new(Held { runs, tail });
        Ok(Self { shelf: Arc::new(Shelf { folder: folder.into(), cluster, log, keys, options, held }) })
    }

    /// All entries below it are indexed, from [`Self::first`] on.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.held().tail.next
    }

    /// The first entry that is indexed.
    #[must_use]
    pub fn first(&self) -> u64 {
        let held = self.held();
        held.runs.first().map_or(held.tail.first, |run| run.first)
    }

    /// How many runs there are, and their bytes on the disk.
    #[must_use]
    pub fn size(&self) -> (usize, u64) {
        let held = self.held();
        (held.runs.len(), held.runs.iter().map(|run| run.reader.bytes()).sum())
    }

    /// Bytes of memory that runs take, without the tail.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.held().runs.iter().map(|run| run.reader.memory_bytes()).sum()
    }

    pub(super) fn keys(&self) -> &Arc<dyn Keys> {
        &self.shelf.keys
    }

    pub(super) fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.shelf.held.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn held_mut(&self) -> RwLockWriteGuard<'_, Held> {
        self.shelf.held.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds entries from `first` on, where that is what follows; one that cannot be read any more is `None`. Blocks the thread.
    ///
    /// # Errors
    /// [`RunError`]: what was not added is added with the next try.
    pub(crate) fn add(&self, first: u64, entries: &[Option<Indexed>]) -> Result<(), RunError> {
        let mut terms = Vec::with_capacity(entries.len());
        for entry in entries {
            let Some(entry) = entry else {
                terms.push(None);
                continue;
            };
            let key = self.shelf.keys.key(entry.tenant)?;
            terms.push(key.map(|key| {
                let terms: Vec<_> = entry.words.iter().map(|word| word.term(&key.key)).collect();
                (entry.tenant, entry.at, terms)
            }));
        }
        for (sequence, entry) in (first..).zip(terms) {
            let is_full = {
                let mut held = self.held_mut();
                if held.tail.next != sequence {
                    // A run was found damaged meanwhile: it is made again from an earlier place.
                    return Ok(());
                }
                held.tail.add(entry.map(|(tenant, at, terms)| (tenant, at, terms.into_iter())));
                held.tail.next - held.tail.first >= self.shelf.options.run_entries
            };
            if is_full {
                self.put_tail_away()?;
            }
        }
        Ok(())
    }

    /// Makes a run of the tail. Searches go on meanwhile; nobody else adds.
    fn put_tail_away(&self) -> Result<(), RunError> {
        // A copy, so that nobody waits for the disk.
        let tail = self.held().tail.clone();
        let named = (0, tail.first, tail.next);
        let mut writer = self.writer(named)?;
        for ((tenant, term), list) in &tail.lists {
            match join::push(&mut writer, *tenant, *term, list) {
                // Destroyed a moment ago.
                Err(RunError::Destroyed { .. }) => {}
                pushed => pushed?,
            }
        }
        let run = self.shelve(writer, named, tail.times)?;
        let mut held = self.held_mut();
        if held.tail.first == run.first {
            held.tail = Tail::new(run.next);
            held.runs.push(Arc::new(run));
        }
        Ok(())
    }

    /// Merges the runs of one level, where there are enough; whether there were. Blocks the thread.
    ///
    /// # Errors
    /// [`RunError`].
    pub(crate) fn merge_one(&self) -> Result<bool, RunError> {
        let Some(runs) = self.due() else { return Ok(false) };
        let (Some(oldest), Some(newest)) = (runs.first(), runs.last()) else { return Ok(false) };
        let named = (oldest.level + 1, oldest.first, newest.next);
        let mut times = Times::new(oldest.first);
        runs.iter().for_each(|run| times.extend(&run.times));
        let mut writer = self.writer(named)?;
        let merged = join::join(runs.iter().map(|run| &run.reader), &mut writer);
        if let Err(error) = merged {
            if error.is_damage() {
                self.discard(&error);
            }
            return Err(error);
        }
        let made = Arc::new(self.shelve(writer, named, times)?);
        let mut held = self.held_mut();
        let at = held.runs.iter().position(|run| Arc::ptr_eq(run, oldest));
        let still = at.filter(|at| {
            held.runs
                .get(*at..at + runs.len())
                .is_some_and(|found| found.iter().zip(&runs).all(|(found, run)| Arc::ptr_eq(found, run)))
        });
        let Some(at) = still else {
            drop(held);
            folder::remove(made.reader.path(), "what it was made of was damaged");
            return Ok(true);
        };
        held.runs.splice(at..at + runs.len(), [made]);
        drop(held);
        // Whoever reads them now has them open.
        runs.iter().for_each(|run| folder::remove(run.reader.path(), "it was merged"));
        Ok(true)
    }

    /// The oldest runs of the lowest level that has enough of them.
    fn due(&self) -> Option<Vec<Arc<Shelved>>> {
        let held = self.held();
        let count = self.shelf.options.runs_per_level;
        let windows = held.runs.windows(count).filter(|runs| runs.iter().all(|run| run.level == runs[0].level));
        windows.filter(|runs| runs[0].level < LEVEL_MAX).min_by_key(|runs| runs[0].level).map(<[_]>::to_vec)
    }

    /// Lets go of a run that does not read, and of all that follow it.
    pub(crate) fn discard(&self, error: &RunError) {
        let RunError::Damaged { path, .. } = error else { return };
        tracing::error!(%error, "a part of the index is damaged; it is made again");
        let mut held = self.held_mut();
        let Some(at) = held.runs.iter().position(|run| run.reader.path() == path) else { return };
        let gone = held.runs.split_off(at);
        held.tail = Tail::new(gone[0].first);
        drop(held);
        gone.iter().for_each(|run| folder::remove(run.reader.path(), "it or one before it is damaged"));
    }

    /// Lets go of the runs whose entries are not kept any more. What was not indexed before it went is passed over.
    pub(crate) fn release(&self, kept_from: u64) {
        let mut held = self.held_mut();
        if held.tail.next < kept_from {
            held.tail = Tail::new(kept_from);
        }
        let count = held.runs.partition_point(|run| run.next <= kept_from);
        let gone: Vec<_> = held.runs.drain(..count).collect();
        drop(held);
        gone.iter().for_each(|run| folder::remove(run.reader.path(), "its entries are not kept any more"));
    }

    fn writer(&self, named: (u8, u64, u64)) -> Result<Writer, RunError> {
        let (path, keys) = (folder::path(&self.shelf.folder, named), self.shelf.keys.clone());
        Writer::create(&path, self.shelf.cluster, keys, self.shelf.options.run, OsEntropy)
    }

    fn shelve(&self, writer: Writer, (level, first, next): (u8, u64, u64), times: Times) -> Result<Shelved, RunError> {
        let reader = writer.finish(&folder::note(self.shelf.log, first, next, &times))?;
        Ok(Shelved { level, first, next, times, reader })
    }
}
