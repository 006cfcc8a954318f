//! The state from the rows on disk.

use crate::core::Core;
use crate::sealing::{OUTBOX_TABLE, RING_TABLE, UnsealError};
use crate::snapshot_file::SnapshotError;
use latchkey_state::{Row, State};
use latchkey_wire::disk::RowReader;
use std::ops::ControlFlow;

/// Keys of the keyring that one read returns.
const RING_ROWS_PER_READ: usize = 1_024;

/// Rows on their way from the thread that reads to the one that opens.
const ROWS_PENDING_MAX: usize = 4_096;

pub(crate) async fn load(core: &Core) -> Result<State, SnapshotError> {
    load_ring(core).await?;
    core.keyring.unwrap_all().await.map_err(UnsealError::Keyring)?;
    let (rows, arriving) = std::sync::mpsc::sync_channel(ROWS_PENDING_MAX);
    // Two threads: one reads, one opens; a third would find no core.
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            core.store.scan_rows(&mut |row| {
                // Rows come by table, and the outbox, which may hold more than all the others, comes last.
                if row.key.table >= OUTBOX_TABLE {
                    return ControlFlow::Break(());
                }
                match rows.send(row) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            })?;
            drop(rows);
            Ok(())
        });
        let (mut failure, mut decoder) = (None, RowReader::default());
        let opened = std::iter::from_fn(|| {
            let row = arriving.recv().ok()?;
            match core.sealer.open_row_at_hand(&mut decoder, row.key.table, &row.key.id, &row.bytes) {
                Ok(row) => Some(row),
                Err(error) => {
                    failure = Some(error);
                    None
                }
            }
        });
        let state = State::load(opened);
        drop(arriving);
        let read: Result<(), SnapshotError> = reader
            .join()
            .unwrap_or_else(|_| Err(SnapshotError::Io(std::io::Error::other("the thread that reads rows panicked"))));
        read?;
        match failure {
            Some(error) => Err(error.into()),
            None => state.map_err(SnapshotError::Load),
        }
    })
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
