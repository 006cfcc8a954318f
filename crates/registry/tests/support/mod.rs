//! Replicas in this process: real storage, real consensus, loopback.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

pub mod cut;
pub mod keys;
pub mod three;

use latchkey_domain::{ClusterId, DurationMillis, NodeId, UnixMillis};
use latchkey_kms::testing::SwitchableKms;
use latchkey_registry::{
    Member, NewCluster, Parts, Registry, Timing, init_cluster, init_replica, pending_founding, store_folder,
};
use latchkey_storage::{OpenError, Options, SledStore, Store};
use latchkey_telemetry::{Clock, SystemClock};
use latchkey_transport::{ClusterSecret, Dialer, Limits, Server};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const TIMING: Timing = Timing { heartbeat_ms: 100, election_min_ms: 400, election_max_ms: 800 };
pub const SEARCH_INTERVAL: Duration = Duration::from_millis(200);
pub const WITHIN: Duration = Duration::from_secs(30);

/// A wall clock that is wrong by as much as one wishes; boot time is the machine's.
#[derive(Default)]
pub struct WrongClock {
    pub ahead_ms: AtomicI64,
}

impl Clock for WrongClock {
    fn unix_millis(&self) -> UnixMillis {
        let real = SystemClock.unix_millis().millis();
        UnixMillis::new(real.saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed)))
    }

    fn boottime_millis(&self) -> u64 {
        SystemClock.boottime_millis()
    }
}

/// The folder of a cluster: data, secrets, and what its replicas have in common.
pub struct Ground {
    folder: TempDir,
    pub kms: Arc<SwitchableKms>,
    /// Those of replicas that have another one than the rest.
    pub kms_of: Mutex<BTreeMap<NodeId, Arc<SwitchableKms>>>,
    pub secret: ClusterSecret,
    pub members: BTreeMap<NodeId, Member>,
    pub cluster: ClusterId,
    /// The feature level to found at; absent: the newest.
    pub feature_level: Option<u32>,
}

/// One replica that serves.
pub struct Replica {
    pub registry: Registry,
    pub clock: Arc<WrongClock>,
    stops: Vec<oneshot::Sender<()>>,
    servers: Vec<JoinHandle<()>>,
}

/// An address that was free a moment ago.
pub fn free_address() -> SocketAddr {
    latchkey_testkit::free_address().expect("loopback has a free port")
}

fn member(id: u64) -> Member {
    Member {
        region: format!("region-{id}"),
        raft_address: free_address().to_string(),
        address: free_address().to_string(),
    }
}

impl Ground {
    /// Founds a cluster of `replicas`, the first of which founds it.
    pub async fn found(replicas: u64) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kms = Arc::new(SwitchableKms::new([7; 32]));
        let secret_file = folder.path().join("cluster.secret");
        let secret = ClusterSecret::generate(&secret_file, &mut latchkey_kms::OsEntropy).expect("a new file");
        let members: BTreeMap<_, _> = (1..=replicas).map(|id| (NodeId(id), member(id))).collect();
        let new = NewCluster {
            members: members.clone(),
            staleness_floor: DurationMillis::new(2_000),
            staleness_default: DurationMillis::new(2_000),
            bootstrap_file: &folder.path().join("root.key"),
        };
        let data = folder.path().join("1");
        let cluster = init_cluster(&data, NodeId(1), kms.as_ref(), new).await.expect("a new folder");
        for id in 2..=replicas {
            init_replica(&folder.path().join(id.to_string()), NodeId(id), cluster).expect("a new folder");
        }
        Self { folder, kms, kms_of: Mutex::default(), secret, members, cluster, feature_level: None }
    }

    /// Makes the folder and the addresses of a replica that is to be added.
    pub fn init(&mut self, node: NodeId) -> Member {
        init_replica(&self.data(node), node, self.cluster).expect("a new folder");
        self.members.entry(node).or_insert_with(|| member(node.0)).clone()
    }

    /// The KMS that a replica starts with.
    pub fn kms_of(&self, node: NodeId) -> Arc<SwitchableKms> {
        self.kms_of.lock().expect("no test panics here").get(&node).unwrap_or(&self.kms).clone()
    }

    /// From its next start on a replica has these KEKs, the one that wraps first.
    pub fn set_keks(&self, node: NodeId, keks: &[[u8; 32]]) {
        let kms = SwitchableKms::new(keks[0]);
        kms.set_keks(keks);
        self.kms_of.lock().expect("no test panics here").insert(node, Arc::new(kms));
    }

    pub fn data(&self, node: NodeId) -> PathBuf {
        self.folder.path().join(node.to_string())
    }

    pub fn root_text(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("root.key")).expect("init wrote it");
        text.trim().to_owned()
    }

    pub async fn start(&self, node: NodeId) -> Replica {
        self.start_with(node, Arc::default()).await
    }

    pub async fn start_with(&self, node: NodeId, clock: Arc<WrongClock>) -> Replica {
        let store = self.open_store(node).await;
        self.start_over(node, clock, Arc::new(store)).await
    }

    /// A replica that has just stopped may have a thread that still reads: the folder is closed when that ends.
    pub async fn open_store(&self, node: NodeId) -> SledStore {
        let closed = async {
            loop {
                match SledStore::open(&store_folder(&self.data(node)), &Options::default()) {
                    Err(OpenError::Locked { .. }) => tokio::time::sleep(Duration::from_millis(20)).await,
                    opened => return opened.expect("a folder that was made"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), closed).await.expect("whoever stopped lets go of its folder")
    }

    /// Over a storage that is given: a test may have one that goes wrong.
    pub async fn start_over(&self, node: NodeId, clock: Arc<WrongClock>, store: Arc<dyn Store>) -> Replica {
        let founding = pending_founding(&self.data(node)).expect("readable");
        let founding = founding.map(|founding| match self.feature_level {
            Some(level) => founding.at_feature_level(level),
            None => founding,
        });
        let parts = Parts {
            store,
            kms: self.kms_of(node),
            clock: clock.clone(),
            dialer: Dialer::plain(),
            proof: self.secret.clone().into(),
            timing: TIMING,
            founding,
        };
        let registry = Registry::start(parts).await.expect("a replica that starts");
        registry.set_search_interval(SEARCH_INTERVAL);
        let member = &self.members[&node];
        let mut replica = Replica { registry, clock, stops: Vec::new(), servers: Vec::new() };
        let raft = Server::bind(member.raft_address.parse().expect("an address")).await.expect("a free port");
        replica.serve(raft.limits(Limits::RAFT).service(replica.registry.raft_service()));
        let services = Server::bind(member.address.parse().expect("an address")).await.expect("a free port");
        replica.serve(services.service(replica.registry.registry_service()));
        replica
    }
}

impl Replica {
    fn serve(&mut self, server: Server) {
        let (stop, stopped) = oneshot::channel::<()>();
        self.stops.push(stop);
        self.servers.push(tokio::spawn(async move {
            let ended = async { drop(stopped.await) };
            server.serve(ended).await.expect("serves until it is stopped");
        }));
    }

    /// Stops serving, then the replica itself.
    pub async fn stop(self) {
        drop(self.stops);
        for server in self.servers {
            server.await.expect("a server does not panic");
        }
        self.registry.shutdown().await;
    }

    /// Returns once `holds` of this replica; looks again whenever it publishes something, and at least every 20 ms.
    pub async fn until(&self, what: &str, holds: impl Fn(&Registry) -> bool) {
        let looking = async {
            while !holds(&self.registry) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(WITHIN, looking).await.unwrap_or_else(|_| panic!("never: {what}"));
    }
}

/// Every file below `folder`.
pub fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        if entry.is_dir() {
            files.extend(files_below(&entry));
        } else {
            files.push(entry);
        }
    }
    files
}
