//! `IssuanceService` as validation serves it: what takes a key out of use, so that a key dies without issuance, and
//! nothing else.

use crate::attempts::Attempts;
use crate::self_revocation::revoke_by_text;
use latchkey_crypto::draw;
use latchkey_link::{Entrance, Refusals, revoke_key, revoke_keys, suspend_key};
use latchkey_registry::Registry;
use latchkey_telemetry::{Clock, OsEntropy};
use latchkey_transport::Rejection;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::issuance_service_server::IssuanceService;
use std::sync::Arc;
use tokio_stream::Empty;
use tonic::{Request, Response, Status, Streaming};

/// The handlers.
#[derive(Clone)]
pub struct IssuanceFace {
    entrance: Entrance<Registry>,
    attempts: Arc<Attempts>,
}

impl IssuanceFace {
    /// Over the replica of this process; whoever leads is found by it. `clock` counts the attempts of strangers.
    #[must_use]
    pub fn new(registry: Registry, refusals: Refusals, clock: Arc<dyn Clock>) -> Self {
        let entrance = Entrance::new(Arc::new(registry), refusals);
        Self { entrance, attempts: Arc::new(Attempts::new(clock)) }
    }

    fn registry(&self) -> &Registry {
        self.entrance.registry()
    }
}

#[tonic::async_trait]
impl IssuanceService for IssuanceFace {
    async fn revoke_key(
        &self,
        request: Request<v1::RevokeKeyRequest>,
    ) -> Result<Response<v1::RevokeKeyResponse>, Status> {
        if !request.get_ref().key_text.is_empty() {
            return revoke_by_text(self.registry(), &self.attempts, request).await;
        }
        let handle = |request| revoke_key(self.registry(), draw(&mut OsEntropy), request);
        self.entrance.pass("IssuanceService/RevokeKey", request, handle).await
    }

    async fn revoke_keys(
        &self,
        request: Request<v1::RevokeKeysRequest>,
    ) -> Result<Response<v1::RevokeKeysResponse>, Status> {
        let handle = |request| async { revoke_keys(self.registry(), &mut OsEntropy, request).await };
        self.entrance.pass("IssuanceService/RevokeKeys", request, handle).await
    }

    async fn suspend_key(
        &self,
        request: Request<v1::SuspendKeyRequest>,
    ) -> Result<Response<v1::SuspendKeyResponse>, Status> {
        let handle = |request| suspend_key(self.registry(), draw(&mut OsEntropy), request);
        self.entrance.pass("IssuanceService/SuspendKey", request, handle).await
    }

    async fn create_key(&self, _: Request<v1::CreateKeyRequest>) -> Result<Response<v1::CreateKeyResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn batch_create_keys(
        &self,
        _: Request<v1::BatchCreateKeysRequest>,
    ) -> Result<Response<v1::BatchCreateKeysResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn get_key(&self, _: Request<v1::GetKeyRequest>) -> Result<Response<v1::Key>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn list_keys(&self, _: Request<v1::ListKeysRequest>) -> Result<Response<v1::ListKeysResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn update_key(&self, _: Request<v1::UpdateKeyRequest>) -> Result<Response<v1::Key>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn resume_key(&self, _: Request<v1::ResumeKeyRequest>) -> Result<Response<v1::ResumeKeyResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    type ImportKeysStream = Empty<Result<v1::ImportKeysResponse, Status>>;

    async fn import_keys(
        &self,
        _: Request<Streaming<v1::ImportKeysRequest>>,
    ) -> Result<Response<Self::ImportKeysStream>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn restrict_key(
        &self,
        _: Request<v1::RestrictKeyRequest>,
    ) -> Result<Response<v1::RestrictKeyResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }
}
