//! Moving what lies at rest from keys that others took the place of to those: rows, entries that nobody has taken, and
//! what operators denied here. Only the thread that writes rows does it, since nobody else knows which row is the newest.
//!
//! Each lot is one atomic batch under the mark of before: a kill between two leaves rows under both keys, the state lists
//! both, and the next life begins again and passes over what is done. A record that destroys a key is written only behind
//! a pass that found nothing under it, so a folder never lists less than it needs, whatever was said to the leader.

use crate::core::Core;
use crate::sealing::{OUTBOX_TABLE, RING_TABLE, UnsealError};
use crate::state_machine::chain;
use latchkey_crypto::envelope;
use latchkey_domain::{KeyId, KeyspaceNumber, RingNumber};
use latchkey_kms::OsEntropy;
use latchkey_state::{RingPurpose, RowId, State};
use latchkey_storage::{Mark, Row, RowBatch, RowKey, StoreError};
use std::collections::{BTreeMap, BTreeSet};
use tokio::runtime::Handle;
use tracing::{info, warn};

/// Rows that are looked at between two rests.
const LOOKED_AT_ROWS: usize = 512;

/// Where all tables end: behind every id.
const LAST_ID: [u8; 64] = [0xFF; 64];

/// Keys of the keyring that seal rows, with those that took their place.
pub(crate) type Replaced = BTreeMap<RingNumber, RingNumber>;

/// What each key was replaced by, where it was.
pub(crate) fn replaced(state: &State) -> Replaced {
    let log_key = state.newest_ring_key(RingPurpose::Log).map(|key| key.number);
    let newest = |purpose| if purpose == RingPurpose::Log { log_key } else { sealing_now(state, purpose) };
    let pairs = state.ring().filter_map(|key| Some((key.number, newest(key.purpose)?)));
    pairs.filter(|(number, newest)| number != newest).collect()
}

/// The key that seals rows for a purpose now; `None` where none does.
pub(crate) fn sealing_now(state: &State, purpose: RingPurpose) -> Option<RingNumber> {
    match purpose {
        RingPurpose::Log => state.newest_ring_key(purpose).map(|key| key.number),
        RingPurpose::Keyspace(number) => state.keyspaces().by_number(number).map(|keyspace| keyspace.data_key),
        RingPurpose::Audit(number) => state.tenants().by_number(number).map(|tenant| tenant.audit_key),
        RingPurpose::Pepper | RingPurpose::Replay | RingPurpose::Tenant(_) => None,
    }
}

/// A walk over all rows that may be under keys that were replaced.
struct Pass {
    replaced: Replaced,
    ranges: Vec<Ids>,
    resealed: u64,
}

/// Rows of one table that are still to be looked at.
struct Ids {
    table: u8,
    from: Vec<u8>,
    below: Vec<u8>,
}

/// How far the moving is.
#[derive(Default)]
pub(crate) struct Resealing {
    pass: Option<Pass>,
    /// The keys that a whole pass found nothing under, or moved all of it.
    clean: BTreeSet<RingNumber>,
}

impl Resealing {
    /// Whether there is something to look at. `state` is one that the rows on disk have come to: a later write of an earlier
    /// one would bring back what a pass has moved.
    pub(crate) fn is_due(&mut self, state: &State) -> bool {
        if self.pass.is_none() {
            let mut open = replaced(state);
            self.clean.retain(|number| open.contains_key(number));
            open.retain(|number, _| !self.clean.contains(number));
            self.pass = (!open.is_empty()).then(|| Pass::over(state, open));
        }
        self.pass.is_some()
    }

    /// Looks at one lot of rows and moves those that have to be. `mark` is that of the rows as they stand.
    pub(crate) fn step(&mut self, core: &Core, runtime: &Handle, mark: &Mark) -> Result<(), ResealError> {
        let Some(pass) = self.pass.as_mut() else { return Ok(()) };
        match pass.step(core, runtime, mark) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let numbers: Vec<_> = pass.replaced.keys().map(|number| number.0).collect();
                info!(rows = pass.resealed, keys = ?numbers, "nothing here is sealed under these older keys any more");
                self.clean.extend(pass.replaced.keys());
                self.pass = None;
                core.holdings.clean(&self.clean);
                Ok(())
            }
            Err(error) => {
                // From the beginning: what is done is passed over.
                self.pass = None;
                Err(error)
            }
        }
    }

    /// Moves all that is under keys which are about to be destroyed, before the record that does is written.
    pub(crate) fn before_destroying(
        &mut self,
        core: &Core,
        runtime: &Handle,
        state: &State,
        gone: &Replaced,
        mark: &Mark,
    ) -> Result<(), ResealError> {
        let open: Replaced =
            gone.iter().filter(|(number, _)| !self.clean.contains(number)).map(|(old, new)| (*old, *new)).collect();
        if open.is_empty() {
            return Ok(());
        }
        let numbers: Vec<_> = open.keys().map(|number| number.0).collect();
        info!(keys = ?numbers, "these keys are destroyed: what is sealed under them here is moved first");
        let mut pass = Pass::over(state, open);
        while pass.step(core, runtime, mark)? {}
        self.clean.extend(pass.replaced.into_keys());
        Ok(())
    }

    /// Other rows take the place of all, sealed by whoever sent them.
    pub(crate) fn rows_replaced(&mut self, core: &Core) {
        (self.pass, self.clean) = (None, BTreeSet::new());
        core.holdings.clean(&self.clean);
    }
}

impl Pass {
    fn over(state: &State, replaced: Replaced) -> Self {
        let mut ranges = Vec::new();
        let keyspace_of = |number: &RingNumber| match state.ring_key(*number).map(|key| key.purpose) {
            Some(RingPurpose::Keyspace(keyspace)) => Some(keyspace),
            _ => None,
        };
        let keyspaces: Option<BTreeSet<KeyspaceNumber>> = replaced.keys().map(keyspace_of).collect();
        match keyspaces {
            // The rows of some keyspaces' keys and nothing else.
            Some(keyspaces) => ranges.extend(keyspaces.into_iter().map(|KeyspaceNumber(number)| {
                let from = number.to_be_bytes().to_vec();
                let below = number.checked_add(1).map_or(LAST_ID.to_vec(), |next| next.to_be_bytes().to_vec());
                Ids { table: RowId::Key(KeyspaceNumber(number), KeyId::LOWEST).table(), from, below }
            })),
            None => ranges.extend((0..=OUTBOX_TABLE).filter(|table| *table != RING_TABLE).map(|table| Ids {
                table,
                from: Vec::new(),
                below: LAST_ID.to_vec(),
            })),
        }
        ranges.reverse();
        Self { replaced, ranges, resealed: 0 }
    }

    /// One lot; `false` where there was no more.
    fn step(&mut self, core: &Core, runtime: &Handle, mark: &Mark) -> Result<bool, ResealError> {
        let mut room = LOOKED_AT_ROWS;
        while let Some(ids) = self.ranges.last_mut() {
            if room == 0 {
                return Ok(true);
            }
            let rows = core.store.read_rows(ids.table, &ids.from[..]..&ids.below[..], room)?;
            match rows.last() {
                Some(last) if rows.len() == room => {
                    ids.from = last.key.id.to_vec();
                    // The smallest id above the last one.
                    ids.from.push(0);
                }
                _ => _ = self.ranges.pop(),
            }
            room -= rows.len();
            self.resealed += reseal(core, runtime, mark, &self.replaced, rows)?;
        }
        runtime.block_on(core.denials.reseal(core, &self.replaced))?;
        runtime.block_on(core.node_key.reseal(core, &self.replaced))?;
        Ok(false)
    }
}

/// Moves those of `rows` that are under a key which was replaced; tells how many that were.
fn reseal(core: &Core, runtime: &Handle, mark: &Mark, replaced: &Replaced, rows: Vec<Row>) -> Result<u64, ResealError> {
    let mut batch = RowBatch { puts: Vec::new(), deletes: Vec::new(), mark: mark.clone() };
    for Row { key: RowKey { table, id }, bytes } in rows {
        // Rows in the clear have no number.
        let Ok(number) = envelope::ring_number(&bytes) else { continue };
        let Some(to) = replaced.get(&number) else { continue };
        let moved = runtime.block_on(core.sealer.move_row(table, &id, &bytes, *to, &mut OsEntropy))?;
        batch.puts.push(Row { key: RowKey { table, id }, bytes: moved.into() });
    }
    let count = batch.puts.len() as u64;
    if count > 0 {
        core.store.write_rows(batch)?;
    }
    Ok(count)
}

/// Why what lies at rest was not moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResealError {
    /// The disk.
    #[error("rows could not be read or written")]
    Store(#[from] StoreError),
    /// A key is away, or a row does not open.
    #[error("a row could not be moved to another key")]
    Unseal(#[from] UnsealError),
}

impl ResealError {
    /// Says in the log that it will be tried again.
    pub(crate) fn warn(&self) {
        warn!(error = chain(self), "what lies under older keys stays there for now");
    }
}
