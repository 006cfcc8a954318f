//! One page of entries: what the index names is opened and held against the filter; what it does not know yet is walked.

use crate::cluster::Cluster;
use crate::entries::{Entries, Found};
use crate::index::{Batch, Index, Plan};
use crate::journal::{BLOCK_ENTRIES, Block, Frame};
use crate::run::RunError;
use crate::search::Search;
use latchkey_transport::status;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// Entries that one page looks at: a fifth of a second. A page that finds little in them is short, and says where to go on.
pub const SCAN_ENTRIES_MAX: u64 = 20_000;

/// Entries that the index is asked for at once.
const CANDIDATES_MAX: usize = 256;

/// Looks into the index that find nothing, in one page: a second. As with entries, a page is short then.
const LOOKS_MAX: u32 = 200;

/// Kept back of the caller's time, so that a short page gets home within it.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// In which order, and where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cursor {
    /// The oldest first, from this sequence on.
    From(u64),
    /// The newest first, below this sequence.
    Below(u64),
}

/// One page.
#[derive(Debug)]
pub struct Page {
    /// The entries, in the order asked for.
    pub found: Vec<Found>,
    /// Where the next page begins; absent: this was the last.
    pub next: Option<Cursor>,
    /// The next sequence that was not stored yet when the page was read.
    pub stored: u64,
    /// The oldest that is kept: what is below is not shown since it is gone, and not since it does not match.
    pub kept_from: u64,
}

/// What one page may still cost.
struct Budget {
    entries: u64,
    looks: u32,
    by: Instant,
}

impl Budget {
    const fn new(by: Instant) -> Self {
        Self { entries: SCAN_ENTRIES_MAX, looks: LOOKS_MAX, by }
    }

    /// Whether one more entry may be looked at.
    fn allows(&mut self) -> bool {
        // The clock is not asked for each entry.
        let in_time = !self.entries.is_multiple_of(BLOCK_ENTRIES) || self.is_in_time();
        let allowed = self.entries > 0 && (in_time || self.entries == SCAN_ENTRIES_MAX);
        self.entries = self.entries.saturating_sub(1);
        allowed
    }

    /// Whether the index may be asked once more. The first time always, so that each page gets further.
    fn allows_look(&mut self) -> bool {
        let allowed = self.looks == LOOKS_MAX || (self.looks > 0 && self.is_in_time());
        self.looks = self.looks.saturating_sub(1);
        allowed
    }

    fn is_in_time(&self) -> bool {
        Instant::now() + ANSWER_MARGIN < self.by
    }
}

/// A page that is being read.
struct Reading<'a, C> {
    entries: &'a Entries<C>,
    search: &'a Search,
    plan: Plan,
    /// Unless it failed: then the rest of the page is walked.
    index: Option<Index>,
    budget: Budget,
    page_size: usize,
    found: Vec<Found>,
    /// The block that was read last.
    block: Option<Block>,
}

impl<C: Cluster> Entries<C> {
    /// Reads one page. What is appended later changes nothing behind a cursor, so pages neither repeat an entry nor miss one.
    ///
    /// # Errors
    /// As [`Entries::find`].
    pub async fn list(&self, search: &Search, cursor: Cursor, page_size: usize, by: Instant) -> Result<Page, Status> {
        let stored = self.log().next();
        let mut reading = Reading {
            entries: self,
            search,
            plan: search.plan(),
            index: self.index().cloned(),
            budget: Budget::new(by),
            page_size,
            found: Vec::new(),
            block: None,
        };
        let next = match cursor {
            Cursor::From(from) => {
                reading.oldest_first(from.max(self.log().kept_from()), stored).await?.map(Cursor::From)
            }
            Cursor::Below(below) => reading.newest_first(below.min(stored)).await?.map(Cursor::Below),
        };
        // Looked at last: what went while the page was read is missing in it.
        Ok(Page { found: reading.found, next, stored, kept_from: self.log().kept_from() })
    }
}

impl<C: Cluster> Reading<'_, C> {
    /// Reads from `at` on, and says where the next page does.
    async fn oldest_first(&mut self, mut at: u64, stored: u64) -> Result<Option<u64>, Status> {
        while at < stored {
            let through;
            let sequences: Vec<_> =
                match self.look(at, move |index, plan| index.upwards(plan, at, CANDIDATES_MAX)).await? {
                    Some(batch) => {
                        if batch.sequences.is_empty() && !self.budget.allows_look() {
                            return Ok(Some(batch.through));
                        }
                        through = batch.through;
                        batch.sequences
                    }
                    None => {
                        at = self.index.as_ref().map_or(at, |index| index.in_time_from(at, self.plan.span));
                        let Some(block) = self.read(at).await? else { break };
                        through = block.end;
                        (at..block.end).collect()
                    }
                };
            for sequence in sequences.into_iter().take_while(|sequence| *sequence < stored) {
                if !self.take(sequence).await? {
                    return Ok(Some(sequence));
                }
            }
            at = through;
        }
        Ok(None)
    }

    /// Reads below `below`, and says below what the next page does.
    async fn newest_first(&mut self, mut below: u64) -> Result<Option<u64>, Status> {
        while let Some(last) = below.checked_sub(1) {
            let through;
            let sequences: Vec<_> =
                match self.look(last, move |index, plan| index.downwards(plan, below, CANDIDATES_MAX)).await? {
                    Some(batch) => {
                        if batch.sequences.is_empty() && !self.budget.allows_look() {
                            return Ok(Some(batch.through).filter(|through| *through > 0));
                        }
                        through = batch.through;
                        batch.sequences
                    }
                    None => {
                        below = self.index.as_ref().map_or(below, |index| index.in_time_below(below, self.plan.span));
                        let Some(last) = below.checked_sub(1) else { break };
                        let Some(block) = self.read(last).await? else { break };
                        through = block.start;
                        (block.start..below).rev().collect()
                    }
                };
            for sequence in sequences {
                if !self.take(sequence).await? {
                    return Ok(Some(sequence + 1));
                }
            }
            below = through;
        }
        Ok(None)
    }

    /// Asks the index; `None` where it does not know the entry `at`, or cannot tell more than a walk.
    async fn look(
        &mut self,
        at: u64,
        ask: impl FnOnce(&Index, &Plan) -> Result<Option<Batch>, RunError> + Send + 'static,
    ) -> Result<Option<Batch>, Status> {
        let Some(index) = self.index.clone().filter(|index| !self.plan.is_walk() && index.has(at)) else {
            return Ok(None);
        };
        let plan = self.plan.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let asked = ask(&index, &plan);
            asked.inspect_err(|error| index.discard(error))
        });
        match asked.await.map_err(|error| status::bug(&error.to_string()))? {
            Ok(batch) => Ok(batch),
            Err(error) => {
                tracing::warn!(%error, "the index does not answer; the rest of a page is walked");
                self.index = None;
                Ok(None)
            }
        }
    }

    /// Takes an entry where it is one of those looked for; `false` where the page ends before it.
    async fn take(&mut self, sequence: u64) -> Result<bool, Status> {
        if self.found.len() == self.page_size || !self.budget.allows() {
            return Ok(false);
        }
        self.read(sequence).await?;
        if let Some(frame) = self.block.as_ref().and_then(|block| frame(block, sequence)) {
            self.found.extend(self.entries.find(self.search, sequence, frame, self.budget.by).await?);
        }
        Ok(true)
    }

    /// Reads the block with an entry, and tells which others are in it; `None` where it is not there.
    async fn read(&mut self, sequence: u64) -> Result<Option<std::ops::Range<u64>>, Status> {
        if self.block.as_ref().is_none_or(|block| frame(block, sequence).is_none()) {
            self.block = self.entries.block(sequence).await?;
        }
        Ok(self.block.as_ref().map(|block| block.first..block.first + block.frames.len() as u64))
    }
}

fn frame(block: &Block, sequence: u64) -> Option<&Frame> {
    block.frames.get(usize::try_from(sequence.checked_sub(block.first)?).ok()?)
}
