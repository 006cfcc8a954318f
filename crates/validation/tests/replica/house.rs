//! One replica, and what a test does with it.

use latchkey_config::{Sources, ValidationSettings};
use latchkey_crypto::{Inner, Secret, compose, draw, draw_key_id, draw_version_id};
use latchkey_domain::{DisplayName, Grant, IdentityName, KeyspaceName, Metadata, Prefix, Purpose, Terms, VersionId};
use latchkey_registry::Registry;
use latchkey_state::{
    Actor, Command, CreateIdentity, CreateKeys, Expiry, HolderName, NewKey, Operation, bootstrap_ring,
};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::channel;
use latchkey_validation::Running;
use latchkey_wire::pb::v1;
use std::fs;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use tonic::{Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

/// How long one replica alone may take to be there.
const READY_MAX: Duration = Duration::from_secs(30);

pub(crate) fn settings(folder: &Path) -> ValidationSettings {
    let (api, raft) = (latchkey_testkit::free_address().unwrap(), latchkey_testkit::free_address().unwrap());
    let toml = format!(
        "listen = \"{api}\"\nmetrics_listen = \"127.0.0.1:0\"\n\
         cluster_secret_file = \"{0}/secret\"\nkek_file = \"{0}/kek\"\n\
         [node]\nid = 1\nregion = \"eu\"\ndata_folder = \"{0}/data\"\n\
         [raft]\nlisten = \"{raft}\"\n\
         [[members]]\nid = 1\nregion = \"eu\"\napi_address = \"{api}\"\nraft_address = \"{raft}\"\n",
        folder.display()
    );
    let file = folder.join("settings.toml");
    fs::write(&file, toml).unwrap();
    ValidationSettings::load(&Sources { file: Some(file), ..Sources::default() }).unwrap()
}

pub(crate) fn by<T>(key_text: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key_text}").parse().unwrap());
    request
}

pub(crate) fn ask(key_text: &str) -> v1::ValidateKeyRequest {
    v1::ValidateKeyRequest { key_text: key_text.to_owned(), ..Default::default() }
}

pub(crate) fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

async fn health(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner().status()
}

pub(crate) async fn ready(running: &Running) -> Channel {
    let channel = channel(running.addresses().api);
    let serving = async {
        for service in ["latchkey.validate", "latchkey.write"] {
            while health(&channel, service).await != ServingStatus::Serving {
                sleep(Duration::from_millis(20)).await;
            }
        }
    };
    timeout(READY_MAX, serving).await.expect("one replica alone leads and is fresh");
    channel
}

/// Proposes what issuance would: an identity with a grant, and a key of its own.
pub(crate) async fn make_identity(registry: &Registry, id: &str, grants: Vec<Grant>) -> String {
    let name = IdentityName::parse(&format!("tenants/system/identities/{id}")).unwrap();
    let display_name = DisplayName::default();
    let identity = Operation::CreateIdentity(CreateIdentity { name: name.clone(), display_name, grants });
    let version: VersionId = draw_version_id(&mut OsEntropy);
    let secret = Secret::draw(&mut OsEntropy);
    let peppers = registry.core().peppers();
    let digest = peppers[&bootstrap_ring::PEPPER].digest(&Inner::of(version, &secret));
    let key = NewKey {
        id: draw_key_id(&mut OsEntropy),
        version,
        pepper: bootstrap_ring::PEPPER,
        digest,
        inner: [0; 101],
        holder: HolderName::Identity(name),
        display_name: DisplayName::default(),
        purpose: Purpose::default(),
        terms: Terms::default(),
        roles: Vec::new(),
        parent: None,
        metadata: Metadata::default(),
        not_before: None,
        expiry: Expiry::Default,
        rotation_policy: None,
    };
    let keyspace = KeyspaceName::management();
    let keys = Operation::CreateKeys(CreateKeys { keyspace, keys: vec![key], replay: None });
    for operation in [identity, keys] {
        let root = Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
        let command = Command::new(root, draw(&mut OsEntropy), operation);
        let by = Instant::now() + READY_MAX;
        let proposed = latchkey_link::Registry::propose(registry, &command, by).await.unwrap();
        assert!(proposed.answer.is_ok(), "{:?}", proposed.answer);
    }
    compose(&Prefix::parse("lkm").unwrap(), version, &secret).expose().to_owned()
}

/// A well-formed text that nobody made.
pub(crate) fn stranger() -> String {
    let (version, secret) = (draw_version_id(&mut OsEntropy), Secret::draw(&mut OsEntropy));
    compose(&Prefix::parse("lkm").unwrap(), version, &secret).expose().to_owned()
}
