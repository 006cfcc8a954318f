//! openraft's state machine over [`State`]: opens each record, applies it, publishes the whole, queues its rows.

use crate::core::{Condition, Core, HASH_INTERVAL_RECORDS, mark};
use crate::keyring::KeyringError;
use crate::log_store::storage_error;
use crate::row_writer::Batch;
use crate::sealing::UnsealError;
use crate::snapshot_file::{self, Frames, SnapshotError};
use crate::types::{
    Entry, LogCommand, LogId, Reply, Snapshot, SnapshotData, SnapshotMeta, StorageError, StoredMembership, TypeConfig,
};
use crate::words::{decode, log_id_from_pb, stored_membership_from_pb};
use latchkey_state::{Applied, Changes, Command, Row, RowId, State};
use latchkey_storage::{Base, SnapshotName, StateSource};
use latchkey_wire::pb::disk::v1 as pb;
use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, ErrorSubject, ErrorVerb, OptionalSend, RaftSnapshotBuilder};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::{error, info, warn};

/// How long to wait before the key-encryption key is asked for again.
const UNLOCK_RETRY: Duration = Duration::from_secs(1);

/// The state machine of one replica.
pub struct StateMachine {
    core: Arc<Core>,
    applied: Option<LogId>,
    membership: StoredMembership,
}

/// Builds a snapshot for the price of a clone.
pub struct SnapshotBuilder {
    snapshot: Snapshot,
}

impl StateMachine {
    /// Over what the disk holds. The state itself is loaded by `load`, which may have to wait for a key.
    ///
    /// # Errors
    /// What is on the disk is not what was written.
    pub fn new(core: Arc<Core>) -> Result<Self, SnapshotError> {
        let (applied, membership) = match core.store.state_source() {
            StateSource::Empty => (None, StoredMembership::default()),
            StateSource::Rows(mark) => {
                let mark = decode::<pb::StateMark>("the mark of the rows", &mark.bytes)?;
                let membership = mark.membership.map(stored_membership_from_pb).unwrap_or_default();
                (mark.last_log_id.as_ref().map(log_id_from_pb), membership)
            }
            StateSource::Base(base) => {
                let mut reader = core.store.read_snapshot(&base.name)?;
                let meta = Frames::open(&mut reader)?.meta();
                (meta.last_log_id, meta.last_membership)
            }
        };
        Ok(Self { core, applied, membership })
    }

    /// What is applied now, as a snapshot: a clone.
    fn snapshot(&self) -> Snapshot {
        let state = (self.core.condition() == Condition::Ready).then(|| Box::new(State::clone(&self.core.state())));
        // Named by what it covers: the same point has the same name on every replica.
        let point = self.applied.unwrap_or_default();
        let meta = SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
            snapshot_id: format!("{}-{}", point.leader_id.term, point.index),
        };
        Snapshot { meta, snapshot: Box::new(SnapshotData::Own(state)) }
    }

    async fn apply_entry(
        &mut self,
        state: &mut State,
        entry: Entry,
    ) -> Result<(Changes, Option<Applied>), UnsealError> {
        let revision = self.core.revision_at(entry.log_id.index);
        let result = match entry.payload {
            EntryPayload::Blank => (state.skip(revision), None),
            EntryPayload::Membership(membership) => {
                self.membership = StoredMembership::new(Some(entry.log_id), membership);
                (state.skip(revision), None)
            }
            EntryPayload::Normal(LogCommand { sealed, introduced: keys }) => {
                for key in &keys {
                    self.core.keyring.add_introduced(key);
                }
                let command = self.open(&sealed).await?;
                let mut applied = state.apply(revision, &command);
                (std::mem::take(&mut applied.changes), Some(applied))
            }
        };
        self.applied = Some(entry.log_id);
        self.note_ring(&result.0);
        if entry.log_id.index.is_multiple_of(HASH_INTERVAL_RECORDS) {
            self.core.note_hash(state.hashed_at());
        }
        Ok(result)
    }

    /// Opens a record. Waits, locked, while the KEK is away: that is no fault of the record, and no reason to fence.
    async fn open(&self, sealed: &[u8]) -> Result<Command, UnsealError> {
        loop {
            match self.core.sealer.open_command(sealed).await {
                Err(UnsealError::Keyring(KeyringError::Kms { source, .. })) if source.is_retryable() => {
                    warn!(error = %source, "locked: a record waits for the key-encryption key");
                    self.core.set_condition(Condition::Locked);
                    tokio::time::sleep(UNLOCK_RETRY).await;
                }
                opened => {
                    if opened.is_ok() && self.core.condition() == Condition::Locked {
                        self.core.set_condition(Condition::Ready);
                    }
                    return opened;
                }
            }
        }
    }

    fn note_ring(&self, changes: &Changes) {
        for (id, row) in changes {
            match (id, row) {
                (RowId::RingKey(number), None) => self.core.keyring.remove(*number),
                (_, Some(Row::RingKey(key))) => self.core.keyring.add(key.clone()),
                _ => {}
            }
        }
    }
}

fn apply_error(error: impl Error + 'static) -> StorageError {
    storage_error(ErrorSubject::StateMachine, ErrorVerb::Write, error)
}

/// Apply was called on a replica that may not apply.
#[derive(Debug, thiserror::Error)]
#[error("this replica is fenced")]
struct FencedError;

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), StorageError> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        // A locked replica holds its applies here, while openraft goes on to append and to vote.
        if !self.core.loaded().await {
            return Err(apply_error(FencedError));
        }
        let begun = Instant::now();
        let mut state = State::clone(&self.core.state());
        let (mut changes, mut audit, mut replies) = (Changes::new(), Vec::new(), Vec::new());
        let entries = entries.into_iter().collect::<Vec<_>>();
        for entry in entries {
            match self.apply_entry(&mut state, entry).await {
                Ok((more, applied)) => {
                    changes.extend(more);
                    let applied = applied.map(|mut applied| {
                        audit.extend(std::mem::take(&mut applied.entries).into_iter().map(Arc::new));
                        Arc::new(applied)
                    });
                    replies.push(Reply(applied));
                }
                Err(error) => {
                    // A record is never skipped: what comes after it would be applied to another state.
                    self.core.fence(&format!("a log record does not open or decode: {error}"));
                    return Err(apply_error(error));
                }
            }
            // The cluster has moved on to commands that this build does not know: a newer one is needed here.
            if !state.is_understood() {
                self.core.fence("the cluster runs at a feature level that this build does not know");
                return Err(apply_error(FencedError));
            }
            // A write may not be larger than the storage's batch, and ends at the border of a record.
            if changes.len() + audit.len() > BATCH_ROWS_MAX {
                self.queue(&state, &mut changes, &mut audit).await;
            }
        }
        self.queue(&state, &mut changes, &mut audit).await;
        self.core.publish(state);
        metrics::histogram!(latchkey_telemetry::names::APPLY_SECONDS).record(begun.elapsed().as_secs_f64());
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { snapshot: self.snapshot() }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotData>, StorageError> {
        Ok(Box::new(SnapshotData::Empty))
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Box<SnapshotData>) -> Result<(), StorageError> {
        // The state on disk is being loaded: what loads last would win, and it has to be the snapshot.
        if !self.core.loaded().await {
            return Err(apply_error(FencedError));
        }
        let installed = self.install(meta, *snapshot).await;
        installed
            .map_err(|error| storage_error(ErrorSubject::Snapshot(Some(meta.signature())), ErrorVerb::Write, error))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        Ok(self.applied.is_some().then(|| self.snapshot()))
    }
}

/// Rows gathered from one apply before they are queued. With the largest record on top this stays in one batch.
const BATCH_ROWS_MAX: usize = 1_024;

impl StateMachine {
    async fn queue(&self, state: &State, changes: &mut Changes, audit: &mut Vec<Arc<latchkey_state::Entry>>) {
        let Some(log_id) = &self.applied else { return };
        let entries = std::mem::take(audit);
        self.core.outbox.extend(&entries);
        let mark = mark(log_id, &self.membership, state.hash());
        let changes = std::mem::take(changes);
        self.core.rows.push(Batch { changes, entries, mark, state: state.clone() }).await;
    }

    async fn install(&mut self, meta: &SnapshotMeta, snapshot: SnapshotData) -> Result<(), SnapshotError> {
        let name = match snapshot {
            SnapshotData::Received(name) => name,
            SnapshotData::Own(Some(state)) => self.write_own(meta, *state).await?,
            SnapshotData::Own(None) | SnapshotData::Empty => return Err(SnapshotError::Foreign),
        };
        let state = self.read_received(&name).await?;
        if let Some(log_id) = meta.last_log_id {
            self.core.store.set_base(Base { name: name.clone(), index: log_id.index })?;
            let mark = mark(&log_id, &meta.last_membership, state.hash());
            self.core.rows.replace(name, mark);
        }
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.core.outbox.start_at(state.progress().frontier.size());
        info!(revision = %state.revision(), keys = state.key_count(), "snapshot installed");
        self.core.publish(state);
        self.core.set_condition(Condition::Ready);
        Ok(())
    }

    /// The state in a file that was received. Waits, locked, while a key that it needs is not to be had.
    async fn read_received(&self, name: &SnapshotName) -> Result<State, SnapshotError> {
        loop {
            let (core, file, runtime) = (self.core.clone(), name.clone(), tokio::runtime::Handle::current());
            let reading = tokio::task::spawn_blocking(move || {
                let mut reader = core.store.read_snapshot(&file)?;
                runtime.block_on(snapshot_file::load(&core, Frames::open(&mut reader)?))
            });
            match reading.await.map_err(|error| std::io::Error::other(error.to_string()))? {
                Err(error) if is_about_the_kek(&error) => {
                    warn!(error = chain(&error), "locked: the key-encryption key is not to be had");
                    self.core.set_condition(Condition::Locked);
                    tokio::time::sleep(UNLOCK_RETRY).await;
                }
                read => return read,
            }
        }
    }

    /// openraft may install what this replica itself built; it goes the same way as a received one.
    async fn write_own(&self, meta: &SnapshotMeta, state: State) -> Result<SnapshotName, SnapshotError> {
        let name = snapshot_name(meta)?;
        let (core, meta, file) = (self.core.clone(), meta.clone(), name.clone());
        let write = move || -> Result<(), SnapshotError> {
            let mut writer = core.store.write_snapshot(&file)?;
            snapshot_file::write_payload(&core, &meta, &state, &mut writer)?;
            writer.finish()?;
            Ok(())
        };
        tokio::task::spawn_blocking(write).await.map_err(|error| std::io::Error::other(error.to_string()))??;
        Ok(name)
    }
}

/// The name that a snapshot's file has.
pub(crate) fn snapshot_name(meta: &SnapshotMeta) -> Result<SnapshotName, SnapshotError> {
    SnapshotName::parse(&meta.snapshot_id)
        .map_err(|error| crate::words::WordError { expected: "a snapshot id", found: error.to_string() }.into())
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let Snapshot { meta, snapshot } = &self.snapshot;
        Ok(Snapshot { meta: meta.clone(), snapshot: snapshot.clone() })
    }
}

/// Loads the state that the disk holds and publishes it. Waits, locked, for as long as the KEK is away.
pub(crate) async fn load(core: Arc<Core>) {
    loop {
        let (loading, runtime) = (core.clone(), tokio::runtime::Handle::current());
        let loaded = tokio::task::spawn_blocking(move || runtime.block_on(load_once(&loading))).await;
        let error = match loaded {
            Ok(Ok(state)) => {
                info!(revision = %state.revision(), keys = state.key_count(), "state loaded");
                core.outbox.start_at(state.progress().frontier.size());
                core.publish(state);
                core.set_condition(Condition::Ready);
                return;
            }
            Ok(Err(error)) => error,
            Err(error) => {
                // A bug of this build and no fault of the data, so nothing is written that would outlive it.
                error!(%error, "loading the state panicked; this replica does not answer");
                core.set_condition(Condition::Fenced);
                return;
            }
        };
        if !is_about_the_kek(&error) {
            core.fence(&format!("the state on disk cannot be loaded: {}", chain(&error)));
            return;
        }
        warn!(error = chain(&error), "locked: the key-encryption key is not to be had");
        core.set_condition(Condition::Locked);
        tokio::time::sleep(UNLOCK_RETRY).await;
    }
}

async fn load_once(core: &Core) -> Result<State, SnapshotError> {
    match core.store.state_source() {
        StateSource::Empty => Ok(State::default()),
        StateSource::Rows(mark) => {
            let mark = decode::<pb::StateMark>("the mark of the rows", &mark.bytes)?;
            let state = crate::row_reader::load(core).await?;
            if state.hash().bytes() != mark.hash[..] {
                error!("the rows on disk are not those that their mark names");
                return Err(crate::words::WordError {
                    expected: "rows whose sum is the hash in their mark",
                    found: "another sum".into(),
                }
                .into());
            }
            Ok(state)
        }
        StateSource::Base(base) => {
            let mut reader = core.store.read_snapshot(&base.name)?;
            let frames = Frames::open(&mut reader)?;
            let meta = frames.meta();
            let state = snapshot_file::load(core, frames).await?;
            if let Some(log_id) = &meta.last_log_id {
                core.rows.replace(base.name, mark(log_id, &meta.last_membership, state.hash()));
            }
            Ok(state)
        }
    }
}

/// Whether an error is one that time, or an operator who brings the KEK back, can heal.
fn is_about_the_kek(error: &SnapshotError) -> bool {
    matches!(error, SnapshotError::Unseal(UnsealError::Keyring(KeyringError::Kms { .. })))
}

pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// Declares an empty store loaded and writes its rows: for conformance tests, which bring no task that would.
#[doc(hidden)]
pub fn start_empty(core: &Arc<Core>) {
    core.publish(State::default());
    core.set_condition(Condition::Ready);
    let core = core.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        crate::row_writer::run(&core, runtime.expect("a runtime needs no more than memory").handle());
    });
}
