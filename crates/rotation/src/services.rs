//! The generated trait of `RotationService`, each method one line over its operation.

use crate::Handlers;
use latchkey_domain::RotationName;
use latchkey_link::Registry;
use latchkey_wire::pb::v1::rotation_service_server::RotationService;
use latchkey_wire::pb::v1::{
    CancelRotationRequest, CancelRotationResponse, CompleteRotationRequest, CompleteRotationResponse,
    GetRotationRequest, HoldRotationRequest, HoldRotationResponse, ListDueRotationsRequest, ListDueRotationsResponse,
    ListRotationsRequest, ListRotationsResponse, PrepareStandbyRequest, PrepareStandbyResponse, ResumeRotationRequest,
    ResumeRotationResponse, RollBackRotationRequest, RollBackRotationResponse, RotateKeyRequest, RotateKeyResponse,
    Rotation,
};
use latchkey_wire::request;
use tonic::{Request, Response, Status, async_trait};

#[async_trait]
impl<R: Registry> RotationService for Handlers<R> {
    async fn rotate_key(&self, request: Request<RotateKeyRequest>) -> Result<Response<RotateKeyResponse>, Status> {
        let method = "RotationService/RotateKey";
        self.entrance.call(method, request, request::read_rotate_key, |call| self.rotate(call)).await
    }

    async fn prepare_standby(
        &self,
        request: Request<PrepareStandbyRequest>,
    ) -> Result<Response<PrepareStandbyResponse>, Status> {
        let method = "RotationService/PrepareStandby";
        self.entrance.call(method, request, request::read_prepare_standby, |call| self.prepare(call)).await
    }

    async fn get_rotation(&self, request: Request<GetRotationRequest>) -> Result<Response<Rotation>, Status> {
        let read = |message: &GetRotationRequest| request::read_name(RotationName::parse(&message.name));
        self.entrance.call("RotationService/GetRotation", request, read, |call| self.rotation(call)).await
    }

    async fn list_rotations(
        &self,
        request: Request<ListRotationsRequest>,
    ) -> Result<Response<ListRotationsResponse>, Status> {
        let method = "RotationService/ListRotations";
        self.entrance.call(method, request, request::read_list_rotations, |call| self.rotations(call)).await
    }

    async fn complete_rotation(
        &self,
        request: Request<CompleteRotationRequest>,
    ) -> Result<Response<CompleteRotationResponse>, Status> {
        let method = "RotationService/CompleteRotation";
        let stepped = self.entrance.call(method, request, request::read_complete_rotation, |call| self.step(call));
        Ok(stepped.await?.map(Into::into))
    }

    async fn cancel_rotation(
        &self,
        request: Request<CancelRotationRequest>,
    ) -> Result<Response<CancelRotationResponse>, Status> {
        let method = "RotationService/CancelRotation";
        let stepped = self.entrance.call(method, request, request::read_cancel_rotation, |call| self.step(call));
        Ok(stepped.await?.map(Into::into))
    }

    async fn roll_back_rotation(
        &self,
        request: Request<RollBackRotationRequest>,
    ) -> Result<Response<RollBackRotationResponse>, Status> {
        let method = "RotationService/RollBackRotation";
        let stepped = self.entrance.call(method, request, request::read_roll_back_rotation, |call| self.step(call));
        Ok(stepped.await?.map(Into::into))
    }

    async fn hold_rotation(
        &self,
        request: Request<HoldRotationRequest>,
    ) -> Result<Response<HoldRotationResponse>, Status> {
        let method = "RotationService/HoldRotation";
        let stepped = self.entrance.call(method, request, request::read_hold_rotation, |call| self.step(call));
        Ok(stepped.await?.map(Into::into))
    }

    async fn resume_rotation(
        &self,
        request: Request<ResumeRotationRequest>,
    ) -> Result<Response<ResumeRotationResponse>, Status> {
        let method = "RotationService/ResumeRotation";
        let stepped = self.entrance.call(method, request, request::read_resume_rotation, |call| self.step(call));
        Ok(stepped.await?.map(Into::into))
    }

    async fn list_due_rotations(
        &self,
        request: Request<ListDueRotationsRequest>,
    ) -> Result<Response<ListDueRotationsResponse>, Status> {
        let method = "RotationService/ListDueRotations";
        self.entrance.call(method, request, request::read_list_due_rotations, |call| self.due_rotations(call)).await
    }
}
