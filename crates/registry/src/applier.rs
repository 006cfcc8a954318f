//! The one task that touches the state: it applies what is committed, builds snapshots and installs them, in the order in
//! which raft asks. What was committed while it worked is applied in one go: one clone of the state, one write of rows, one
//! publication.

use crate::backup::in_background;
use crate::core::{Condition, Core, HASH_INTERVAL_RECORDS, mark};
use crate::keyring::KeyringError;
use crate::row_writer::Batch;
use crate::sealing::{UnsealError, is_void};
use crate::snapshot_file::{self, Frames, SnapshotError};
use crate::state_machine::{UNLOCK_RETRY, chain, is_about_the_kek, snapshot_name};
use crate::types::{Entry, LogCommand, LogId, Snapshot, SnapshotData, SnapshotMeta, StoredMembership};
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{Refusal, Revision, RingNumber, UnixMillis};
use latchkey_state::{Applied, Changes, Command, RingPurpose, Row, RowId, State};
use latchkey_storage::{Base, SnapshotName, StoreError};
use latchkey_telemetry::{TraceParent, names, span_after};
use metrics::histogram;
use openraft::EntryPayload;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{Span, error, info, warn};

/// Records that are applied before readers see any of them. More wait for the next publication.
const RECORDS_MAX: usize = 1_024;

/// Rows gathered before they are queued. With the largest record on top this stays in one batch.
const BATCH_ROWS_MAX: usize = 1_024;

/// A committed record, and who waits for what becomes of it.
pub(crate) struct Committed {
    pub(crate) entry: Entry,
    pub(crate) reply: Option<oneshot::Sender<Arc<Applied>>>,
}

/// What raft asks of the state.
pub(crate) enum Job {
    /// To apply these, which follow what was applied before.
    Apply(Vec<Committed>),
    /// To show what is applied, once all before it is.
    Snapshot(oneshot::Sender<Snapshot>),
    /// To put a snapshot in the place of the state.
    Install(SnapshotMeta, Box<SnapshotData>, oneshot::Sender<Result<(), SnapshotError>>),
}

/// The state of one replica, and how far it is applied.
pub(crate) struct Applier {
    core: Arc<Core>,
    applied: Option<LogId>,
    membership: StoredMembership,
    /// When what ends keys was stamped that is applied and not published yet.
    revoked: Vec<UnixMillis>,
    /// Keys of the keyring that are destroyed in what is applied and not published yet: readers still need them.
    dropped: Vec<RingNumber>,
    /// Those of them that seal rows, and the record that destroyed each: rows of before it may wait to be written.
    fading: Vec<(u64, RingNumber)>,
}

/// This replica may not apply; its log says why.
struct Fenced;

impl Applier {
    pub(crate) const fn new(core: Arc<Core>, applied: Option<LogId>, membership: StoredMembership) -> Self {
        Self { core, applied, membership, revoked: Vec::new(), dropped: Vec::new(), fading: Vec::new() }
    }

    /// Works until nobody asks any more, or until this replica may not apply. Whoever waits then hears nothing.
    pub(crate) async fn run(mut self, mut jobs: UnboundedReceiver<Job>) {
        self.work(&mut jobs).await;
        // Whoever waits for a record behind a snapshot would wait for ever: nobody installs one any more.
        self.core.durable.fail(StoreError::Stopped { why: "this replica applies no more".into() });
    }

    async fn work(&mut self, jobs: &mut UnboundedReceiver<Job>) {
        let mut next = jobs.recv().await;
        while let Some(job) = next.take() {
            match job {
                Job::Apply(records) => {
                    let Ok((records, after)) = self.gather(records, jobs).await else { return };
                    let Ok(()) = self.apply(records).await else { return };
                    next = after;
                }
                // Whoever went away in the meantime is not missed.
                Job::Snapshot(asked) => drop(asked.send(self.snapshot())),
                Job::Install(meta, snapshot, asked) => {
                    let installed = self.install(&meta, *snapshot).await;
                    // raft ends with it, and what it was told meanwhile will never be on this disk.
                    if let Err(error) = &installed {
                        self.core.durable.fail(StoreError::Stopped { why: chain(error).into() });
                    }
                    drop(asked.send(installed));
                }
            }
            if next.is_none() {
                next = jobs.recv().await;
            }
        }
    }

    /// Waits until these records are durable here, or a snapshot stands for them, and takes those with them that became
    /// durable meanwhile. The second is the job that comes after them, where one was met.
    async fn gather(
        &self,
        mut records: Vec<Committed>,
        jobs: &mut UnboundedReceiver<Job>,
    ) -> Result<(Vec<Committed>, Option<Job>), Fenced> {
        // A locked replica holds its applies here, while openraft goes on to append and to vote.
        if !self.core.loaded().await {
            return Err(Fenced);
        }
        let durable = &self.core.durable;
        if let Err(error) = durable.committed(last_index(&records)).await {
            if durable.has_ended() {
                return Err(Fenced);
            }
            error!(%error, "the log is not durable; this replica answers no more");
            self.core.set_condition(Condition::Fenced);
            return Err(Fenced);
        }
        let below = durable.below();
        while records.len() < RECORDS_MAX {
            match jobs.try_recv() {
                Ok(Job::Apply(more)) if last_index(&more) < below => records.extend(more),
                Ok(other) => return Ok((records, Some(other))),
                Err(_) => break,
            }
        }
        Ok((records, None))
    }

    async fn apply(&mut self, records: Vec<Committed>) -> Result<(), Fenced> {
        let begun = Instant::now();
        let mut state = State::clone(&self.core.state());
        let (mut changes, mut audit, mut answers) = (Changes::new(), Vec::new(), Vec::with_capacity(records.len()));
        let mut spans = Vec::new();
        for Committed { entry, reply } in records {
            spans.extend(self.traced(&entry));
            let adds_key;
            match self.apply_entry(&mut state, entry).await {
                Ok((more, applied)) => {
                    adds_key = more.values().any(|row| matches!(row, Some(Row::RingKey(_))));
                    changes.extend(more);
                    if let Some(mut applied) = applied {
                        audit.extend(std::mem::take(&mut applied.entries).into_iter().map(Arc::new));
                        answers.extend(reply.map(|reply| (reply, applied)));
                    }
                }
                Err(error) => {
                    // A record is never skipped: what comes after it would be applied to another state.
                    self.core.fence(&format!("a log record does not open or decode: {error}"));
                    return Err(Fenced);
                }
            }
            // The cluster has moved on to commands that this build does not know: a newer one is needed here.
            if !state.is_understood() {
                self.core.fence("the cluster runs at a feature level that this build does not know");
                return Err(Fenced);
            }
            // A write may not be larger than the storage's batch, and ends at the border of a record. What a new key of the
            // keyring is to take the place of is destroyed by a later one.
            if adds_key || changes.len() + audit.len() > BATCH_ROWS_MAX {
                self.queue(&state, &mut changes, &mut audit).await;
            }
        }
        self.queue(&state, &mut changes, &mut audit).await;
        self.publish(state);
        // A record is applied when readers see it.
        drop(spans);
        histogram!(names::APPLY_SECONDS).record(begun.elapsed().as_secs_f64());
        self.tell_revoked();
        for (reply, applied) in answers {
            drop(reply.send(Arc::new(applied)));
        }
        Ok(())
    }

    /// The span of a record whose proposal was traced. Its place is remembered for the events of the record.
    fn traced(&self, entry: &Entry) -> Option<Span> {
        let EntryPayload::Normal(LogCommand { trace: Some(trace), .. }) = &entry.payload else { return None };
        let (node, revision) = (self.core.node().0, self.core.revision_at(entry.log_id.index));
        let span = span_after!(Some(*trace), "apply", latchkey.node = node, latchkey.revision = %revision);
        // Where this process exports nothing, its followers still do.
        let place = span.in_scope(TraceParent::current).unwrap_or(*trace);
        self.core.traces.remember(entry.log_id.index, place);
        Some(span)
    }

    /// Tells how long what ends keys took from the leader's stamp to the readers here.
    fn tell_revoked(&mut self) {
        let now = self.core.clock.unix_millis();
        for at in self.revoked.drain(..) {
            let seconds = Duration::from_millis(now.since(at).millis()).as_secs_f64();
            histogram!(names::REVOCATION_PROPAGATION_SECONDS).record(seconds);
        }
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
            EntryPayload::Normal(LogCommand { sealed, introduced: keys, .. }) => {
                for key in &keys {
                    self.core.keyring.add_introduced(key);
                }
                match is_void(state, &sealed) {
                    Some(log_key) => {
                        warn!(%revision, log_key = log_key.0, "a record came too late for its log key: nothing is done");
                        (
                            state.skip(revision),
                            Some(Applied::refused(revision, Refusal::RingKeyGone { number: log_key.0 })),
                        )
                    }
                    None => self.apply_command(state, revision, &sealed).await?,
                }
            }
        };
        self.applied = Some(entry.log_id);
        self.note_ring(&result.0);
        self.unwrap_peppers(&result.0).await;
        if entry.log_id.index.is_multiple_of(HASH_INTERVAL_RECORDS) {
            self.core.note_hash(state.hashed_at());
        }
        Ok(result)
    }

    async fn apply_command(
        &mut self,
        state: &mut State,
        revision: Revision,
        sealed: &[u8],
    ) -> Result<(Changes, Option<Applied>), UnsealError> {
        let mut command = self.open(sealed).await?;
        if planted::is(Plant::ClockInApply) {
            command.at = self.core.clock.unix_millis();
        }
        if command.operation.is_emergency() && command.at >= self.core.began {
            self.revoked.push(command.at);
        }
        let mut applied = state.apply(revision, &command);
        Ok((std::mem::take(&mut applied.changes), Some(applied)))
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

    /// Shows readers a new state; only then are the keys gone that it does not list any more, and those that seal rows
    /// only when no row of before waits to be written.
    fn publish(&mut self, state: State) {
        self.core.publish(state);
        let (keyring, applied) = (&self.core.keyring, self.applied.map_or(0, |applied| applied.index));
        for number in self.dropped.drain(..) {
            match keyring.seals_rows(number) {
                true => self.fading.push((applied, number)),
                false => keyring.remove(number),
            }
        }
        let written = self.core.rows.written();
        self.fading.retain(|(index, number)| {
            let is_over = *index <= written;
            if is_over {
                keyring.remove(*number);
            }
            !is_over
        });
    }

    fn note_ring(&mut self, changes: &Changes) {
        for (id, row) in changes {
            match (id, row) {
                (RowId::RingKey(number), None) => self.dropped.push(*number),
                (_, Some(Row::RingKey(key))) => self.core.keyring.add(key.clone()),
                _ => {}
            }
        }
    }

    /// Unwraps a pepper before any reader sees a state with digests under it. Waits, locked, while the KEK is away.
    async fn unwrap_peppers(&self, changes: &Changes) {
        let peppers = changes.values().filter_map(|row| match row {
            Some(Row::RingKey(key)) if key.purpose == RingPurpose::Pepper => Some(key.number),
            _ => None,
        });
        for number in peppers {
            while let Err(error) = self.core.keyring.key(number).await {
                if !matches!(&error, KeyringError::Kms { source, .. } if source.is_retryable()) {
                    // What is under it will be answered by "unavailable"; what is not, as before.
                    error!(error = chain(&error), number = number.0, "a pepper cannot be unwrapped");
                    break;
                }
                warn!(error = chain(&error), "locked: a pepper waits for the key-encryption key");
                self.core.set_condition(Condition::Locked);
                tokio::time::sleep(UNLOCK_RETRY).await;
            }
            if self.core.condition() == Condition::Locked {
                self.core.set_condition(Condition::Ready);
            }
        }
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

    async fn queue(&self, state: &State, changes: &mut Changes, audit: &mut Vec<Arc<latchkey_state::Entry>>) {
        let Some(log_id) = &self.applied else { return };
        let entries = std::mem::take(audit);
        self.core.outbox.extend(&entries);
        let mark = mark(log_id, &self.membership, state.hash());
        let changes = std::mem::take(changes);
        self.core.rows.push(Batch { changes, entries, mark, state: state.clone() }).await;
    }

    async fn install(&mut self, meta: &SnapshotMeta, snapshot: SnapshotData) -> Result<(), SnapshotError> {
        // The state on disk is being loaded: what loads last would win, and it has to be the snapshot.
        if !self.core.loaded().await {
            return Err(SnapshotError::Fenced);
        }
        let name = match snapshot {
            SnapshotData::Received(name) => name,
            SnapshotData::Own(Some(state)) => self.write_own(meta, *state).await?,
            SnapshotData::Own(None) | SnapshotData::Empty => return Err(SnapshotError::Foreign),
        };
        if planted::is(Plant::NonAtomicSwap) {
            self.core.publish(State::default());
        }
        let state = self.read_received(&name).await?;
        if let Some(log_id) = meta.last_log_id {
            self.core.store.set_base(Base { name: name.clone(), index: log_id.index })?;
            self.core.durable.state_moved();
            let mark = mark(&log_id, &meta.last_membership, state.hash());
            self.core.rows.replace(name, mark);
            self.core.rows.come_to(&state);
        }
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.core.outbox.start_at(state.progress());
        info!(revision = %state.revision(), keys = state.key_count(), "snapshot installed");
        let old = Arc::clone(&self.core.state());
        self.dropped = self.core.keyring.unlisted(&state);
        self.publish(state);
        self.core.set_condition(Condition::Ready);
        // A whole state shares nothing with the next and takes long to free, and records wait for this thread.
        std::thread::spawn(move || drop(old));
        Ok(())
    }

    /// The state in a file that was received. Waits, locked, while a key that it needs is not to be had.
    async fn read_received(&self, name: &SnapshotName) -> Result<State, SnapshotError> {
        loop {
            let (core, file, runtime) = (self.core.clone(), name.clone(), tokio::runtime::Handle::current());
            let reading = in_background("install", move || {
                let mut reader = core.store.read_snapshot(&file)?;
                runtime.block_on(snapshot_file::load(&core, Frames::open(&mut reader)?))
            });
            match reading.await? {
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

fn last_index(records: &[Committed]) -> u64 {
    records.last().map_or(0, |last| last.entry.log_id.index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_crypto::DataKey;
    use latchkey_crypto::envelope::{self, Context, Field};
    use latchkey_domain::TenantNumber;
    use latchkey_kms::testing::SwitchableKms;
    use latchkey_state::{Loading, RingKey};
    use latchkey_storage::{Facts, MemoryStore};
    use latchkey_telemetry::SystemClock;

    /// A state with one log key, which others took the place of.
    fn with_log_key(number: u32) -> State {
        let key = RingKey {
            number: RingNumber(number),
            id: [1; 16],
            purpose: RingPurpose::Log,
            wrapped_by: RingNumber(0),
            kek: None,
            wrapped: [2; 60].into(),
            created_at: UnixMillis::default(),
        };
        let mut loading = Loading::default();
        loading.add(Row::RingKey(Arc::new(key)));
        loading.finish().expect("these rows make up a state")
    }

    #[tokio::test]
    async fn a_record_that_comes_after_the_end_of_its_log_key_is_passed_over_by_all() {
        // Sealed by a leader that was held up between sealing and appending for as long as a whole rotation took.
        let store = MemoryStore::new(Facts { node_id: 1, cluster_id: [7; 16], epoch: 1 });
        let core = Core::new(Arc::new(store), Arc::new(SwitchableKms::new([1; 32])), Arc::new(SystemClock));
        let mut applier = Applier::new(core.clone(), None, StoredMembership::default());
        let context =
            Context { cluster: core.cluster(), tenant: TenantNumber(0), record: b"", field: Field::COMMAND, schema: 1 };
        let sealed = |under| {
            let sealed = envelope::seal(&DataKey::new([1; 32]), RingNumber(under), &context, [0; 16], b"late");
            let command = LogCommand { sealed: sealed.into(), introduced: Vec::new(), trace: None };
            let log_id = LogId::new(openraft::CommittedLeaderId::new(3, 1), 90);
            Entry { log_id, payload: EntryPayload::Normal(command) }
        };
        let mut state = with_log_key(9);
        let (_, applied) = applier.apply_entry(&mut state, sealed(1)).await.expect("it is no reason to stop");
        let answer = applied.expect("whoever proposed it is answered").answer;
        assert_eq!(answer, Err(Refusal::RingKeyGone { number: 1 }));
        assert_eq!(state.revision().index, 90);
        // What names a key that was never there is no record of this log.
        assert!(applier.apply_entry(&mut with_log_key(9), sealed(10)).await.is_err());
    }

    #[tokio::test]
    async fn a_key_that_is_destroyed_is_there_until_readers_see_that() {
        let store = MemoryStore::new(Facts { node_id: 1, cluster_id: [7; 16], epoch: 1 });
        let core = Core::new(Arc::new(store), Arc::new(SwitchableKms::new([1; 32])), Arc::new(SystemClock));
        let mut applier = Applier::new(core.clone(), None, StoredMembership::default());
        let number = RingNumber(3);
        let key = RingKey {
            number,
            id: [1; 16],
            purpose: RingPurpose::Replay,
            wrapped_by: RingNumber(0),
            kek: None,
            wrapped: [2; 60].into(),
            created_at: UnixMillis::default(),
        };
        core.keyring.add(Arc::new(key));
        let is_there = async || !matches!(core.keyring.key(number).await, Err(KeyringError::Unknown { .. }));
        assert!(is_there().await);
        // Up to a thousand records more are applied before any of this is shown.
        applier.note_ring(&Changes::from([(RowId::RingKey(number), None)]));
        assert!(is_there().await, "the state that readers see lists it");
        applier.publish(State::default());
        assert!(!is_there().await);
    }
}
