//! Starting a replica: the storage is open, the state loads, raft runs, and each task has its owner.

use crate::core::Core;
use crate::duties;
use crate::elections::Elections;
use crate::evidence::Evidence;
use crate::gauges;
use crate::init::PendingFounding;
use crate::leadership::Leadership;
use crate::lease::Lease;
use crate::log_store::LogStore;
use crate::network::Network;
use crate::observed::{Observed, ObservedOptions};
use crate::peers::Peers;
use crate::rates::Rates;
use crate::read_index::ReadIndex;
use crate::reader::Reader;
use crate::registry::{Inner, Registry, stand_down};
use crate::renewal::Renewal;
use crate::row_writer;
use crate::snapshot_file::SnapshotError;
use crate::state_machine::{self, StateMachine};
use crate::types::Raft;
use latchkey_crypto::draw;
use latchkey_kms::{Kms, OsEntropy};
use latchkey_state::FEATURE_LEVEL_NEWEST;
use latchkey_storage::{Store, Word};
use latchkey_telemetry::Clock;
use latchkey_transport::{Dialer, Proof};
use openraft::error::{InitializeError, RaftError};
use openraft::storage::RaftLogStorage as _;
use openraft::{Config, SnapshotPolicy};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::Handle;

/// Records between two snapshots. Without snapshots the log would never shrink; one costs a clone.
const SNAPSHOT_INTERVAL_RECORDS: u64 = 20_000;

/// Records kept behind a snapshot, so that a follower that was away for a moment needs none.
const LOG_KEPT_RECORDS: u64 = 10_000;

/// Records in one append. With the largest commands it stays below the internal message limit through
/// `limited_get_log_entries`.
const APPEND_RECORDS_MAX: u64 = 300;

/// How long the sending and installing of a whole snapshot may take: a million keys and slow links.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(600);

/// How long a leader rests between two searches of all keys for dead ones.
const SEARCH_INTERVAL: Duration = Duration::from_secs(3_600);

/// How raft is timed. The relations between these are checked where the settings are read.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How often the leader speaks. Milliseconds.
    pub heartbeat_ms: u64,
    /// Beyond `election_max_ms`, a follower waits for up to that less this. Milliseconds.
    pub election_min_ms: u64,
    /// The silence of a leader before which no follower grants a vote. Milliseconds.
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
    /// How other replicas are reached.
    pub dialer: Dialer,
    /// How the cluster's processes know each other.
    pub proof: Proof,
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

impl Registry {
    /// Starts a replica on the current runtime, which should be its own: raft's heartbeats must not wait for callers.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start(parts: Parts) -> Result<Self, StartError> {
        Self::start_at_most(parts, None).await
    }

    /// As [`Registry::start`], saying of itself that it knows no feature level above one, and founding at most at that.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start_at_most(parts: Parts, feature_level: Option<u32>) -> Result<Self, StartError> {
        let Parts { store, kms, clock, dialer, proof, timing, mut founding } = parts;
        let feature_level_max = feature_level.unwrap_or(FEATURE_LEVEL_NEWEST).min(FEATURE_LEVEL_NEWEST);
        if feature_level_max < FEATURE_LEVEL_NEWEST {
            founding = founding.map(|founding| founding.at_feature_level(feature_level_max));
        }
        if let Some(why) = store.word(Word::Fence) {
            return Err(StartError::Fenced { why: String::from_utf8_lossy(&why).into_owned() });
        }
        let core = Core::new(store.clone(), kms.clone(), clock.clone());
        let peers = Arc::new(Peers::new(core.cluster(), core.epoch(), dialer, proof.clone()));
        let (machine, applier) = StateMachine::begin(core.clone())?;
        let writer = std::thread::Builder::new().name("rows".into()).spawn({
            let (core, runtime) = (core.clone(), Handle::current());
            move || row_writer::run(&core, &runtime)
        });
        let writer = writer.map_err(|error| StartError::Raft(error.to_string()))?;
        // Before raft, which asks for the state as soon as something is committed.
        let loading = tokio::spawn(state_machine::load(core.clone()));
        let network = Network { core: core.clone(), peers: peers.clone() };
        let config = Arc::new(config(timing).validate().map_err(|error| StartError::Raft(error.to_string()))?);
        let mut log = LogStore::new(core.clone());
        let began_with = log.get_log_state().await.map_err(|error| StartError::Raft(error.to_string()))?.last_log_id;
        let raft = Raft::new(core.node().0, config, network, log, machine)
            .await
            .map_err(|error| StartError::Raft(error.to_string()))?;
        let incarnation = u64::from_be_bytes(draw(&mut OsEntropy));
        let evidence = Arc::new(Evidence::begin(clock.clone(), incarnation));
        let observed = Arc::new(Observed::begin(ObservedOptions::default(), incarnation));
        let leadership = Arc::new(Leadership::new(core.node(), clock, timing.election_max_ms));
        let (rounds, serve_rounds) = ReadIndex::new(raft.clone(), began_with);
        let lease = Arc::new(Lease::default());
        let renewal = Arc::new(Renewal {
            core: core.clone(),
            raft: raft.clone(),
            peers: peers.clone(),
            lease: lease.clone(),
            leadership: leadership.clone(),
            rounds,
            incarnation,
            interval: Duration::from_millis(timing.heartbeat_ms),
            feature_level_max,
        });
        let reader = Reader { core: core.clone(), lease, renewal: renewal.clone() };
        let tasks = Mutex::new(vec![loading, applier]);
        let writer = Mutex::new(Some(writer));
        let founding_key = founding.as_ref().map(|pending| pending.log_key.clone());
        let stand_down = stand_down(timing);
        let rates = Rates::default();
        let inner = Inner {
            core,
            raft,
            kms,
            peers,
            elections: Arc::new(Elections::new(timing)),
            evidence,
            observed,
            proof,
            leadership,
            reader,
            stand_down,
            election_max: Duration::from_millis(timing.election_max_ms),
            search_interval: Mutex::new(SEARCH_INTERVAL),
            rates,
            founding_key,
            tasks,
            writer,
        };
        let registry = Self { inner: Arc::new(inner) };
        registry.own(serve_rounds);
        registry.own(renewal.run());
        registry.own(registry.clone().follow_raft());
        registry.own(registry.clone().follow_condition());
        registry.own(registry.clone().follow_keyring());
        registry.own(registry.clone().follow_removal());
        registry.own(registry.clone().follow_silence());
        registry.own(registry.clone().follow_holdings());
        registry.own(registry.clone().settle_evidence());
        registry.own(registry.clone().tell_node_key());
        if let Some(pending) = &founding {
            registry.core().keyring.add_introduced(&pending.log_key);
            registry.found(pending).await?;
        }
        registry.own(gauges::run(registry.clone()));
        registry.own(duties::run(registry.clone(), founding));
        Ok(registry)
    }

    async fn found(&self, pending: &PendingFounding) -> Result<(), StartError> {
        match self.inner.raft.initialize(pending.members.clone()).await {
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(error) => Err(StartError::Raft(error.to_string())),
        }
    }
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
        // When to stand is ours to say: `elections`.
        enable_elect: false,
        ..Config::default()
    }
}
