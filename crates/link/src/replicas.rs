//! Which replicas there are, who each of them is, and who leads.

use latchkey_domain::{ClusterId, NodeId};
use latchkey_transport::{AttachProof, Dialer, INTERNAL_MESSAGE_BYTES_MAX, Peer as Expected, Proof};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::registry_service_client::RegistryServiceClient;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;

/// A replica that does not introduce itself within this time is passed over. A round trip over an ocean takes a third.
const INTRODUCE_MAX: Duration = Duration::from_millis(500);

pub(crate) type Client = RegistryServiceClient<InterceptedService<Channel, AttachProof>>;

/// The replicas that were configured. Connected when first called.
#[derive(Debug)]
pub(crate) struct Replicas {
    peers: Vec<Peer>,
    view: Mutex<View>,
    introducing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Peer {
    address: String,
    client: Client,
}

/// What the replicas said of themselves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct View {
    cluster: Option<ClusterId>,
    epoch: u64,
    /// Places in the list of peers.
    nodes: BTreeMap<NodeId, usize>,
    leader: Option<NodeId>,
    /// How often they were asked.
    round: u64,
}

/// One replica, and what its calls have to say for whom they are meant.
#[derive(Clone, Debug)]
pub(crate) struct Reached {
    pub(crate) client: Client,
    pub(crate) target: pb::Target,
}

impl Replicas {
    pub(crate) fn new(addresses: impl IntoIterator<Item: Display>, dialer: &Dialer, proof: &Proof) -> Self {
        let peers = addresses.into_iter().map(|address| {
            let address = address.to_string();
            let channel = dialer.channel(&address, Expected::AnyReplica);
            let guarded = InterceptedService::new(channel, proof.attach());
            let client = RegistryServiceClient::new(guarded)
                .max_decoding_message_size(INTERNAL_MESSAGE_BYTES_MAX)
                .max_encoding_message_size(INTERNAL_MESSAGE_BYTES_MAX);
            Peer { address, client }
        });
        Self { peers: peers.collect(), view: Mutex::default(), introducing: tokio::sync::Mutex::default() }
    }

    /// The cluster, once a replica was heard.
    pub(crate) fn cluster(&self) -> Option<ClusterId> {
        self.view().cluster
    }

    /// The replica with this id, where one of those that were configured has said to be it.
    pub(crate) fn known(&self, node: NodeId) -> Option<Client> {
        let at = self.view().nodes.get(&node).copied()?;
        Some(self.peers[at].client.clone())
    }

    /// For whom a call of one replica is meant, once a replica was heard.
    pub(crate) fn target(&self, node: NodeId) -> Option<pb::Target> {
        self.view().target(node)
    }

    /// How often the replicas were asked who they are.
    pub(crate) fn round(&self) -> u64 {
        self.view().round
    }

    /// Whoever leads, as far as is known.
    pub(crate) fn leader(&self) -> Option<Reached> {
        let view = self.view();
        let leader = view.leader?;
        let at = *view.nodes.get(&leader)?;
        Some(Reached { client: self.peers.get(at)?.client.clone(), target: view.target(leader)? })
    }

    /// All that may answer a read, the leader first.
    pub(crate) fn readers(&self) -> Vec<Reached> {
        let view = self.view();
        // 0 stands for any replica of the cluster: one that has not introduced itself yet may answer as well.
        let Some(target) = view.target(NodeId(0)) else { return Vec::new() };
        let leader = view.leader.and_then(|leader| view.nodes.get(&leader)).copied();
        let others = (0..self.peers.len()).filter(|at| Some(*at) != leader);
        let order = leader.into_iter().chain(others);
        order.map(|at| Reached { client: self.peers[at].client.clone(), target: target.clone() }).collect()
    }

    /// Takes note of who leads, as a replica said.
    pub(crate) fn leads(&self, node: NodeId) {
        self.view().leader = Some(node);
    }

    /// Asks all replicas who they are, unless somebody did since `round`.
    pub(crate) async fn introduce(&self, round: u64, by: Instant) {
        let Ok(_alone) = timeout_at(by, self.introducing.lock()).await else { return };
        if self.round() > round {
            return;
        }
        let until = by.min(Instant::now() + INTRODUCE_MAX);
        let mut asked = JoinSet::new();
        for (at, peer) in self.peers.iter().enumerate() {
            let mut client = peer.client.clone();
            asked.spawn(async move {
                let mut request = tonic::Request::new(pb::IntroduceRequest {});
                request.set_timeout(until.saturating_duration_since(Instant::now()));
                (at, timeout_at(until, client.introduce(request)).await)
            });
        }
        let mut heard = Vec::new();
        while let Some(answer) = asked.join_next().await {
            match answer {
                Ok((at, Ok(Ok(introduction)))) => heard.push((at, introduction.into_inner())),
                Ok((at, Ok(Err(status)))) => {
                    let (address, code) = (&self.peers[at].address, status.code());
                    tracing::debug!(%address, %code, message = status.message(), "a replica did not introduce itself");
                }
                Ok((at, Err(_))) => {
                    tracing::debug!(address = %self.peers[at].address, "a replica did not introduce itself in time");
                }
                Err(error) => tracing::error!(%error, "asking a replica who it is failed"),
            }
        }
        self.view().learn(&heard);
    }

    fn view(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl View {
    fn target(&self, node: NodeId) -> Option<pb::Target> {
        Some(pb::Target { cluster_id: self.cluster?.0.to_vec(), epoch: self.epoch, node_id: node.0 })
    }

    /// Takes in what was heard. A replica of another cluster, or of an epoch that is over, counts for nothing.
    fn learn(&mut self, heard: &[(usize, pb::IntroduceResponse)]) {
        self.round += 1;
        self.leader = None;
        let ids = heard.iter().filter_map(|(_, one)| one.cluster_id.as_slice().try_into().ok().map(ClusterId));
        let Some(cluster) = self.cluster.or_else(|| ids.clone().next()) else { return };
        if ids.clone().any(|id| id != cluster) {
            tracing::error!(%cluster, "replicas of two clusters are configured; those of the other are not asked");
        }
        self.cluster = Some(cluster);
        let ours = || heard.iter().filter(|(_, one)| one.cluster_id == cluster.0);
        let Some(epoch) = ours().map(|(_, one)| one.epoch).max().filter(|epoch| *epoch >= self.epoch) else { return };
        self.epoch = epoch;

        // A leader that is cut off goes on believing in itself: most voices count.
        let mut voices = BTreeMap::<NodeId, usize>::new();
        for (at, one) in ours().filter(|(_, one)| one.epoch == epoch) {
            self.nodes.insert(NodeId(one.node_id), *at);
            if let Some(leader) = one.leader {
                *voices.entry(NodeId(leader)).or_default() += 1;
            }
        }
        self.leader = voices.into_iter().max_by_key(|(_, count)| *count).map(|(leader, _)| leader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(cluster: u8, epoch: u64, node_id: u64, leader: Option<u64>) -> pb::IntroduceResponse {
        pb::IntroduceResponse { cluster_id: vec![cluster; 16], epoch, node_id, leader }
    }

    fn learned(heard: &[(usize, pb::IntroduceResponse)]) -> View {
        let mut view = View::default();
        view.learn(heard);
        view
    }

    #[test]
    fn nobody_heard_is_nobody_to_ask() {
        let view = learned(&[]);
        assert_eq!((view.target(NodeId(0)), view.leader), (None, None));
    }

    #[test]
    fn a_leader_that_only_itself_believes_in_is_not_asked() {
        let view = learned(&[(0, says(7, 1, 1, Some(1))), (1, says(7, 1, 2, Some(3))), (2, says(7, 1, 3, Some(3)))]);
        assert_eq!(view.leader, Some(NodeId(3)));
        assert_eq!(view.nodes[&NodeId(3)], 2);
    }

    #[test]
    fn replicas_of_an_older_epoch_or_another_cluster_count_for_nothing() {
        let view = learned(&[(0, says(7, 2, 1, Some(1))), (1, says(7, 1, 2, Some(9))), (2, says(8, 3, 3, Some(9)))]);
        assert_eq!((view.cluster, view.epoch, view.leader), (Some(ClusterId([7; 16])), 2, Some(NodeId(1))));
        assert_eq!(view.nodes.len(), 1);

        let mut later = view;
        later.learn(&[(1, says(7, 1, 2, Some(2)))]);
        assert_eq!((later.epoch, later.leader), (2, None), "an epoch that is over does not come back");
    }
}
