//! Rotation services over one registry in memory, and issuance beside them to make the keys.

use latchkey_crypto::{KeyText, parse};
use latchkey_domain::{DurationMillis, NodeId, UnixMillis};
use latchkey_issuance::Handlers as Issuance;
use latchkey_kms::testing::SwitchableKms;
use latchkey_link::testing::{BEGAN, MemoryRegistry, Seeded};
use latchkey_link::{Entrance, Material, Refusals};
use latchkey_rotation::Handlers;
use latchkey_state::{Actor, Command, Operation, Worth};
use latchkey_transport::{Server, channel};
use latchkey_wire::FILE_DESCRIPTOR_SET;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::directory_service_client::DirectoryServiceClient;
use latchkey_wire::pb::v1::directory_service_server::DirectoryServiceServer;
use latchkey_wire::pb::v1::issuance_service_client::IssuanceServiceClient;
use latchkey_wire::pb::v1::issuance_service_server::IssuanceServiceServer;
use latchkey_wire::pb::v1::rotation_service_client::RotationServiceClient;
use latchkey_wire::pb::v1::rotation_service_server::RotationServiceServer;
use prost_types::Duration;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

pub(crate) const KEYSPACE: &str = "tenants/acme/keyspaces/live";
pub(crate) const MANAGEMENT: &str = "tenants/system/keyspaces/management";
pub(crate) const REQUEST_ID: &str = "6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a51";
pub(crate) const OVERLAP: Option<Duration> = Some(Duration { seconds: 60, nanos: 0 });

/// Shows a management key with each call.
#[derive(Clone)]
pub(crate) struct Bearer(Option<String>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(text) = &self.0 {
            let value: MetadataValue<_> = format!("Bearer {text}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        Ok(request)
    }
}

pub(crate) type Connection = InterceptedService<Channel, Bearer>;

/// The clients of one identity.
pub(crate) struct As {
    pub(crate) rotation: RotationServiceClient<Connection>,
    pub(crate) keys: IssuanceServiceClient<Connection>,
    pub(crate) directory: DirectoryServiceClient<Connection>,
}

pub(crate) struct House {
    pub(crate) registry: Arc<MemoryRegistry>,
    pub(crate) kms: Arc<SwitchableKms>,
    pub(crate) root_text: KeyText,
    advanced_ms: AtomicU64,
    channel: Channel,
}

impl House {
    /// With the tenant `acme` and its keyspaces `live` and `other`.
    pub(crate) async fn new() -> Self {
        let kms = Arc::new(SwitchableKms::new([1; 32]));
        let (registry, root_text) = MemoryRegistry::found(&*kms, &mut Seeded(1)).await;
        let registry = Arc::new(registry);
        let channel = process(&registry, &kms).await;
        let house = Self { registry, kms, root_text, advanced_ms: AtomicU64::new(0), channel };
        let mut root = house.root();
        let tenant = Some(v1::Tenant::default());
        let tenant = v1::CreateTenantRequest { tenant_id: "acme".to_owned(), tenant, ..Default::default() };
        root.directory.create_tenant(tenant).await.unwrap();
        for (id, prefix) in [("live", "acme_live"), ("other", "acme_other")] {
            let keyspace = v1::CreateKeyspaceRequest {
                parent: "tenants/acme".to_owned(),
                keyspace_id: id.to_owned(),
                keyspace: Some(v1::Keyspace {
                    prefix: prefix.to_owned(),
                    environment: "production".to_owned(),
                    ..Default::default()
                }),
                ..Default::default()
            };
            root.directory.create_keyspace(keyspace).await.unwrap();
        }
        house
    }

    pub(crate) fn root(&self) -> As {
        self.with(Some(self.root_text.expose()))
    }

    pub(crate) fn with(&self, text: Option<&str>) -> As {
        clients(&self.channel, text)
    }

    /// Clients of another process over the same registry: it knows nothing of what the first one did.
    pub(crate) async fn elsewhere(&self) -> As {
        clients(&process(&self.registry, &self.kms).await, Some(self.root_text.expose()))
    }

    /// Makes an identity of `acme` with these grants, and gives its management key and its clients.
    pub(crate) async fn identity(&self, id: &str, grants: &[(v1::Duty, &str)]) -> (v1::CreateKeyResponse, As) {
        let mut root = self.root();
        let grants = grants.iter().map(|(duty, scope)| v1::Grant { duty: (*duty).into(), scope: (*scope).to_owned() });
        let request = v1::CreateIdentityRequest {
            parent: "tenants/acme".to_owned(),
            identity_id: id.to_owned(),
            identity: Some(v1::Identity { grants: grants.collect(), ..Default::default() }),
            ..Default::default()
        };
        let owner = root.directory.create_identity(request).await.unwrap().into_inner().name;
        let request = v1::CreateKeyRequest { parent: MANAGEMENT.to_owned(), owner, ..Default::default() };
        let made = root.keys.create_key(request).await.unwrap().into_inner();
        let clients = self.with(Some(&made.key_text));
        (made, clients)
    }

    /// Makes a key of `live`: its name and its text.
    pub(crate) async fn key(&self) -> (String, String) {
        let request = v1::CreateKeyRequest {
            parent: KEYSPACE.to_owned(),
            permissions: vec!["orders:read".to_owned()],
            ..Default::default()
        };
        self.key_of(request).await
    }

    pub(crate) async fn key_of(&self, request: v1::CreateKeyRequest) -> (String, String) {
        let made = self.root().keys.create_key(request).await.unwrap().into_inner();
        (made.key.unwrap().name, made.key_text)
    }

    pub(crate) fn advance(&self, span: DurationMillis) {
        self.advanced_ms.fetch_add(span.millis(), Ordering::Relaxed);
        self.registry.advance(span);
        // As a leader does whose cluster was idle: no stamp may lie more than an hour ahead.
        let readings = vec![(NodeId(1), self.now())];
        let operation = Operation::AdvanceClock { readings };
        self.registry.carry_out(&Command::new(Actor::Replica(NodeId(1)), [0; 32], operation)).unwrap();
    }

    pub(crate) fn now(&self) -> UnixMillis {
        BEGAN.plus(DurationMillis::new(self.advanced_ms.load(Ordering::Relaxed)))
    }

    /// What a key text is worth now.
    pub(crate) fn worth(&self, key_text: &str) -> Worth {
        let state = self.registry.state();
        let found = state.version(parse(key_text).expect("it is a key text").version).expect("it is there");
        state.worth(&found, self.now())
    }

    pub(crate) fn accepts(&self, key_text: &str) -> bool {
        self.worth(key_text) == Worth::Accepted
    }
}

async fn process(registry: &Arc<MemoryRegistry>, kms: &Arc<SwitchableKms>) -> Channel {
    let entrance = Entrance::new(registry.clone(), Refusals::default());
    let handlers = Handlers::new(entrance.clone(), Arc::new(Material::new(kms.clone())));
    let issuance = Issuance::new(entrance, Arc::new(Material::new(kms.clone())));
    let server = Server::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap()
        .descriptors(FILE_DESCRIPTOR_SET)
        .service(RotationServiceServer::new(handlers))
        .service(IssuanceServiceServer::new(issuance.clone()))
        .service(DirectoryServiceServer::new(issuance));
    let channel = channel(server.address());
    tokio::spawn(server.serve(std::future::pending()));
    channel
}

fn clients(channel: &Channel, text: Option<&str>) -> As {
    let connection = InterceptedService::new(channel.clone(), Bearer(text.map(str::to_owned)));
    As {
        rotation: RotationServiceClient::new(connection.clone()),
        keys: IssuanceServiceClient::new(connection.clone()),
        directory: DirectoryServiceClient::new(connection),
    }
}

pub(crate) fn rotate(name: &str) -> v1::RotateKeyRequest {
    v1::RotateKeyRequest { name: name.to_owned(), overlap: OVERLAP, ..Default::default() }
}

pub(crate) fn prepare(name: &str) -> v1::PrepareStandbyRequest {
    v1::PrepareStandbyRequest { name: name.to_owned(), ..Default::default() }
}

pub(crate) fn complete(name: &str) -> v1::CompleteRotationRequest {
    v1::CompleteRotationRequest { name: name.to_owned(), ..Default::default() }
}

pub(crate) fn cancel(name: &str) -> v1::CancelRotationRequest {
    v1::CancelRotationRequest { name: name.to_owned(), ..Default::default() }
}

pub(crate) fn roll_back(name: &str) -> v1::RollBackRotationRequest {
    v1::RollBackRotationRequest { name: name.to_owned(), ..Default::default() }
}

pub(crate) fn hold(name: &str) -> v1::HoldRotationRequest {
    v1::HoldRotationRequest { name: name.to_owned(), ..Default::default() }
}

pub(crate) fn resume(name: &str) -> v1::ResumeRotationRequest {
    v1::ResumeRotationRequest { name: name.to_owned(), ..Default::default() }
}

pub(crate) fn get(name: &str) -> v1::GetRotationRequest {
    v1::GetRotationRequest { name: name.to_owned() }
}

/// The fields that an answer names as wrong.
pub(crate) fn fields<T: std::fmt::Debug>(answer: Result<T, Status>) -> Vec<String> {
    let details = answer.unwrap_err().get_details_bad_request().expect("fields are named");
    details.field_violations.into_iter().map(|one| one.field).collect()
}

pub(crate) fn revoke(name: &str) -> v1::RevokeKeyRequest {
    let reason = v1::RevocationReason::Compromised.into();
    v1::RevokeKeyRequest { name: name.to_owned(), reason, ..Default::default() }
}

/// The state of the version that a key text is of.
pub(crate) fn state_of(key: &v1::Key, key_text: &str) -> v1::version::State {
    let id = parse(key_text).expect("it is a key text").version.to_string();
    key.versions.iter().find(|version| version.name.ends_with(&id)).unwrap().state()
}

/// The code and the reason of an error.
pub(crate) fn why<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    (status.code(), reason)
}

pub(crate) fn is(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}
