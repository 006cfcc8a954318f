//! The newest records of the log, as they were appended: each is read again at once, to be applied and to be sent to
//! each follower, and decoding it every time from what the disk gets costs more than keeping it.

use crate::types::Entry;
use openraft::EntryPayload;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of records that are kept: what a follower lags behind at most in normal times.
const BYTES_MAX: usize = 8 << 20;

/// What a record costs beside its bytes.
const ENTRY_BYTES: usize = 256;

/// The newest records, without a gap.
#[derive(Default)]
pub(crate) struct Recent(Mutex<Window>);

#[derive(Default)]
struct Window {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Recent {
    /// Takes in what is appended. It replaces what has the same indexes.
    pub(crate) fn append(&self, entries: Vec<Entry>) {
        let Some(first) = entries.first().map(|entry| entry.log_id.index) else { return };
        let mut window = self.window();
        window.truncate(first);
        if window.end().is_some_and(|end| end != first) {
            // What lies between was purged.
            *window = Window::default();
        }
        window.bytes += entries.iter().map(size).sum::<usize>();
        window.entries.extend(entries);
        while window.bytes > BYTES_MAX {
            let oldest = window.entries.pop_front();
            window.bytes -= oldest.as_ref().map_or(window.bytes, size);
        }
    }

    /// The records from this index on are gone.
    pub(crate) fn truncate(&self, from: u64) {
        self.window().truncate(from);
    }

    /// The records up to this index are hidden.
    pub(crate) fn purge(&self, through: u64) {
        let mut window = self.window();
        while let Some(purged) = window.entries.pop_front_if(|oldest| oldest.log_id.index <= through) {
            window.bytes -= size(&purged);
        }
    }

    /// Those of `range`, as many as fit in `bytes_max`, but at least one; `None` where the first is not at hand.
    pub(crate) fn read(&self, range: Range<u64>, bytes_max: usize) -> Option<Vec<Entry>> {
        let window = self.window();
        let start = window.entries.front()?.log_id.index;
        let from = usize::try_from(range.start.checked_sub(start)?).ok()?;
        let count = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            let is_first = bytes == 0;
            bytes += size(entry);
            is_first || bytes <= bytes_max
        };
        let read: Vec<_> = window.entries.iter().skip(from).take(count).take_while(fits).cloned().collect();
        (!read.is_empty()).then_some(read)
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Window {
    fn end(&self) -> Option<u64> {
        self.entries.back().map(|newest| newest.log_id.index + 1)
    }

    fn truncate(&mut self, from: u64) {
        while let Some(cut) = self.entries.pop_back_if(|newest| newest.log_id.index >= from) {
            self.bytes -= size(&cut);
        }
    }
}

fn size(entry: &Entry) -> usize {
    let payload = if let EntryPayload::Normal(command) = &entry.payload { command.sealed.len() } else { 0 };
    ENTRY_BYTES + payload
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{LogCommand, LogId};
    use openraft::CommittedLeaderId;

    fn entry(term: u64, index: u64, bytes: usize) -> Entry {
        let log_id = LogId::new(CommittedLeaderId::new(term, 1), index);
        let command = LogCommand { sealed: vec![7; bytes].into(), introduced: Vec::new(), trace: None };
        Entry { log_id, payload: EntryPayload::Normal(command) }
    }

    fn read(recent: &Recent, range: Range<u64>, bytes_max: usize) -> Option<Vec<(u64, u64)>> {
        let ids = |entry: &Entry| (entry.log_id.leader_id.term, entry.log_id.index);
        recent.read(range, bytes_max).map(|entries| entries.iter().map(ids).collect())
    }

    #[test]
    fn what_was_appended_is_read_as_far_as_it_fits() {
        let recent = Recent::default();
        recent.append((4..8).map(|index| entry(1, index, 100)).collect());
        assert_eq!(read(&recent, 5..9, usize::MAX), Some(vec![(1, 5), (1, 6), (1, 7)]));
        assert_eq!(read(&recent, 5..9, 1), Some(vec![(1, 5)]), "at least one, however long");
        assert_eq!(read(&recent, 3..9, usize::MAX), None, "the disk has the first");
        assert_eq!(read(&recent, 8..9, usize::MAX), None);
    }

    #[test]
    fn a_record_that_was_written_over_is_never_read_again() {
        let recent = Recent::default();
        recent.append((4..8).map(|index| entry(1, index, 100)).collect());
        recent.append(vec![entry(2, 6, 100)]);
        assert_eq!(read(&recent, 4..9, usize::MAX), Some(vec![(1, 4), (1, 5), (2, 6)]));
        recent.truncate(5);
        assert_eq!(read(&recent, 4..9, usize::MAX), Some(vec![(1, 4)]));
        recent.purge(4);
        assert_eq!(read(&recent, 4..9, usize::MAX), None);
    }

    #[test]
    fn the_oldest_go_first_when_there_are_too_many() {
        let recent = Recent::default();
        for index in 1..=20 {
            recent.append(vec![entry(1, index, 1 << 20)]);
        }
        assert_eq!(read(&recent, 13..21, usize::MAX), None);
        assert_eq!(read(&recent, 14..21, usize::MAX).map(|read| read.len()), Some(7));
    }

    #[test]
    fn a_gap_that_a_purge_left_is_not_bridged() {
        let recent = Recent::default();
        recent.append(vec![entry(1, 4, 1)]);
        recent.append(vec![entry(2, 9, 1)]);
        assert_eq!(read(&recent, 4..10, usize::MAX), None);
        assert_eq!(read(&recent, 9..10, usize::MAX), Some(vec![(2, 9)]));
    }
}
