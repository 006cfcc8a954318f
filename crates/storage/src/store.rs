//! The interface of a replica's storage. Two implement it: [`crate::SledStore`] and [`crate::MemoryStore`].

use core::ops::{ControlFlow, Range};
use std::sync::mpsc;

use bytes::Bytes;

use crate::error::StoreError;
use crate::facts::Facts;
use crate::log::{LogBounds, LogRecord};
use crate::rows::{Base, Generation, Mark, Row, RowBatch, RowKey, StateSource};
use crate::snapshot::{SnapshotName, SnapshotReader, SnapshotReceiver, SnapshotWriter};
use crate::space::Space;
use crate::word::Word;

/// Called once, when the operation is durable or has failed.
///
/// Runs on the store's writer thread: it must not block, or every later operation waits. It may call the store.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Bytes that survive: a log, a few named words, rows with a mark, snapshot files.
///
/// All methods may be called from any thread. They block for reads and for what is durable on return; what takes a
/// [`Done`] only queues. Operations that take a `Done` are carried out in the order of the calls, and all that wait
/// share one disk sync. [`wait`] makes such a call block.
pub trait Store: Send + Sync + 'static {
    /// Who this replica is, as written when the folder was made.
    fn facts(&self) -> Facts;

    /// How much room is left. Ask before accepting a write: [`Space::Low`] is the time to refuse callers, while appends
    /// that other replicas send still succeed; at [`Space::Full`] they fail too.
    fn space(&self) -> Space;

    /// Appends `records` to the log. They can be read at once, and are durable before `done` says so.
    ///
    /// The first record must follow the last one of the log (or the purge marker); an empty log without a marker
    /// starts anywhere. A record that starts beyond the end of the log on disk, because a promised purge runs past
    /// that end, waits until the state below it is durable: acknowledging it sooner would vouch for a log with a hole.
    /// # Errors
    /// Through `done`: [`StoreError::Gap`], [`StoreError::TooLong`], [`StoreError::DiskFull`]; none of these leaves a
    /// record behind. [`StoreError::Stopped`] after a failure that ends the store.
    fn append(&self, records: Vec<LogRecord>, done: Done);

    /// Removes the records at and above `index`. They can no longer be read on return; the removal is durable before
    /// `done` says so. A cut in between leaves a shorter tail, never a hole.
    fn truncate_from(&self, index: u64, done: Done);

    /// The records of `range` that exist, in order: as many as fit in `bytes_max` bytes, but at least one.
    ///
    /// Sees what [`Store::append`] has queued and not yet written, because raft reads its log back at once.
    /// # Errors
    /// [`StoreError::Damaged`] if a record is not what was written.
    fn read(&self, range: Range<u64>, bytes_max: usize) -> Result<Vec<LogRecord>, StoreError>;

    /// What the log holds and what was purged, promises included.
    fn log_bounds(&self) -> LogBounds;

    /// Hides the records at or below `through` at once, and promises to remove them.
    ///
    /// The promise is kept in memory. `marker` (the caller's name for that point) is made durable, and then the records
    /// are removed in paced batches, only after [`Store::state_durable_through`] has reached `through`. A restart before
    /// that shows the log whole, so a replica that purged before it had installed a snapshot still has one or the
    /// other. A promise at or below an earlier one changes nothing.
    fn promise_purge(&self, through: u64, marker: Bytes);

    /// Keeps `bytes` under a name; durable before `done` says so. Readable at once.
    /// # Errors
    /// Through `done`: as [`Store::append`], but never [`StoreError::DiskFull`].
    fn save_word(&self, word: Word, bytes: Bytes, done: Done);

    /// Keeps `bytes` under a name; durable with the next operation that is. Readable at once.
    fn save_word_lazily(&self, word: Word, bytes: Bytes);

    /// The bytes kept under a name.
    fn word(&self, word: Word) -> Option<Bytes>;

    /// Where the state of this replica is to be loaded from when it starts.
    fn state_source(&self) -> StateSource;

    /// The highest log index up to which the state is durable: rows written and synced, or a base file installed.
    fn state_durable_through(&self) -> Option<u64>;

    /// Writes rows, removals and the mark in one atomic batch. Removals come first, then puts.
    ///
    /// Not durable on return, but never torn: after a cut the rows are exactly those of some earlier mark.
    /// # Errors
    /// [`StoreError::TooMany`] above [`crate::ROW_BATCH_MAX`] rows: split the batch between two log records.
    /// [`StoreError::RowsSuperseded`] while a base file stands for the state.
    fn write_rows(&self, batch: RowBatch) -> Result<(), StoreError>;

    /// One row of the current generation.
    /// # Errors
    /// [`StoreError::RowsSuperseded`], [`StoreError::Damaged`].
    fn read_row(&self, key: &RowKey) -> Result<Option<Bytes>, StoreError>;

    /// The rows of one table whose ids lie in `ids`, in order of id, at most `rows_max`.
    /// # Errors
    /// As [`Store::read_row`].
    fn read_rows(&self, table: u8, ids: Range<&[u8]>, rows_max: usize) -> Result<Vec<Row>, StoreError>;

    /// Shows every row of the current generation to `visit`, by table and then by id, until it breaks.
    ///
    /// Rows that are written meanwhile may or may not be shown.
    /// # Errors
    /// As [`Store::read_row`].
    fn scan_rows(&self, visit: &mut dyn FnMut(Row) -> ControlFlow<()>) -> Result<(), StoreError>;

    /// Starts a set of rows that will replace the current ones. An earlier set that was not committed is abandoned.
    /// # Errors
    /// [`StoreError::Stopped`].
    fn begin_generation(&self) -> Result<Generation, StoreError>;

    /// Writes rows that are not yet in `generation`, in batches of at most 512.
    /// # Errors
    /// [`StoreError::GenerationAbandoned`] if a later one was begun, or a base was set since.
    fn write_generation(&self, generation: Generation, rows: Vec<Row>) -> Result<(), StoreError>;

    /// Makes `generation` the current one, with `mark`, and takes back the base file: durable on return. The rows of
    /// older generations are removed in the background.
    /// # Errors
    /// As [`Store::write_generation`].
    fn commit_generation(&self, generation: Generation, mark: Mark) -> Result<(), StoreError>;

    /// Starts a snapshot file. It appears under `name` when it is finished.
    /// # Errors
    /// [`StoreError::Io`].
    fn write_snapshot(&self, name: &SnapshotName) -> Result<SnapshotWriter, StoreError>;

    /// Starts to receive the bytes of a snapshot file that another replica encoded with [`crate::Encoder`].
    /// # Errors
    /// [`StoreError::Io`].
    fn receive_snapshot(&self, name: &SnapshotName) -> Result<SnapshotReceiver, StoreError>;

    /// Opens a snapshot file, after its hash was checked over its whole length.
    /// # Errors
    /// [`StoreError::SnapshotNotFound`], [`StoreError::Damaged`].
    fn read_snapshot(&self, name: &SnapshotName) -> Result<SnapshotReader, StoreError>;

    /// The names of all finished snapshot files, in order.
    /// # Errors
    /// [`StoreError::Io`].
    fn snapshots(&self) -> Result<Vec<SnapshotName>, StoreError>;

    /// Removes all finished snapshot files but `keep` and the base.
    /// # Errors
    /// [`StoreError::Io`].
    fn retain_snapshots(&self, keep: &[SnapshotName]) -> Result<(), StoreError>;

    /// Says that the state is the one in a snapshot file, durable on return: from now on the rows are void and
    /// [`Store::state_source`] is [`StateSource::Base`], until a generation is committed. Swap the state in memory
    /// after this call, then write the new generation in the background.
    /// # Errors
    /// [`StoreError::SnapshotNotFound`]; [`StoreError::Gap`] if `base` is behind the durable state.
    fn set_base(&self, base: Base) -> Result<(), StoreError>;

    /// Makes all that was done before durable.
    fn sync(&self, done: Done);

    /// The lowest index that can be read.
    fn first_index(&self) -> Option<u64> {
        self.log_bounds().first
    }

    /// The highest index that can be read.
    fn last_index(&self) -> Option<u64> {
        self.log_bounds().last
    }
}

/// Blocks until the operation that `start` queues has called its [`Done`].
///
/// ```
/// # use latchkey_storage::*;
/// # let store: &dyn Store = &MemoryStore::new(Facts { node_id: 1, cluster_id: [7; 16], epoch: 1 });
/// wait(|done| store.save_word(Word::Vote, "term 3".into(), done))?;
/// # Ok::<(), StoreError>(())
/// ```
/// # Errors
/// What the operation reports; [`StoreError::Stopped`] if it was dropped unanswered.
pub fn wait(start: impl FnOnce(Done)) -> Result<(), StoreError> {
    let (answer, answered) = mpsc::sync_channel(1);
    // The receiver outlives the callback unless this thread panics, and then nobody listens.
    start(Box::new(move |result| drop(answer.send(result))));
    answered.recv().unwrap_or(Err(StoreError::Stopped { why: "the operation was dropped".into() }))
}
