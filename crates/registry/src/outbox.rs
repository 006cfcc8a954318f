//! Entries of the audit tree that nobody has taken yet: on disk, and in memory until they are there.

use crate::sealing::{OUTBOX_TABLE, Sealer, UnsealError};
use latchkey_domain::Sequence;
use latchkey_state::Entry;
use latchkey_storage::{Store, StoreError};
use latchkey_wire::disk::decode_message;
use latchkey_wire::pb::internal::v1 as pb;
use prost::Message;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Entries that one read returns.
const ENTRIES_PER_READ_MAX: usize = 256;

/// Why entries could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutboxError {
    /// The disk.
    #[error("cannot read the outbox")]
    Store(#[from] StoreError),
    /// The bytes.
    #[error("cannot open an entry of the outbox")]
    Unseal(#[from] UnsealError),
    /// There is a hole: entries below the first that is kept were asked for.
    #[error("the first entry kept is {first}, asked for {asked}")]
    Gone {
        /// What was asked for.
        asked: u64,
        /// What there is.
        first: u64,
    },
}

/// The entries by sequence.
pub(crate) struct Outbox {
    /// Those that may not be on disk yet, in order and without holes.
    recent: Mutex<VecDeque<Arc<Entry>>>,
    next: watch::Sender<u64>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self { recent: Mutex::default(), next: watch::Sender::new(0) }
    }

    /// Tells how many entries there are when the state was loaded or replaced.
    pub(crate) fn start_at(&self, next: u64) {
        self.recent().clear();
        self.next.send_replace(next);
    }

    pub(crate) fn extend(&self, entries: &[Arc<Entry>]) {
        let Some(last) = entries.last() else { return };
        self.recent().extend(entries.iter().cloned());
        self.next.send_replace(last.sequence.0 + 1);
    }

    /// Forgets what is on disk now.
    pub(crate) fn written_below(&self, sequence: u64) {
        let mut recent = self.recent();
        while recent.front().is_some_and(|entry| entry.sequence.0 < sequence) {
            recent.pop_front();
        }
    }

    /// Follows the number of entries.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.next.subscribe()
    }

    /// Some entries from `from` on, as messages; empty where there are none yet.
    pub(crate) async fn read(
        &self,
        store: &dyn Store,
        sealer: &Sealer,
        from: u64,
    ) -> Result<Vec<pb::Event>, OutboxError> {
        // The disk first, memory second: what leaves memory in between is on disk already, but was not read.
        let start = from.to_be_bytes();
        let rows = store.read_rows(OUTBOX_TABLE, &start[..]..&u64::MAX.to_be_bytes()[..], ENTRIES_PER_READ_MAX)?;
        let mut events = Vec::with_capacity(rows.len());
        for row in rows {
            let Ok(id) = <[u8; 8]>::try_from(&row.key.id[..]) else { continue };
            let plain = sealer.open_entry(Sequence(u64::from_be_bytes(id)), &row.bytes).await?;
            let event = decode_message::<pb::Event>(&plain);
            events.push(event.map_err(|error| UnsealError::Content { what: "entry", error })?);
        }
        let next = events.last().map_or(from, |event| event.sequence + 1);
        let room = ENTRIES_PER_READ_MAX.saturating_sub(events.len());
        let recent = self.recent();
        events.extend(
            recent.iter().skip_while(|entry| entry.sequence.0 < next).take(room).map(|entry| entry_to_pb(entry)),
        );
        drop(recent);
        match events.first() {
            Some(first) if first.sequence != from => Err(OutboxError::Gone { asked: from, first: first.sequence }),
            _ => Ok(events),
        }
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<Arc<Entry>>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn entry_to_pb(entry: &Entry) -> pb::Event {
    pb::Event {
        sequence: entry.sequence.0,
        revision: Some(latchkey_wire::pb::v1::Revision { epoch: entry.revision.epoch, index: entry.revision.index }),
        format: u32::from(latchkey_state::EVENT_FORMAT),
        event: entry.event.clone(),
        opening: entry.o.to_vec(),
        root: entry.root.as_bytes().to_vec(),
    }
}

pub(crate) fn entry_to_bytes(entry: &Entry) -> Vec<u8> {
    entry_to_pb(entry).encode_to_vec()
}
