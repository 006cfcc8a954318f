//! `ClusterService`: what the cluster is made of, and how an operator changes that. Only the leader knows how the replicas
//! fare, so it is asked; where none answers, this replica shows what it knows itself.

mod back_up;
mod change;
mod keyring;
mod show;

use crate::denials;
use crate::halt::Halt;
use crate::session::{Session, ground_of};
use back_up::BackupParts;
use latchkey_domain::{Duty, Revision};
use latchkey_link::{Entrance, Refusals};
use latchkey_registry::{Registry, View};
use latchkey_state::{Operation, log_name};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::cluster_service_server::ClusterService;
use latchkey_wire::request::{
    read_add_replica, read_begin_audit_log, read_demote_replica, read_promote_replica, read_remove_replica,
};
use latchkey_wire::time::write_span;
use show::{Here, log_key, replicas};
use std::sync::Arc;
use tonic::{Extensions, Request, Response, Status};

/// Who may look.
const READERS: [Duty; 3] = [Duty::Admin, Duty::Operator, Duty::Auditor];

/// The handlers.
#[derive(Clone)]
pub struct ClusterFace {
    registry: Registry,
    refusals: Refusals,
    entrance: Entrance<Registry>,
}

impl ClusterFace {
    /// Over the replica of this process. What it refuses is gathered.
    #[must_use]
    pub fn new(registry: Registry, refusals: Refusals) -> Self {
        let entrance = Entrance::new(Arc::new(registry.clone()), refusals.clone());
        Self { registry, refusals, entrance }
    }

    /// The state that is shown, for whoever may look.
    fn look(&self, extensions: &Extensions, method: &'static str) -> Result<View, Halt> {
        let view = self.registry.reader().now()?;
        let age = || view.age();
        let session = Session::open(ground_of(&view), extensions, &age, &self.registry)?;
        let note = |halt: &Halt| halt.note(&self.refusals, &session, method);
        session.require_on_system(&READERS).inspect_err(note)?;
        Ok(view)
    }

    async fn cluster(&self, extensions: &Extensions) -> Result<v1::Cluster, Halt> {
        let view = self.look(extensions, "ClusterService/GetCluster")?;
        // Without a leader an operator needs this most.
        let roster = self.registry.roster().await.ok();
        let (core, status, state) = (self.registry.core(), self.registry.status(), view.state());
        let here = Here { node: core.node(), epoch: core.epoch(), view: &view };
        Ok(v1::Cluster {
            cluster_id: core.cluster().to_string(),
            epoch: core.epoch(),
            leader: status.leader.map(|leader| leader.0),
            feature_level: state.progress().feature_level,
            profile: state.cluster().map(|cluster| v1::ClusterProfile {
                staleness_floor: Some(write_span(cluster.staleness_floor)),
                staleness_default: Some(write_span(cluster.staleness_default)),
            }),
            replicas: replicas(&here, status.replicas, roster.as_ref()),
            answered_by: core.node().0,
            revision: Some(state.revision().into()),
            log_verifier_key: log_key(state).map_or_else(String::new, |key| key.to_string()),
        })
    }
}

macro_rules! answered {
    ($answer:ident, $done:expr) => {
        $done.map(|(revision, replayed): (Revision, bool)| {
            Response::new(v1::$answer { revision: Some(revision.into()), replayed })
        })
    };
}

#[tonic::async_trait]
impl ClusterService for ClusterFace {
    type CreateBackupStream = BackupParts;

    async fn create_backup(
        &self,
        request: Request<v1::CreateBackupRequest>,
    ) -> Result<Response<Self::CreateBackupStream>, Status> {
        self.back_up(request.extensions()).await
    }

    async fn deny_key_locally(
        &self,
        request: Request<v1::DenyKeyLocallyRequest>,
    ) -> Result<Response<v1::LocalDenial>, Status> {
        denials::deny(&self.registry, request).await
    }

    async fn allow_key_locally(
        &self,
        request: Request<v1::AllowKeyLocallyRequest>,
    ) -> Result<Response<v1::AllowKeyLocallyResponse>, Status> {
        denials::allow(&self.registry, request).await
    }

    async fn list_local_denials(
        &self,
        request: Request<v1::ListLocalDenialsRequest>,
    ) -> Result<Response<v1::ListLocalDenialsResponse>, Status> {
        denials::list(&self.registry, request).await
    }

    async fn get_cluster(&self, request: Request<v1::GetClusterRequest>) -> Result<Response<v1::Cluster>, Status> {
        Ok(Response::new(self.cluster(request.extensions()).await?))
    }

    async fn get_keyring(
        &self,
        request: Request<v1::GetKeyringRequest>,
    ) -> Result<Response<v1::GetKeyringResponse>, Status> {
        Ok(Response::new(self.keyring(request.extensions(), request.get_ref()).await?))
    }

    async fn rotate_keyring(
        &self,
        request: Request<v1::RotateKeyringRequest>,
    ) -> Result<Response<v1::RotateKeyringResponse>, Status> {
        let handle = async |request| answered!(RotateKeyringResponse, Self::rotate(&self.registry, request).await);
        self.entrance.pass("ClusterService/RotateKeyring", request, handle).await
    }

    async fn begin_audit_log(
        &self,
        request: Request<v1::BeginAuditLogRequest>,
    ) -> Result<Response<v1::BeginAuditLogResponse>, Status> {
        let handle = async |request: Request<v1::BeginAuditLogRequest>| {
            let is_tried = request.get_ref().validate_only;
            let asked = Self::change(&self.registry, request, read_begin_audit_log, Operation::BeginAuditLog);
            let (revision, replayed) = asked.await?;
            let log = log_name(self.registry.core().cluster(), revision.epoch, revision.index);
            let log = if is_tried { String::new() } else { log };
            Ok(Response::new(v1::BeginAuditLogResponse { revision: Some(revision.into()), replayed, log }))
        };
        self.entrance.pass("ClusterService/BeginAuditLog", request, handle).await
    }

    async fn add_replica(
        &self,
        request: Request<v1::AddReplicaRequest>,
    ) -> Result<Response<v1::AddReplicaResponse>, Status> {
        let handle = async |request| {
            answered!(
                AddReplicaResponse,
                Self::change(&self.registry, request, read_add_replica, Operation::AdmitReplica).await
            )
        };
        self.entrance.pass("ClusterService/AddReplica", request, handle).await
    }

    async fn promote_replica(
        &self,
        request: Request<v1::PromoteReplicaRequest>,
    ) -> Result<Response<v1::PromoteReplicaResponse>, Status> {
        let handle = async |request| {
            answered!(
                PromoteReplicaResponse,
                Self::change(&self.registry, request, read_promote_replica, Operation::StepReplica).await
            )
        };
        self.entrance.pass("ClusterService/PromoteReplica", request, handle).await
    }

    async fn demote_replica(
        &self,
        request: Request<v1::DemoteReplicaRequest>,
    ) -> Result<Response<v1::DemoteReplicaResponse>, Status> {
        let handle = async |request| {
            answered!(
                DemoteReplicaResponse,
                Self::change(&self.registry, request, read_demote_replica, Operation::StepReplica).await
            )
        };
        self.entrance.pass("ClusterService/DemoteReplica", request, handle).await
    }

    async fn remove_replica(
        &self,
        request: Request<v1::RemoveReplicaRequest>,
    ) -> Result<Response<v1::RemoveReplicaResponse>, Status> {
        let handle = async |request| {
            answered!(
                RemoveReplicaResponse,
                Self::change(&self.registry, request, read_remove_replica, Operation::StepReplica).await
            )
        };
        self.entrance.pass("ClusterService/RemoveReplica", request, handle).await
    }

    async fn transfer_leadership(
        &self,
        request: Request<v1::TransferLeadershipRequest>,
    ) -> Result<Response<v1::TransferLeadershipResponse>, Status> {
        let handle = |request| Self::transfer(&self.registry, request);
        self.entrance.pass("ClusterService/TransferLeadership", request, handle).await
    }
}
