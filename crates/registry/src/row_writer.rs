//! Rows reach the disk behind apply's back: a queue of what applied records changed, and the thread that seals and
//! writes it. Rows may lag; the log replays them. They are never torn: every write ends at the border of a record.

use crate::core::Core;
use crate::outbox::{entry_to_bytes, of_newest_log};
use crate::resealing::{Replaced, ResealError, Resealing, sealing_now};
use crate::sealing::{OUTBOX_TABLE, UnsealError};
use crate::snapshot_file;
use crate::state_machine::chain;
use bytes::Bytes;
use latchkey_domain::RingNumber;
use latchkey_kms::OsEntropy;
use latchkey_state::{Changes, Entry, RingPurpose, RowId, State};
use latchkey_storage::{Mark, ROW_BATCH_MAX, Row, RowBatch, RowKey, SnapshotName, StateSource, StoreError};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;
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

/// How often to look whether rows are under keys that others took the place of.
const MOVE_LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Between two lots of such rows: what callers wait for comes first.
const MOVE_PACE: Duration = Duration::from_millis(10);

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

    /// Whether a key of the keyring is destroyed: what is under it is moved before, to one that is on disk already.
    fn destroys(&self) -> bool {
        self.changes.iter().any(|(id, row)| matches!((id, row), (RowId::RingKey(_), None)))
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

impl Work {
    /// Whether another audit log begins with it.
    fn begins_log(&self) -> bool {
        matches!(self, Self::Rows(batch) if batch.entries.iter().any(|entry| entry.sequence.0 == 0))
    }
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
    /// A state that the disk has come to: what is sealed by it opens after a cut, too.
    on_disk: Mutex<State>,
}

impl RowQueue {
    pub(crate) fn new() -> Self {
        Self {
            pending: Mutex::default(),
            arrived: Condvar::new(),
            rows: watch::Sender::new(0),
            written: watch::Sender::new(0),
            on_disk: Mutex::default(),
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

    /// The last record whose rows are written.
    pub(crate) fn written(&self) -> u64 {
        *self.written.borrow()
    }

    /// The rows on disk are those of a record before this life.
    pub(crate) fn begin_at(&self, index: u64) {
        self.written.send_replace(index);
    }

    /// The disk has come to this state.
    pub(crate) fn come_to(&self, state: &State) {
        let mut on_disk = self.on_disk.lock().unwrap_or_else(PoisonError::into_inner);
        // A snapshot may have been installed while older rows were written.
        if state.revision() >= on_disk.revision() {
            *on_disk = state.clone();
        }
    }

    /// A state that the disk has come to.
    pub(crate) fn on_disk(&self) -> State {
        self.on_disk.lock().unwrap_or_else(PoisonError::into_inner).clone()
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

    /// The next work: a generation alone, or as many batches as one write should gather; nothing where none came in a
    /// while. `None` when closed and empty.
    fn take(&self, idle: Duration) -> Option<Vec<Work>> {
        let waits = |pending: &mut Pending| pending.work.is_empty() && !pending.closed;
        let waited = self.arrived.wait_timeout_while(self.pending(), idle, waits);
        let mut pending = waited.unwrap_or_else(PoisonError::into_inner).0;
        if pending.work.is_empty() {
            return (!pending.closed).then(Vec::new);
        }
        let mut taken = Vec::new();
        let mut rows = 0;
        while let Some(next) = pending.work.front() {
            let (size, begins) = match next {
                Work::Rows(batch) => (batch.rows(), batch.destroys()),
                Work::Generation { .. } => (GATHERED_ROWS_MAX, true),
            };
            if !taken.is_empty() && (begins || rows + size > GATHERED_ROWS_MAX) {
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
    let mut moving = Moving::begin(core);
    loop {
        // Between two writes, so that callers who never rest do not keep older keys alive.
        moving.step(core, runtime);
        // Looked at before the queue: what it has come to was queued before it was published.
        let published = arc_swap::Guard::into_inner(core.state());
        let Some(taken) = core.rows.take(moving.rest()) else { return };
        if taken.is_empty() {
            moving.state = State::clone(&published);
            continue;
        }
        drop(published);
        // Never skipped: the next batch's mark would vouch for rows that are not there. Where the disk is full, rows lag
        // until there is room, and the log replays them.
        while let Err(error) = write(core, runtime, &taken, &mut moving) {
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
            Some(Work::Rows(last)) => {
                if taken.iter().any(Work::begins_log) {
                    trimmed = 0;
                }
                trim(core, last, &mut trimmed);
            }
        }
    }
}

/// Rows under older keys, which are moved between other writes.
struct Moving {
    resealing: Resealing,
    /// The mark that the rows carry now; absent while a file stands for them.
    mark: Option<Mark>,
    /// A state that the rows on disk have come to: whatever is written from now on is sealed by it or by a later one.
    state: State,
    /// When the next lot is due.
    due_at: Instant,
}

impl Moving {
    fn begin(core: &Core) -> Self {
        let mark = match core.store.state_source() {
            StateSource::Rows(mark) => Some(mark),
            StateSource::Empty | StateSource::Base(_) => None,
        };
        Self { resealing: Resealing::default(), mark, state: State::default(), due_at: Instant::now() }
    }

    /// How long there is time for other work.
    fn rest(&self) -> Duration {
        self.due_at.saturating_duration_since(Instant::now())
    }

    fn step(&mut self, core: &Core, runtime: &Handle) {
        if !self.rest().is_zero() {
            return;
        }
        self.due_at = Instant::now() + MOVE_LOOK_INTERVAL;
        let Some(mark) = self.mark.as_ref().filter(|_| self.resealing.is_due(&self.state)) else { return };
        match self.resealing.step(core, runtime, mark) {
            Ok(()) => self.due_at = Instant::now() + MOVE_PACE,
            // A snapshot was installed, and its rows are on their way.
            Err(ResealError::Store(StoreError::RowsSuperseded { .. })) => self.mark = None,
            Err(error) => error.warn(),
        }
    }

    /// What is under keys that `changes` destroy is moved before these are written: else the rows would outlive them.
    /// It is moved to what took its place on disk: a key that is written only with these might be lost with a cut.
    fn before(&mut self, core: &Core, runtime: &Handle, changes: &Changes) -> Result<(), StoreError> {
        let state = &core.rows.on_disk();
        let gone = changes.iter().filter_map(|(id, row)| match (id, row) {
            (RowId::RingKey(number), None) => Some((*number, sealing_now(state, core.keyring.purpose(*number)?)?)),
            _ => None,
        });
        let gone: Replaced = gone.filter(|(number, newest)| number != newest).collect();
        let Some(mark) = self.mark.as_ref().filter(|_| !gone.is_empty()) else { return Ok(()) };
        while let Err(error) = self.resealing.before_destroying(core, runtime, state, &gone, mark) {
            match error {
                ResealError::Store(error) => return Err(error),
                ResealError::Unseal(UnsealError::Keyring(_)) => error.warn(),
                ResealError::Unseal(_) => {
                    core.fence(&format!("a row on disk does not open: {}", chain(&error)));
                    return Err(StoreError::Stopped { why: "a row on disk does not open".into() });
                }
            }
            if core.rows.closes_within(KEY_RETRY) {
                return Err(StoreError::Stopped { why: "the replica stops while its rows wait for a key".into() });
            }
        }
        Ok(())
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

/// Removes all entries: another log begins, with the same sequences. Before any row of the record that begins it is written, so
/// that no cut leaves entries of two logs. The log replays that record; until then this replica lacks entries that nobody
/// follows any more.
fn clear_outbox(core: &Core, moving: &Moving) -> Result<(), StoreError> {
    loop {
        let rows = core.store.read_rows(OUTBOX_TABLE, &[0; 8][..]..&[0xFF; 8][..], TRIMMED_ROWS)?;
        // Where there is no mark, the first rows of all are about to be written.
        let Some(mark) = moving.mark.clone().filter(|_| !rows.is_empty()) else { return Ok(()) };
        let deletes = rows.into_iter().map(|row| row.key).collect();
        core.store.write_rows(RowBatch { puts: Vec::new(), deletes, mark })?;
    }
}

fn write(core: &Core, runtime: &Handle, taken: &[Work], moving: &mut Moving) -> Result<(), StoreError> {
    match taken.first() {
        Some(Work::Generation { file, mark }) => {
            moving.resealing.rows_replaced(core);
            moving.mark = None;
            write_generation(core, file, mark)?;
            moving.mark = Some(mark.clone());
            Ok(())
        }
        Some(Work::Rows(_)) | None => write_batches(core, runtime, taken, moving),
    }
}

fn write_batches(core: &Core, runtime: &Handle, taken: &[Work], moving: &mut Moving) -> Result<(), StoreError> {
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
    moving.before(core, runtime, &changes)?;
    let entries = of_newest_log(&entries);
    let begins = entries.first().filter(|first| first.sequence.0 == 0);
    if begins.is_some() {
        clear_outbox(core, moving)?;
    }
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
    for entry in entries {
        let plain = entry_to_bytes(entry);
        let number = entry_key(&last.state, entry);
        let seal = async || core.sealer.seal_entry(number, entry.sequence, &plain, &mut OsEntropy).await;
        let id = Bytes::copy_from_slice(&entry.sequence.0.to_be_bytes());
        let bytes = with_key(core, runtime, seal)?.into();
        batch.puts.push(Row { key: RowKey { table: OUTBOX_TABLE, id }, bytes });
    }
    debug_assert!(batch.puts.len() + batch.deletes.len() <= ROW_BATCH_MAX, "a record's rows fit in one batch");
    core.store.write_rows(batch)?;
    if let Some(first) = begins {
        core.outbox.begun_on_disk(first);
    }
    core.outbox.written_through(last.state.revision());
    core.rows.come_to(&last.state);
    core.rows.written.send_replace(last.mark.index);
    (moving.mark, moving.state) = (Some(last.mark.clone()), last.state.clone());
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
