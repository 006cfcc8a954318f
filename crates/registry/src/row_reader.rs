//! The state from the rows on disk.

use crate::core::Core;
use crate::sealing::{OUTBOX_TABLE, RING_TABLE, Sealer, UnsealError};
use crate::snapshot_file::SnapshotError;
use latchkey_state::{Loading, Row, State, StateHash};
use latchkey_storage::{Row as Sealed, Store};
use latchkey_wire::disk::RowReader;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tracing::info;

/// Keys of the keyring that one read returns.
const RING_ROWS_PER_READ: usize = 1_024;

/// Rows that go from one thread to the next at once.
const ROWS_TOGETHER: usize = 256;

/// Such lots on their way between two threads: with those under way some megabytes.
const LOTS_PENDING_MAX: usize = 8;

/// Threads that open rows, at most: with more, reading them is what takes the time.
const OPENERS_MAX: usize = 4;

/// How often a long load tells how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// Rows that are opened, and their sum.
type Opened = Result<(Vec<Row>, StateHash), SnapshotError>;

pub(crate) async fn load(core: &Core) -> Result<State, SnapshotError> {
    load_ring(core).await?;
    core.keyring.unwrap_all().await.map_err(UnsealError::Keyring)?;
    // One thread reads, some open, decode and hash, this one gathers.
    let (lots, arriving) = sync_channel(LOTS_PENDING_MAX);
    let (opened, gathering) = sync_channel(LOTS_PENDING_MAX);
    let arriving = Arc::new(Mutex::new(arriving));
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || read(core.store.as_ref(), &lots));
        let openers = std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(OPENERS_MAX);
        for _ in 0..openers {
            let (arriving, opened) = (arriving.clone(), opened.clone());
            scope.spawn(move || open(&core.sealer, &arriving, &opened));
        }
        // Whoever is alone at his end of a channel learns it: only the threads hold these from now on.
        drop((arriving, opened));
        let gathered = gather(gathering);
        let read = reader.join();
        read.unwrap_or_else(|_| Err(std::io::Error::other("the thread that reads rows panicked").into()))?;
        gathered?.finish().map_err(SnapshotError::Load)
    })
}

/// Sends all rows of the state, in lots.
fn read(store: &dyn Store, lots: &SyncSender<Vec<Sealed>>) -> Result<(), SnapshotError> {
    let mut lot = Vec::with_capacity(ROWS_TOGETHER);
    store.scan_rows(&mut |row| {
        // Rows come by table, and the outbox, which may hold more than all the others, comes last.
        if row.key.table >= OUTBOX_TABLE {
            return ControlFlow::Break(());
        }
        lot.push(row);
        if lot.len() < ROWS_TOGETHER {
            return ControlFlow::Continue(());
        }
        let full = std::mem::replace(&mut lot, Vec::with_capacity(ROWS_TOGETHER));
        lots.send(full).map_or(ControlFlow::Break(()), ControlFlow::Continue)
    })?;
    // Nobody listens any more where a row did not open, and that is told already.
    drop(lots.send(lot));
    Ok(())
}

/// Opens lots until there are no more, or one of them does not open.
fn open(sealer: &Sealer, arriving: &Mutex<Receiver<Vec<Sealed>>>, opened: &SyncSender<Opened>) {
    let mut decoder = RowReader::default();
    loop {
        let lot = arriving.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(lot) = lot else { return };
        let mut hash = StateHash::default();
        let rows = lot.iter().map(|row| {
            let row = sealer.open_row_at_hand(&mut decoder, row.key.table, &row.key.id, &row.bytes)?;
            hash = hash.plus(&row);
            Ok(row)
        });
        let rows: Result<Vec<_>, SnapshotError> = rows.collect();
        let failed = rows.is_err();
        if opened.send(rows.map(|rows| (rows, hash))).is_err() || failed {
            return;
        }
    }
}

fn gather(opened: Receiver<Opened>) -> Result<Loading, SnapshotError> {
    let (mut loading, mut told) = (Loading::default(), Instant::now());
    for lot in opened {
        let (rows, hash) = lot?;
        loading.add_hashed(rows, hash);
        if told.elapsed() >= PROGRESS_INTERVAL {
            told = Instant::now();
            info!(keys = loading.key_count(), "loading the state");
        }
    }
    Ok(loading)
}

async fn load_ring(core: &Core) -> Result<(), SnapshotError> {
    let (mut after, mut reader) = (Vec::new(), RowReader::default());
    loop {
        let rows = core.store.read_rows(RING_TABLE, &after[..]..&[0xFF; 8][..], RING_ROWS_PER_READ)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.key.id.to_vec();
        // The smallest id above the last one.
        after.push(0);
        for row in rows {
            if let Row::RingKey(key) = core.sealer.open_row(&mut reader, RING_TABLE, &row.key.id, &row.bytes).await? {
                core.keyring.add(key);
            }
        }
    }
}
