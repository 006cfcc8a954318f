//! Replicas and an issuance service, each a process with folders, ports and a log of its own.

mod auditing;
mod founding;
mod harm;
mod keks;
mod node;
mod rotators;

pub(crate) use node::Node;

use crate::binaries::Binaries;
use crate::caller::{Caller, reason};
use crate::links::Links;
use crate::process::{Process, tail};
use crate::replica::Fault;
use crate::report::{Report, Trouble};
use crate::settings::of_replica;
use crate::shape::Shape;
use auditing::Auditor;
use founding::write;
use harm::Mounts;
use latchkey_transport::ClusterSecret;
use latchkey_wire::pb::internal::v1 as internal;
use latchkey_wire::pb::v1;
use rotators::Rotator;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How many replicas there are, unless a scenario says otherwise.
pub(crate) const REPLICAS: usize = 3;

/// Each replica stands in a region of its own, so that an answer by region is one by replica.
const REGIONS: [&str; 9] = ["north", "middle", "south", "east", "west", "islands", "coast", "delta", "cape"];

/// The region of a replica.
pub(crate) fn region_of(id: u64) -> &'static str {
    REGIONS[usize::try_from(id.saturating_sub(1)).expect("a small number") % REGIONS.len()]
}

/// Whatever takes longer than this is stuck, on the slowest of machines.
pub(crate) const STUCK: Duration = Duration::from_secs(120);

/// How long one call may take that nothing stands in the way of.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(20);

/// How long to wait before a process is asked again that does not listen yet.
const KNOCK_INTERVAL: Duration = Duration::from_millis(20);

/// The tenant of all keys.
pub(crate) const TENANT: &str = "tenants/acme";

/// The keyspace of all keys. Its `staleness_max` is the default of its profile.
pub(crate) const KEYSPACE: &str = "tenants/acme/keyspaces/live";

/// The cluster. Dropping it kills all of its processes and removes its folder.
#[derive(Debug)]
pub(crate) struct Cluster {
    binaries: Binaries,
    nodes: Vec<Node>,
    shape: Shape,
    links: Option<Links>,
    issuance_at: SocketAddr,
    issuance: Option<Process>,
    auditor: Auditor,
    rotators: Vec<Rotator>,
    secret: ClusterSecret,
    root: String,
    mounts: Mounts,
    // Last: processes write in there.
    folder: TempDir,
}

impl Cluster {
    /// The ids of all replicas.
    pub(crate) fn ids(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    /// The ids of the replicas other than `id`.
    pub(crate) fn others(&self, id: u64) -> Vec<u64> {
        self.ids().into_iter().filter(|other| *other != id).collect()
    }

    /// A replica by its id.
    pub(crate) fn node(&self, id: u64) -> &Node {
        self.nodes.iter().find(|node| node.id == id).expect("ids come from the cluster")
    }

    fn node_mut(&mut self, id: u64) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.id == id).expect("ids come from the cluster")
    }

    /// A replica, called as root.
    pub(crate) fn replica(&self, id: u64) -> Caller {
        Caller::new(self.node(id).api, &self.root, &self.secret)
    }

    /// Issuance, called as root.
    pub(crate) fn issuance(&self) -> Caller {
        Caller::new(self.issuance_at, &self.root, &self.secret)
    }

    /// How long a replica answers for the keyspace after it last heard of a leader.
    pub(crate) const fn bound(&self) -> Duration {
        Duration::from_millis(self.shape.profile.bound_ms())
    }

    /// The links between the replicas.
    pub(crate) fn links(&self) -> &Links {
        self.links.as_ref().expect("a scenario about links founds a cluster with links")
    }

    /// Cuts a replica off from all others; callers beside it still reach it.
    pub(crate) fn cut_off(&self, id: u64) {
        self.others(id).into_iter().for_each(|other| self.links().cut(id, other));
    }

    /// Starts a replica that does not run.
    pub(crate) fn start(&mut self, id: u64) -> Result<(), Trouble> {
        let binaries = self.binaries.clone();
        let node = self.node_mut(id);
        let settings = node.settings().display().to_string();
        let mut args = vec!["--config".to_owned(), settings];
        // Only a clock that is wrong needs another program; all else is what is shipped.
        let program = if node.fault == Fault::default() && !node.moving_clock {
            args.push("serve".to_owned());
            node.program.clone().unwrap_or(binaries.validation)
        } else {
            args.insert(0, "replica".to_owned());
            args.extend(node.fault.arguments());
            if node.moving_clock {
                args.push(format!("--clock-file={}", node.clock().display()));
            }
            binaries.own
        };
        let process = Process::start(&format!("replica {id}"), &program, &args, node.log())?;
        let number = process.id();
        node.process = Some(process);
        if let Some(links) = &self.links {
            links.belongs(id, number);
        }
        Ok(())
    }

    /// From its next start on a replica is of this build, or of the one that the cluster began with.
    pub(crate) fn exchange(&mut self, id: u64, newer: bool) -> Result<(), Trouble> {
        let mut shape = self.shape.clone();
        if newer {
            (shape.raft_lines, shape.program) = (Vec::new(), None);
        }
        let secret = self.folder.path().join("cluster.secret");
        write(&self.node(id).settings(), &of_replica(self.node(id), &self.nodes, &secret, &shape))?;
        self.node_mut(id).program = shape.program;
        Ok(())
    }

    /// Starts a replica anew, with clocks that run so much slower from now on.
    pub(crate) async fn slow_down(&mut self, id: u64, slowness: u64) -> Result<(), Trouble> {
        self.kill(id);
        self.node_mut(id).fault.clock_slowness = slowness;
        self.start(id)?;
        self.all_serve().await
    }

    /// Starts all replicas.
    pub(crate) fn start_all(&mut self) -> Result<(), Trouble> {
        self.ids().into_iter().try_for_each(|id| self.start(id))
    }

    /// Starts issuance.
    pub(crate) fn start_issuance(&mut self) -> Result<(), Trouble> {
        let settings = self.folder.path().join("issuance.toml").display().to_string();
        let log = self.folder.path().join("issuance.log");
        self.issuance = Some(Process::start("issuance", &self.binaries.issuance, &["--config", &settings], log)?);
        Ok(())
    }

    /// Kills issuance.
    pub(crate) fn kill_issuance(&mut self) {
        if let Some(process) = self.issuance.take() {
            process.kill();
        }
    }

    /// Starts the command line as root, with these words.
    pub(crate) fn command(&self, words: &[&str], log: &str) -> Result<Process, Trouble> {
        let key = self.folder.path().join("root.key").display().to_string();
        let validation = self.nodes[0].api.to_string();
        let issuance = self.issuance_at.to_string();
        let mut args = vec!["--key-file", &key, "--issuance-address", &issuance, "--validation-address", &validation];
        args.extend(words);
        Process::start("latchkey", &self.binaries.command_line, &args, self.folder.path().join(log))
    }

    /// Where everything lies.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills a replica.
    pub(crate) fn kill(&mut self, id: u64) {
        if let Some(process) = self.node_mut(id).process.take() {
            process.kill();
        }
    }

    /// Kills all replicas, one right after the other.
    pub(crate) fn kill_all(&mut self) {
        self.ids().into_iter().for_each(|id| self.kill(id));
    }

    /// Asks a replica to end.
    pub(crate) async fn stop(&mut self, id: u64) -> Result<(), Trouble> {
        match self.node_mut(id).process.take() {
            Some(process) => process.stop().await,
            None => Ok(()),
        }
    }

    /// Makes a replica stand still.
    pub(crate) fn pause(&self, id: u64) -> Result<(), Trouble> {
        self.node(id).process()?.pause()
    }

    /// Lets a replica go on.
    pub(crate) fn resume(&self, id: u64) -> Result<(), Trouble> {
        self.node(id).process()?.resume()
    }

    /// How a replica ended, if it ended by itself.
    pub(crate) fn exited(&mut self, id: u64) -> Option<std::process::ExitStatus> {
        self.node_mut(id).process.as_mut().and_then(Process::exited)
    }

    /// Waits until all replicas that run answer validations, and issuance finds a leader.
    pub(crate) async fn all_serve(&mut self) -> Result<(), Trouble> {
        for id in self.ids().into_iter().filter(|id| self.node(*id).process.is_some()).collect::<Vec<_>>() {
            self.serves(id, "latchkey.validate").await?;
            self.serves(id, "latchkey.write").await?;
        }
        let channel = self.issuance().channel();
        let process = self.issuance.as_mut().map(|process| (process, "issuance"));
        watch(channel, "latchkey.write", process).await
    }

    /// Waits until a replica says that it serves.
    pub(crate) async fn serves(&mut self, id: u64, probe: &str) -> Result<(), Trouble> {
        let channel = self.replica(id).channel();
        let process = self.node_mut(id).process.as_mut();
        watch(channel, probe, process.map(|process| (process, "a replica"))).await
    }

    /// The leader; waits until there is one that knows itself as such.
    pub(crate) async fn leader(&self) -> Result<u64, Trouble> {
        self.leader_among(&self.ids()).await
    }

    /// The leader among some replicas: another one may be cut off and still take itself for it.
    pub(crate) async fn leader_among(&self, ids: &[u64]) -> Result<u64, Trouble> {
        let by = Instant::now() + STUCK;
        while Instant::now() < by {
            for id in ids.iter().copied().filter(|id| self.node(*id).process.is_some()) {
                let mut registry = self.replica(id).registry();
                let asked =
                    timeout(Duration::from_millis(500), registry.introduce(internal::IntroduceRequest {})).await;
                if let Ok(Ok(answer)) = asked
                    && answer.get_ref().leader == Some(id)
                {
                    return Ok(id);
                }
            }
            sleep(KNOCK_INTERVAL).await;
        }
        Err(Trouble::wrong(format!("nobody leads for {} s", STUCK.as_secs())))
    }

    /// A replica that runs and does not lead.
    pub(crate) async fn follower(&self) -> Result<u64, Trouble> {
        let leader = self.leader().await?;
        let running = |id: &u64| *id != leader && self.node(*id).process.is_some();
        self.ids().into_iter().find(running).ok_or_else(|| Trouble::not_run("a cluster without followers"))
    }

    /// The revision that a replica has published.
    pub(crate) async fn revision(&self, id: u64) -> Result<v1::Revision, Trouble> {
        let caller = self.replica(id);
        let asked = caller.cluster().get_cluster(caller.ask(v1::GetClusterRequest {}, CALL_MAX)).await;
        let answer = asked.map_err(|status| Trouble::wrong(format!("GetCluster at {id}: {}", reason(&status))))?;
        answer.into_inner().revision.ok_or_else(|| Trouble::wrong("a cluster without a revision"))
    }

    /// Waits until all replicas have published the same revision.
    pub(crate) async fn all_alike(&self) -> Result<v1::Revision, Trouble> {
        let by = Instant::now() + STUCK;
        while Instant::now() < by {
            let mut revisions = Vec::new();
            for id in self.ids() {
                // Whoever was cut off a moment ago may have to find out first that a connection is dead.
                revisions.extend(self.revision(id).await.ok());
            }
            if revisions.len() == self.ids().len() && revisions.windows(2).all(|pair| pair[0] == pair[1]) {
                return Ok(revisions[0]);
            }
            sleep(KNOCK_INTERVAL).await;
        }
        Err(Trouble::wrong("the replicas never reach one revision"))
    }

    /// How a scenario ended, with the last words of all processes where that was not well.
    pub(crate) fn told(&self, ended: Result<(), Trouble>, report: &Report) -> Result<(), Trouble> {
        if ended.is_err() || report.has_failed() {
            println!("{}", self.last_words());
        }
        ended
    }

    /// The last words of all processes, for whoever has to find out what went wrong.
    pub(crate) fn last_words(&self) -> String {
        let logs = self.nodes.iter().map(|node| (format!("replica {}", node.id), node.log()));
        let logs = logs.chain(self.issuance.iter().map(|process| ("issuance".to_owned(), process.log().to_owned())));
        let logs = logs.chain(self.auditor.runs().then(|| ("audit".to_owned(), self.audit_log())));
        let logs = logs.chain(self.rotators.iter().map(|rotator| (rotator.name(), rotator.log.clone())));
        logs.map(|(name, log)| format!("--- {name}\n{}\n", tail(&log, 25))).collect()
    }
}

/// Follows the health of a process until `probe` serves.
async fn watch(
    channel: tonic::transport::Channel,
    probe: &str,
    mut process: Option<(&mut Process, &str)>,
) -> Result<(), Trouble> {
    let by = Instant::now() + STUCK;
    while Instant::now() < by {
        if let Some((process, name)) = process.as_mut()
            && let Some(status) = process.exited()
        {
            let log = tail(process.log(), 12);
            return Err(Trouble::wrong(format!("{name} ended by itself with {status}:\n{log}")));
        }
        let request = HealthCheckRequest { service: probe.to_owned() };
        if let Ok(answer) = HealthClient::new(channel.clone()).watch(request).await {
            let mut stream = answer.into_inner();
            // In turns, so that a process that died is seen.
            while let Ok(Ok(Some(told))) = timeout(Duration::from_secs(2), stream.message()).await {
                if told.status() == ServingStatus::Serving {
                    return Ok(());
                }
            }
        }
        sleep(KNOCK_INTERVAL).await;
    }
    Err(Trouble::wrong(format!("{probe} does not serve within {} s", STUCK.as_secs())))
}
