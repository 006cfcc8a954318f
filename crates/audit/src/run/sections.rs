//! The sections that all readers of this process keep, together within one bound: what was not asked for longest goes first.

use super::section::Section;
use latchkey_domain::TenantNumber;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bytes of sections that a process keeps, whatever the number of its runs.
pub const SECTIONS_BYTES_MAX: usize = 256 << 20;

/// What a section takes beside its own bytes: its places here.
const PLACE_BYTES: usize = 256;

static ALL: Mutex<Option<Sections>> = Mutex::new(None);
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A reader, as far as it has sections here. They go with it.
#[derive(Debug)]
pub(super) struct Kept(u64);

/// The section of a tenant in the run of a reader.
type Whose = (u64, TenantNumber);

#[derive(Debug)]
struct Sections {
    bytes_max: usize,
    bytes: usize,
    known: BTreeMap<Whose, (Arc<Section>, u64)>,
    /// By when they were asked for last, in turns.
    turns: BTreeMap<u64, Whose>,
    by_reader: HashMap<u64, usize>,
    turn: u64,
}

impl Kept {
    pub(super) fn new() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn find(&self, tenant: TenantNumber) -> Option<Arc<Section>> {
        locked(|all| all.find((self.0, tenant)))
    }

    pub(super) fn keep(&self, tenant: TenantNumber, section: Arc<Section>) {
        locked(|all| all.keep((self.0, tenant), section));
    }

    /// Bytes of memory that this reader has here.
    pub(super) fn bytes(&self) -> usize {
        locked(|all| all.by_reader.get(&self.0).copied().unwrap_or(0))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        locked(|all| all.forget(self.0));
    }
}

fn locked<T>(work: impl FnOnce(&mut Sections) -> T) -> T {
    let mut all: MutexGuard<'_, _> = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    work(all.get_or_insert_with(|| Sections::new(SECTIONS_BYTES_MAX)))
}

impl Sections {
    fn new(bytes_max: usize) -> Self {
        let (known, turns, by_reader) = (BTreeMap::new(), BTreeMap::new(), HashMap::new());
        Self { bytes_max, bytes: 0, known, turns, by_reader, turn: 0 }
    }

    fn find(&mut self, whose: Whose) -> Option<Arc<Section>> {
        let (section, turn) = self.known.get_mut(&whose)?;
        self.turns.remove(turn);
        self.turn += 1;
        *turn = self.turn;
        self.turns.insert(self.turn, whose);
        Some(section.clone())
    }

    fn keep(&mut self, whose: Whose, section: Arc<Section>) {
        self.remove(whose);
        let bytes = bytes_of(&section);
        if bytes > self.bytes_max {
            return;
        }
        while self.bytes + bytes > self.bytes_max {
            let Some((_, oldest)) = self.turns.first_key_value() else { break };
            self.remove(*oldest);
        }
        self.turn += 1;
        self.known.insert(whose, (section, self.turn));
        self.turns.insert(self.turn, whose);
        self.bytes += bytes;
        *self.by_reader.entry(whose.0).or_default() += bytes;
    }

    fn remove(&mut self, whose: Whose) {
        let Some((section, turn)) = self.known.remove(&whose) else { return };
        self.turns.remove(&turn);
        let bytes = bytes_of(&section);
        self.bytes -= bytes;
        if let Some(of_reader) = self.by_reader.get_mut(&whose.0) {
            *of_reader -= bytes;
        }
    }

    fn forget(&mut self, reader: u64) {
        let range = (reader, TenantNumber(0))..=(reader, TenantNumber(u32::MAX));
        let gone: Vec<_> = self.known.range(range).map(|(whose, _)| *whose).collect();
        gone.into_iter().for_each(|whose| self.remove(whose));
        self.by_reader.remove(&reader);
    }
}

fn bytes_of(section: &Section) -> usize {
    section.bytes() + PLACE_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::bloom::Collector;
    use crate::run::section::Fence;

    fn section() -> Arc<Section> {
        let fences = vec![Fence { offset: 0, length: 1, items: 1, first: vec![1; 100] }];
        Arc::new(Section { bloom: Collector::default().finish(), fences, last: vec![1; 100] })
    }

    #[test]
    fn all_readers_together_keep_what_was_asked_for_last_within_one_bound() {
        let each = bytes_of(&section());
        let mut all = Sections::new(each * 4);
        let first = (1, TenantNumber(1));
        for reader in 1..100 {
            all.keep((reader, TenantNumber(1)), section());
            assert!(all.bytes <= all.bytes_max && all.known.len() <= 4 && all.turns.len() == all.known.len());
            assert!(all.find(first).is_some(), "it is asked for all the time");
        }
        assert!(all.find((99, TenantNumber(1))).is_some() && all.find((50, TenantNumber(1))).is_none());
        all.keep((99, TenantNumber(1)), section());
        (1..100).for_each(|reader| all.forget(reader));
        assert_eq!((all.bytes, all.known.len(), all.turns.len(), all.by_reader.len()), (0, 0, 0, 0));
    }
}
