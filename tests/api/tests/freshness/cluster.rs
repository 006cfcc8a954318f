//! Three replicas and an issuance in one process, reached over real connections; each replica can be stopped and started
//! again on its folder.

use latchkey_api::clients::Clients;
use latchkey_config::{Sources, ValidationSettings};
use latchkey_domain::NodeId;
use latchkey_issuance::Issuance;
use latchkey_link::service::{self, open_files};
use latchkey_testkit::free_addresses;
use latchkey_validation::{Purpose, Running, Validation, init};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

/// How many replicas there are.
const REPLICAS: usize = 3;

/// The bound of a keyspace that names none: as short as the elections of these replicas allow, since a test waits for it.
pub(crate) const STALENESS: Duration = Duration::from_millis(3_500);

/// Longer than anything here takes.
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) struct Cluster {
    replicas: Vec<Option<Running>>,
    settings: Vec<ValidationSettings>,
    issuance: service::Running,
    pub(crate) root_text: String,
    // Last: all of them write in there.
    _folder: TempDir,
}

impl Cluster {
    pub(crate) async fn found() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let addresses = free_addresses(2 * REPLICAS).unwrap();
        let (apis, rafts) = addresses.split_at(REPLICAS);
        let (mut settings, mut cluster) = (Vec::new(), None);
        let bootstrap_file = path.join("root.key");
        for id in 1..=REPLICAS {
            let one = settings_of(path, id, apis, rafts);
            let purpose = match cluster {
                None => Purpose::Found { bootstrap_file: bootstrap_file.clone() },
                Some(cluster) => Purpose::Join { cluster, epoch: 1 },
            };
            cluster = Some(init(&one, &purpose).await.unwrap());
            settings.push(one);
        }
        let mut replicas = Vec::new();
        for one in &settings {
            replicas.push(Some(Validation::start(one).await.unwrap()));
        }
        let (secret, kms) = open_files(&path.join("secret"), (&path.join("kek"), &[])).unwrap();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let at = apis.iter().copied().map(Into::into).collect();
        let options = service::Options { listen, metrics_listen: None, replicas: at, security: secret.into(), kms };
        let issuance = Issuance::start(options).await.unwrap();
        let root_text = fs::read_to_string(bootstrap_file).unwrap().trim_end().to_owned();
        let cluster = Self { replicas, settings, issuance, root_text, _folder: folder };
        cluster.until_whole().await;
        cluster
    }

    /// Returns once every replica that runs is fresh, finds a leader that can write, and knows what each of them cosigns
    /// with: they tell it by themselves, and an audit entry says so.
    pub(crate) async fn until_whole(&self) {
        for replica in self.replicas.iter().flatten() {
            until("a cluster elects", || {
                let registry = replica.registry();
                let told = |one: usize| {
                    registry.core().state().replica(NodeId(one as u64)).is_some_and(|one| one.node_key.is_some())
                };
                registry.can_write() && registry.reader().is_fresh() && (1..=REPLICAS).all(told)
            })
            .await;
        }
    }

    /// How many audit entries there were, once every replica knows all of them and can say so after a restart.
    pub(crate) async fn entries(&self) -> u64 {
        let sizes =
            || self.replicas.iter().flatten().map(|one| one.registry().core().state().progress().frontier.size());
        let alike = || sizes().max() == sizes().min();
        until("all know the same entries", alike).await;
        sizes().next().expect("one runs")
    }

    /// One replica that runs.
    pub(crate) fn replica(&self, at: usize) -> &Running {
        self.replicas[at].as_ref().expect("it runs")
    }

    /// Whoever has this management key, at issuance and at one replica.
    pub(crate) fn clients(&self, at: usize, text: &str) -> Clients {
        let validation = latchkey_transport::channel(self.replica(at).addresses().api);
        let issuance = latchkey_transport::channel(self.issuance.address());
        Clients::new([issuance.clone(), validation, issuance.clone(), issuance], Some(text))
    }

    pub(crate) fn root(&self, at: usize) -> Clients {
        self.clients(at, &self.root_text)
    }

    pub(crate) async fn stop_one(&mut self, at: usize) {
        self.replicas[at].take().expect("it runs").shutdown().await.unwrap();
    }

    pub(crate) async fn start_one(&mut self, at: usize) {
        self.replicas[at] = Some(Validation::start(&self.settings[at]).await.unwrap());
    }

    pub(crate) async fn stop(self) {
        self.issuance.stop().await.unwrap();
        for replica in self.replicas.into_iter().flatten() {
            replica.shutdown().await.unwrap();
        }
    }
}

/// Returns once `holds`; looks every 20 ms.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let looking = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(WITHIN, looking).await.unwrap_or_else(|_| panic!("never: {what}"));
}

fn settings_of(folder: &Path, id: usize, apis: &[SocketAddr], rafts: &[SocketAddr]) -> ValidationSettings {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut flags = vec![
        ("node.id".to_owned(), id.to_string()),
        ("node.region".to_owned(), format!("region-{id}")),
        ("node.data_folder".to_owned(), path(&format!("replica-{id}"))),
        ("listen".to_owned(), apis[id - 1].to_string()),
        ("raft.listen".to_owned(), rafts[id - 1].to_string()),
        ("raft.staleness_floor_ms".to_owned(), STALENESS.as_millis().to_string()),
        ("metrics_listen".to_owned(), "127.0.0.1:0".to_owned()),
        ("cluster_secret_file".to_owned(), path("secret")),
        ("kek_file".to_owned(), path("kek")),
    ];
    for member in 0..REPLICAS {
        let name = |setting: &str| format!("members[{member}].{setting}");
        flags.push((name("id"), (member + 1).to_string()));
        flags.push((name("region"), format!("region-{}", member + 1)));
        flags.push((name("api_address"), apis[member].to_string()));
        flags.push((name("raft_address"), rafts[member].to_string()));
    }
    ValidationSettings::load(&Sources { flags, ..Sources::default() }).unwrap()
}
