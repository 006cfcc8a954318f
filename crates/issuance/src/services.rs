//! The generated traits of `IssuanceService` and `DirectoryService`, each method one line over its operation.

use crate::handlers::Handlers;
use latchkey_crypto::draw;
use latchkey_domain::{IdentityName, KeyName, KeyspaceName, OwnerName, TenantName};
use latchkey_link::{Registry, list_invalid, revoke_key};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::pb::v1::directory_service_server::DirectoryService;
use latchkey_wire::pb::v1::issuance_service_server::IssuanceService;
use latchkey_wire::pb::v1::{
    BatchCreateKeysRequest, BatchCreateKeysResponse, CreateIdentityRequest, CreateKeyRequest, CreateKeyResponse,
    CreateKeyspaceRequest, CreateOwnerRequest, CreateTenantRequest, GetIdentityRequest, GetKeyRequest,
    GetKeyspaceRequest, GetOwnerRequest, GetTenantRequest, Identity, IssuedKey, Key, Keyspace, ListIdentitiesRequest,
    ListIdentitiesResponse, ListKeysRequest, ListKeysResponse, ListKeyspacesRequest, ListKeyspacesResponse,
    ListOwnersRequest, ListOwnersResponse, ListTenantsRequest, ListTenantsResponse, Owner, RevokeKeyRequest,
    RevokeKeyResponse, Tenant,
};
use latchkey_wire::request;
use tonic::{Request, Response, Status, async_trait};

#[async_trait]
impl<R: Registry> IssuanceService for Handlers<R> {
    async fn create_key(&self, request: Request<CreateKeyRequest>) -> Result<Response<CreateKeyResponse>, Status> {
        let created = self.create_keys(self.call(request, request::read_create_key).await?).await?;
        let IssuedKey { key, version, key_text } = created.keys.into_iter().next().unwrap_or_default();
        Ok(Response::new(CreateKeyResponse {
            key,
            version,
            key_text,
            revision: Some(created.revision),
            regions: created.regions,
            replayed: created.replayed,
        }))
    }

    async fn batch_create_keys(
        &self,
        request: Request<BatchCreateKeysRequest>,
    ) -> Result<Response<BatchCreateKeysResponse>, Status> {
        let created = self.create_keys(self.call(request, request::read_batch_create_keys).await?).await?;
        Ok(Response::new(BatchCreateKeysResponse {
            keys: created.keys,
            revision: Some(created.revision),
            regions: created.regions,
            replayed: created.replayed,
        }))
    }

    async fn get_key(&self, request: Request<GetKeyRequest>) -> Result<Response<Key>, Status> {
        let call = self.call(request, |message| request::read_name(KeyName::parse(&message.name))).await?;
        self.key(call).await.map(Response::new)
    }

    async fn list_keys(&self, request: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        let read = |message: &_| request::read_list_keys(message).map_err(list_invalid);
        let (page, next_page_token, revision) = self.keys(self.call_or(request, read).await?).await?;
        Ok(Response::new(ListKeysResponse { keys: page.keys, next_page_token, revision: Some(revision.into()) }))
    }

    async fn revoke_key(&self, request: Request<RevokeKeyRequest>) -> Result<Response<RevokeKeyResponse>, Status> {
        revoke_key(&*self.registry, draw(&mut OsEntropy), request).await
    }
}

#[async_trait]
impl<R: Registry> DirectoryService for Handlers<R> {
    async fn create_tenant(&self, request: Request<CreateTenantRequest>) -> Result<Response<Tenant>, Status> {
        self.create_tenant(self.call(request, request::read_create_tenant).await?).await.map(Response::new)
    }

    async fn get_tenant(&self, request: Request<GetTenantRequest>) -> Result<Response<Tenant>, Status> {
        let call = self.call(request, |message| request::read_name(TenantName::parse(&message.name))).await?;
        self.tenant(call).await.map(Response::new)
    }

    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        let read = |message: &_| request::read_list_tenants(message).map_err(list_invalid);
        let (page, next_page_token, revision) = self.tenants(self.call_or(request, read).await?).await?;
        let (tenants, revision) = (page.tenants, Some(revision.into()));
        Ok(Response::new(ListTenantsResponse { tenants, next_page_token, revision }))
    }

    async fn create_keyspace(&self, request: Request<CreateKeyspaceRequest>) -> Result<Response<Keyspace>, Status> {
        self.create_keyspace(self.call(request, request::read_create_keyspace).await?).await.map(Response::new)
    }

    async fn get_keyspace(&self, request: Request<GetKeyspaceRequest>) -> Result<Response<Keyspace>, Status> {
        let call = self.call(request, |message| request::read_name(KeyspaceName::parse(&message.name))).await?;
        self.keyspace(call).await.map(Response::new)
    }

    async fn list_keyspaces(
        &self,
        request: Request<ListKeyspacesRequest>,
    ) -> Result<Response<ListKeyspacesResponse>, Status> {
        let read = |message: &_| request::read_list_keyspaces(message).map_err(list_invalid);
        let (page, next_page_token, revision) = self.keyspaces(self.call_or(request, read).await?).await?;
        let (keyspaces, revision) = (page.keyspaces, Some(revision.into()));
        Ok(Response::new(ListKeyspacesResponse { keyspaces, next_page_token, revision }))
    }

    async fn create_owner(&self, request: Request<CreateOwnerRequest>) -> Result<Response<Owner>, Status> {
        self.create_owner(self.call(request, request::read_create_owner).await?).await.map(Response::new)
    }

    async fn get_owner(&self, request: Request<GetOwnerRequest>) -> Result<Response<Owner>, Status> {
        let call = self.call(request, |message| request::read_name(OwnerName::parse(&message.name))).await?;
        self.owner(call).await.map(Response::new)
    }

    async fn list_owners(&self, request: Request<ListOwnersRequest>) -> Result<Response<ListOwnersResponse>, Status> {
        let read = |message: &_| request::read_list_owners(message).map_err(list_invalid);
        let (page, next_page_token, revision) = self.owners(self.call_or(request, read).await?).await?;
        let (owners, revision) = (page.owners, Some(revision.into()));
        Ok(Response::new(ListOwnersResponse { owners, next_page_token, revision }))
    }

    async fn create_identity(&self, request: Request<CreateIdentityRequest>) -> Result<Response<Identity>, Status> {
        self.create_identity(self.call(request, request::read_create_identity).await?).await.map(Response::new)
    }

    async fn get_identity(&self, request: Request<GetIdentityRequest>) -> Result<Response<Identity>, Status> {
        let call = self.call(request, |message| request::read_name(IdentityName::parse(&message.name))).await?;
        self.identity(call).await.map(Response::new)
    }

    async fn list_identities(
        &self,
        request: Request<ListIdentitiesRequest>,
    ) -> Result<Response<ListIdentitiesResponse>, Status> {
        let read = |message: &_| request::read_list_identities(message).map_err(list_invalid);
        let (page, next_page_token, revision) = self.identities(self.call_or(request, read).await?).await?;
        let (identities, revision) = (page.identities, Some(revision.into()));
        Ok(Response::new(ListIdentitiesResponse { identities, next_page_token, revision }))
    }
}
