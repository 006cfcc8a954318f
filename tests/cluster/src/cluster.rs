//! Three replicas and an issuance service, each a process with folders, ports and a log of its own.

use crate::binaries::Binaries;
use crate::caller::{Caller, reason};
use crate::process::{Process, tail};
use crate::replica::Fault;
use crate::report::Trouble;
use crate::settings::{of_replica, of_service};
use latchkey_transport::ClusterSecret;
use latchkey_wire::pb::internal::v1 as internal;
use latchkey_wire::pb::v1;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

/// How many replicas there are.
pub(crate) const REPLICAS: usize = 3;

/// Each replica stands in a region of its own, so that an answer by region is one by replica.
pub(crate) const REGIONS: [&str; REPLICAS] = ["north", "middle", "south"];

/// Whatever takes longer than this is stuck, on the slowest of machines.
pub(crate) const STUCK: Duration = Duration::from_secs(120);

/// How long one call may take that nothing stands in the way of.
pub(crate) const CALL_MAX: Duration = Duration::from_secs(20);

/// How long to wait before a process is asked again that does not listen yet.
const KNOCK_INTERVAL: Duration = Duration::from_millis(20);

/// The tenant of all keys.
const TENANT: &str = "tenants/acme";

/// The keyspace of all keys. Its `staleness_max` is the default of its profile.
pub(crate) const KEYSPACE: &str = "tenants/acme/keyspaces/live";

/// Ports that were free a moment ago. All are held until all are drawn, so that none is drawn twice.
struct Ports {
    held: Vec<TcpListener>,
}

impl Ports {
    fn draw(&mut self) -> Result<SocketAddr, Trouble> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Trouble::not_run)?;
        let address = listener.local_addr().map_err(Trouble::not_run)?;
        self.held.push(listener);
        Ok(address)
    }
}

/// One replica, running or not.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its number, from 1.
    pub(crate) id: u64,
    folder: PathBuf,
    /// Where it serves.
    pub(crate) api: SocketAddr,
    /// Where it hears the others.
    pub(crate) raft: SocketAddr,
    process: Option<Process>,
    /// What is wrong with its clocks.
    fault: Fault,
}

impl Node {
    fn settings(&self) -> PathBuf {
        self.folder.join("settings.toml")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// Its key-encryption key.
    pub(crate) fn kek(&self) -> PathBuf {
        self.folder.join("kek")
    }

    /// Puts its key-encryption key where it does not look.
    pub(crate) fn take_kek(&self) -> Result<(), Trouble> {
        fs::rename(self.kek(), self.kek().with_extension("away")).map_err(Trouble::not_run)
    }

    /// Puts its key-encryption key back.
    pub(crate) fn return_kek(&self) -> Result<(), Trouble> {
        fs::rename(self.kek().with_extension("away"), self.kek()).map_err(Trouble::not_run)
    }

    /// What it writes.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Whether its log has a line with `words`.
    pub(crate) fn has_logged(&self, words: &str) -> bool {
        fs::read_to_string(self.log()).is_ok_and(|log| log.contains(words))
    }

    fn process(&self) -> Result<&Process, Trouble> {
        self.process.as_ref().ok_or_else(|| Trouble::not_run(format!("replica {} does not run", self.id)))
    }
}

/// The cluster. Dropping it kills all of its processes and removes its folder.
#[derive(Debug)]
pub(crate) struct Cluster {
    binaries: Binaries,
    nodes: Vec<Node>,
    issuance_at: SocketAddr,
    issuance: Option<Process>,
    audit: Option<Process>,
    secret: ClusterSecret,
    root: String,
    // Last: processes write in there.
    folder: TempDir,
}

impl Cluster {
    /// Founds a cluster, and makes a tenant with a keyspace in it.
    pub(crate) async fn found(binaries: &Binaries) -> Result<Self, Trouble> {
        let mut cluster = Self::begin(binaries, [0; REPLICAS])?;
        cluster.start_all()?;
        cluster.finish().await
    }

    /// Founds a cluster of which one replica lacks its key-encryption key from the first start on. It is the last one.
    pub(crate) async fn found_with_one_locked(binaries: &Binaries) -> Result<(Self, u64), Trouble> {
        let mut cluster = Self::begin(binaries, [0; REPLICAS])?;
        let locked = cluster.nodes.last().expect("a cluster has replicas").id;
        for id in cluster.others(locked) {
            cluster.start(id)?;
        }
        let mut cluster = cluster.finish().await?;
        cluster.node(locked).take_kek()?;
        cluster.start(locked)?;
        Ok((cluster, locked))
    }

    /// Founds a cluster of replicas whose wall clocks are ahead of ours by so many milliseconds.
    pub(crate) async fn found_by_clocks(binaries: &Binaries, offsets_ms: [i64; REPLICAS]) -> Result<Self, Trouble> {
        let mut cluster = Self::begin(binaries, offsets_ms)?;
        cluster.start_all()?;
        cluster.finish().await
    }

    /// Makes all folders and settings; nothing runs yet.
    fn begin(binaries: &Binaries, offsets_ms: [i64; REPLICAS]) -> Result<Self, Trouble> {
        let folder = tempfile::Builder::new().prefix("latchkey-cluster-").tempdir().map_err(Trouble::not_run)?;
        let mut ports = Ports { held: Vec::new() };
        let mut nodes = Vec::with_capacity(REPLICAS);
        for (id, clock_offset_ms) in (1..).zip(offsets_ms) {
            let folder = folder.path().join(format!("replica-{id}"));
            fs::create_dir(&folder).map_err(Trouble::not_run)?;
            let (api, raft) = (ports.draw()?, ports.draw()?);
            let fault = Fault { clock_offset_ms, ..Fault::default() };
            nodes.push(Node { id, folder, api, raft, process: None, fault });
        }
        let issuance_at = ports.draw()?;
        drop(ports);
        let secret_file = folder.path().join("cluster.secret");
        for node in &nodes {
            write(&node.settings(), &of_replica(node, &nodes, &secret_file))?;
        }
        let (issuance_settings, kek) = (folder.path().join("issuance.toml"), nodes[0].kek());
        write(&issuance_settings, &of_service(issuance_at, &nodes, &secret_file, &kek))?;
        let root = initialise(binaries, &nodes, folder.path())?;
        let secret = ClusterSecret::read(&secret_file, None).map_err(Trouble::wrong)?;
        let binaries = binaries.clone();
        Ok(Self { binaries, nodes, issuance_at, issuance: None, audit: None, secret, root, folder })
    }

    /// Starts issuance beside the replicas that run, and makes the keyspace.
    async fn finish(mut self) -> Result<Self, Trouble> {
        let begun = async {
            self.start_issuance()?;
            self.all_serve().await?;
            self.make_keyspace().await
        };
        match begun.await {
            Ok(()) => Ok(self),
            Err(trouble) => {
                println!("{}", self.last_words());
                Err(trouble)
            }
        }
    }

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

    /// Starts a replica that does not run.
    pub(crate) fn start(&mut self, id: u64) -> Result<(), Trouble> {
        let binaries = self.binaries.clone();
        let node = self.node_mut(id);
        let settings = node.settings().display().to_string();
        let mut args = vec!["--config".to_owned(), settings];
        // Only a clock that is wrong needs another program; all else is what is shipped.
        let program = if node.fault == Fault::default() {
            args.push("serve".to_owned());
            binaries.validation
        } else {
            args.insert(0, "replica".to_owned());
            args.extend(node.fault.arguments());
            binaries.own
        };
        node.process = Some(Process::start(&format!("replica {id}"), &program, &args, node.log())?);
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

    /// Starts audit: without it entries wait in the replicas, of which each holds a million at most.
    pub(crate) fn start_audit(&mut self) -> Result<(), Trouble> {
        let settings = self.folder.path().join("audit.toml");
        let (secret, kek) = (self.folder.path().join("cluster.secret"), self.nodes[0].kek());
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let data = self.folder.path().join("audit");
        let text = format!("data_folder = {data:?}\n{}", of_service(listen, &self.nodes, &secret, &kek));
        write(&settings, &text)?;
        let args = ["--config".to_owned(), settings.display().to_string()];
        let log = self.folder.path().join("audit.log");
        self.audit = Some(Process::start("audit", &self.binaries.audit, &args, log)?);
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

    /// The leader, as most replicas that answer see it; waits until there is one that knows itself as such.
    pub(crate) async fn leader(&self) -> Result<u64, Trouble> {
        let by = Instant::now() + STUCK;
        while Instant::now() < by {
            for id in self.ids().into_iter().filter(|id| self.node(*id).process.is_some()) {
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
                revisions.push(self.revision(id).await?);
            }
            if revisions.windows(2).all(|pair| pair[0] == pair[1]) {
                return Ok(revisions[0]);
            }
            sleep(KNOCK_INTERVAL).await;
        }
        Err(Trouble::wrong("the replicas never reach one revision"))
    }

    async fn make_keyspace(&self) -> Result<(), Trouble> {
        let caller = self.issuance();
        let wrong = |status: tonic::Status| Trouble::wrong(format!("the keyspace cannot be made: {status}"));
        let tenant = v1::CreateTenantRequest {
            tenant_id: TENANT.trim_start_matches("tenants/").to_owned(),
            tenant: Some(v1::Tenant::default()),
            ..Default::default()
        };
        caller.directory().create_tenant(caller.ask(tenant, CALL_MAX)).await.map_err(wrong)?;
        let keyspace = v1::CreateKeyspaceRequest {
            parent: TENANT.to_owned(),
            keyspace_id: "live".to_owned(),
            keyspace: Some(v1::Keyspace {
                prefix: "acme_live".to_owned(),
                environment: "production".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        };
        caller.directory().create_keyspace(caller.ask(keyspace, CALL_MAX)).await.map_err(wrong)?;
        Ok(())
    }

    /// The last words of all processes, for whoever has to find out what went wrong.
    pub(crate) fn last_words(&self) -> String {
        let logs = self.nodes.iter().map(|node| (format!("replica {}", node.id), node.log()));
        let logs = logs.chain(self.issuance.iter().map(|process| ("issuance".to_owned(), process.log().to_owned())));
        logs.map(|(name, log)| format!("--- {name}\n{}\n", tail(&log, 25))).collect()
    }
}

fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    fs::write(path, text).map_err(Trouble::not_run)
}

/// Makes the data folders. Returns the text of the first key of root.
fn initialise(binaries: &Binaries, nodes: &[Node], folder: &Path) -> Result<String, Trouble> {
    let bootstrap = folder.join("root.key");
    let init = |node: &Node, args: &[&str]| {
        let made =
            Command::new(&binaries.validation).arg("--config").arg(node.settings()).arg("init").args(args).output();
        let made = made.map_err(Trouble::not_run)?;
        if !made.status.success() {
            return Err(Trouble::wrong(format!("init: {}", String::from_utf8_lossy(&made.stderr))));
        }
        Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned())
    };
    let (first, others) = nodes.split_first().ok_or_else(|| Trouble::not_run("no replicas"))?;
    let cluster = init(first, &["--bootstrap-file", &bootstrap.display().to_string()])?;
    for node in others {
        // The mode goes along.
        fs::copy(first.kek(), node.kek()).map_err(Trouble::not_run)?;
        init(node, &["--cluster", &cluster])?;
    }
    Ok(fs::read_to_string(bootstrap).map_err(Trouble::wrong)?.trim().to_owned())
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
