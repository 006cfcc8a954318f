//! The store behind its lock.

use core::ops::Range;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use latchkey_domain::planted::{self, Plant};

use super::Faults;
use super::image::Image;
use crate::error::StoreError;
use crate::frame::RECORD_BYTES_MAX;
use crate::log::{LogBounds, LogRecord};
use crate::log_view::LogView;
use crate::queue::{LogEnd, Op, Queue};
use crate::rows::{Base, Generation, Mark, Row, bounded};
use crate::snapshot::SnapshotName;
use crate::space::Space;
use crate::store::Done;
use crate::word::Word;

pub(super) type Answers = Vec<(Done, Result<(), StoreError>)>;

pub(super) struct Inner {
    pub(super) faults: Faults,
    pub(super) written: Image,
    durable: Image,
    view: LogView,
    /// The log and the words as readers see them, ahead of what is written.
    log: OrdMap<u64, Bytes>,
    words: OrdMap<Word, Bytes>,
    queue: Queue,
    /// The highest generation that was begun, and whether it is still open.
    begun: u32,
    open: bool,
    stopped: Option<Arc<str>>,
}

impl Inner {
    pub(super) fn load(mut image: Image) -> Self {
        image.forget_other_generations(image.generation);
        let records = image.log.get_min().zip(image.log.get_max()).map(|((first, _), (last, _))| *first..*last + 1);
        Self {
            faults: Faults::default(),
            view: LogView::loaded(image.purged.clone(), records),
            log: image.log.clone(),
            words: image.words.clone(),
            queue: Queue::default(),
            begun: image.generation,
            open: false,
            stopped: None,
            durable: image.clone(),
            written: image,
        }
    }

    pub(super) fn durable(&self) -> &Image {
        &self.durable
    }

    pub(super) fn running(&self) -> Result<(), StoreError> {
        self.stopped.as_ref().map_or(Ok(()), |why| Err(StoreError::Stopped { why: Arc::clone(why) }))
    }

    pub(super) fn stop(&mut self, why: &str) -> Vec<Op> {
        self.stopped = self.stopped.take().or_else(|| Some(why.into()));
        self.queue.drain().collect()
    }

    pub(super) fn push(&mut self, op: Op) {
        self.queue.push(op);
    }

    pub(super) fn admit(&mut self, records: &[LogRecord]) -> Result<(), StoreError> {
        self.running()?;
        for record in records {
            bounded("log record", record.bytes.len(), RECORD_BYTES_MAX)?;
        }
        if self.faults.space == Space::Full {
            return Err(StoreError::DiskFull { free_bytes: 0, needed_bytes: 1 });
        }
        self.faults.fail_append_after = match self.faults.fail_append_after {
            Some(0) => {
                self.faults.fail_append_after = None;
                return Err(StoreError::io("append", io::Error::other("asked to fail")));
            }
            more => more.map(|more| more - 1),
        };
        self.view.append(records.iter().map(|record| record.index))
    }

    pub(super) fn append(&mut self, records: Vec<LogRecord>, done: Done) {
        self.log.extend(records.iter().map(|record| (record.index, record.bytes.clone())));
        self.queue.push(Op::Append { ticket: 0, records, done });
    }

    pub(super) fn truncate_from(&mut self, index: u64, done: Done) {
        let index = self.view.truncate_from(index);
        self.log = below(&self.log, index);
        self.queue.push(Op::Truncate { from: index, done });
    }

    pub(super) fn read(&self, range: Range<u64>, bytes_max: usize) -> Vec<LogRecord> {
        let mut records = Vec::new();
        let mut bytes_left = bytes_max;
        for (index, bytes) in self.log.range(self.view.clip(range)) {
            if !records.is_empty() && bytes.len() > bytes_left {
                break;
            }
            bytes_left = bytes_left.saturating_sub(bytes.len());
            records.push(LogRecord { index: *index, bytes: bytes.clone() });
        }
        records
    }

    pub(super) fn log_bounds(&self) -> LogBounds {
        self.view.bounds()
    }

    pub(super) fn promise_purge(&mut self, through: u64, marker: Bytes) {
        self.view.promise(through, marker);
    }

    pub(super) fn save_word(&mut self, word: Word, bytes: Bytes, done: Option<Done>) {
        self.words.insert(word, bytes.clone());
        if planted::is(Plant::VoteBeforeLog) {
            self.durable.words.insert(word, bytes.clone());
            self.written.words.insert(word, bytes.clone());
        }
        self.queue.push(Op::SaveWord { word, bytes, done });
    }

    pub(super) fn word(&self, word: Word) -> Option<Bytes> {
        self.words.get(&word).cloned()
    }

    pub(super) fn begin_generation(&mut self) -> Result<Generation, StoreError> {
        self.running()?;
        let current = self.written.generation;
        self.written.forget_other_generations(current);
        self.begun += 1;
        self.open = true;
        Ok(Generation(self.begun))
    }

    pub(super) fn write_generation(&mut self, generation: Generation, rows: Vec<Row>) -> Result<(), StoreError> {
        self.is_open(generation)?;
        self.written.rows.extend(rows.into_iter().map(|row| ((generation.0, row.key), row.bytes)));
        Ok(())
    }

    pub(super) fn commit_generation(&mut self, generation: Generation, mark: Mark) -> Result<(), StoreError> {
        self.is_open(generation)?;
        self.open = false;
        self.written.generation = generation.0;
        self.written.mark = Some(mark);
        self.written.base = None;
        self.written.forget_other_generations(generation.0);
        self.sync()
    }

    pub(super) fn set_base(&mut self, base: Base) -> Result<(), StoreError> {
        self.running()?;
        self.written.snapshot(&base.name)?;
        if let Some(expected) = self.written.state_index().filter(|index| *index > base.index) {
            return Err(StoreError::Gap { expected, found: base.index });
        }
        self.written.base = Some(base);
        // Begun for an older state: committed now, it would take this base away.
        self.open = false;
        self.sync()
    }

    /// Snapshot files do not pass through the queue, so they are durable without the rest.
    pub(super) fn publish(&mut self, name: SnapshotName, bytes: Bytes) -> Result<(), StoreError> {
        self.running()?;
        self.durable.snapshots.insert(name.clone(), bytes.clone());
        self.written.snapshots.insert(name, bytes);
        Ok(())
    }

    pub(super) fn retain_snapshots(&mut self, keep: &[SnapshotName]) {
        self.written.retain_snapshots(keep);
        self.durable.retain_snapshots(keep);
    }

    /// Carries out what may be, and says whom to tell what.
    pub(super) fn carry_out(&mut self) -> Answers {
        let mut answers = Answers::new();
        while self.stopped.is_none() && !self.faults.hold {
            let kept = self.keep_promise();
            let ops = self.queue.take(self.log_end());
            if ops.is_empty() && !kept {
                return answers;
            }
            ops.iter().for_each(|op| self.write(op));
            let result = self.sync();
            answers.extend(ops.into_iter().filter_map(Op::into_done).map(|done| (done, result.clone())));
        }
        if let Err(stopped) = self.running() {
            let unanswered = self.queue.drain().filter_map(Op::into_done);
            answers.extend(unanswered.map(|done| (done, Err(stopped.clone()))));
        }
        answers
    }

    fn keep_promise(&mut self) -> bool {
        let state_index = self.written.state_index();
        let may = |through| state_index >= Some(through) || planted::is(Plant::PurgeBeforeInstall);
        let Some(promise) = self.view.promised().filter(|promise| may(promise.through)).cloned() else {
            return false;
        };
        self.written.log = from(&self.written.log, promise.through + 1);
        self.log = from(&self.log, promise.through + 1);
        self.written.purged = Some(promise.clone());
        self.view.keep_promise(promise);
        true
    }

    fn log_end(&self) -> LogEnd {
        let purged = self.written.purged.as_ref().map_or(0, |purged| purged.through + 1);
        let next = self.written.log.get_max().map_or(purged, |(last, _)| last + 1);
        LogEnd { next, promised_past_end: self.view.promised_past_end() }
    }

    fn write(&mut self, op: &Op) {
        match op {
            Op::Append { records, .. } => {
                self.written.log.extend(records.iter().map(|record| (record.index, record.bytes.clone())));
            }
            Op::Truncate { from, .. } => self.written.log = below(&self.written.log, *from),
            Op::SaveWord { word, bytes, .. } => {
                self.written.words.insert(*word, bytes.clone());
            }
            Op::Sync { .. } => {}
        }
    }

    fn sync(&mut self) -> Result<(), StoreError> {
        if core::mem::take(&mut self.faults.fail_sync) {
            self.stopped = Some("asked to fail a sync".into());
        }
        self.running()?;
        if !planted::is(Plant::SkippedSync) {
            self.durable = self.written.clone();
        }
        Ok(())
    }

    fn is_open(&self, generation: Generation) -> Result<(), StoreError> {
        self.running()?;
        if self.open && generation.0 == self.begun {
            return Ok(());
        }
        Err(StoreError::GenerationAbandoned { generation: generation.0 })
    }
}

fn below(log: &OrdMap<u64, Bytes>, index: u64) -> OrdMap<u64, Bytes> {
    log.split(&index).0
}

fn from(log: &OrdMap<u64, Bytes>, index: u64) -> OrdMap<u64, Bytes> {
    let (_, at, mut above) = log.split_lookup(&index);
    above.extend(at.map(|bytes| (index, bytes)));
    above
}
