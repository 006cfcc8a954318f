//! Under which keys the records of this replica's log are sealed: an older key may go only when no record is under it.

use crate::types::{Entry, IntroducedKey, LogCommand};
use crate::words::{WordError, decode, record_from_pb};
use latchkey_crypto::envelope;
use latchkey_domain::RingNumber;
use latchkey_storage::{Store, StoreError};
use latchkey_wire::pb::disk::v1 as pb;
use openraft::EntryPayload;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Bytes of records that one read of the log returns.
const READ_BYTES_MAX: usize = 512 << 10;

/// The last record under each key. Records that raft took back count until the log is purged behind them: that errs on
/// keeping a key.
#[derive(Default)]
pub(crate) struct LogKeys {
    last: Mutex<Last>,
    read: AtomicBool,
}

#[derive(Default)]
struct Last {
    under: BTreeMap<RingNumber, u64>,
    /// The last record that brings a key along, and the key as it lies there: wrapped by the KEK of then.
    introduced: Option<(u64, IntroducedKey)>,
}

impl LogKeys {
    /// Takes note of records that are appended.
    pub(crate) fn note<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) {
        let mut last = self.last();
        for entry in entries {
            let EntryPayload::Normal(LogCommand { sealed, introduced, .. }) = &entry.payload else { continue };
            let index = entry.log_id.index;
            if let Ok(number) = envelope::ring_number(sealed) {
                let at = last.under.entry(number).or_default();
                *at = index.max(*at);
            }
            if let Some(key) = introduced.last()
                && last.introduced.as_ref().is_none_or(|(at, _)| *at <= index)
            {
                last.introduced = Some((index, key.clone()));
            }
        }
    }

    /// Takes note of the records that lie on disk from before. On a thread that may block.
    pub(crate) fn read(&self, store: &dyn Store) -> Result<(), LogKeysError> {
        let mut next = store.first_index().unwrap_or(0);
        loop {
            let records = store.read(next..u64::MAX, READ_BYTES_MAX)?;
            let Some(end) = records.last() else { break };
            next = end.index + 1;
            let entry = |bytes: &[u8]| record_from_pb(decode::<pb::LogRecord>("a log record", bytes)?);
            let entries: Result<Vec<_>, WordError> = records.iter().map(|record| entry(&record.bytes)).collect();
            self.note(&entries?);
        }
        self.read.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether what lay on disk at the start is known.
    pub(crate) fn is_read(&self) -> bool {
        self.read.load(Ordering::Acquire)
    }

    /// The keys other than `newest` that records from `first` on are under, each with the last such record.
    pub(crate) fn older(&self, first: u64, newest: RingNumber) -> BTreeMap<RingNumber, u64> {
        let last = self.last();
        let older = last.under.iter().filter(|(number, index)| **number != newest && **index >= first);
        older.map(|(number, index)| (*number, *index)).collect()
    }

    /// The key that a record from `first` on brings along, and the last such record.
    pub(crate) fn introduced(&self, first: u64) -> Option<(u64, IntroducedKey)> {
        self.last().introduced.clone().filter(|(index, _)| *index >= first)
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why the log could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogKeysError {
    /// The disk.
    #[error("cannot read the log")]
    Store(#[from] StoreError),
    /// The bytes.
    #[error("cannot read a record of the log")]
    Word(#[from] WordError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::LogId;
    use latchkey_crypto::DataKey;
    use latchkey_crypto::envelope::{Context, Field};
    use latchkey_domain::{ClusterId, TenantNumber};
    use openraft::CommittedLeaderId;

    fn record(index: u64, under: u32) -> Entry {
        let (cluster, tenant) = (ClusterId([1; 16]), TenantNumber(0));
        let context = Context { cluster, tenant, record: b"", field: Field::COMMAND, schema: 1 };
        let sealed = envelope::seal(&DataKey::new([1; 32]), RingNumber(under), &context, [0; 16], b"command");
        let command = LogCommand { sealed: sealed.into(), introduced: Vec::new(), trace: None };
        Entry { log_id: LogId::new(CommittedLeaderId::new(1, 1), index), payload: EntryPayload::Normal(command) }
    }

    #[test]
    fn a_key_is_needed_until_the_last_record_under_it_is_purged() {
        let keys = LogKeys::default();
        keys.note(&[record(1, 1), record(2, 1), record(3, 9), record(4, 1), record(5, 9)]);
        assert_eq!(keys.older(1, RingNumber(9)), BTreeMap::from([(RingNumber(1), 4)]));
        assert_eq!(keys.older(4, RingNumber(9)).len(), 1, "a record that was sealed before and came later counts");
        assert!(keys.older(5, RingNumber(9)).is_empty());
    }
}
