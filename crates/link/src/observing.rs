//! Taking what the replicas have seen of the use of keys: the audit service's way to each of them.

use crate::link::{Link, timed};
use crate::replicas::Client;
use latchkey_domain::NodeId;
use latchkey_transport::{AttachProof, Dialer, INTERNAL_MESSAGE_BYTES_MAX, Peer, Proof, status};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::registry_service_client::RegistryServiceClient;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tonic::Status;
use tonic::service::interceptor::InterceptedService;

/// How long one replica may take to hand over a batch of at most 1 MiB.
const TAKE_MAX: Duration = Duration::from_secs(5);

/// A replica that observes the use of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservingReplica {
    /// Its node id.
    pub node: NodeId,
    /// Its region.
    pub region: String,
    /// Where its services are reached: `host:port`.
    pub address: String,
}

/// The replicas, as those from whom observations are taken.
pub trait Observing: Send + Sync + 'static {
    /// All members, learners among them, ordered by id. Who was removed is not there any more and may still have something
    /// to hand over: keep it for a while.
    ///
    /// # Errors
    /// `UNAVAILABLE` where there is no leader: go on with those that are known.
    fn replicas(&self, by: Instant) -> impl Future<Output = Result<Vec<ObservingReplica>, Status>> + Send;

    /// Takes the next batch of one replica, and tells it that `acknowledged` of the process life `incarnation` is durable.
    /// Both 0 where nothing of it is. The same batch comes again until it is acknowledged.
    ///
    /// # Errors
    /// Any may pass; nothing is lost by asking again.
    fn take(
        &self,
        from: &ObservingReplica,
        incarnation: u64,
        acknowledged: u64,
        by: Instant,
    ) -> impl Future<Output = Result<pb::TakeObservationsResponse, Status>> + Send;
}

/// The ways to replicas, each one of them, whether or not it was configured.
#[derive(Debug)]
pub(crate) struct Ways {
    dialer: Dialer,
    proof: Proof,
    clients: Mutex<HashMap<(NodeId, String), Client>>,
}

impl Ways {
    pub(crate) fn new(dialer: Dialer, proof: Proof) -> Self {
        Self { dialer, proof, clients: Mutex::default() }
    }

    /// A client of one replica.
    pub(crate) fn to(&self, replica: &ObservingReplica) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        let dial = || {
            let channel = self.dialer.channel(&replica.address, Peer::Replica(replica.node));
            let guarded: InterceptedService<_, AttachProof> = InterceptedService::new(channel, self.proof.attach());
            RegistryServiceClient::new(guarded).max_decoding_message_size(INTERNAL_MESSAGE_BYTES_MAX)
        };
        clients.entry((replica.node, replica.address.clone())).or_insert_with(dial).clone()
    }

    /// Forgets the ways to those who are no members any more.
    fn keep(&self, replicas: &[ObservingReplica]) {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.retain(|(node, address), _| replicas.iter().any(|one| one.node == *node && one.address == *address));
    }
}

impl Link {
    /// The way to one replica: one that was configured has told where it is now, and the membership says where it was when
    /// it was admitted.
    pub(crate) fn client_of(&self, replica: &ObservingReplica) -> Client {
        self.known(replica.node).unwrap_or_else(|| self.ways().to(replica))
    }
}

impl Observing for Link {
    async fn replicas(&self, by: Instant) -> Result<Vec<ObservingReplica>, Status> {
        let roster = self.roster(by).await?;
        let read = |known: pb::KnownReplica| ObservingReplica {
            node: NodeId(known.node_id),
            region: known.region,
            address: known.address,
        };
        let mut replicas: Vec<_> = roster.replicas.into_iter().map(read).collect();
        replicas.sort_by_key(|replica| replica.node);
        self.ways().keep(&replicas);
        Ok(replicas)
    }

    async fn take(
        &self,
        from: &ObservingReplica,
        incarnation: u64,
        acknowledged: u64,
        by: Instant,
    ) -> Result<pb::TakeObservationsResponse, Status> {
        let target = Some(self.target(from.node).ok_or_else(status::deadline_exceeded)?);
        let by = by.min(Instant::now() + TAKE_MAX);
        let request = pb::TakeObservationsRequest { target, incarnation, acknowledged };
        let mut client = self.client_of(from);
        let asked = client.take_observations(timed(request, by.saturating_duration_since(Instant::now())));
        Ok(timeout_at(by, asked).await.map_err(|_| status::deadline_exceeded())??.into_inner())
    }
}
