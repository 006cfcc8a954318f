//! openraft's log over [`Store`]. Votes are durable before they are answered. An append is acknowledged to raft's core at
//! once, which would otherwise do nothing else until it is on disk; see [`durable`](crate::durable) for who waits instead.

use crate::core::Core;
use crate::recent::Recent;
use crate::types::{Entry, LogId, StorageError, TypeConfig, Vote};
use crate::words::{
    WordError, decode, log_id_from_bytes, log_id_to_bytes, record_from_pb, record_to_pb, vote_from_pb, vote_to_pb,
};
use latchkey_domain::planted::{self, Plant};
use latchkey_storage::{Done, LogRecord, Store, StoreError, Word};
use latchkey_telemetry::names;
use latchkey_wire::pb::disk::v1 as pb;
use metrics::histogram;
use openraft::storage::{LogFlushed, RaftLogStorage};
use openraft::{AnyError, ErrorSubject, ErrorVerb, LogState, OptionalSend, RaftLogReader, StorageIOError};
use prost::Message;
use std::error::Error;
use std::fmt::Debug;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Bytes of records that one read for replication returns. Keeps a message far below the internal limit.
const READ_BYTES_MAX: usize = 512 << 10;

/// The log of one replica.
#[derive(Clone)]
pub struct LogStore {
    core: Arc<Core>,
    recent: Arc<Recent>,
}

impl LogStore {
    /// Over the replica's storage.
    #[must_use]
    pub fn new(core: Arc<Core>) -> Self {
        Self { core, recent: Arc::default() }
    }

    fn store(&self) -> &dyn Store {
        self.core.store.as_ref()
    }

    /// Runs what completes through a [`Done`] and waits for it without blocking the runtime.
    async fn durable(&self, start: impl FnOnce(&dyn Store, Done)) -> Result<(), StoreError> {
        let (answer, answered) = oneshot::channel();
        start(self.store(), Box::new(move |result| drop(answer.send(result))));
        answered.await.unwrap_or_else(|_| Err(StoreError::Stopped { why: "the store is gone".into() }))
    }

    #[expect(clippy::result_large_err, reason = "openraft's own error type")]
    fn read(&self, start: u64, end: u64, bytes_max: usize) -> Result<Vec<Entry>, StorageError> {
        if let Some(entries) = self.recent.read(start..end, bytes_max) {
            return Ok(entries);
        }
        let records = self.store().read(start..end, bytes_max).map_err(|error| log_error(ErrorVerb::Read, error))?;
        let entry = |record: LogRecord| {
            let record = decode::<pb::LogRecord>("a log record", &record.bytes)?;
            record_from_pb(record)
        };
        records
            .into_iter()
            .map(|record| entry(record).map_err(|error: WordError| log_error(ErrorVerb::Read, error)))
            .collect()
    }
}

pub(crate) fn log_error(verb: ErrorVerb, error: impl Error + 'static) -> StorageError {
    storage_error(ErrorSubject::Logs, verb, error)
}

pub(crate) fn storage_error(subject: ErrorSubject<u64>, verb: ErrorVerb, error: impl Error + 'static) -> StorageError {
    StorageIOError::new(subject, verb, AnyError::new(&error)).into()
}

impl RaftLogReader<TypeConfig> for LogStore {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Result<Vec<Entry>, StorageError> {
        let start = match range.start_bound() {
            Bound::Included(index) => *index,
            Bound::Excluded(index) => index + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(index) => index + 1,
            Bound::Excluded(index) => *index,
            Bound::Unbounded => u64::MAX,
        };
        let mut entries = Vec::new();
        let mut next = start;
        // The store gives as many as fit; openraft wants all that there are.
        while next < end {
            let more = self.read(next, end, READ_BYTES_MAX)?;
            let Some(last) = more.last() else { break };
            next = last.log_id.index + 1;
            entries.extend(more);
        }
        Ok(entries)
    }

    /// What replication sends on: no record that is not on disk here, but all that are.
    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> Result<Vec<Entry>, StorageError> {
        let durable = &self.core.durable;
        durable.record(start).await.map_err(|error| log_error(ErrorVerb::Read, error))?;
        self.read(start, end.min(durable.below().max(start + 1)), READ_BYTES_MAX)
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>, StorageError> {
        let bounds = self.store().log_bounds();
        let last_purged_log_id = bounds
            .purged
            .map(|purged| log_id_from_bytes(&purged.marker))
            .transpose()
            .map_err(|error| log_error(ErrorVerb::Read, error))?;
        let last_log_id = match bounds.last {
            None => last_purged_log_id,
            Some(index) => self.read(index, index + 1, READ_BYTES_MAX)?.pop().map(|entry| entry.log_id),
        };
        Ok(LogState { last_purged_log_id, last_log_id })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), StorageError> {
        let vote_error = |error| storage_error(ErrorSubject::Vote, ErrorVerb::Write, error);
        self.core.durable.check().map_err(vote_error)?;
        if vote.leader_id.voted_for() == Some(self.core.node().0) && !planted::is(Plant::VoteBeforeLog) {
            // The others elect it for the records that it names. It would lead on without those that a power cut takes,
            // and write over what was committed. A vote that is saved passes records which wait for a snapshot.
            self.core.durable.all().await.map_err(vote_error)?;
        }
        let bytes = vote_to_pb(vote).encode_to_vec().into();
        self.durable(|store, done| store.save_word(Word::Vote, bytes, done)).await.map_err(vote_error)
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, StorageError> {
        let vote = self.store().word(Word::Vote).map(|bytes| decode::<pb::Vote>("a vote", &bytes)).transpose();
        let vote = vote.map_err(|error| storage_error(ErrorSubject::Vote, ErrorVerb::Read, error))?;
        Ok(vote.as_ref().map(vote_from_pb))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), StorageError> {
        // For whoever examines a folder; see `read_committed`.
        if let Some(log_id) = committed {
            self.store().save_word_lazily(Word::Committed, log_id_to_bytes(&log_id));
        }
        Ok(())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, StorageError> {
        // openraft would apply up to it before it starts, and a replica whose key is away applies nothing: it could neither
        // vote nor append. Without it the leader tells what is committed, and nobody answers before that anyway.
        Ok(None)
    }

    async fn append<I>(&mut self, entries: I, callback: LogFlushed<TypeConfig>) -> Result<(), StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.core.durable.check().map_err(|error| log_error(ErrorVerb::Write, error))?;
        // What was purged is applied and durable in the state; its records have no place in the log any more.
        let purged = self.store().log_bounds().purged.map(|purged| purged.through);
        let kept = |entry: &Entry| purged.is_none_or(|through| entry.log_id.index > through);
        let entries: Vec<_> = entries.into_iter().filter(kept).collect();
        let indexes = entries.first().zip(entries.last()).map(|(first, last)| first.log_id.index..=last.log_id.index);
        if let Some(indexes) = &indexes
            && self.store().last_index().is_some_and(|last| *indexes.start() <= last)
        {
            // openraft truncates before it writes over records, but its contract does not say so. Queued first, and
            // so carried out first.
            self.store().truncate_from(*indexes.start(), Box::new(drop));
        }
        let record =
            |entry: &Entry| LogRecord { index: entry.log_id.index, bytes: record_to_pb(entry).encode_to_vec().into() };
        let records = entries.iter().map(record).collect();
        let ticket = self.core.durable.append(indexes);
        self.core.log_keys.note(&entries);
        self.recent.append(entries);
        let durable = self.core.durable.clone();
        let begun = Instant::now();
        let done = move |result| {
            durable.reached(ticket, result);
            histogram!(names::LOG_SYNC_SECONDS).record(begun.elapsed().as_secs_f64());
        };
        self.store().append(records, Box::new(done));
        // What is refused at once is in no log: the core may not stand for election with it.
        self.core.durable.check().map_err(|error| log_error(ErrorVerb::Write, error))?;
        // The core holds this for durable. All that it then has done with the record waits until it is.
        callback.log_io_completed(Ok(()));
        Ok(())
    }

    async fn truncate(&mut self, log_id: LogId) -> Result<(), StorageError> {
        self.core.durable.truncate(log_id.index);
        self.recent.truncate(log_id.index);
        self.durable(|store, done| store.truncate_from(log_id.index, done))
            .await
            .map_err(|error| log_error(ErrorVerb::Delete, error))
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), StorageError> {
        // openraft purges a follower's log before it installs the snapshot, so this is a promise until the state at
        // or beyond that point is durable.
        self.recent.purge(log_id.index);
        self.core.durable.purge(log_id.index, self.store().last_index());
        self.store().promise_purge(log_id.index, log_id_to_bytes(&log_id));
        Ok(())
    }
}
