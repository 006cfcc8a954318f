//! What waits to be made durable, and which of it must wait for more than its turn.

use core::mem;
use std::collections::VecDeque;

use bytes::Bytes;
use latchkey_domain::planted::{self, Plant};

use crate::log::LogRecord;
use crate::store::Done;
use crate::word::Word;

/// Bytes taken at once. Keeps one sync under a few tens of milliseconds while many wait.
const TAKE_BYTES_MAX: usize = 8 << 20;

/// One operation that waits.
pub(crate) enum Op {
    Append { ticket: u64, records: Vec<LogRecord>, done: Done },
    Truncate { from: u64, done: Done },
    SaveWord { word: Word, bytes: Bytes, done: Option<Done> },
    Sync { done: Done },
}

impl Op {
    /// Whom to tell.
    pub(crate) fn into_done(self) -> Option<Done> {
        match self {
            Self::Append { done, .. } | Self::Truncate { done, .. } | Self::Sync { done } => Some(done),
            Self::SaveWord { done, .. } => done,
        }
    }

    fn is_of_log(&self) -> bool {
        matches!(self, Self::Append { .. } | Self::Truncate { .. })
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Append { records, .. } => records.iter().map(|record| record.bytes.len()).sum(),
            Self::SaveWord { bytes, .. } => bytes.len(),
            Self::Truncate { .. } | Self::Sync { .. } => 0,
        }
    }
}

/// Where the log on disk ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogEnd {
    /// One past the last record, or past the purge marker.
    pub(crate) next: u64,
    /// How far a promised purge reaches that ran past the end of the log, while the state does not cover it.
    pub(crate) promised_past_end: Option<u64>,
}

impl LogEnd {
    /// Whether the operation would leave a hole on disk that only a promise, which a cut forgets, explains.
    fn leaves_hole(&self, op: &Op) -> bool {
        let Op::Append { records, .. } = op else { return false };
        let runs_past = self.promised_past_end.is_some_and(|through| through >= self.next);
        runs_past && records.first().is_some_and(|first| first.index > self.next)
    }

    fn after(&mut self, op: &Op) {
        match op {
            Op::Append { records, .. } => self.next = records.last().map_or(self.next, |last| last.index + 1),
            Op::Truncate { from, .. } => self.next = self.next.min(*from),
            Op::SaveWord { .. } | Op::Sync { .. } => {}
        }
    }
}

/// The operations that wait, in order.
///
/// The callers bound it: raft has a bounded number of appends under way.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Op>,
    /// Operations of the log behind one that would leave a hole. The others pass them.
    held: VecDeque<Op>,
}

impl Queue {
    pub(crate) fn push(&mut self, op: Op) {
        self.waiting.push_back(op);
    }

    /// All that may be carried out now, up to a bound in bytes.
    pub(crate) fn take(&mut self, mut end: LogEnd) -> Vec<Op> {
        let mut queued = mem::take(&mut self.held);
        queued.append(&mut self.waiting);
        let mut taken = Vec::new();
        let mut bytes = 0;
        while bytes < TAKE_BYTES_MAX {
            let Some(op) = queued.pop_front() else { break };
            if op.is_of_log() && (!self.held.is_empty() || end.leaves_hole(&op)) && !planted::is(Plant::PurgeHole) {
                self.held.push_back(op);
                continue;
            }
            end.after(&op);
            bytes += op.bytes();
            taken.push(op);
        }
        self.waiting = queued;
        taken
    }

    /// Whether anybody waits for no more than a turn. Nobody waits for a lazily saved word.
    pub(crate) fn has_waiting(&self) -> bool {
        !self.waiting.iter().all(|op| matches!(op, Op::SaveWord { done: None, .. }))
    }

    /// Everything, to be told that the store has stopped.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Op> {
        mem::take(&mut self.held).into_iter().chain(mem::take(&mut self.waiting))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn append(index: u64) -> Op {
        let records = vec![LogRecord { index, bytes: Bytes::new() }];
        Op::Append { ticket: index, records, done: Box::new(|_| {}) }
    }

    fn kinds(ops: &[Op]) -> Vec<Option<u64>> {
        ops.iter().map(|op| if let Op::Append { ticket, .. } = op { Some(*ticket) } else { None }).collect()
    }

    #[test]
    fn an_append_beyond_a_promise_waits_and_words_pass_it() {
        let mut queue = Queue::default();
        queue.push(append(21));
        queue.push(append(22));
        queue.push(Op::Sync { done: Box::new(|_| {}) });
        assert_eq!(kinds(&queue.take(LogEnd { next: 6, promised_past_end: Some(20) })), [None]);
        assert_eq!(kinds(&queue.take(LogEnd { next: 21, promised_past_end: None })), [Some(21), Some(22)]);
    }

    #[test]
    fn an_append_that_follows_the_log_on_disk_does_not_wait_for_a_promise() {
        let mut queue = Queue::default();
        queue.push(append(30));
        assert_eq!(kinds(&queue.take(LogEnd { next: 30, promised_past_end: Some(20) })), [Some(30)]);
    }
}
