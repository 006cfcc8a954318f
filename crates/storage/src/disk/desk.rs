//! What callers and the writer share under one lock.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::chores::Chore;
use crate::log::{LogRecord, Purged};
use crate::log_view::LogView;
use crate::queue::{LogEnd, Op, Queue};
use crate::store::Done;
use crate::word::Word;

/// The log as readers see it, and all that waits for the writer.
#[derive(Default)]
pub(super) struct Desk {
    pub(super) view: LogView,
    pub(super) words: BTreeMap<Word, Bytes>,
    pub(super) queue: Queue,
    pub(super) chores: VecDeque<Chore>,
    /// Records that are queued and not yet in sled, with the ticket of their append: a record may be replaced by
    /// another of the same index before the first was written.
    pub(super) pending: BTreeMap<u64, (u64, Bytes)>,
    /// One past the last record in sled, or past the purge marker.
    pub(super) written_next: u64,
    pub(super) stop: bool,
    /// The writer has work in hand.
    pub(super) busy: bool,
    /// Counts appends.
    pub(super) tickets: u64,
}

/// What the writer does next.
pub(super) struct Work {
    pub(super) ops: Vec<Op>,
    pub(super) promise: Option<Purged>,
    pub(super) chore: Option<Chore>,
    pub(super) written_next: u64,
}

impl Desk {
    pub(super) fn push_append(&mut self, records: Vec<LogRecord>, done: Done) {
        self.tickets += 1;
        let ticket = self.tickets;
        self.pending.extend(records.iter().map(|record| (record.index, (ticket, record.bytes.clone()))));
        self.queue.push(Op::Append { ticket, records, done });
    }

    pub(super) fn push_truncate(&mut self, from: u64, done: Done) {
        let from = self.view.truncate_from(from);
        drop(self.pending.split_off(&from));
        self.queue.push(Op::Truncate { from, done });
    }

    pub(super) fn push_word(&mut self, word: Word, bytes: Bytes, done: Option<Done>) {
        self.words.insert(word, bytes.clone());
        self.queue.push(Op::SaveWord { word, bytes, done });
    }

    /// Keeps a word that nobody waits for: it goes with the next batch, so the writer is not woken.
    pub(super) fn note_word(&mut self, word: Word, bytes: Bytes) {
        if !self.stop {
            self.push_word(word, bytes, None);
        }
    }

    /// What may be done now; `state_through` is the point up to which the state is written. `eager` is a planted bug.
    pub(super) fn next_work(&mut self, state_through: Option<u64>, eager: bool) -> Option<Work> {
        let promised = self.view.promised();
        let promise = promised.filter(|promise| eager || state_through >= Some(promise.through)).cloned();
        let end = match &promise {
            Some(kept) => LogEnd { next: self.written_next.max(kept.through + 1), promised_past_end: None },
            None => LogEnd { next: self.written_next, promised_past_end: self.view.promised_past_end() },
        };
        // Lazily saved words go with others, and never alone.
        let is_urgent = promise.is_some() || self.queue.has_waiting();
        let ops = if is_urgent { self.queue.take(end) } else { Vec::new() };
        let chore = self.chores.front().filter(|_| !self.stop).cloned();
        let idle = ops.is_empty() && promise.is_none() && chore.is_none();
        (!idle).then_some(Work { ops, promise, chore, written_next: end.next })
    }

    /// Whether the writer would wait, whatever only a later event can release left aside.
    #[cfg(feature = "testing")]
    pub(super) fn is_idle(&self, state_through: Option<u64>) -> bool {
        let promised = self.view.promised().is_some_and(|promise| state_through >= Some(promise.through));
        self.chores.is_empty() && !promised && !self.queue.has_waiting()
    }

    /// `ops` and `promise` are on disk, and the log there ends before `written_next`.
    pub(super) fn settle(&mut self, ops: &[Op], promise: Option<Purged>, written_next: u64) {
        for op in ops {
            let Op::Append { ticket: written, records, .. } = op else { continue };
            for record in records {
                if self.pending.get(&record.index).is_some_and(|(ticket, _)| ticket == written) {
                    self.pending.remove(&record.index);
                }
            }
        }
        self.written_next = written_next;
        if let Some(kept) = promise {
            self.chores.push_back(Chore::Log { through: kept.through });
            self.view.keep_promise(kept);
        }
    }
}
