//! The runs there are, by tier and part.

use super::manifest::RunEntry;
use super::tier::Tier;
use crate::run::Reader;
use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A run, and what the manifest says of it.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) entry: RunEntry,
    pub(crate) reader: Reader,
    /// Whether its file goes with the last who reads it.
    gone: AtomicBool,
    /// Whether it could not be merged, and is left as it is.
    left_out: AtomicBool,
}

/// All runs. Cheap to clone; what was cloned stays readable.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shelf {
    parts: BTreeMap<(Tier, u32), Vec<Arc<Run>>>,
}

impl Run {
    pub(crate) fn new(entry: RunEntry, reader: Reader) -> Arc<Self> {
        Arc::new(Self { entry, reader, gone: AtomicBool::new(false), left_out: AtomicBool::new(false) })
    }

    /// No line in it is newer. Milliseconds since 1970.
    pub(crate) fn newest_ms(&self) -> u64 {
        let noted = self.reader.note().first_chunk().map(|noted| u64::from_be_bytes(*noted));
        noted.unwrap_or_else(|| self.entry.tier.part_ends_ms(self.entry.part).saturating_sub(1))
    }

    /// What is noted in a run of lines, none of which is newer.
    pub(crate) fn note(newest_ms: Option<u64>) -> Vec<u8> {
        newest_ms.map(u64::to_be_bytes).map(Vec::from).unwrap_or_default()
    }

    /// Leaves it out of merges, for as long as this process lives.
    pub(crate) fn leave_out(&self) {
        self.left_out.store(true, Ordering::Relaxed);
    }

    /// Whether it is left out of merges.
    pub(crate) fn is_left_out(&self) -> bool {
        self.left_out.load(Ordering::Relaxed)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.gone.load(Ordering::Relaxed) {
            // What stays is removed at the next start.
            let _ = fs::remove_file(self.reader.path());
        }
    }
}

impl Shelf {
    pub(crate) fn add(&mut self, run: Arc<Run>) {
        self.parts.entry((run.entry.tier, run.entry.part)).or_default().push(run);
    }

    /// Takes runs out; their files go once nobody reads them.
    pub(crate) fn remove(&mut self, runs: &[Arc<Run>]) {
        for run in runs {
            run.gone.store(true, Ordering::Relaxed);
            if let Some(part) = self.parts.get_mut(&(run.entry.tier, run.entry.part)) {
                part.retain(|one| one.entry.number != run.entry.number);
            }
        }
        self.parts.retain(|_, part| !part.is_empty());
    }

    /// Parts with their runs, the oldest run first.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Tier, u32, &[Arc<Run>])> {
        self.parts.iter().map(|((tier, part), runs)| (*tier, *part, &runs[..]))
    }

    /// The parts of a tier that steps from one on and below another lie in.
    pub(crate) fn within(&self, tier: Tier, steps: std::ops::Range<u32>) -> impl Iterator<Item = (u32, &[Arc<Run>])> {
        let last = tier.part_of(steps.end.saturating_sub(1));
        let parts = self.parts.range((tier, tier.part_of(steps.start))..=(tier, last));
        parts.map(|((_, part), runs)| (*part, &runs[..]))
    }

    pub(crate) fn runs(&self) -> impl Iterator<Item = &Arc<Run>> {
        self.parts.values().flatten()
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        self.runs().map(|run| run.reader.bytes()).sum()
    }

    /// Bytes of memory that readers take now.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.runs().map(|run| run.reader.memory_bytes()).sum()
    }
}
