//! What the replicas of one simulation have in common, and what each machine keeps while its process does not run.

use crate::clock::{MachineClock, TrueTime};
use crate::net::{Net, address_of};
use latchkey_domain::{ClusterId, DurationMillis, NodeId};
use latchkey_kms::OsEntropy;
use latchkey_kms::testing::SwitchableKms;
use latchkey_registry::{Member, NewCluster, Parts, PendingFounding, Registry, Timing, init_cluster, pending_founding};
use latchkey_storage::{Facts, Faults, MemoryStore};
use latchkey_transport::ClusterSecret;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;
use tonic::transport::Server;

/// Regions, in the order in which replicas are put there.
pub const REGIONS: [&str; 5] = ["north", "middle", "south", "east", "west"];

/// How a cluster is laid out and timed.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// How many replicas.
    pub replicas: u64,
    /// From one region to another, one way. Milliseconds.
    pub one_way_ms: u64,
    /// How raft is timed.
    pub timing: Timing,
    /// The `staleness_max` of a keyspace that chooses none, and the least that one may choose. Milliseconds.
    pub staleness_ms: u64,
}

impl Profile {
    /// Regions over the world: 80 ms there and back.
    pub const WAN: Self = Self {
        replicas: 3,
        one_way_ms: 40,
        timing: Timing { heartbeat_ms: 500, election_min_ms: 1_500, election_max_ms: 3_000 },
        staleness_ms: 10_000,
    };

    /// Machines of one site.
    pub const ONE_SITE: Self = Self {
        replicas: 3,
        one_way_ms: 1,
        timing: Timing { heartbeat_ms: 150, election_min_ms: 600, election_max_ms: 1_200 },
        staleness_ms: 5_000,
    };
}

/// A replica's machine.
pub struct Machine {
    /// The replica.
    pub node: NodeId,
    /// Its clocks.
    pub clock: Arc<MachineClock>,
    /// How raft is timed on it.
    pub timing: Timing,
    kept: Mutex<Kept>,
}

struct Kept {
    disk: Arc<MemoryStore>,
    process: Option<Registry>,
    lives: u64,
    frozen: bool,
    why_not: Option<String>,
}

/// What all replicas have in common.
pub struct Ground {
    _folder: TempDir,
    /// The key-encryption key.
    pub kms: Arc<SwitchableKms>,
    /// The network.
    pub net: Net,
    /// The cluster.
    pub cluster: ClusterId,
    /// The machines, by id.
    pub machines: BTreeMap<NodeId, Arc<Machine>>,
    pub(crate) secret: ClusterSecret,
    root: String,
    founding: PendingFounding,
}

impl Machine {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The replica, where it runs.
    #[must_use]
    pub fn process(&self) -> Option<Registry> {
        self.kept().process.clone()
    }

    /// How often it was started.
    #[must_use]
    pub fn lives(&self) -> u64 {
        self.kept().lives
    }

    /// Why its process refused to start or ended, if it did.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        self.kept().why_not.clone()
    }

    /// Whether it stands still: nothing runs, nothing is sent.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.kept().frozen
    }

    pub(crate) fn set_frozen(&self, frozen: bool) {
        self.kept().frozen = frozen;
    }

    /// Its disk.
    #[must_use]
    pub fn disk(&self) -> Arc<MemoryStore> {
        self.kept().disk.clone()
    }

    /// The process is gone. What the disk had taken stays, or, where the power is cut, what it had made durable.
    pub(crate) fn ended(&self, power_cut: bool) {
        let mut kept = self.kept();
        let process = kept.process.take();
        kept.disk = Arc::new(if power_cut { kept.disk.cut_power() } else { kept.disk.restart() });
        kept.frozen = false;
        drop(kept);
        if let Some(process) = process {
            process.abandon();
        }
        if power_cut {
            self.clock.reboot();
        }
    }

    /// Lets the disk stall, or go on.
    pub fn stall_disk(&self, stalled: bool) {
        self.disk().set_faults(Faults { hold: stalled, ..Faults::default() });
    }

    /// Lets rows lag behind the log, until the process ends.
    pub fn lag_rows(&self) {
        self.disk().set_faults(Faults { refuse_rows: true, ..Faults::default() });
    }
}

impl Ground {
    /// Times raft otherwise on one machine.
    pub(crate) fn retime(&mut self, node: NodeId, timing: Timing) {
        let machine = self.machines.get_mut(&node).and_then(Arc::get_mut);
        machine.expect("nobody has it yet").timing = timing;
    }

    /// Founds a cluster that nobody has started yet.
    ///
    /// # Panics
    /// Where this machine has no temporary folder.
    #[must_use]
    pub fn found(profile: &Profile, time: &TrueTime) -> Arc<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let kms = Arc::new(SwitchableKms::new([7; 32]));
        let secret =
            ClusterSecret::generate(&folder.path().join("cluster.secret"), &mut OsEntropy).expect("a new file");
        let ids = (1..=profile.replicas).map(NodeId);
        let members: BTreeMap<_, _> =
            ids.clone().zip(REGIONS).map(|(node, region)| (node, member(node, region))).collect();
        let new_root = folder.path().join("root.key");
        let new = NewCluster {
            members,
            staleness_floor: DurationMillis::new(profile.staleness_ms),
            staleness_default: DurationMillis::new(profile.staleness_ms),
            bootstrap_file: &new_root,
        };
        // The real thing makes a folder; of what it makes only the founding file is used.
        let data = folder.path().join("1");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let cluster = runtime.block_on(init_cluster(&data, NodeId(1), kms.as_ref(), new)).expect("a new folder");
        let root = std::fs::read_to_string(new_root).expect("init left it").trim_end().to_owned();
        let founding = pending_founding(&data).expect("readable").expect("init left it");
        let machine = |node: NodeId| {
            let facts = Facts { node_id: node.0, cluster_id: cluster.0, epoch: 1 };
            let disk = Arc::new(MemoryStore::new(facts));
            let kept = Kept { disk, process: None, lives: 0, frozen: false, why_not: None };
            let clock = Arc::new(MachineClock::new(time.clone()));
            (node, Arc::new(Machine { node, clock, timing: profile.timing, kept: Mutex::new(kept) }))
        };
        let machines = ids.map(machine).collect();
        Arc::new(Self { _folder: folder, kms, net: Net::default(), cluster, machines, secret, root, founding })
    }

    /// The key text of `root`, who may do everything.
    #[must_use]
    pub fn root(&self) -> &str {
        &self.root
    }

    /// Runs the process of a replica, on its machine.
    ///
    /// # Errors
    /// None: a process that does not start is one that is away, and says why in [`Machine::why_not`].
    pub async fn run(self: Arc<Self>, node: NodeId) -> turmoil::Result {
        let machine = self.machines[&node].clone();
        if let Err(error) = self.serve(&machine).await {
            machine.kept().why_not = Some(error.to_string());
        }
        // A machine whose process has ended stays.
        std::future::pending().await
    }

    async fn serve(&self, machine: &Machine) -> turmoil::Result {
        let node = machine.node;
        let disk = machine.disk();
        let parts = Parts {
            store: disk,
            kms: self.kms.clone(),
            clock: machine.clock.clone(),
            dialer: self.net.dialer(node),
            proof: self.secret.clone().into(),
            timing: machine.timing,
            founding: (node == NodeId(1)).then(|| self.founding.clone()),
        };
        let registry = Registry::start(parts).await?;
        {
            let mut kept = machine.kept();
            kept.process = Some(registry.clone());
            kept.lives += 1;
        }
        let incoming = self.net.listen(node).await?;
        let mut server = Server::builder();
        let server = server.add_service(registry.raft_service()).add_service(registry.registry_service());
        Ok(server.serve_with_incoming(incoming).await?)
    }
}

fn member(node: NodeId, region: &str) -> Member {
    Member { region: region.to_owned(), raft_address: address_of(node), address: address_of(node) }
}
