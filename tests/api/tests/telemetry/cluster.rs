//! Three replicas, issuance and audit in one process, reached over real connections.

use latchkey_audit::Audit;
use latchkey_config::{Sources, ValidationSettings};
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
pub(crate) const REPLICAS: u64 = 3;

pub(crate) struct Cluster {
    pub(crate) replicas: Vec<Running>,
    pub(crate) issuance: service::Running,
    pub(crate) audit: latchkey_audit::Running,
    pub(crate) root_text: String,
    // Last: all of them write in there.
    _folder: TempDir,
}

impl Cluster {
    pub(crate) async fn found() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let addresses = free_addresses(2 * usize::try_from(REPLICAS).unwrap()).unwrap();
        let (apis, rafts) = addresses.split_at(addresses.len() / 2);
        let (mut replicas, mut cluster) = (Vec::new(), None);
        let bootstrap_file = path.join("root.key");
        for id in 1..=REPLICAS {
            let settings = settings(path, id, apis, rafts);
            let purpose = match cluster {
                None => Purpose::Found { bootstrap_file: bootstrap_file.clone() },
                Some(cluster) => Purpose::Join { cluster, epoch: 1 },
            };
            cluster = Some(init(&settings, &purpose).await.unwrap());
            replicas.push(settings);
        }
        let mut running = Vec::new();
        for settings in &replicas {
            running.push(Validation::start(settings).await.unwrap());
        }
        let options = || {
            let (secret, kms) = open_files(&path.join("secret"), (&path.join("kek"), &[])).unwrap();
            let anywhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
            let replicas = apis.iter().copied().map(Into::into).collect();
            service::Options {
                listen: anywhere,
                metrics_listen: Some(anywhere),
                replicas,
                security: secret.into(),
                kms,
            }
        };
        let issuance = Issuance::start(options()).await.unwrap();
        let audit = latchkey_audit::Options::new(options(), path.join("audit"));
        let audit = Audit::start(audit).await.unwrap();
        let root_text = fs::read_to_string(bootstrap_file).unwrap().trim_end().to_owned();
        let cluster = Self { replicas: running, issuance, audit, root_text, _folder: folder };
        cluster.ready().await;
        cluster
    }

    async fn ready(&self) {
        let ready = async {
            for replica in &self.replicas {
                let registry = replica.registry();
                while !(registry.can_write() && registry.reader().is_fresh()) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ready).await.expect("a cluster elects");
    }

    pub(crate) async fn stop(self) {
        self.issuance.stop().await.unwrap();
        self.audit.stop().await.unwrap();
        for replica in self.replicas {
            replica.shutdown().await.unwrap();
        }
    }
}

fn settings(folder: &Path, id: u64, apis: &[SocketAddr], rafts: &[SocketAddr]) -> ValidationSettings {
    let at = |addresses: &[SocketAddr], id: u64| addresses[usize::try_from(id - 1).unwrap()].to_string();
    let path = |name: &str| folder.join(name).display().to_string();
    let mut flags = vec![
        ("node.id".to_owned(), id.to_string()),
        ("node.region".to_owned(), format!("region-{id}")),
        ("node.data_folder".to_owned(), path(&format!("replica-{id}"))),
        ("listen".to_owned(), at(apis, id)),
        ("raft.listen".to_owned(), at(rafts, id)),
        ("metrics_listen".to_owned(), "127.0.0.1:0".to_owned()),
        ("cluster_secret_file".to_owned(), path("secret")),
        ("kek_file".to_owned(), path("kek")),
    ];
    for member in 1..=REPLICAS {
        let name = |setting: &str| format!("members[{}].{setting}", member - 1);
        flags.push((name("id"), member.to_string()));
        flags.push((name("region"), format!("region-{member}")));
        flags.push((name("api_address"), at(apis, member)));
        flags.push((name("raft_address"), at(rafts, member)));
    }
    ValidationSettings::load(&Sources { flags, ..Sources::default() }).unwrap()
}
