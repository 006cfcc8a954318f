//! The generated trait of `IssuanceService`, each method one line over its operation.

use crate::Handlers;
use crate::create_keys::Created;
use crate::import_keys::Answers;
use latchkey_crypto::draw;
use latchkey_domain::KeyName;
use latchkey_link::{Registry, revoke_key, revoke_keys, suspend_key};
use latchkey_telemetry::OsEntropy;
use latchkey_transport::Rejection;
use latchkey_wire::pb::v1::issuance_service_server::IssuanceService;
use latchkey_wire::pb::v1::{
    BatchCreateKeysRequest, BatchCreateKeysResponse, CreateKeyRequest, CreateKeyResponse, GetKeyRequest,
    ImportKeysRequest, IssuedKey, Key, ListKeysRequest, ListKeysResponse, RestrictKeyRequest, RestrictKeyResponse,
    ResumeKeyRequest, ResumeKeyResponse, RevokeKeyRequest, RevokeKeyResponse, RevokeKeysRequest, RevokeKeysResponse,
    SuspendKeyRequest, SuspendKeyResponse, UpdateKeyRequest,
};
use latchkey_wire::request;
use tonic::{Request, Response, Status, Streaming, async_trait};

#[async_trait]
impl<R: Registry> IssuanceService for Handlers<R> {
    async fn create_key(&self, request: Request<CreateKeyRequest>) -> Result<Response<CreateKeyResponse>, Status> {
        let method = "IssuanceService/CreateKey";
        let created = self.entrance.call(method, request, request::read_create_key, |call| self.create_keys(call));
        Ok(created.await?.map(|Created { keys, revision, regions, replayed }| {
            let IssuedKey { key, version, key_text, sealed_key_text } = keys.into_iter().next().unwrap_or_default();
            CreateKeyResponse { key, version, key_text, revision: Some(revision), regions, replayed, sealed_key_text }
        }))
    }

    async fn batch_create_keys(
        &self,
        request: Request<BatchCreateKeysRequest>,
    ) -> Result<Response<BatchCreateKeysResponse>, Status> {
        let method = "IssuanceService/BatchCreateKeys";
        let read = request::read_batch_create_keys;
        let created = self.entrance.batch(method, request, read, |call| self.create_keys(call)).await?;
        Ok(created.map(|Created { keys, revision, regions, replayed }| BatchCreateKeysResponse {
            keys,
            revision: Some(revision),
            regions,
            replayed,
        }))
    }

    async fn get_key(&self, request: Request<GetKeyRequest>) -> Result<Response<Key>, Status> {
        let read = |message: &GetKeyRequest| request::read_name(KeyName::parse(&message.name));
        self.entrance.call("IssuanceService/GetKey", request, read, |call| self.key(call)).await
    }

    async fn list_keys(&self, request: Request<ListKeysRequest>) -> Result<Response<ListKeysResponse>, Status> {
        let method = "IssuanceService/ListKeys";
        let page = self.entrance.call(method, request, request::read_list_keys, |call| self.keys(call)).await?;
        Ok(page.map(|(page, next_page_token, revision)| {
            let (keys, revision) = (page.keys, Some(revision.into()));
            ListKeysResponse { keys, next_page_token, revision }
        }))
    }

    async fn revoke_key(&self, request: Request<RevokeKeyRequest>) -> Result<Response<RevokeKeyResponse>, Status> {
        if !request.get_ref().key_text.is_empty() {
            // Whoever holds a key shows it to a replica, which checks it.
            return Err(Rejection::NotServedHere.into());
        }
        let registry = &*self.registry;
        let handle = |request| revoke_key(registry, draw(&mut OsEntropy), request);
        self.entrance.pass("IssuanceService/RevokeKey", request, handle).await
    }

    async fn revoke_keys(&self, request: Request<RevokeKeysRequest>) -> Result<Response<RevokeKeysResponse>, Status> {
        let registry = &*self.registry;
        let handle = |request| async { revoke_keys(registry, &mut OsEntropy, request).await };
        self.entrance.pass("IssuanceService/RevokeKeys", request, handle).await
    }

    async fn update_key(&self, request: Request<UpdateKeyRequest>) -> Result<Response<Key>, Status> {
        let method = "IssuanceService/UpdateKey";
        self.entrance.call(method, request, request::read_update_key, |call| self.update_key(call)).await
    }

    async fn suspend_key(&self, request: Request<SuspendKeyRequest>) -> Result<Response<SuspendKeyResponse>, Status> {
        let registry = &*self.registry;
        let handle = |request| suspend_key(registry, draw(&mut OsEntropy), request);
        self.entrance.pass("IssuanceService/SuspendKey", request, handle).await
    }

    async fn resume_key(&self, request: Request<ResumeKeyRequest>) -> Result<Response<ResumeKeyResponse>, Status> {
        let method = "IssuanceService/ResumeKey";
        self.entrance.call(method, request, request::read_resume_key, |call| self.resume_key(call)).await
    }

    type ImportKeysStream = Answers;

    async fn import_keys(
        &self,
        request: Request<Streaming<ImportKeysRequest>>,
    ) -> Result<Response<Self::ImportKeysStream>, Status> {
        let (_, extensions, batches) = request.into_parts();
        // A stranger is told at once, and not only with his first batch.
        self.entrance.admit(&extensions).await?;
        Ok(Response::new(self.import_stream(extensions, batches)))
    }

    async fn restrict_key(
        &self,
        request: Request<RestrictKeyRequest>,
    ) -> Result<Response<RestrictKeyResponse>, Status> {
        let method = "IssuanceService/RestrictKey";
        self.entrance.call(method, request, request::read_restrict_key, |call| self.restrict_key(call)).await
    }
}
