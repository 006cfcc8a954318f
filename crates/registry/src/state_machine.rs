//! openraft's state machine over [`State`], and how the state is loaded at a start.

use crate::applier::{Applier, Committed, Job};
use crate::core::{Condition, Core, mark};
use crate::keyring::KeyringError;
use crate::log_store::storage_error;
use crate::sealing::UnsealError;
use crate::snapshot_file::{self, Frames, SnapshotError};
use crate::types::{
    Entry, LogId, Reply, Snapshot, SnapshotData, SnapshotMeta, StorageError, StoredMembership, TypeConfig,
};
use crate::words::{decode, log_id_from_pb, stored_membership_from_pb};
use latchkey_state::State;
use latchkey_storage::{SnapshotName, StateSource};
use latchkey_wire::pb::disk::v1 as pb;
use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, ErrorSubject, ErrorVerb, OptionalSend, RaftSnapshotBuilder};
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// How long to wait before the key-encryption key is asked for again.
pub(crate) const UNLOCK_RETRY: Duration = Duration::from_secs(1);

/// The state machine of one replica, as raft sees it: what it asks is done by the applier, in order.
pub struct StateMachine {
    jobs: UnboundedSender<Job>,
}

/// Builds a snapshot for the price of a clone.
pub struct SnapshotBuilder {
    snapshot: Result<Snapshot, StorageError>,
}

impl StateMachine {
    /// Over what the disk holds. The state itself is loaded by `load`, which may have to wait for a key.
    ///
    /// # Errors
    /// What is on the disk is not what was written.
    ///
    /// # Panics
    /// Outside a runtime.
    pub fn new(core: Arc<Core>) -> Result<Self, SnapshotError> {
        Self::begin(core).map(|(machine, _)| machine)
    }

    /// As [`Self::new`], with the task that applies: it holds the store until it has ended.
    pub(crate) fn begin(core: Arc<Core>) -> Result<(Self, JoinHandle<()>), SnapshotError> {
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
        let (jobs, asked) = mpsc::unbounded_channel();
        // Ends when this goes away.
        let applier = tokio::spawn(Applier::new(core, applied, membership).run(asked));
        Ok((Self { jobs }, applier))
    }

    fn ask(&self, job: Job) -> Result<(), FencedError> {
        self.jobs.send(job).map_err(|_| FencedError)
    }

    /// What is applied, once all that was asked before is.
    async fn snapshot(&self) -> Result<Snapshot, StorageError> {
        let (asked, snapshot) = oneshot::channel();
        self.ask(Job::Snapshot(asked)).map_err(apply_error)?;
        snapshot.await.map_err(|_| apply_error(FencedError))
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
        let meta = self.snapshot().await?.meta;
        Ok((meta.last_log_id, meta.last_membership))
    }

    /// Returns at once: raft answers its callers when a record is committed, and they wait for the reply themselves. Else
    /// each record that raft hands over would be published alone.
    async fn apply<I>(&mut self, entries: I) -> Result<Vec<Reply>, StorageError>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let committed = |entry: Entry| match entry.payload {
            EntryPayload::Blank | EntryPayload::Membership(_) => (Committed { entry, reply: None }, Reply(None)),
            EntryPayload::Normal(_) => {
                let (reply, applied) = oneshot::channel();
                (Committed { entry, reply: Some(reply) }, Reply(Some(applied)))
            }
        };
        let (records, replies) = entries.into_iter().map(committed).unzip();
        self.ask(Job::Apply(records)).map_err(apply_error)?;
        Ok(replies)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder { snapshot: self.snapshot().await }
    }

    async fn begin_receiving_snapshot(&mut self) -> Result<Box<SnapshotData>, StorageError> {
        Ok(Box::new(SnapshotData::Empty))
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, snapshot: Box<SnapshotData>) -> Result<(), StorageError> {
        let (asked, installed) = oneshot::channel();
        self.ask(Job::Install(meta.clone(), snapshot, asked)).map_err(apply_error)?;
        let installed = installed.await.map_err(|_| apply_error(FencedError))?;
        installed
            .map_err(|error| storage_error(ErrorSubject::Snapshot(Some(meta.signature())), ErrorVerb::Write, error))
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, StorageError> {
        let snapshot = self.snapshot().await?;
        Ok(snapshot.meta.last_log_id.is_some().then_some(snapshot))
    }
}

/// The name that a snapshot's file has.
pub(crate) fn snapshot_name(meta: &SnapshotMeta) -> Result<SnapshotName, SnapshotError> {
    SnapshotName::parse(&meta.snapshot_id)
        .map_err(|error| crate::words::WordError { expected: "a snapshot id", found: error.to_string() }.into())
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    async fn build_snapshot(&mut self) -> Result<Snapshot, StorageError> {
        let Snapshot { meta, snapshot } = self.snapshot.as_ref().map_err(Clone::clone)?;
        Ok(Snapshot { meta: meta.clone(), snapshot: snapshot.clone() })
    }
}

/// Loads the state that the disk holds and publishes it. Waits, locked, for as long as the KEK is away.
pub(crate) async fn load(core: Arc<Core>) {
    loop {
        let (loading, runtime) = (core.clone(), tokio::runtime::Handle::current());
        let loaded = tokio::task::spawn_blocking(move || runtime.block_on(load_all(&loading))).await;
        let error = match loaded {
            Ok(Ok(state)) => {
                info!(revision = %state.revision(), keys = state.key_count(), "state loaded");
                core.outbox.start_at(state.progress());
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

/// The state, and what is denied here whatever it says: both before the first answer.
async fn load_all(core: &Core) -> Result<State, SnapshotError> {
    let state = load_once(core).await?;
    core.denials.load(core).await?;
    core.node_key.load(core).await?;
    Ok(state)
}

pub(crate) async fn load_once(core: &Core) -> Result<State, SnapshotError> {
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
            core.rows.begin_at(state.revision().index);
            core.rows.come_to(&state);
            Ok(state)
        }
        StateSource::Base(base) => {
            let mut reader = core.store.read_snapshot(&base.name)?;
            let frames = Frames::open(&mut reader)?;
            let meta = frames.meta();
            let state = snapshot_file::load(core, frames).await?;
            core.rows.come_to(&state);
            if let Some(log_id) = &meta.last_log_id {
                core.rows.replace(base.name, mark(log_id, &meta.last_membership, state.hash()));
            }
            Ok(state)
        }
    }
}

/// Whether an error is one that time, or an operator who brings the KEK back, can heal.
pub(crate) fn is_about_the_kek(error: &SnapshotError) -> bool {
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
