//! `IssuanceService` as validation serves it: `RevokeKey`, so that a key dies without issuance, and nothing else.

use latchkey_crypto::draw;
use latchkey_link::revoke_key;
use latchkey_registry::Registry;
use latchkey_telemetry::OsEntropy;
use latchkey_transport::Rejection;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::issuance_service_server::IssuanceService;
use tonic::{Request, Response, Status};

/// The handlers.
#[derive(Clone)]
pub struct IssuanceFace {
    registry: Registry,
}

impl IssuanceFace {
    /// Over the replica of this process; whoever leads is found by it.
    #[must_use]
    pub const fn new(registry: Registry) -> Self {
        Self { registry }
    }
}

#[tonic::async_trait]
impl IssuanceService for IssuanceFace {
    async fn revoke_key(
        &self,
        request: Request<v1::RevokeKeyRequest>,
    ) -> Result<Response<v1::RevokeKeyResponse>, Status> {
        revoke_key(&self.registry, draw(&mut OsEntropy), request).await
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
}
