//! [`SledStore`]: callers on many threads, one writer.

use core::ops::{ControlFlow, Range};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, RwLockReadGuard};
use std::thread::{self, JoinHandle};

use bytes::Bytes;

use super::chores::Chore;
use super::engine::{Engine, REMOVALS_MAX};
use super::open::{self, Opened};
use super::options::Options;
use super::shared::Shared;
use super::standing::{self, Standing};
use super::writer::Writer;
use super::{log, rows};
use crate::error::{OpenError, StoreError};
use crate::facts::Facts;
use crate::frame::RECORD_BYTES_MAX;
use crate::log::{LogBounds, LogRecord};
use crate::queue::Op;
use crate::rows::{Base, Generation, Mark, Row, RowBatch, RowKey, StateSource, bounded};
use crate::snapshot::{SnapshotName, SnapshotReader, SnapshotReceiver, SnapshotWriter};
use crate::space::Space;
use crate::store::{Done, Store, wait};
use crate::word::Word;

/// A store in a folder. Dropping it finishes what waits, makes it durable, and lets the folder go.
pub struct SledStore {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

impl SledStore {
    /// Makes the folder of a new replica, durable on return. It may exist, empty.
    /// # Errors
    /// [`OpenError::NotEmpty`] if something lies there that was not left by an attempt to make it.
    pub fn create(path: &Path, facts: &Facts, options: &Options) -> Result<(), OpenError> {
        open::create(path, facts, options)
    }

    /// Opens the folder of a replica and checks the log and the words. Reads the whole log, not the rows.
    /// # Errors
    /// [`OpenError`]; after [`OpenError::Damaged`] the folder is evidence, and the replica is to be rebuilt.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let Opened { facts, witness, loaded, folder } = open::open(path, options)?;
        let shared = Arc::new(Shared::new(facts, loaded, folder, options)?);
        let writer = Writer::new(Arc::clone(&shared), witness);
        let writer = thread::Builder::new()
            .name("latchkey-writer".into())
            .spawn(move || writer.run())
            .map_err(|source| OpenError::Io { action: "start a thread for", path: path.into(), source })?;
        Ok(Self { shared, writer: Some(writer) })
    }

    fn rows_of(&self) -> Result<RwLockReadGuard<'_, Standing>, StoreError> {
        let standing = self.shared.standing();
        standing.rows_stand()?;
        Ok(standing)
    }

    fn synced(&self) -> Result<(), StoreError> {
        wait(|done| self.sync(done))
    }
}

#[cfg(feature = "testing")]
impl SledStore {
    /// Waits until the writer has nothing left to do, so that the files stand still and may be copied.
    pub fn settle(&self) {
        self.shared.settle();
    }
}

impl Drop for SledStore {
    fn drop(&mut self) {
        self.sync(Box::new(|_| {}));
        self.shared.stop_writer();
        let Some(writer) = self.writer.take() else { return };
        // A callback may drop the last handle on the writer's own thread, which cannot wait for itself.
        if writer.thread().id() != thread::current().id() {
            drop(writer.join());
        }
    }
}

impl Store for SledStore {
    fn facts(&self) -> Facts {
        self.shared.facts
    }

    fn space(&self) -> Space {
        self.shared.gate.space()
    }

    fn append(&self, records: Vec<LogRecord>, done: Done) {
        let admitted = (|| {
            for record in &records {
                bounded("log record", record.bytes.len(), RECORD_BYTES_MAX)?;
            }
            self.shared.gate.admit(records.iter().map(|record| record.bytes.len()).sum())
        })();
        if let Err(refused) = admitted {
            return done(Err(refused));
        }
        let mut refused = None;
        self.shared.queue(done, |desk, done| match desk.view.append(records.iter().map(|record| record.index)) {
            Ok(()) => desk.push_append(records, done),
            Err(gap) => refused = Some((done, gap)),
        });
        if let Some((done, gap)) = refused {
            done(Err(gap));
        }
    }

    fn truncate_from(&self, index: u64, done: Done) {
        self.shared.queue(done, |desk, done| desk.push_truncate(index, done));
    }

    fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<LogRecord>, StoreError> {
        loop {
            let desk = self.shared.lock();
            let cuts = desk.view.cuts();
            let range = desk.view.clip(range.clone());
            let pending: BTreeMap<u64, Bytes> =
                desk.pending.range(range.clone()).map(|(index, (_, bytes))| (*index, bytes.clone())).collect();
            drop(desk);
            let read = read_records(&self.shared.engine, range, &pending, bytes_max);
            // A truncation or purge in between may have removed what was looked for.
            if read.is_ok() || self.shared.lock().view.cuts() == cuts {
                return read;
            }
        }
    }

    fn log_bounds(&self) -> LogBounds {
        self.shared.lock().view.bounds()
    }

    fn promise_purge(&self, through: u64, marker: Bytes) {
        assert!(marker.len() <= RECORD_BYTES_MAX, "a purge marker names a point in the log");
        self.shared.lock().view.promise(through, marker);
        self.shared.wake_writer();
    }

    fn save_word(&self, word: Word, bytes: Bytes, done: Done) {
        match bounded("word", bytes.len(), RECORD_BYTES_MAX) {
            Ok(()) => self.shared.queue(done, |desk, done| desk.push_word(word, bytes, Some(done))),
            Err(refused) => done(Err(refused)),
        }
    }

    fn save_word_lazily(&self, word: Word, bytes: Bytes) {
        assert!(bytes.len() <= RECORD_BYTES_MAX, "a word is a small value");
        self.shared.lock().note_word(word, bytes);
    }

    fn word(&self, word: Word) -> Option<Bytes> {
        self.shared.lock().words.get(&word).cloned()
    }

    fn state_source(&self) -> StateSource {
        self.shared.standing().source()
    }

    fn state_durable_through(&self) -> Option<u64> {
        self.shared.state_durable_through()
    }

    fn write_rows(&self, batch: RowBatch) -> Result<(), StoreError> {
        batch.check()?;
        let RowBatch { puts, deletes, mark } = batch;
        let engine = &self.shared.engine;
        let mut standing = self.shared.standing_mut();
        standing.rows_stand()?;
        let generation = standing.generation;
        let mut applied = sled::Batch::default();
        for key in &deletes {
            rows::remove(engine, &mut applied, generation, key)?;
        }
        // The last put of a row counts, and must not leave chunks of an earlier one in the batch.
        let puts: BTreeMap<&RowKey, &Row> = puts.iter().map(|row| (&row.key, row)).collect();
        for row in puts.into_values() {
            rows::put(engine, &mut applied, generation, row)?;
        }
        standing::put_mark(engine, &mut applied, generation, &mark)?;
        engine.apply(&engine.rows, applied)?;
        let index = mark.index;
        standing.mark = Some(mark);
        drop(standing);
        self.shared.written_through(index);
        Ok(())
    }

    fn read_row(&self, key: &RowKey) -> Result<Option<Bytes>, StoreError> {
        key.check()?;
        let standing = self.rows_of()?;
        rows::read(&self.shared.engine, standing.generation, key)
    }

    fn read_rows(&self, table: u8, ids: Range<&[u8]>, rows_max: usize) -> Result<Vec<Row>, StoreError> {
        RowKey { table, id: Bytes::new() }.check()?;
        let standing = self.rows_of()?;
        if ids.start >= ids.end {
            return Ok(Vec::new());
        }
        rows::some(&self.shared.engine, standing.generation, table, &ids).take(rows_max).collect()
    }

    fn scan_rows(&self, visit: &mut dyn FnMut(Row) -> ControlFlow<()>) -> Result<(), StoreError> {
        let generation = self.rows_of()?.generation;
        for row in rows::all(&self.shared.engine, generation) {
            let row = row?;
            // Rows of a generation that was replaced meanwhile are being removed, so what was shown is not a state.
            self.same_generation(generation)?;
            if visit(row).is_break() {
                return Ok(());
            }
        }
        self.same_generation(generation)
    }

    fn begin_generation(&self) -> Result<Generation, StoreError> {
        self.shared.running()?;
        let mut standing = self.shared.standing_mut();
        standing.begun += 1;
        let begun = standing.begun;
        let abandoned = standing.open.replace(begun);
        drop(standing);
        self.remove_generations(abandoned.map(|abandoned| abandoned..abandoned + 1));
        Ok(Generation(begun))
    }

    fn write_generation(&self, generation: Generation, rows: Vec<Row>) -> Result<(), StoreError> {
        rows.iter().try_for_each(Row::check)?;
        self.shared.standing().writes(generation)?;
        let engine = &self.shared.engine;
        for rows in rows.chunks(REMOVALS_MAX) {
            // Taken for each batch, so that readers of the current rows get their turn.
            let standing = self.shared.standing_mut();
            standing.writes(generation)?;
            let mut batch = sled::Batch::default();
            for row in rows {
                rows::put_new(&mut batch, generation.0, row);
            }
            engine.apply(&engine.rows, batch)?;
        }
        Ok(())
    }

    fn commit_generation(&self, generation: Generation, mark: Mark) -> Result<(), StoreError> {
        bounded("mark", mark.bytes.len(), RECORD_BYTES_MAX)?;
        let engine = &self.shared.engine;
        self.shared.standing().writes(generation)?;
        // The rows must be on the disk before anything there says that they count. No lock is held while waiting for
        // the writer, whose callbacks may want it.
        self.synced()?;
        let mut standing = self.shared.standing_mut();
        standing.writes(generation)?;
        let mut batch = sled::Batch::default();
        standing::put_mark(engine, &mut batch, generation.0, &mark)?;
        standing::remove_base(engine, &mut batch)?;
        engine.apply(&engine.rows, batch)?;
        let index = mark.index;
        let replaced = core::mem::replace(&mut standing.generation, generation.0);
        standing.open = None;
        standing.mark = Some(mark);
        standing.base = None;
        drop(standing);
        self.shared.written_through(index);
        self.synced()?;
        self.remove_generations(Some(replaced..generation.0));
        Ok(())
    }

    fn write_snapshot(&self, name: &SnapshotName) -> Result<SnapshotWriter, StoreError> {
        self.shared.running()?;
        SnapshotWriter::new(self.shared.snapshots.begin(name)?)
    }

    fn receive_snapshot(&self, name: &SnapshotName) -> Result<SnapshotReceiver, StoreError> {
        self.shared.running()?;
        Ok(SnapshotReceiver::new(name.clone(), self.shared.snapshots.begin(name)?))
    }

    fn read_snapshot(&self, name: &SnapshotName) -> Result<SnapshotReader, StoreError> {
        self.shared.snapshots.read(name)
    }

    fn snapshots(&self) -> Result<Vec<SnapshotName>, StoreError> {
        self.shared.snapshots.names()
    }

    fn retain_snapshots(&self, keep: &[SnapshotName]) -> Result<(), StoreError> {
        let standing = self.shared.standing();
        self.shared.snapshots.retain(keep, standing.base.as_ref())
    }

    fn set_base(&self, base: Base) -> Result<(), StoreError> {
        let engine = &self.shared.engine;
        let mut standing = self.shared.standing_mut();
        self.shared.snapshots.exists(&base.name)?;
        if let Some(expected) = standing.index().filter(|index| *index > base.index) {
            return Err(StoreError::Gap { expected, found: base.index });
        }
        let mut batch = sled::Batch::default();
        standing::put_base(engine, &mut batch, &base)?;
        engine.apply(&engine.rows, batch)?;
        let index = base.index;
        standing.base = Some(base);
        // Begun for an older state: committed now, it would take this base away.
        let abandoned = standing.open.take();
        drop(standing);
        self.remove_generations(abandoned.map(|abandoned| abandoned..abandoned + 1));
        self.shared.written_through(index);
        self.synced()
    }

    fn sync(&self, done: Done) {
        self.shared.queue(done, |desk, done| desk.queue.push(Op::Sync { done }));
    }
}

impl SledStore {
    fn same_generation(&self, generation: u32) -> Result<(), StoreError> {
        let standing = self.rows_of()?;
        if standing.generation == generation {
            return Ok(());
        }
        Err(StoreError::GenerationAbandoned { generation })
    }

    fn remove_generations(&self, generations: Option<Range<u32>>) {
        self.shared.lock().chores.extend(generations.map(Chore::Generations));
        self.shared.wake_writer();
    }
}

fn read_records(
    engine: &Engine,
    range: Range<u64>,
    pending: &BTreeMap<u64, Bytes>,
    bytes_max: usize,
) -> Result<Vec<LogRecord>, StoreError> {
    let mut written = log::records(engine, range.clone());
    let mut records: Vec<LogRecord> = Vec::new();
    let mut bytes_left = bytes_max;
    for index in range {
        let record = match pending.get(&index) {
            Some(bytes) => LogRecord { index, bytes: bytes.clone() },
            None => written
                .find(|record| record.as_ref().map_or(true, |record| record.index >= index))
                .unwrap_or_else(|| Err(StoreError::damaged(format!("log record {index}: missing"))))?,
        };
        if record.index != index {
            return Err(StoreError::damaged(format!("log record {index}: missing, found {}", record.index)));
        }
        if !records.is_empty() && record.bytes.len() > bytes_left {
            break;
        }
        bytes_left = bytes_left.saturating_sub(record.bytes.len());
        records.push(record);
    }
    Ok(records)
}
