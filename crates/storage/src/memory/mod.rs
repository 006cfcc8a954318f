//! The second store: the same promises without a disk, and faults on request.
//!
//! There are no threads: an operation is carried out, and its `done` called, inside the call, unless
//! [`Faults::hold`] is set. So a simulation that uses it is deterministic.

mod image;
mod inner;

use core::ops::{ControlFlow, Range};
use std::io::{self, Cursor, Write};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use latchkey_domain::planted::{self, Plant};

use self::image::Image;
use self::inner::Inner;
use crate::error::StoreError;
use crate::facts::Facts;
use crate::frame::RECORD_BYTES_MAX;
use crate::log::{LogBounds, LogRecord};
use crate::queue::Op;
use crate::rows::{Base, Generation, Mark, Row, RowBatch, RowKey, StateSource, bounded};
use crate::snapshot::{SnapshotName, SnapshotReader, SnapshotReceiver, SnapshotWriter, Target};
use crate::space::Space;
use crate::store::{Done, Store};
use crate::word::Word;

/// What a [`MemoryStore`] is to do wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Queue operations and carry out none, as a disk that stalls. Cleared, they are carried out in order.
    pub hold: bool,
    /// Refuse the append after this many more with [`StoreError::Io`]; nothing of it is kept.
    pub fail_append_after: Option<u64>,
    /// Fail the next sync. As a process that meets a failing disk, the store then stops.
    pub fail_sync: bool,
    /// Refuse rows with [`StoreError::DiskFull`], so that they lag behind the log.
    pub refuse_rows: bool,
    /// How much room there is.
    pub space: Space,
}

impl Default for Faults {
    fn default() -> Self {
        Self { hold: false, fail_append_after: None, fail_sync: false, refuse_rows: false, space: Space::Enough }
    }
}

/// A store in memory, for tests and simulations.
pub struct MemoryStore {
    facts: Facts,
    inner: Arc<Mutex<Inner>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(facts: Facts) -> Self {
        Self::from_image(facts, Image::default())
    }

    /// Ends this store as a power cut would, and opens what was durable.
    #[must_use]
    pub fn cut_power(&self) -> Self {
        let mut inner = self.lock();
        let unanswered = inner.stop("the power was cut");
        let image = inner.durable().clone();
        drop(inner);
        // Nobody is told: a power cut answers no one.
        drop(unanswered);
        Self::from_image(self.facts, image)
    }

    /// Ends this store in order, so that everything is durable, and opens it again. Faults are cleared.
    #[must_use]
    pub fn restart(&self) -> Self {
        self.set_faults(Faults::default());
        self.act(|inner| inner.push(Op::Sync { done: Box::new(|_| {}) }));
        self.cut_power()
    }

    /// Sets what is to go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.act(|inner| inner.faults = faults);
    }

    fn from_image(facts: Facts, image: Image) -> Self {
        Self { facts, inner: Arc::new(Mutex::new(Inner::load(image))) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Acts, carries out what waits, and calls back after the lock is free, so that a callback may call the store.
    fn act<T>(&self, act: impl FnOnce(&mut Inner) -> T) -> T {
        act_on(&self.inner, act)
    }

    fn open_target(&self, name: &SnapshotName) -> Box<dyn Target> {
        Box::new(MemoryTarget { name: name.clone(), bytes: Vec::new(), inner: Arc::clone(&self.inner) })
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().expect("nothing panics while it holds the store")
}

fn act_on<T>(inner: &Mutex<Inner>, act: impl FnOnce(&mut Inner) -> T) -> T {
    let mut inner = lock(inner);
    let answer = act(&mut inner);
    let answers = inner.carry_out();
    drop(inner);
    for (done, result) in answers {
        done(result);
    }
    answer
}

impl Store for MemoryStore {
    fn facts(&self) -> Facts {
        self.facts
    }

    fn space(&self) -> Space {
        self.lock().faults.space
    }

    fn append(&self, records: Vec<LogRecord>, done: Done) {
        if let Err((done, refused)) = self.act(|inner| match inner.admit(&records) {
            Ok(()) => {
                inner.append(records, done);
                Ok(())
            }
            Err(refused) => Err((done, refused)),
        }) {
            done(Err(refused));
        }
    }

    fn truncate_from(&self, index: u64, done: Done) {
        self.act(|inner| inner.truncate_from(index, done));
    }

    fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<LogRecord>, StoreError> {
        let inner = self.lock();
        inner.running()?;
        Ok(inner.read(range, bytes_max))
    }

    fn log_bounds(&self) -> LogBounds {
        self.lock().log_bounds()
    }

    fn promise_purge(&self, through: u64, marker: Bytes) {
        self.act(|inner| inner.promise_purge(through, marker));
    }

    fn save_word(&self, word: Word, bytes: Bytes, done: Done) {
        match bounded("word", bytes.len(), RECORD_BYTES_MAX) {
            Ok(()) if planted::is(Plant::VoteBeforeLog) => {
                self.act(|inner| inner.save_word(word, bytes, None));
                done(Ok(()));
            }
            Ok(()) => self.act(|inner| inner.save_word(word, bytes, Some(done))),
            Err(refused) => done(Err(refused)),
        }
    }

    fn save_word_lazily(&self, word: Word, bytes: Bytes) {
        let mut inner = self.lock();
        inner.save_word(word, bytes, None);
    }

    fn word(&self, word: Word) -> Option<Bytes> {
        self.lock().word(word)
    }

    fn state_source(&self) -> StateSource {
        self.lock().written.state_source()
    }

    fn state_durable_through(&self) -> Option<u64> {
        self.lock().durable().state_index()
    }

    fn write_rows(&self, batch: RowBatch) -> Result<(), StoreError> {
        batch.check()?;
        self.act(|inner| {
            inner.running()?;
            if inner.faults.refuse_rows {
                return Err(StoreError::DiskFull { free_bytes: 0, needed_bytes: 1 });
            }
            inner.written.write_rows(batch)
        })
    }

    fn read_row(&self, key: &RowKey) -> Result<Option<Bytes>, StoreError> {
        self.lock().written.read_row(key)
    }

    fn read_rows(&self, table: u8, ids: Range<&[u8]>, rows_max: usize) -> Result<Vec<Row>, StoreError> {
        self.lock().written.read_rows(table, ids, rows_max)
    }

    fn scan_rows(&self, visit: &mut dyn FnMut(Row) -> ControlFlow<()>) -> Result<(), StoreError> {
        // A clone is cheap and lets `visit` call the store.
        let image = self.lock().written.clone();
        image.scan_rows(visit)
    }

    fn begin_generation(&self) -> Result<Generation, StoreError> {
        self.lock().begin_generation()
    }

    fn write_generation(&self, generation: Generation, rows: Vec<Row>) -> Result<(), StoreError> {
        rows.iter().try_for_each(Row::check)?;
        self.lock().write_generation(generation, rows)
    }

    fn commit_generation(&self, generation: Generation, mark: Mark) -> Result<(), StoreError> {
        self.act(|inner| inner.commit_generation(generation, mark))
    }

    fn write_snapshot(&self, name: &SnapshotName) -> Result<SnapshotWriter, StoreError> {
        SnapshotWriter::new(self.open_target(name))
    }

    fn receive_snapshot(&self, name: &SnapshotName) -> Result<SnapshotReceiver, StoreError> {
        Ok(SnapshotReceiver::new(name.clone(), self.open_target(name)))
    }

    fn read_snapshot(&self, name: &SnapshotName) -> Result<SnapshotReader, StoreError> {
        let bytes = self.lock().written.snapshot(name)?;
        SnapshotReader::open(name, Box::new(Cursor::new(bytes)))
    }

    fn snapshots(&self) -> Result<Vec<SnapshotName>, StoreError> {
        Ok(self.lock().written.snapshot_names())
    }

    fn retain_snapshots(&self, keep: &[SnapshotName]) -> Result<(), StoreError> {
        self.lock().retain_snapshots(keep);
        Ok(())
    }

    fn set_base(&self, base: Base) -> Result<(), StoreError> {
        self.act(|inner| inner.set_base(base))
    }

    fn sync(&self, done: Done) {
        self.act(|inner| inner.push(Op::Sync { done }));
    }
}

/// A snapshot in the making.
struct MemoryTarget {
    name: SnapshotName,
    bytes: Vec<u8>,
    inner: Arc<Mutex<Inner>>,
}

impl Write for MemoryTarget {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for MemoryTarget {
    fn publish(self: Box<Self>) -> Result<(), StoreError> {
        let Self { name, bytes, inner } = *self;
        lock(&inner).publish(name, bytes.into())
    }
}
