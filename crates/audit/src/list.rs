//! One page of entries.

use crate::archive::{Archive, Found};
use crate::cluster::Cluster;
use crate::search::Search;
use crate::store::BLOCK_ENTRIES;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// Entries that one page looks at: a fifth of a second. A page that finds little in them is short, and says where to go on.
pub const SCAN_ENTRIES_MAX: u64 = 20_000;

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
}

/// What one page may still cost.
struct Budget {
    entries: u64,
    by: Instant,
}

impl Budget {
    const fn new(by: Instant) -> Self {
        Self { entries: SCAN_ENTRIES_MAX, by }
    }

    /// Whether one more entry may be looked at.
    fn allows(&mut self) -> bool {
        // The clock is not asked for each entry.
        let in_time = !self.entries.is_multiple_of(BLOCK_ENTRIES) || Instant::now() + ANSWER_MARGIN < self.by;
        let allowed = self.entries > 0 && (in_time || self.entries == SCAN_ENTRIES_MAX);
        self.entries = self.entries.saturating_sub(1);
        allowed
    }
}

impl<C: Cluster> Archive<C> {
    /// Reads one page. What is appended later changes nothing behind a cursor, so pages neither repeat an entry nor miss one.
    ///
    /// # Errors
    /// As [`Archive::find`].
    pub async fn list(&self, search: &Search, cursor: Cursor, page_size: usize, by: Instant) -> Result<Page, Status> {
        let stored = self.reader().next();
        match cursor {
            Cursor::From(from) => self.oldest_first(search, from, stored, page_size, by).await,
            Cursor::Below(below) => self.newest_first(search, below.min(stored), stored, page_size, by).await,
        }
    }

    async fn oldest_first(
        &self,
        search: &Search,
        from: u64,
        stored: u64,
        page_size: usize,
        by: Instant,
    ) -> Result<Page, Status> {
        let (mut at, mut budget, mut found) = (from, Budget::new(by), Vec::new());
        while at < stored {
            let Some(segment) = self.reader().segment(at) else { break };
            if segment.summary().is_some_and(|summary| !search.may_be_in(summary)) {
                at = segment.next();
                continue;
            }
            let Some(block) = self.block(at).await? else { break };
            for (sequence, frame) in (block.first..).zip(&block.frames).skip_while(|(sequence, _)| *sequence < at) {
                if sequence >= stored {
                    break;
                }
                if found.len() == page_size || !budget.allows() {
                    return Ok(Page { found, next: Some(Cursor::From(sequence)), stored });
                }
                found.extend(self.find(search, sequence, frame, by).await?);
            }
            at = block.first + block.frames.len() as u64;
        }
        Ok(Page { found, next: None, stored })
    }

    async fn newest_first(
        &self,
        search: &Search,
        below: u64,
        stored: u64,
        page_size: usize,
        by: Instant,
    ) -> Result<Page, Status> {
        let (mut below, mut budget, mut found) = (below, Budget::new(by), Vec::new());
        while let Some(last) = below.checked_sub(1) {
            let Some(segment) = self.reader().segment(last) else { break };
            if segment.summary().is_some_and(|summary| !search.may_be_in(summary)) {
                below = segment.first();
                continue;
            }
            let Some(block) = self.block(last).await? else { break };
            let entries = (block.first..below).zip(&block.frames).collect::<Vec<_>>();
            for (sequence, frame) in entries.into_iter().rev() {
                if found.len() == page_size || !budget.allows() {
                    return Ok(Page { found, next: Some(Cursor::Below(sequence + 1)), stored });
                }
                found.extend(self.find(search, sequence, frame, by).await?);
            }
            below = block.first;
        }
        Ok(Page { found, next: None, stored })
    }
}
