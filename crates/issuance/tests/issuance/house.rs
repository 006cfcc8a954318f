//! One issuance service over a registry in memory, and clients of several identities.

use latchkey_crypto::KeyText;
use latchkey_issuance::Handlers;
use latchkey_kms::testing::SwitchableKms;
use latchkey_link::testing::{MemoryRegistry, Seeded};
use latchkey_link::{Entrance, Material, Refusals};
use latchkey_transport::{BATCH_MESSAGE_BYTES_MAX, Server, channel};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::directory_service_client::DirectoryServiceClient;
use latchkey_wire::pb::v1::directory_service_server::DirectoryServiceServer;
use latchkey_wire::pb::v1::issuance_service_client::IssuanceServiceClient;
use latchkey_wire::pb::v1::issuance_service_server::IssuanceServiceServer;
use std::sync::Arc;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

pub(crate) const KEYSPACE: &str = "tenants/acme/keyspaces/live";
pub(crate) const MANAGEMENT: &str = "tenants/system/keyspaces/management";

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
    pub(crate) keys: IssuanceServiceClient<Connection>,
    pub(crate) directory: DirectoryServiceClient<Connection>,
}

pub(crate) struct House {
    pub(crate) registry: Arc<MemoryRegistry>,
    pub(crate) kms: Arc<SwitchableKms>,
    pub(crate) root_text: KeyText,
    pub(crate) refusals: Refusals,
    channel: Channel,
}

impl House {
    /// With the tenant `acme`, its keyspace `live` and its owner `shop`.
    pub(crate) async fn new() -> Self {
        let house = Self::empty().await;
        let mut root = house.root();
        root.directory.create_tenant(tenant("acme")).await.unwrap();
        root.directory.create_keyspace(keyspace("acme", "live", "acme_live")).await.unwrap();
        root.directory.create_owner(owner("acme", "shop")).await.unwrap();
        house
    }

    pub(crate) async fn empty() -> Self {
        let kms = Arc::new(SwitchableKms::new([1; 32]));
        let (registry, root_text) = MemoryRegistry::found(&*kms, &mut Seeded(1)).await;
        let registry = Arc::new(registry);
        let refusals = Refusals::default();
        let entrance = Entrance::new(registry.clone(), refusals.clone());
        let handlers = Handlers::new(entrance, Arc::new(Material::new(kms.clone())));
        let issuance = IssuanceServiceServer::new(handlers.clone());
        let server = Server::bind("127.0.0.1:0".parse().unwrap())
            .await
            .unwrap()
            .descriptors(latchkey_wire::FILE_DESCRIPTOR_SET)
            .service(issuance.max_decoding_message_size(BATCH_MESSAGE_BYTES_MAX))
            .service(DirectoryServiceServer::new(handlers));
        let channel = channel(server.address());
        tokio::spawn(server.serve(std::future::pending()));
        Self { registry, kms, root_text, refusals, channel }
    }

    pub(crate) fn root(&self) -> As {
        self.with(Some(self.root_text.expose()))
    }

    pub(crate) fn with(&self, text: Option<&str>) -> As {
        let bearer = Bearer(text.map(str::to_owned));
        let connection = InterceptedService::new(self.channel.clone(), bearer);
        As { keys: IssuanceServiceClient::new(connection.clone()), directory: DirectoryServiceClient::new(connection) }
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
        let identity = root.directory.create_identity(request).await.unwrap().into_inner();
        let request =
            v1::CreateKeyRequest { parent: MANAGEMENT.to_owned(), owner: identity.name, ..Default::default() };
        let made = root.keys.create_key(request).await.unwrap().into_inner();
        let clients = self.with(Some(&made.key_text));
        (made, clients)
    }
}

pub(crate) fn tenant(id: &str) -> v1::CreateTenantRequest {
    let tenant = Some(v1::Tenant::default());
    v1::CreateTenantRequest { tenant_id: id.to_owned(), tenant, ..Default::default() }
}

pub(crate) fn keyspace(tenant: &str, id: &str, prefix: &str) -> v1::CreateKeyspaceRequest {
    v1::CreateKeyspaceRequest {
        parent: format!("tenants/{tenant}"),
        keyspace_id: id.to_owned(),
        keyspace: Some(v1::Keyspace {
            prefix: prefix.to_owned(),
            environment: "production".to_owned(),
            allowed_permissions: vec!["orders:*".to_owned()],
            ..Default::default()
        }),
        ..Default::default()
    }
}

pub(crate) fn owner(tenant: &str, id: &str) -> v1::CreateOwnerRequest {
    v1::CreateOwnerRequest {
        parent: format!("tenants/{tenant}"),
        owner_id: id.to_owned(),
        owner: Some(v1::Owner::default()),
        ..Default::default()
    }
}

pub(crate) fn role(tenant: &str, id: &str, permissions: &[&str]) -> v1::CreateRoleRequest {
    let permissions = permissions.iter().map(ToString::to_string).collect();
    v1::CreateRoleRequest {
        parent: format!("tenants/{tenant}"),
        role_id: id.to_owned(),
        role: Some(v1::Role { permissions, ..Default::default() }),
        ..Default::default()
    }
}

pub(crate) fn key() -> v1::CreateKeyRequest {
    v1::CreateKeyRequest {
        parent: KEYSPACE.to_owned(),
        owner: "tenants/acme/owners/shop".to_owned(),
        permissions: vec!["orders:read".to_owned()],
        ..Default::default()
    }
}

pub(crate) const REQUEST_ID: &str = "6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a51";

/// The code and the reason of an error.
pub(crate) fn why<T: std::fmt::Debug>(answer: Result<T, Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    let reason = status.get_details_error_info().map(|info| info.reason).unwrap_or_default();
    (status.code(), reason)
}

pub(crate) fn is(code: Code, reason: &str) -> (Code, String) {
    (code, reason.to_owned())
}
