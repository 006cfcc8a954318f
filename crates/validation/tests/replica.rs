//! One replica, from `init` to a restart, over gRPC.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

use latchkey_config::{Sources, ValidationSettings};
use latchkey_crypto::{Inner, Secret, compose, draw, draw_key_id, draw_version_id};
use latchkey_domain::{
    DisplayName, Duty, Grant, IdentityName, KeyspaceName, Metadata, Prefix, Purpose, Scope, Terms, VersionId,
};
use latchkey_registry::Registry;
use latchkey_state::{
    Actor, Command, CreateIdentity, CreateKeys, Expiry, HolderName, NewKey, Operation, bootstrap_ring,
};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::channel;
use latchkey_validation::{Purpose as InitPurpose, Running, Validation, init};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::cluster_service_client::ClusterServiceClient;
use latchkey_wire::pb::v1::consistency::{AtLeastAsFresh, FullyConsistent, Requirement};
use latchkey_wire::pb::v1::issuance_service_client::IssuanceServiceClient;
use latchkey_wire::pb::v1::validate_key_result::Result as ItemResult;
use latchkey_wire::pb::v1::validation_service_client::ValidationServiceClient;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;

/// How long one replica alone may take to be there.
const READY_MAX: Duration = Duration::from_secs(30);

/// An address that was free a moment ago: members are named before anything listens.
fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

fn settings(folder: &Path) -> ValidationSettings {
    let (api, raft) = (free_address(), free_address());
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

fn by<T>(key_text: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key_text}").parse().unwrap());
    request
}

fn ask(key_text: &str) -> v1::ValidateKeyRequest {
    v1::ValidateKeyRequest { key_text: key_text.to_owned(), ..Default::default() }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

async fn health(channel: &Channel, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.to_owned() };
    HealthClient::new(channel.clone()).check(request).await.unwrap().into_inner().status()
}

async fn ready(running: &Running) -> Channel {
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
async fn make_identity(registry: &Registry, id: &str, grants: Vec<Grant>) -> String {
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
        metadata: Metadata::default(),
        not_before: None,
        expiry: Expiry::Default,
    };
    let keyspace = KeyspaceName::management();
    let keys = Operation::CreateKeys(CreateKeys { keyspace, keys: vec![key], replay: None });
    for operation in [identity, keys] {
        let root = Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
        let command = Command::new(root, draw(&mut OsEntropy), operation);
        let by = Instant::now() + Duration::from_secs(5);
        let proposed = latchkey_link::Registry::propose(registry, &command, by).await.unwrap();
        assert!(proposed.answer.is_ok(), "{:?}", proposed.answer);
    }
    compose(&Prefix::parse("lkm").unwrap(), version, &secret).expose().to_owned()
}

async fn validate(channel: &Channel, caller: &str, request: v1::ValidateKeyRequest) -> v1::ValidateKeyResponse {
    ValidationServiceClient::new(channel.clone()).validate_key(by(caller, request)).await.unwrap().into_inner()
}

async fn refused(channel: &Channel, request: Request<v1::ValidateKeyRequest>) -> (Code, String) {
    let status = ValidationServiceClient::new(channel.clone()).validate_key(request).await.unwrap_err();
    (status.code(), reason(&status))
}

async fn callers_are_told_apart(channel: &Channel, root: &str, auditor: &str) {
    let missing = refused(channel, Request::new(ask(root))).await;
    assert_eq!(missing, (Code::Unauthenticated, "IDENTITY_MISSING".to_owned()));
    let unknown = refused(channel, by("lkm_nobody", ask(root))).await;
    assert_eq!(unknown, (Code::Unauthenticated, "IDENTITY_UNKNOWN".to_owned()));
    let denied = refused(channel, by(auditor, ask(root))).await;
    assert_eq!(denied.0, Code::PermissionDenied);

    let bad = v1::ValidateKeyRequest {
        keyspace: "payments".to_owned(),
        permission_query: "and".to_owned(),
        context: Some(v1::RequestContext { client_ip: "10.0.0".to_owned(), ..Default::default() }),
        ..ask(root)
    };
    let status = ValidationServiceClient::new(channel.clone()).validate_key(by(root, bad.clone())).await.unwrap_err();
    let fields = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = fields.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["keyspace", "permission_query", "context.client_ip"]);
    let stranger = refused(channel, Request::new(bad)).await;
    assert_eq!(stranger.0, Code::Unauthenticated, "who is nobody does not learn what is wrong with his request");
}

async fn keys_are_validated(channel: &Channel, root: &str, validator: &str) {
    let valid = validate(channel, validator, ask(root)).await;
    assert_eq!(valid.outcome(), v1::Outcome::Valid);
    assert_eq!(valid.owner, "tenants/system/identities/root");
    let basis = valid.decision_basis.unwrap();
    assert_eq!(basis.kind(), v1::decision_basis::Kind::Current);
    assert!(basis.age.unwrap().seconds < 5);

    assert_eq!(validate(channel, validator, ask("nonsense")).await.outcome(), v1::Outcome::Malformed);
    let stranger =
        compose(&Prefix::parse("lkm").unwrap(), draw_version_id(&mut OsEntropy), &Secret::draw(&mut OsEntropy));
    assert_eq!(validate(channel, validator, ask(stranger.expose())).await.outcome(), v1::Outcome::NotFound);

    for requirement in [
        Requirement::FullyConsistent(FullyConsistent {}),
        Requirement::AtLeastAsFresh(AtLeastAsFresh { revision: valid.checked_at }),
    ] {
        let consistency = Some(v1::Consistency { requirement: Some(requirement) });
        let asked = v1::ValidateKeyRequest { consistency, ..ask(root) };
        let answer = validate(channel, validator, asked).await;
        assert_eq!(answer.outcome(), v1::Outcome::Valid);
        assert!(answer.checked_at.unwrap().index >= valid.checked_at.unwrap().index);
    }
    let ahead = Requirement::AtLeastAsFresh(AtLeastAsFresh { revision: Some(v1::Revision { epoch: 9, index: 1 }) });
    let consistency = Some(v1::Consistency { requirement: Some(ahead) });
    let ahead = refused(channel, by(validator, v1::ValidateKeyRequest { consistency, ..ask(root) })).await;
    assert_eq!(ahead, (Code::Unavailable, "EPOCH_AHEAD".to_owned()));
}

async fn batches_are_validated(channel: &Channel, root: &str, validator: &str) {
    let mut client = ValidationServiceClient::new(channel.clone());
    let item = |id: &str, request: v1::ValidateKeyRequest| v1::BatchValidateKeysItem {
        id: id.to_owned(),
        request: Some(request),
    };
    let ahead = Requirement::AtLeastAsFresh(AtLeastAsFresh { revision: Some(v1::Revision { epoch: 9, index: 1 }) });
    let consistency = Some(v1::Consistency { requirement: Some(ahead) });
    let items = vec![
        item("good", ask(root)),
        item("malformed", ask("")),
        item("wrong field", v1::ValidateKeyRequest { keyspace: "payments".to_owned(), ..ask(root) }),
        item("wrong epoch", v1::ValidateKeyRequest { consistency, ..ask(root) }),
    ];
    let request = by(validator, v1::BatchValidateKeysRequest { items });
    let results = client.batch_validate_keys(request).await.unwrap().into_inner().results;
    let told: Vec<_> = results
        .iter()
        .map(|result| match result.result.as_ref().unwrap() {
            ItemResult::Response(answer) => (result.id.as_str(), Ok(answer.outcome())),
            ItemResult::Error(error) => (result.id.as_str(), Err((Code::from(error.code), error.details.len()))),
        })
        .collect();
    assert_eq!(
        told,
        [
            ("good", Ok(v1::Outcome::Valid)),
            ("malformed", Ok(v1::Outcome::Malformed)),
            ("wrong field", Err((Code::InvalidArgument, 2))),
            ("wrong epoch", Err((Code::Unavailable, 2))),
        ]
    );
    let many = (0..201).map(|number| item(&number.to_string(), ask(root))).collect();
    let status = client.batch_validate_keys(by(validator, v1::BatchValidateKeysRequest { items: many })).await;
    assert_eq!(status.unwrap_err().code(), Code::InvalidArgument);
}

async fn the_cluster_is_shown(channel: &Channel, root: &str, validator: &str, id: &str) {
    let mut client = ClusterServiceClient::new(channel.clone());
    let cluster = client.get_cluster(by(root, v1::GetClusterRequest {})).await.unwrap().into_inner();
    assert_eq!((cluster.cluster_id.as_str(), cluster.leader, cluster.answered_by), (id, Some(1), 1));
    let [replica] = &cluster.replicas[..] else { panic!("{:?}", cluster.replicas) };
    assert_eq!((replica.region.as_str(), replica.state()), ("eu", v1::replica::State::Serving));
    let denied = client.get_cluster(by(validator, v1::GetClusterRequest {})).await.unwrap_err();
    assert_eq!(denied.code(), Code::PermissionDenied);
}

async fn a_key_is_revoked_without_issuance(channel: &Channel, root: &str, validator: &str) {
    let name = validate(channel, root, ask(validator)).await.key;
    let mut client = IssuanceServiceClient::new(channel.clone());
    let refused = client.create_key(by(root, v1::CreateKeyRequest::default())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unimplemented, "NOT_SERVED_HERE"));

    let reason = v1::RevocationReason::Compromised.into();
    let request = v1::RevokeKeyRequest { name, reason, ..Default::default() };
    let revoked = client.revoke_key(by(root, request)).await.unwrap().into_inner();
    assert!(revoked.immediate);
    let answer = validate(channel, root, ask(validator)).await;
    assert_eq!(answer.outcome(), v1::Outcome::Revoked);
    let caller = self::refused(channel, by(validator, ask(root))).await;
    assert_eq!(caller, (Code::Unauthenticated, "IDENTITY_UNKNOWN".to_owned()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_is_made_answers_revokes_and_remembers_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let bootstrap_file = folder.path().join("root");
    let purpose = InitPurpose::Found { bootstrap_file: bootstrap_file.clone() };
    let id = init(&settings, &purpose).await.unwrap().to_string();
    let root = fs::read_to_string(bootstrap_file).unwrap().trim_end().to_owned();

    let running = Validation::start(&settings).await.unwrap();
    let channel = ready(&running).await;
    let grant = |duty| vec![Grant { duty, scope: Scope::System }];
    let validator = make_identity(running.registry(), "gateway", grant(Duty::Validator)).await;
    let auditor = make_identity(running.registry(), "auditor", grant(Duty::Auditor)).await;
    callers_are_told_apart(&channel, &root, &auditor).await;
    keys_are_validated(&channel, &root, &validator).await;
    batches_are_validated(&channel, &root, &validator).await;
    the_cluster_is_shown(&channel, &root, &validator, &id).await;
    a_key_is_revoked_without_issuance(&channel, &root, &validator).await;
    drop(channel);
    running.shutdown().await.unwrap();

    let running = Validation::start(&settings).await.unwrap();
    let channel = ready(&running).await;
    assert_eq!(validate(&channel, &root, ask(&root)).await.outcome(), v1::Outcome::Valid);
    assert_eq!(validate(&channel, &root, ask(&validator)).await.outcome(), v1::Outcome::Revoked);
    drop(channel);
    running.shutdown().await.unwrap();
}
