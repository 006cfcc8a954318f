//! How a cluster begins: folders, settings, the first start, a tenant and a keyspace.

use super::auditing::Auditor;
use super::harm::Mounts;
use super::{CALL_MAX, Cluster, KEYSPACE, Node, TENANT};
use crate::binaries::Binaries;
use crate::links::{Entrance, Links};
use crate::random::Random;
use crate::replica::Fault;
use crate::report::Trouble;
use crate::settings::{of_replica, of_service};
use crate::shape::Shape;
use latchkey_transport::ClusterSecret;
use latchkey_wire::pb::v1;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

/// An address that no connection of anybody's can come to have while its process is away.
pub(super) fn free_address() -> Result<SocketAddr, Trouble> {
    latchkey_testkit::free_address().map_err(Trouble::not_run)
}

impl Cluster {
    /// Founds a cluster of three, and makes a tenant with a keyspace in it.
    pub(crate) async fn found(binaries: &Binaries) -> Result<Self, Trouble> {
        Self::of(binaries, Shape::default(), &mut Random::new(0)).await
    }

    /// Founds a cluster of which one replica lacks its key-encryption key from the first start on. It is the last one.
    pub(crate) async fn found_with_one_locked(binaries: &Binaries) -> Result<(Self, u64), Trouble> {
        let mut cluster = Self::begin(binaries, Shape::default(), &mut Random::new(0))?;
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
    pub(crate) async fn found_by_clocks(binaries: &Binaries, offsets_ms: [i64; 3]) -> Result<Self, Trouble> {
        let shape = Shape { offsets_ms: offsets_ms.to_vec(), ..Shape::default() };
        Self::of(binaries, shape, &mut Random::new(0)).await
    }

    /// Founds a cluster of a shape.
    pub(crate) async fn of(binaries: &Binaries, shape: Shape, random: &mut Random) -> Result<Self, Trouble> {
        let mut cluster = Self::begin(binaries, shape, random)?;
        cluster.start_all()?;
        cluster.finish().await
    }

    /// Makes all folders and settings; nothing runs yet.
    fn begin(binaries: &Binaries, shape: Shape, random: &mut Random) -> Result<Self, Trouble> {
        let folder = tempfile::Builder::new().prefix("latchkey-cluster-").tempdir().map_err(Trouble::not_run)?;
        let links = shape.weather.map(|weather| Links::open(weather, random.fork())).transpose()?;
        let mut mounts = Mounts::default();
        let mut nodes = Vec::with_capacity(shape.replicas);
        let offsets = shape.offsets_ms.iter().copied().chain(std::iter::repeat(0)).take(shape.replicas);
        for (id, clock_offset_ms) in (1..).zip(offsets) {
            let fault = Fault { clock_offset_ms, ..Fault::default() };
            let drawn = (free_address()?, free_address()?);
            let mut node = new_node(folder.path(), id, drawn, links.as_ref(), fault, shape.moving_clocks)?;
            node.program.clone_from(&shape.program);
            node.has_disk = shape.small_disks && mounts.add(node.disk())?;
            nodes.push(node);
        }
        let issuance_at = free_address()?;
        let secret_file = folder.path().join("cluster.secret");
        for node in &nodes {
            write(&node.settings(), &of_replica(node, &nodes, &secret_file, &shape))?;
        }
        let (issuance_settings, kek) = (folder.path().join("issuance.toml"), nodes[0].kek());
        write(&issuance_settings, &of_service(issuance_at, &nodes, &secret_file, &kek))?;
        let program = shape.program.as_ref().unwrap_or(&binaries.validation);
        let root = initialise(program, &nodes, folder.path())?;
        let secret = ClusterSecret::read(&secret_file, None).map_err(Trouble::wrong)?;
        let binaries = binaries.clone();
        Ok(Self {
            binaries,
            nodes,
            shape,
            links,
            issuance_at,
            issuance: None,
            auditor: Auditor::new()?,
            rotators: Vec::new(),
            secret,
            root,
            mounts,
            folder,
        })
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

    async fn make_keyspace(&self) -> Result<(), Trouble> {
        let caller = self.issuance();
        let wrong = |status: tonic::Status| Trouble::wrong(format!("the tenant cannot be made: {status}"));
        let tenant = v1::CreateTenantRequest {
            tenant_id: TENANT.trim_start_matches("tenants/").to_owned(),
            tenant: Some(v1::Tenant::default()),
            ..Default::default()
        };
        caller.directory().create_tenant(caller.ask(tenant, CALL_MAX)).await.map_err(wrong)?;
        self.add_keyspace(KEYSPACE, v1::Keyspace { prefix: "acme_live".to_owned(), ..Default::default() }).await
    }

    /// Makes one more keyspace.
    pub(crate) async fn add_keyspace(&self, name: &str, keyspace: v1::Keyspace) -> Result<(), Trouble> {
        let caller = self.issuance();
        let wrong = |status: tonic::Status| Trouble::wrong(format!("{name} cannot be made: {status}"));
        let request = v1::CreateKeyspaceRequest {
            parent: TENANT.to_owned(),
            keyspace_id: name.rsplit('/').next().unwrap_or(name).to_owned(),
            keyspace: Some(v1::Keyspace { environment: "production".to_owned(), ..keyspace }),
            ..Default::default()
        };
        caller.directory().create_keyspace(caller.ask(request, CALL_MAX)).await.map_err(wrong)?;
        Ok(())
    }
}

fn new_node(
    within: &Path,
    id: u64,
    (api, raft): (SocketAddr, SocketAddr),
    links: Option<&Links>,
    fault: Fault,
    moving_clock: bool,
) -> Result<Node, Trouble> {
    let folder = within.join(format!("replica-{id}"));
    fs::create_dir(&folder).map_err(Trouble::not_run)?;
    let entrance = links.map_or(Ok(Entrance { api, raft }), |links| links.admit(id, api, raft))?;
    Ok(Node { id, folder, api, raft, entrance, process: None, fault, moving_clock, has_disk: false, program: None })
}

pub(super) fn write(path: &Path, text: &str) -> Result<(), Trouble> {
    fs::write(path, text).map_err(Trouble::not_run)
}

/// Makes the data folders. Returns the text of the first key of root.
fn initialise(program: &Path, nodes: &[Node], folder: &Path) -> Result<String, Trouble> {
    let bootstrap = folder.join("root.key");
    let (first, others) = nodes.split_first().ok_or_else(|| Trouble::not_run("no replicas"))?;
    let cluster = init(program, first, &["--bootstrap-file", &bootstrap.display().to_string()])?;
    for node in others {
        // The mode goes along.
        fs::copy(first.kek(), node.kek()).map_err(Trouble::not_run)?;
        init(program, node, &["--cluster", &cluster])?;
    }
    Ok(fs::read_to_string(bootstrap).map_err(Trouble::wrong)?.trim().to_owned())
}

/// Makes the data folder of one replica. Returns what it says.
fn init(program: &Path, node: &Node, args: &[&str]) -> Result<String, Trouble> {
    let made = Command::new(program).arg("--config").arg(node.settings()).arg("init").args(args).output();
    let made = made.map_err(Trouble::not_run)?;
    if !made.status.success() {
        return Err(Trouble::wrong(format!("init: {}", String::from_utf8_lossy(&made.stderr))));
    }
    Ok(String::from_utf8_lossy(&made.stdout).trim().to_owned())
}
