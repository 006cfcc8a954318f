//! One replica of the registry: raft, its storage, the published state, the lease, and what a leader does.

use crate::core::{Condition, Core};
use crate::duties;
use crate::init::PendingFounding;
use crate::leadership::{Known, Leadership};
use crate::lease::Lease;
use crate::ledger::Standing;
use crate::log_store::LogStore;
use crate::network::Network;
use crate::peers::Peers;
use crate::raft_service::RaftFace;
use crate::read_index::ReadIndex;
use crate::reader::Reader;
use crate::registry_service::RegistryFace;
use crate::renewal::Renewal;
use crate::row_writer;
use crate::snapshot_file::SnapshotError;
use crate::state_machine::{self, StateMachine};
use crate::types::{IntroducedKey, LogCommand, Member, Raft};
use latchkey_crypto::draw;
use latchkey_domain::{DurationMillis, NodeId, RingNumber};
use latchkey_kms::{Kms, OsEntropy};
use latchkey_state::{Applied, Command, Operation, RingPurpose, bootstrap_ring};
use latchkey_storage::{Space, Store, Word};
use latchkey_telemetry::Clock;
use latchkey_transport::{ClusterSecret, Guarded, Unavailable};
use latchkey_wire::pb::internal::v1::raft_service_server::RaftServiceServer;
use latchkey_wire::pb::internal::v1::registry_service_server::RegistryServiceServer;
use openraft::error::{ClientWriteError, Fatal, InitializeError, RaftError};
use openraft::{Config, ServerState, SnapshotPolicy};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// Records between two snapshots. Without snapshots the log would never shrink; one costs a clone.
const SNAPSHOT_INTERVAL_RECORDS: u64 = 20_000;

/// Records kept behind a snapshot, so that a follower that was away for a moment needs none.
const LOG_KEPT_RECORDS: u64 = 10_000;

/// Records in one append. With the largest commands it stays below the internal message limit through
/// `limited_get_log_entries`.
const APPEND_RECORDS_MAX: u64 = 300;

/// How long the sending and installing of a whole snapshot may take: a million keys and slow links.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(600);

/// How much longer than an election a leader that stands down is silent. Measured: six of six hand-overs won.
const STAND_DOWN_MARGIN: Duration = Duration::from_millis(800);

/// How long to wait before the keyring is unwrapped again.
const KEYRING_RETRY: Duration = Duration::from_secs(1);

/// How raft is timed. The relations between these are checked where the settings are read.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often the leader speaks. Milliseconds.
    pub heartbeat_ms: u64,
    /// The shortest silence after which a follower stands for election. Milliseconds.
    pub election_min_ms: u64,
    /// The longest. Milliseconds.
    pub election_max_ms: u64,
}

/// What a replica is started with.
pub struct Parts {
    /// Its storage.
    pub store: Arc<dyn Store>,
    /// Its key-encryption key.
    pub kms: Arc<dyn Kms>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// What all processes of the cluster share.
    pub secret: ClusterSecret,
    /// How raft is timed.
    pub timing: Timing,
    /// What `init` left to be done, on the replica that founds the cluster.
    pub founding: Option<PendingFounding>,
}

/// Why a replica does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// It fenced itself earlier.
    #[error("this replica fenced itself: {why}. Keep its folder as evidence, and start a replica under a new node id")]
    Fenced {
        /// Why.
        why: String,
    },
    /// What the disk holds is not what was written.
    #[error("the data folder cannot be read")]
    Disk(#[from] SnapshotError),
    /// Raft refuses.
    #[error("raft does not start: {0}")]
    Raft(String),
}

/// Why a command was not carried out here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProposeError {
    /// Nothing happened.
    Unavailable(Unavailable),
    /// Another replica leads. Nothing happened.
    Elsewhere(NodeId, Member),
    /// It may have happened.
    Unknown,
}

impl From<Unavailable> for ProposeError {
    fn from(unavailable: Unavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// One replica.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    raft: Raft,
    kms: Arc<dyn Kms>,
    peers: Arc<Peers>,
    secret: ClusterSecret,
    leadership: Arc<Leadership>,
    reader: Reader,
    /// How long this replica is silent when it stands down: until the others have surely elected.
    stand_down: Duration,
    /// The log key of a cluster that this replica founds: until the state lists it, each record brings it along.
    founding_key: Option<IntroducedKey>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// One replica as this one knows it.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// Its id.
    pub node: NodeId,
    /// How it is reached, and where it stands.
    pub member: Member,
    /// Whether it votes.
    pub voter: bool,
    /// What the leader knows of it; only where this replica leads.
    pub known: Option<Known>,
}

/// The cluster as one replica knows it.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// The leader, where it is known.
    pub leader: Option<NodeId>,
    /// The members, by id.
    pub replicas: Vec<ReplicaStatus>,
}

impl Registry {
    /// Starts a replica on the current runtime, which should be its own: raft's heartbeats must not wait for callers.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        let Parts { store, kms, clock, secret, timing, founding } = parts;
        if let Some(why) = store.word(Word::Fence) {
            return Err(StartError::Fenced { why: String::from_utf8_lossy(&why).into_owned() });
        }
        let core = Core::new(store.clone(), kms.clone(), clock.clone());
        let peers = Arc::new(Peers::new(core.cluster(), core.epoch(), secret.clone()));
        let machine = StateMachine::new(core.clone())?;
        let writer = std::thread::Builder::new().name("rows".into()).spawn({
            let (core, runtime) = (core.clone(), Handle::current());
            move || row_writer::run(&core, &runtime)
        });
        let writer = writer.map_err(|error| StartError::Raft(error.to_string()))?;
        // Before raft, which asks for the state as soon as something is committed.
        let loading = tokio::spawn(state_machine::load(core.clone()));
        let network = Network { core: core.clone(), peers: peers.clone() };
        let config = Arc::new(config(timing).validate().map_err(|error| StartError::Raft(error.to_string()))?);
        let raft = Raft::new(core.node().0, config, network, LogStore::new(store), machine)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let leadership = Arc::new(Leadership::new(core.node(), clock, timing.election_max_ms));
        let (rounds, serve_rounds) = ReadIndex::new(raft.clone());
        let lease = Arc::new(Lease::default());
        let renewal = Arc::new(Renewal {
            core: core.clone(),
            raft: raft.clone(),
            peers: peers.clone(),
            lease: lease.clone(),
            leadership: leadership.clone(),
            rounds,
            incarnation: u64::from_be_bytes(draw(&mut OsEntropy)),
            interval: Duration::from_millis(timing.heartbeat_ms),
        });
        let reader = Reader { core: core.clone(), lease, renewal: renewal.clone() };
        let tasks = Mutex::new(vec![loading]);
        let writer = Mutex::new(Some(writer));
        let founding_key = founding.as_ref().map(|pending| pending.log_key.clone());
        let stand_down = Duration::from_millis(timing.election_max_ms) + STAND_DOWN_MARGIN;
        let inner =
            Inner { core, raft, kms, peers, secret, leadership, reader, stand_down, founding_key, tasks, writer };
        let registry = Self { inner: Arc::new(inner) };
        registry.own(serve_rounds);
        registry.own(renewal.run());
        registry.own(registry.clone().follow_raft());
        registry.own(registry.clone().follow_condition());
        registry.own(registry.clone().follow_keyring());
        if let Some(pending) = &founding {
            registry.core().keyring.add_introduced(&pending.log_key);
            registry.found(pending).await?;
        }
        registry.own(duties::run(registry.clone(), founding));
        Ok(registry)
    }

    async fn found(&self, pending: &PendingFounding) -> Result<(), StartError> {
        match self.inner.raft.initialize(pending.members.clone()).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(StartError::Raft(error.to_string())),
        }
    }

    fn own(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(tokio::spawn(task));
    }

    /// Leadership begins and ends with what raft says.
    async fn follow_raft(self) {
        let mut metrics = self.inner.raft.metrics();
        loop {
            let (leads, voters, stopped) = {
                let now = metrics.borrow_and_update();
                let leads = (now.state == ServerState::Leader).then_some(now.current_term);
                let voters = now.membership_config.membership().voter_ids().map(NodeId).collect();
                (leads, voters, now.running_state.clone())
            };
            self.inner.leadership.follow(leads, voters);
            metrics::gauge!(latchkey_telemetry::names::LEADER).set(f64::from(u8::from(leads.is_some())));
            match stopped {
                Ok(()) => {}
                // Asked for: by a fence, which has said why, or because the process ends.
                Err(Fatal::Stopped) => return,
                Err(fatal) => {
                    error!(%fatal, "raft has failed; this replica answers no more");
                    self.inner.core.set_condition(Condition::Fenced);
                    return;
                }
            }
            if metrics.changed().await.is_err() {
                return;
            }
        }
    }

    /// A locked replica does not stand for election: it could not open what it would have to seal. Nor does one of a
    /// cluster that is not founded yet, unless it is the one that founds it.
    async fn follow_condition(self) {
        let mut condition = self.inner.core.watch_condition();
        let mut revision = self.inner.core.watch_revision();
        loop {
            let now = *condition.borrow_and_update();
            revision.borrow_and_update();
            let founded = self.inner.core.state().cluster().is_some();
            let may_lead = founded || self.inner.founding_key.is_some();
            self.inner.raft.runtime_config().elect(now == Condition::Ready && may_lead);
            if now == Condition::Fenced {
                warn!("fenced: raft stops");
                drop(self.inner.raft.shutdown().await);
                return;
            }
            let changed = tokio::select! {
                changed = condition.changed() => changed,
                changed = revision.changed(), if !founded => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    }

    /// Unwraps what the cluster adds to its keyring. Where the KEK is away meanwhile, nothing else waits for it.
    async fn follow_keyring(self) {
        let keyring = &self.inner.core.keyring;
        let mut news = keyring.watch();
        while news.changed().await.is_ok() {
            while let Err(error) = keyring.unwrap_all().await {
                warn!(error = state_machine::chain(&error), "a key of the keyring waits for the key-encryption key");
                tokio::time::sleep(KEYRING_RETRY).await;
            }
        }
    }

    /// How validation reads.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.inner.reader.clone()
    }

    /// Whether this replica may answer.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.inner.core.condition()
    }

    /// Whether a write that came now would find a leader that can take it.
    #[must_use]
    pub fn can_write(&self) -> bool {
        match self.inner.reader.renewal.leader() {
            Some((leader, _)) if leader == self.inner.core.node() => self.inner.leadership.stamp().is_ok(),
            Some(_) => self.inner.reader.is_fresh(),
            None => false,
        }
    }

    /// Raft's calls, for the raft listener.
    #[must_use]
    pub fn raft_service(&self) -> Guarded<RaftServiceServer<RaftFace>> {
        let face = RaftFace::new(self.inner.core.clone(), self.inner.raft.clone(), self.inner.peers.clone());
        let limit = latchkey_transport::INTERNAL_MESSAGE_BYTES_MAX;
        self.inner.secret.guard(RaftServiceServer::new(face).max_decoding_message_size(limit))
    }

    /// The registry's calls, for the listener of the services.
    #[must_use]
    pub fn registry_service(&self) -> Guarded<RegistryServiceServer<RegistryFace>> {
        let limit = latchkey_transport::INTERNAL_MESSAGE_BYTES_MAX;
        let face = RegistryFace::new(self.clone());
        self.inner.secret.guard(RegistryServiceServer::new(face).max_decoding_message_size(limit))
    }

    /// The cluster as this replica knows it.
    #[must_use]
    pub fn status(&self) -> ClusterStatus {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let voters: Vec<_> = membership.voter_ids().collect();
        let replica = |(id, member): (&u64, &Member)| ReplicaStatus {
            node: NodeId(*id),
            member: member.clone(),
            voter: voters.contains(id),
            known: self.inner.leadership.known(NodeId(*id)),
        };
        ClusterStatus {
            leader: metrics.current_leader.map(NodeId),
            replicas: membership.nodes().map(replica).collect(),
        }
    }

    /// This replica's id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.inner.core.node()
    }

    /// The shared parts.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.inner.core
    }

    pub(crate) fn kms(&self) -> &dyn Kms {
        self.inner.kms.as_ref()
    }

    pub(crate) fn leadership(&self) -> &Leadership {
        &self.inner.leadership
    }

    pub(crate) fn peers(&self) -> &Peers {
        &self.inner.peers
    }

    pub(crate) fn renewal(&self) -> &Renewal {
        &self.inner.reader.renewal
    }

    pub(crate) fn leads(&self) -> bool {
        self.inner.leadership.leads()
    }

    /// Carries out a command, as leader. The time is stamped here.
    ///
    /// # Errors
    /// [`ProposeError`]
    pub async fn propose(&self, mut command: Command, within: Duration) -> Result<Arc<Applied>, ProposeError> {
        if let Some(unavailable) = self.inner.core.unavailable() {
            return Err(unavailable.into());
        }
        self.check_space(&command)?;
        command.at = match self.inner.leadership.stamp() {
            Ok(at) => at,
            Err(unavailable) => return Err(self.elsewhere().unwrap_or(unavailable.into())),
        };
        self.propose_unstamped(command, within).await
    }

    /// What ends something passes while there is any room at all.
    fn check_space(&self, command: &Command) -> Result<(), ProposeError> {
        let ends = matches!(command.operation, Operation::RevokeKey(_) | Operation::Cut(_)) || command.is_of_replica();
        match self.inner.core.store.space() {
            Space::Enough => Ok(()),
            Space::Low if ends => Ok(()),
            Space::Low | Space::Full => Err(Unavailable::DiskFull.into()),
        }
    }

    fn elsewhere(&self) -> Option<ProposeError> {
        let (leader, member) = self.renewal().leader()?;
        (leader != self.inner.core.node()).then_some(ProposeError::Elsewhere(leader, member))
    }

    /// Carries out a command whose time does not come from this replica's clock alone.
    pub(crate) async fn propose_unstamped(
        &self,
        command: Command,
        within: Duration,
    ) -> Result<Arc<Applied>, ProposeError> {
        let log_key = {
            let state = self.inner.core.state();
            state.newest_ring_key(RingPurpose::Log).map_or(bootstrap_ring::LOG, |key| key.number)
        };
        self.write(log_key, &command, within).await
    }

    /// The first command of a cluster: it brings the log key that seals it.
    pub(crate) async fn propose_founding(
        &self,
        pending: &PendingFounding,
        within: Duration,
    ) -> Result<Arc<Applied>, ProposeError> {
        let opened = self.inner.core.sealer.open_command(&pending.sealed).await;
        let mut command = opened.map_err(|error| {
            warn!(error = state_machine::chain(&error), "the first command cannot be opened");
            ProposeError::Unavailable(Unavailable::Locked)
        })?;
        command.at = self.inner.leadership.stamp()?;
        self.write(bootstrap_ring::LOG, &command, within).await
    }

    async fn write(
        &self,
        log_key: RingNumber,
        command: &Command,
        within: Duration,
    ) -> Result<Arc<Applied>, ProposeError> {
        let introduced = self.introduced(log_key);
        let sealed = self.inner.core.sealer.seal_command(log_key, command, &mut OsEntropy).await.map_err(|error| {
            warn!(%error, "a command could not be sealed");
            ProposeError::Unavailable(Unavailable::Locked)
        })?;
        let record = LogCommand { sealed: sealed.into(), introduced };
        match tokio::time::timeout(within, self.inner.raft.client_write(record)).await {
            Ok(Ok(written)) => written.data.0.ok_or(ProposeError::Unknown),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => {
                Err(match (forward.leader_id, forward.leader_node) {
                    (Some(leader), Some(member)) => ProposeError::Elsewhere(NodeId(leader), member),
                    _ => Unavailable::NoLeader { node: Some(self.inner.core.node()) }.into(),
                })
            }
            Ok(Err(RaftError::APIError(ClientWriteError::ChangeMembershipError(_)))) => {
                unreachable!("a command does not change the membership")
            }
            // It may be in the log already, and whoever leads next may commit it.
            Ok(Err(RaftError::Fatal(_))) | Err(_) => Err(ProposeError::Unknown),
        }
    }

    /// Until the state lists a log key, each record brings the one that seals it.
    fn introduced(&self, log_key: RingNumber) -> Vec<IntroducedKey> {
        let listed = self.inner.core.state().ring_key(log_key).is_some();
        self.inner.founding_key.iter().filter(|_| !listed).cloned().collect()
    }

    /// How everyone who may hold a lease stands towards a revision; waits until nobody can decide on less, or until
    /// the time is over.
    ///
    /// # Errors
    /// [`ProposeError::Elsewhere`] and [`ProposeError::Unavailable`] where this replica does not lead.
    pub async fn confirm(
        &self,
        index: u64,
        bound: DurationMillis,
        within: Duration,
    ) -> Result<Vec<(ReplicaStatus, Standing, Option<u64>)>, ProposeError> {
        let mut news = self.inner.leadership.watch();
        let deadline = tokio::time::Instant::now() + within;
        loop {
            news.borrow_and_update();
            let members = self.status().replicas;
            let ids: Vec<_> = members.iter().map(|replica| replica.node).collect();
            let Some(standings) = self.inner.leadership.standings(&ids, index, bound) else {
                let nobody = ProposeError::Unavailable(Unavailable::NoLeader { node: Some(self.node()) });
                return Err(self.elsewhere().unwrap_or(nobody));
            };
            let next = standings.iter().filter_map(|(_, standing, _)| match standing {
                Standing::Waiting { until_ms } => Some(*until_ms),
                Standing::Applied | Standing::LeaseEnded => None,
            });
            let now_ms = self.inner.core.clock.boottime_millis();
            let (Some(until_ms), true) = (next.min(), tokio::time::Instant::now() < deadline) else {
                return Ok(with_members(members, standings));
            };
            let until_next = Duration::from_millis(until_ms.saturating_sub(now_ms).max(1));
            tokio::select! {
                // A sender that is gone means that this replica stops; the deadline ends the wait.
                _ = news.changed() => {}
                () = tokio::time::sleep(until_next) => {}
                () = tokio::time::sleep_until(deadline) => {}
            }
        }
    }

    /// Stops leading, so that another replica can: no more proposals, read indexes or heartbeats until the others have
    /// elected. Beside a live leader nobody is elected, and each freshness ping would renew its lease.
    pub(crate) async fn stand_down(&self) {
        warn!(node = %self.node(), "this leader stands down");
        self.inner.leadership.stand_down(true);
        self.inner.raft.runtime_config().heartbeat(false);
        self.inner.raft.runtime_config().elect(false);
        tokio::time::sleep(self.inner.stand_down).await;
        self.inner.raft.runtime_config().heartbeat(true);
        self.inner.raft.runtime_config().elect(self.condition() == Condition::Ready);
        self.inner.leadership.stand_down(false);
    }

    /// Builds a snapshot now and purges the log behind it: for tests, which have no twenty thousand records.
    #[doc(hidden)]
    pub async fn compact(&self) {
        let last = self.inner.core.state().revision().index;
        drop(self.inner.raft.trigger().snapshot().await);
        let built = |metrics: &openraft::RaftMetrics<u64, Member>| {
            metrics.snapshot.is_some_and(|snapshot| snapshot.index >= last)
        };
        drop(self.inner.raft.metrics().wait_for(built).await);
        drop(self.inner.raft.trigger().purge_log(last).await);
        let purged =
            |metrics: &openraft::RaftMetrics<u64, Member>| metrics.purged.is_some_and(|purged| purged.index >= last);
        drop(self.inner.raft.metrics().wait_for(purged).await);
    }

    /// The sequences of the entries that can be followed from `from` on: for tests.
    #[doc(hidden)]
    pub async fn entries(&self, from: u64) -> Vec<u64> {
        let (core, mut next, mut sequences) = (&self.inner.core, from, Vec::new());
        core.rows.written_through(core.state().revision().index).await;
        loop {
            let read = core.outbox.read(core.store.as_ref(), &core.sealer, next).await;
            let Ok(events) = read else { return sequences };
            let Some(last) = events.last() else { return sequences };
            next = last.sequence + 1;
            sequences.extend(events.iter().map(|event| event.sequence));
        }
    }

    /// Stops: no more answers, raft ends, what waits is written.
    pub async fn shutdown(self) {
        drop(self.inner.raft.shutdown().await);
        for task in std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner)) {
            task.abort();
        }
        self.inner.core.rows.close();
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = tokio::task::spawn_blocking(move || writer.map(std::thread::JoinHandle::join)).await;
        if !matches!(ended, Ok(None | Some(Ok(())))) {
            error!("the thread that writes rows panicked");
        }
        let (synced, wait) = tokio::sync::oneshot::channel();
        self.inner.core.store.sync(Box::new(move |result| drop(synced.send(result))));
        if !matches!(wait.await, Ok(Ok(()))) {
            warn!("the last rows may not be durable; they are replayed from the log");
        }
        info!(node = %self.node(), "replica stopped");
    }
}

fn with_members(
    members: Vec<ReplicaStatus>,
    standings: Vec<(NodeId, Standing, Option<u64>)>,
) -> Vec<(ReplicaStatus, Standing, Option<u64>)> {
    let by_id: BTreeMap<_, _> = members.into_iter().map(|replica| (replica.node, replica)).collect();
    standings
        .into_iter()
        .map(|(node, standing, incarnation)| {
            // Whoever holds a lease and is no member any more is still waited for.
            let gone = || ReplicaStatus { node, member: Member::default(), voter: false, known: None };
            (by_id.get(&node).cloned().unwrap_or_else(gone), standing, incarnation)
        })
        .collect()
}

fn config(timing: Timing) -> Config {
    Config {
        cluster_name: "latchkey".into(),
        heartbeat_interval: timing.heartbeat_ms,
        election_timeout_min: timing.election_min_ms,
        election_timeout_max: timing.election_max_ms,
        install_snapshot_timeout: u64::try_from(SNAPSHOT_WITHIN.as_millis()).unwrap_or(u64::MAX),
        max_payload_entries: APPEND_RECORDS_MAX,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(SNAPSHOT_INTERVAL_RECORDS),
        max_in_snapshot_log_to_keep: LOG_KEPT_RECORDS,
        // Until the state is loaded nobody stands for election; see `follow_condition`.
        enable_elect: false,
        ..Config::default()
    }
}
