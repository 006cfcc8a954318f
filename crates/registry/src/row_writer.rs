//! Rows reach the disk behind apply's back: a queue of what applied records changed, and the thread that seals and
//! writes it. Rows may lag; the log replays them. They are never torn: every write ends at the border of a record.

use crate::core::Core;
use crate::outbox::entry_to_bytes;
use crate::sealing::OUTBOX_TABLE;
use crate::snapshot_file;
use bytes::Bytes;
use latchkey_domain::RingNumber;
use latchkey_kms::OsEntropy;
use latchkey_state::{Changes, Entry, RingPurpose, State};
use latchkey_storage::{Mark, ROW_BATCH_MAX, Row, RowBatch, RowKey, SnapshotName, StoreError};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::{error, warn};

/// Rows waiting at which apply waits too: about 200 MB of them.
const PENDING_ROWS_MAX: usize = 200_000;

/// Rows that one write gathers from several records.
const GATHERED_ROWS_MAX: usize = 1_024;

/// Rows of a new generation that are written at once.
const GENERATION_ROWS: usize = 512;

/// Entries that are removed at once.
const TRIMMED_ROWS: usize = 512;

/// How long to wait before a key is asked for again that could not be had.
const KEY_RETRY: Duration = Duration::from_millis(500);

/// How long to wait before rows are written again that could not be.
const WRITE_RETRY: Duration = Duration::from_secs(1);

/// What the records of one apply changed.
pub(crate) struct Batch {
    pub(crate) changes: Changes,
    pub(crate) entries: Vec<Arc<Entry>>,
    pub(crate) mark: Mark,
    /// The state after them: it says which key seals which row.
    pub(crate) state: State,
}

impl Batch {
    fn rows(&self) -> usize {
        self.changes.len() + self.entries.len()
    }
}

enum Work {
    Rows(Box<Batch>),
    /// The state is a snapshot file now: its rows replace all others.
    Generation {
        file: SnapshotName,
        mark: Mark,
    },
}

#[derive(Default)]
struct Pending {
    work: VecDeque<Work>,
    rows: usize,
    closed: bool,
}

/// What waits to be written.
pub(crate) struct RowQueue {
    pending: Mutex<Pending>,
    arrived: Condvar,
    rows: watch::Sender<usize>,
    written: watch::Sender<u64>,
}

impl RowQueue {
    pub(crate) fn new() -> Self {
        Self {
            pending: Mutex::default(),
            arrived: Condvar::new(),
            rows: watch::Sender::new(0),
            written: watch::Sender::new(0),
        }
    }

    /// Queues what one apply changed; waits while too much is waiting already.
    pub(crate) async fn push(&self, batch: Batch) {
        // An error means that the queue is gone, and then nobody waits for anything.
        drop(self.rows.subscribe().wait_for(|rows| *rows < PENDING_ROWS_MAX).await);
        let mut pending = self.pending();
        pending.rows += batch.rows();
        pending.work.push_back(Work::Rows(Box::new(batch)));
        self.announce(&pending);
    }

    /// Replaces all rows by those of a snapshot file; what waited is void.
    pub(crate) fn replace(&self, file: SnapshotName, mark: Mark) {
        let mut pending = self.pending();
        pending.work.clear();
        pending.rows = 0;
        pending.work.push_back(Work::Generation { file, mark });
        self.announce(&pending);
    }

    /// Returns once the rows of the record at `index` are written, or the queue is closed.
    pub(crate) async fn written_through(&self, index: u64) {
        drop(self.written.subscribe().wait_for(|written| *written >= index).await);
    }

    /// Whether nothing waits to be written.
    fn is_empty(&self) -> bool {
        let pending = self.pending();
        pending.work.is_empty() && !pending.closed
    }

    pub(crate) fn close(&self) {
        self.pending().closed = true;
        self.arrived.notify_all();
    }

    /// Waits, and tells whether the queue was closed by then.
    fn closes_within(&self, wait: Duration) -> bool {
        let pending = self.pending();
        let waited = self.arrived.wait_timeout_while(pending, wait, |pending| !pending.closed);
        waited.unwrap_or_else(PoisonError::into_inner).0.closed
    }

    fn announce(&self, pending: &Pending) {
        self.rows.send_replace(pending.rows);
        self.arrived.notify_all();
    }

    /// The next work: a generation alone, or as many batches as one write should gather. `None` when closed and empty.
    fn take(&self) -> Option<Vec<Work>> {
        let mut pending = self.pending();
        while pending.work.is_empty() {
            if pending.closed {
                return None;
            }
            pending = self.arrived.wait(pending).unwrap_or_else(PoisonError::into_inner);
        }
        let mut taken = Vec::new();
        let mut rows = 0;
        while let Some(next) = pending.work.front() {
            let size = match next {
                Work::Rows(batch) => batch.rows(),
                Work::Generation { .. } => GATHERED_ROWS_MAX,
            };
            if !taken.is_empty() && rows + size > GATHERED_ROWS_MAX {
                break;
            }
            rows += size;
            taken.extend(pending.work.pop_front());
        }
        let left: usize =
            pending.work.iter().map(|work| if let Work::Rows(batch) = work { batch.rows() } else { 0 }).sum();
        pending.rows = left;
        self.announce(&pending);
        Some(taken)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs until the queue is closed and empty. On a thread of its own: it seals and it writes.
pub(crate) fn run(core: &Core, runtime: &Handle) {
    let mut trimmed = 0;
    while let Some(taken) = core.rows.take() {
        // Never skipped: the next batch's mark would vouch for rows that are not there. Where the disk is full, rows lag
        // until there is room, and the log replays them.
        while let Err(error) = write(core, runtime, &taken) {
            match error {
                // A snapshot was installed meanwhile, and its rows replace these.
                StoreError::RowsSuperseded { .. } | StoreError::GenerationAbandoned { .. } => break,
                StoreError::Stopped { .. } => return,
                error => error!(%error, "state rows could not be written; trying again"),
            }
            if core.rows.closes_within(WRITE_RETRY) {
                return;
            }
        }
        match taken.last() {
            // Its file may have brought entries that were trimmed since.
            Some(Work::Generation { .. }) | None => trimmed = 0,
            Some(Work::Rows(last)) => trim(core, last, &mut trimmed),
        }
    }
}

/// Removes entries that audit has made durable, in batches, for as long as nothing else waits to be written. `trimmed` is
/// the first sequence below which nothing is left.
fn trim(core: &Core, last: &Batch, trimmed: &mut u64) {
    let end = last.state.progress().trimmed.map_or(0, |trimmed| trimmed.next.0);
    while *trimmed < end && core.rows.is_empty() {
        let (start, below) = (trimmed.to_be_bytes(), end.to_be_bytes());
        let removed = core.store.read_rows(OUTBOX_TABLE, &start[..]..&below[..], TRIMMED_ROWS).and_then(|rows| {
            let deletes: Vec<_> = rows.into_iter().map(|row| row.key).collect();
            let count = deletes.len();
            // The mark stays: entries are no part of the state.
            core.store.write_rows(RowBatch { puts: Vec::new(), deletes, mark: last.mark.clone() })?;
            Ok(count)
        });
        match removed {
            Ok(count) if count < TRIMMED_ROWS => *trimmed = end,
            Ok(_) => {}
            Err(error) => {
                warn!(%error, "entries that audit has could not be removed; they are with the next write");
                return;
            }
        }
    }
}

fn write(core: &Core, runtime: &Handle, taken: &[Work]) -> Result<(), StoreError> {
    match taken.first() {
        Some(Work::Generation { file, mark }) => write_generation(core, file, mark),
        Some(Work::Rows(_)) | None => write_batches(core, runtime, taken),
    }
}

fn write_batches(core: &Core, runtime: &Handle, taken: &[Work]) -> Result<(), StoreError> {
    let mut changes = Changes::new();
    let mut entries = Vec::new();
    let mut last = None;
    for work in taken {
        let Work::Rows(batch) = work else { continue };
        changes.extend(batch.changes.iter().map(|(id, row)| (*id, row.clone())));
        entries.extend(batch.entries.iter().cloned());
        last = Some(batch);
    }
    let Some(last) = last else { return Ok(()) };
    let mut batch = RowBatch { puts: Vec::new(), deletes: Vec::new(), mark: last.mark.clone() };
    for (id, row) in &changes {
        let key = RowKey { table: id.table(), id: id.id_bytes().into() };
        match row {
            None => batch.deletes.push(key),
            Some(row) => {
                let seal = async || core.sealer.seal_row(&last.state, row, &mut OsEntropy).await;
                batch.puts.push(Row { key, bytes: with_key(core, runtime, seal)?.into() });
            }
        }
    }
    for entry in &entries {
        let plain = entry_to_bytes(entry);
        let number = entry_key(&last.state, entry);
        let seal = async || core.sealer.seal_entry(number, entry.sequence, &plain, &mut OsEntropy).await;
        let id = Bytes::copy_from_slice(&entry.sequence.0.to_be_bytes());
        let bytes = with_key(core, runtime, seal)?.into();
        batch.puts.push(Row { key: RowKey { table: OUTBOX_TABLE, id }, bytes });
    }
    debug_assert!(batch.puts.len() + batch.deletes.len() <= ROW_BATCH_MAX, "a record's rows fit in one batch");
    core.store.write_rows(batch)?;
    if let Some(entry) = entries.last() {
        core.outbox.written_below(entry.sequence.0 + 1);
    }
    core.rows.written.send_replace(last.mark.index);
    Ok(())
}

/// Seals, and waits where the key-encryption key is away: rows lag meanwhile, and nothing else.
fn with_key<E: std::fmt::Display>(
    core: &Core,
    runtime: &Handle,
    seal: impl AsyncFn() -> Result<Vec<u8>, E>,
) -> Result<Vec<u8>, StoreError> {
    loop {
        match runtime.block_on(seal()) {
            Ok(bytes) => return Ok(bytes),
            Err(error) => warn!(%error, "rows wait for a key"),
        }
        if core.rows.closes_within(KEY_RETRY) {
            return Err(StoreError::Stopped { why: "the replica stops while its rows wait for a key".into() });
        }
    }
}

/// A tenant's entries are sealed under its audit key, so that destroying it makes them unreadable.
pub(crate) fn entry_key(state: &State, entry: &Entry) -> RingNumber {
    let tenant = entry.tenant.and_then(|number| state.tenants().by_number(number));
    tenant
        .map(|tenant| tenant.audit_key)
        .or_else(|| state.newest_ring_key(RingPurpose::Log).map(|key| key.number))
        .expect("the first command, which makes the first entry, adds a log key")
}

/// The rows of a snapshot file are sealed as rows are, so they are copied as they lie.
fn write_generation(core: &Core, file: &SnapshotName, mark: &Mark) -> Result<(), StoreError> {
    let generation = core.store.begin_generation()?;
    let mut rows = Vec::with_capacity(GENERATION_ROWS);
    let mut reader = core.store.read_snapshot(file)?;
    let frames = snapshot_file::Frames::open(&mut reader);
    let frames = frames.map_err(|error| StoreError::Damaged { what: error.to_string() })?;
    for frame in frames {
        let frame = frame.map_err(|error| StoreError::Damaged { what: error.to_string() })?;
        let key = RowKey { table: frame.table, id: frame.id };
        rows.push(Row { key, bytes: frame.row });
        if rows.len() == GENERATION_ROWS {
            core.store.write_generation(generation, std::mem::take(&mut rows))?;
        }
    }
    core.store.write_generation(generation, rows)?;
    // The rows will stand for the state, so this file is not needed; one that arrives meanwhile is.
    let keep: Vec<_> = core.store.snapshots()?.into_iter().filter(|name| name != file).collect();
    core.store.commit_generation(generation, mark.clone())?;
    if let Err(error) = core.store.retain_snapshots(&keep) {
        warn!(%error, "a snapshot file that nothing needs could not be removed");
    }
    core.rows.written.send_replace(mark.index);
    Ok(())
}
