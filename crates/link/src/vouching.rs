//! Who vouches for the audit log: what the cluster recorded of it, and each replica's word for a checkpoint.

use crate::answers::{read_as, unexpected};
use crate::link::{Link, timed};
use crate::observing::{Observing, ObservingReplica};
use crate::{Query, Registry};
use latchkey_domain::{ClusterId, NodeId};
use latchkey_state::{AuditCheckpoint, cosigner_name, log_name};
use latchkey_transparency::Hash;
use latchkey_transport::status;
use latchkey_wire::disk::read_checkpoint;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::request::Consistency;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// How long one replica may take: it waits for up to 2 s until it has applied what it is asked about.
const COSIGN_MAX: Duration = Duration::from_secs(4);

/// Where the audit log stands, as the replicated state says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStanding {
    /// The cluster.
    pub cluster: ClusterId,
    /// Its feature level: below 6 nothing is signed.
    pub feature_level: u32,
    /// The name of the log: what checkpoints have as their origin.
    pub origin: String,
    /// How many entries there are.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
    /// The first entry that the replicas have still.
    pub kept_from: u64,
    /// The newest checkpoint that was recorded.
    pub checkpoint: Option<AuditCheckpoint>,
    /// All replicas there ever were that told a key, ordered by id.
    pub cosigners: Vec<LogCosigner>,
}

/// A replica that cosigns, or did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogCosigner {
    /// Its id.
    pub node: NodeId,
    /// The name of its key.
    pub name: String,
    /// Its region.
    pub region: String,
    /// The Ed25519 public key that it cosigns with.
    pub key: [u8; 32],
    /// Whether it has left: it cosigns no more.
    pub retired: bool,
}

/// Asks where the audit log stands.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn log_standing<R: Registry>(
    registry: &R,
    consistency: Consistency,
    by: Instant,
) -> Result<LogStanding, Status> {
    let cluster = registry.cluster(by).await?;
    let query = Query::AuditLog(pb::AuditLogQuery {});
    let (Answer::AuditLog(answer), _) = read_as(registry, query, consistency, by).await? else {
        return Err(unexpected("where the audit log stands"));
    };
    let damaged = || status::bug("what a replica says of the audit log cannot be read");
    let bytes = |bytes: &[u8]| <[u8; 32]>::try_from(bytes).map_err(|_| damaged());
    let checkpoint = answer.checkpoint.as_ref().map(read_checkpoint).transpose().map_err(|_| damaged())?;
    let cosigners = answer.cosigners.into_iter().map(|cosigner| {
        let node = NodeId(cosigner.node_id);
        let key = bytes(&cosigner.node_key)?;
        let name = cosigner_name(cluster, node);
        Ok(LogCosigner { node, name, region: cosigner.region, key, retired: cosigner.retired })
    });
    Ok(LogStanding {
        cluster,
        feature_level: answer.feature_level,
        origin: log_name(cluster, answer.tree_epoch, answer.tree_index),
        size: answer.size,
        kept_from: answer.kept_from,
        root: Hash::new(bytes(&answer.root)?),
        checkpoint,
        cosigners: cosigners.collect::<Result<_, Status>>()?,
    })
}

/// The replicas, as those that vouch for the audit log.
pub trait Vouching: Send + Sync + 'static {
    /// All members, learners among them, ordered by id.
    ///
    /// # Errors
    /// `UNAVAILABLE` where there is no leader.
    fn cosigners(&self, by: Instant) -> impl Future<Output = Result<Vec<ObservingReplica>, Status>> + Send;

    /// Asks one replica to vouch for a checkpoint that `key` signed.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` with reason `CHECKPOINT_CONFLICT`: it would fork the log. Any other may pass.
    fn cosign(
        &self,
        by_replica: &ObservingReplica,
        key: [u8; 32],
        note: &str,
        by: Instant,
    ) -> impl Future<Output = Result<pb::CosignResponse, Status>> + Send;
}

impl Vouching for Link {
    async fn cosigners(&self, by: Instant) -> Result<Vec<ObservingReplica>, Status> {
        Observing::replicas(self, by).await
    }

    async fn cosign(
        &self,
        by_replica: &ObservingReplica,
        key: [u8; 32],
        note: &str,
        by: Instant,
    ) -> Result<pb::CosignResponse, Status> {
        let target = Some(self.target(by_replica.node).ok_or_else(status::deadline_exceeded)?);
        let by = by.min(Instant::now() + COSIGN_MAX);
        let request = pb::CosignRequest { target, key: key.to_vec(), note: note.to_owned() };
        let mut client = self.client_of(by_replica);
        let asked = client.cosign(timed(request, by.saturating_duration_since(Instant::now())));
        Ok(timeout_at(by, asked).await.map_err(|_| status::deadline_exceeded())??.into_inner())
    }
}
