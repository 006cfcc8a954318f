//! Batches as they came, for whoever counts by himself: exports follow the log of them, each with a cursor of its own.

use super::batch::{RawCell, RawLine};
use super::store::{Observed, ObservedError};
use std::sync::PoisonError;
use tokio::sync::watch;

/// Some batches.
#[derive(Clone, Debug)]
pub struct RawPage {
    /// Their sums, in the order in which they came.
    pub cells: Vec<RawCell>,
    /// Their lines of the access log, likewise.
    pub lines: Vec<RawLine>,
    /// Where to go on.
    pub next: u64,
    /// Batches between where it was asked for and the first that is still there.
    pub missed: u64,
}

impl Observed {
    /// The sequence of the batch that comes next; changes with each that comes.
    #[must_use]
    pub fn raw_next(&self) -> watch::Receiver<u64> {
        self.inner.appended.subscribe()
    }

    /// The sequence of the first batch that is still there.
    #[must_use]
    pub fn raw_first(&self) -> u64 {
        self.log().first()
    }

    /// Keeps batches from one on for whoever goes by this name, as long as there is room: `usage.raw_bytes_max`.
    pub fn raw_hold(&self, name: &str, from: u64) {
        let mut holds = self.inner.holds.lock().unwrap_or_else(PoisonError::into_inner);
        holds.insert(name.to_owned(), from);
    }

    /// Reads batches from one on.
    ///
    /// # Errors
    /// [`ObservedError`].
    pub fn raw_read(&self, from: u64, batches_max: usize) -> Result<RawPage, ObservedError> {
        let log = self.log();
        let records = log.read(from, batches_max)?;
        // Where a segment was lost the next one goes on behind a gap.
        let first = from.max(records.first().map_or_else(|| log.next(), |record| record.sequence));
        drop(log);
        let mut page = RawPage { cells: Vec::new(), lines: Vec::new(), next: first, missed: first - from };
        for record in records {
            page.next = record.sequence + 1;
            let (cells, lines) = record.open(&*self.inner.keys)?.raw();
            page.cells.extend(cells);
            page.lines.extend(lines);
        }
        Ok(page)
    }

    /// The first record of the log that somebody needs: who writes runs, from `unwritten` on, or an export that is not too far behind.
    pub(super) fn kept_from(&self, unwritten: u64) -> u64 {
        let holds = self.inner.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let held = holds.values().copied().min().unwrap_or(u64::MAX);
        drop(holds);
        let log = self.log();
        let mut from = held.min(unwritten).max(log.first());
        while from < unwritten && log.bytes_from(from) > self.inner.options.raw_bytes_max {
            from += 1;
        }
        from
    }
}
