//! Channels to the other replicas. openraft makes a client per voter for each read index, so channels are kept here
//! and shared: two for each replica, one for raft and one for the registry.

use crate::types::Member;
use latchkey_domain::{ClusterId, NodeId};
use latchkey_transport::{AttachClusterSecret, ClusterSecret, INTERNAL_MESSAGE_BYTES_MAX, channel};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::raft_service_client::RaftServiceClient;
use latchkey_wire::pb::internal::v1::registry_service_client::RegistryServiceClient;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

pub(crate) type GuardedChannel = InterceptedService<Channel, AttachClusterSecret>;

/// How the other replicas are reached.
pub(crate) struct Peers {
    cluster: ClusterId,
    epoch: u64,
    secret: ClusterSecret,
    channels: Mutex<HashMap<SocketAddr, Channel>>,
}

impl Peers {
    pub(crate) fn new(cluster: ClusterId, epoch: u64, secret: ClusterSecret) -> Self {
        Self { cluster, epoch, secret, channels: Mutex::default() }
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

    pub(crate) fn raft(&self, member: &Member) -> Option<RaftServiceClient<GuardedChannel>> {
        let client = RaftServiceClient::new(self.guarded(&member.raft_address)?);
        Some(client.max_decoding_message_size(INTERNAL_MESSAGE_BYTES_MAX))
    }

    pub(crate) fn registry(&self, member: &Member) -> Option<RegistryServiceClient<GuardedChannel>> {
        let client = RegistryServiceClient::new(self.guarded(&member.address)?);
        Some(client.max_decoding_message_size(INTERNAL_MESSAGE_BYTES_MAX))
    }

    fn guarded(&self, address: &str) -> Option<GuardedChannel> {
        let address: SocketAddr = address.parse().ok()?;
        let mut channels = self.channels.lock().expect("nobody panics while holding the channels");
        let channel = channels.entry(address).or_insert_with(|| channel(address)).clone();
        Some(InterceptedService::new(channel, self.secret.attach()))
    }
}
