//! One replica, and a process of each other service in front of it, with an audit service that sends notices.

use crate::hook::Hook;
use latchkey_api::Clients;
use latchkey_audit::Audit;
use latchkey_config::{AuditSettings, Sources, ValidationSettings};
use latchkey_delivery::Stores;
use latchkey_issuance::Issuance;
use latchkey_link::service::{self, open_files};
use latchkey_rotation::Rotation;
use latchkey_rotation::driver::DriverOptions;
use latchkey_testkit::free_addresses;
use latchkey_transport::channel;
use latchkey_validation::{Purpose, Running, Validation, init};
use prost_types::Timestamp;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

pub(crate) struct Cluster {
    replica: Running,
    issuance: service::Running,
    rotation: service::Running,
    audit: latchkey_audit::Running,
    replica_address: SocketAddr,
    root_text: String,
    // Last: all of them write in there.
    folder: TempDir,
}

impl Cluster {
    pub(crate) async fn found(hook: &Hook) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let addresses = free_addresses(2).unwrap();
        let settings = settings(path, addresses[0], addresses[1]);
        let bootstrap_file = path.join("root.key");
        init(&settings, &Purpose::Found { bootstrap_file: bootstrap_file.clone() }).await.unwrap();
        let replica = Validation::start(&settings).await.unwrap();
        let issuance = Issuance::start(options(path, addresses[0])).await.unwrap();
        let rotation = drive(path, addresses[0]).await;
        let mut audit = latchkey_audit::Options::new(options(path, addresses[0]), path.join("audit"));
        audit.notices = Some(notices(hook));
        let audit = Audit::start(audit).await.unwrap();
        let root_text = std::fs::read_to_string(bootstrap_file).unwrap().trim_end().to_owned();
        let replica_address = addresses[0];
        let cluster = Self { replica, issuance, rotation, audit, replica_address, root_text, folder };
        cluster.ready().await;
        cluster
    }

    async fn ready(&self) {
        let registry = self.replica.registry();
        let ready = async {
            while !(registry.can_write() && registry.reader().is_fresh()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), ready).await.expect("a cluster of one elects");
    }

    /// In the name of root.
    pub(crate) fn root(&self) -> Clients {
        let addresses = [self.issuance.address(), self.replica_address, self.rotation.address(), self.audit.address()];
        Clients::new(addresses.map(channel), Some(&self.root_text))
    }

    /// The process that drives is stopped, and another comes.
    pub(crate) async fn replace_driver(&mut self) {
        let next = drive(self.folder.path(), self.replica_address).await;
        std::mem::replace(&mut self.rotation, next).stop().await.unwrap();
    }

    /// The time of the cluster, and so much later.
    pub(crate) fn after(&self, span: prost_types::Duration) -> Timestamp {
        let now = self.replica.registry().reader().now().unwrap().now();
        Timestamp { seconds: i64::try_from(now.millis() / 1_000).unwrap() + span.seconds, nanos: 0 }
    }

    pub(crate) async fn stop(self) {
        self.rotation.stop().await.unwrap();
        self.issuance.stop().await.unwrap();
        self.audit.stop().await.unwrap();
        self.replica.shutdown().await.unwrap();
    }
}

/// What a service in front of the replica runs with.
fn options(folder: &Path, replica: SocketAddr) -> service::Options {
    let (secret, kms) = open_files(&folder.join("secret"), (&folder.join("kek"), &[])).unwrap();
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let replicas = vec![replica.into()];
    service::Options { listen, metrics_listen: None, replicas, security: secret.into(), kms }
}

/// A process that drives.
async fn drive(folder: &Path, replica: SocketAddr) -> service::Running {
    let driver = Some(DriverOptions { poll: Duration::from_millis(200), ..DriverOptions::default() });
    let service = options(folder, replica);
    Rotation::start(latchkey_rotation::Options { service, stores: Stores::of([]), driver }).await.unwrap()
}

fn notices(hook: &Hook) -> latchkey_config::NoticeSettings {
    let flags = [
        ("data_folder", "/data".to_owned()),
        ("cluster_secret_file", "/secret".to_owned()),
        ("kek_file", "/kek".to_owned()),
        ("registry_endpoints", "127.0.0.1:1".to_owned()),
        ("notices.enabled", "true".to_owned()),
        ("notices.webhook_hosts", hook.address().to_string()),
        ("notices.ca_file", hook.ca_file().display().to_string()),
    ];
    let flags = flags.map(|(name, value)| (name.to_owned(), value)).to_vec();
    AuditSettings::load(&Sources { flags, ..Sources::default() }).unwrap().notices
}

fn settings(folder: &Path, api: SocketAddr, raft: SocketAddr) -> ValidationSettings {
    let path = |name: &str| folder.join(name).display().to_string();
    let flags = [
        ("node.id", "1".to_owned()),
        ("node.region", "here".to_owned()),
        ("node.data_folder", path("replica")),
        ("listen", api.to_string()),
        ("raft.listen", raft.to_string()),
        ("metrics_listen", "127.0.0.1:0".to_owned()),
        ("cluster_secret_file", path("secret")),
        ("kek_file", path("kek")),
        ("members[0].id", "1".to_owned()),
        ("members[0].region", "here".to_owned()),
        ("members[0].api_address", api.to_string()),
        ("members[0].raft_address", raft.to_string()),
    ];
    let flags = flags.map(|(name, value)| (name.to_owned(), value)).to_vec();
    ValidationSettings::load(&Sources { flags, ..Sources::default() }).unwrap()
}
