//! Channels to the other replicas. openraft makes a client per voter for each read index, so channels are kept here
//! and shared: two for each replica, one for raft and one for the registry.

use crate::types::Member;
use latchkey_domain::{ClusterId, NodeId, Workload};
use latchkey_state::Actor;
use latchkey_transport::{AttachProof, Dialer, INTERNAL_MESSAGE_BYTES_MAX, Peer, Proof, Rejection};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::raft_service_client::RaftServiceClient;
use latchkey_wire::pb::internal::v1::registry_service_client::RegistryServiceClient;
use std::collections::HashMap;
use std::sync::Mutex;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Extensions, Status};

pub(crate) type GuardedChannel = InterceptedService<Channel, AttachProof>;

/// How the other replicas are reached.
pub(crate) struct Peers {
    cluster: ClusterId,
    epoch: u64,
    dialer: Dialer,
    proof: Proof,
    /// By who must answer, and where.
    channels: Mutex<HashMap<(NodeId, String), Channel>>,
}

impl Peers {
    pub(crate) fn new(cluster: ClusterId, epoch: u64, dialer: Dialer, proof: Proof) -> Self {
        Self { cluster, epoch, dialer, proof, channels: Mutex::default() }
    }

    /// For whom a call is meant: a process that is somebody else refuses it.
    pub(crate) fn target(&self, node: NodeId) -> pb::Target {
        pb::Target { cluster_id: self.cluster.0.to_vec(), epoch: self.epoch, node_id: node.0 }
    }

    /// Whether a call was meant for this replica.
    pub(crate) fn is_meant_for(&self, target: Option<&pb::Target>, node: NodeId) -> bool {
        target.is_some_and(|target| {
            target.cluster_id[..] == self.cluster.0
                && target.epoch == self.epoch
                && (target.node_id == node.0 || target.node_id == 0)
        })
    }

    /// That a call comes from the replica that it names, where certificates tell: one that is stolen speaks for itself only.
    pub(crate) fn check_sender(&self, extensions: &Extensions, named: NodeId) -> Result<(), Status> {
        if self.proof.bears(extensions, named) {
            return Ok(());
        }
        tracing::warn!(%named, "a call was refused: it names a replica whose certificate its sender has not shown");
        Err(Rejection::IdentityUnknown.into())
    }

    /// That whoever sends a command may send it in this name: audit has no business in anybody's, and no service in that of
    /// another or of a replica.
    pub(crate) fn check_actor(&self, extensions: &Extensions, actor: &Actor) -> Result<(), Status> {
        if self.proof.bears_where(extensions, |workload| may_act_as(workload, actor)) {
            return Ok(());
        }
        tracing::warn!(?actor, "a command was refused: the certificate of its sender does not speak for its actor");
        Err(Rejection::IdentityUnknown.into())
    }

    /// That a call comes from a replica, whichever.
    pub(crate) fn check_replica(&self, extensions: &Extensions) -> Result<(), Status> {
        if self.proof.bears_where(extensions, |workload| Peer::AnyReplica.admits(workload)) {
            return Ok(());
        }
        tracing::warn!("a call was refused: only replicas make it, and its sender has shown the certificate of none");
        Err(Rejection::IdentityUnknown.into())
    }

    /// That a call comes from whoever rotates keys, or from a replica: what others are answered names the clients of all
    /// tenants.
    pub(crate) fn check_rotates(&self, extensions: &Extensions) -> Result<(), Status> {
        let rotates = |workload: &Workload| matches!(workload, Workload::Replica(_) | Workload::Rotation);
        if self.proof.bears_where(extensions, rotates) {
            return Ok(());
        }
        tracing::warn!("a call was refused: only replicas and the rotation service make it");
        Err(Rejection::IdentityUnknown.into())
    }

    /// That a call comes from the audit service: what it is answered names the clients of all tenants, and is handed over
    /// once.
    pub(crate) fn check_audits(&self, extensions: &Extensions) -> Result<(), Status> {
        if self.proof.bears_where(extensions, |workload| *workload == Workload::Audit) {
            return Ok(());
        }
        tracing::warn!("a call was refused: only the audit service makes it");
        Err(Rejection::IdentityUnknown.into())
    }

    pub(crate) fn raft(&self, node: NodeId, member: &Member) -> RaftServiceClient<GuardedChannel> {
        let client = RaftServiceClient::new(self.guarded(node, &member.raft_address));
        client.max_decoding_message_size(INTERNAL_MESSAGE_BYTES_MAX)
    }

    pub(crate) fn registry(&self, node: NodeId, member: &Member) -> RegistryServiceClient<GuardedChannel> {
        let client = RegistryServiceClient::new(self.guarded(node, &member.address));
        client.max_decoding_message_size(INTERNAL_MESSAGE_BYTES_MAX)
    }

    fn guarded(&self, node: NodeId, address: &str) -> GuardedChannel {
        let mut channels = self.channels.lock().expect("nobody panics while holding the channels");
        let dial = || self.dialer.channel(address, Peer::Replica(node));
        let channel = channels.entry((node, address.to_owned())).or_insert_with(dial).clone();
        InterceptedService::new(channel, self.proof.attach())
    }
}

/// In whose name a process proposes. Those that serve people do so in theirs, and a replica that does not lead passes on
/// what it proposes itself.
fn may_act_as(workload: &Workload, actor: &Actor) -> bool {
    match actor {
        Actor::Identity(_) | Actor::Key(_) => {
            matches!(workload, Workload::Replica(_) | Workload::Issuance | Workload::Rotation)
        }
        Actor::Replica(node) => *workload == Workload::Replica(*node),
        Actor::Service(word) => match workload {
            Workload::Replica(_) => word.as_str() == "validation",
            Workload::Issuance | Workload::Rotation | Workload::Audit => word.as_str() == workload.to_string(),
            Workload::Client(_) => false,
        },
    }
}
