//! A storage whose rows end after so many writes, as if the process had been killed there.

use bytes::Bytes;
use latchkey_storage::{
    Base, Done, Facts, Generation, LogBounds, LogRecord, Mark, MemoryStore, Row, RowBatch, RowKey, SnapshotName,
    SnapshotReader, SnapshotReceiver, SnapshotWriter, Space, StateSource, Store, StoreError, Word,
};
use std::ops::{ControlFlow, Range};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More than any test writes.
const NEVER: usize = usize::MAX / 2;

/// Over a storage in memory, whose power is then cut.
pub struct CutStore {
    inner: Arc<MemoryStore>,
    left: AtomicUsize,
}

impl CutStore {
    pub fn new(inner: Arc<MemoryStore>) -> Self {
        Self { inner, left: AtomicUsize::new(NEVER) }
    }

    pub fn end_rows_after(&self, writes: usize) {
        self.left.store(writes, Ordering::SeqCst);
    }

    pub fn has_ended(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }
}

impl Store for CutStore {
    fn facts(&self) -> Facts {
        self.inner.facts()
    }

    fn space(&self) -> Space {
        self.inner.space()
    }

    fn append(&self, records: Vec<LogRecord>, done: Done) {
        self.inner.append(records, done);
    }

    fn truncate_from(&self, index: u64, done: Done) {
        self.inner.truncate_from(index, done);
    }

    fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<LogRecord>, StoreError> {
        self.inner.read(range, bytes_max)
    }

    fn log_bounds(&self) -> LogBounds {
        self.inner.log_bounds()
    }

    fn promise_purge(&self, through: u64, marker: Bytes) {
        self.inner.promise_purge(through, marker);
    }

    fn save_word(&self, word: Word, bytes: Bytes, done: Done) {
        self.inner.save_word(word, bytes, done);
    }

    fn save_word_lazily(&self, word: Word, bytes: Bytes) {
        self.inner.save_word_lazily(word, bytes);
    }

    fn word(&self, word: Word) -> Option<Bytes> {
        self.inner.word(word)
    }

    fn state_source(&self) -> StateSource {
        self.inner.state_source()
    }

    fn state_durable_through(&self) -> Option<u64> {
        self.inner.state_durable_through()
    }

    fn write_rows(&self, batch: RowBatch) -> Result<(), StoreError> {
        let left = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match left {
            Ok(_) => self.inner.write_rows(batch),
            Err(_) => Err(StoreError::Stopped { why: "the process was killed here".into() }),
        }
    }

    fn read_row(&self, key: &RowKey) -> Result<Option<Bytes>, StoreError> {
        self.inner.read_row(key)
    }

    fn read_rows(&self, table: u8, ids: Range<&[u8]>, rows_max: usize) -> Result<Vec<Row>, StoreError> {
        self.inner.read_rows(table, ids, rows_max)
    }

    fn scan_rows(&self, visit: &mut dyn FnMut(Row) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.inner.scan_rows(visit)
    }

    fn begin_generation(&self) -> Result<Generation, StoreError> {
        self.inner.begin_generation()
    }

    fn write_generation(&self, generation: Generation, rows: Vec<Row>) -> Result<(), StoreError> {
        self.inner.write_generation(generation, rows)
    }

    fn commit_generation(&self, generation: Generation, mark: Mark) -> Result<(), StoreError> {
        self.inner.commit_generation(generation, mark)
    }

    fn write_snapshot(&self, name: &SnapshotName) -> Result<SnapshotWriter, StoreError> {
        self.inner.write_snapshot(name)
    }

    fn receive_snapshot(&self, name: &SnapshotName) -> Result<SnapshotReceiver, StoreError> {
        self.inner.receive_snapshot(name)
    }

    fn read_snapshot(&self, name: &SnapshotName) -> Result<SnapshotReader, StoreError> {
        self.inner.read_snapshot(name)
    }

    fn snapshots(&self) -> Result<Vec<SnapshotName>, StoreError> {
        self.inner.snapshots()
    }

    fn retain_snapshots(&self, keep: &[SnapshotName]) -> Result<(), StoreError> {
        self.inner.retain_snapshots(keep)
    }

    fn set_base(&self, base: Base) -> Result<(), StoreError> {
        self.inner.set_base(base)
    }

    fn sync(&self, done: Done) {
        self.inner.sync(done);
    }
}
