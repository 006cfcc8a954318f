//! `Link` against replicas that answer over real connections, and that misbehave as real ones do.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

use latchkey_crypto::{Entropy as _, KeyText, draw};
use latchkey_domain::{DisplayName, IdentityName, KeyId, KeyspaceName, NodeId, Sequence};
use latchkey_kms::testing::SwitchableKms;
use latchkey_link::testing::{MemoryRegistry, Seeded, conformance};
use latchkey_link::{Barrier, FollowItem, Link, Material, Observing as _, ObservingReplica, Registry};
use latchkey_state::{Actor, Command, CreateIdentity, Operation, RequestMark};
use latchkey_transport::{ClusterSecret, Dialer, Rejection, Unavailable};
use latchkey_wire::disk::read_command;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::registry_service_server::{RegistryService, RegistryServiceServer};
use latchkey_wire::pb::v1::replica_status::State;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_stream::{Stream, StreamExt as _};
use tonic::{Code, Request, Response, Status};

/// How a replica misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    Well,
    /// Carries a proposal out and breaks off before it answers.
    BreaksOff,
    /// Refuses because it stops.
    Stops,
    /// Names itself where it does not lead.
    NamesItself,
}

struct Replica {
    node: u64,
    leader: Arc<AtomicU64>,
    registry: Arc<MemoryRegistry>,
    manner: Manner,
    proposals: Arc<AtomicUsize>,
}

impl Replica {
    fn check(&self, target: Option<&pb::Target>, leader_only: bool) -> Result<(), Status> {
        let target = target.ok_or_else(|| Status::from(Rejection::WrongTarget { node: self.node }))?;
        let meant = target.node_id == self.node || (target.node_id == 0 && !leader_only);
        if target.cluster_id != [0xC1; 16] || target.epoch != 1 || !meant {
            return Err(Rejection::WrongTarget { node: self.node }.into());
        }
        let leader = self.leader.load(Ordering::Relaxed);
        if leader_only && leader != self.node {
            let named = if self.manner == Manner::NamesItself { self.node } else { leader };
            return Err(Unavailable::NoLeader { node: Some(NodeId(named)) }.into());
        }
        Ok(())
    }
}

fn by() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

#[tonic::async_trait]
impl RegistryService for Replica {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<pb::FollowResponse, Status>> + Send>>;
    type SelectStream = tokio_stream::Iter<std::vec::IntoIter<Result<pb::SelectResponse, Status>>>;

    async fn introduce(&self, _: Request<pb::IntroduceRequest>) -> Result<Response<pb::IntroduceResponse>, Status> {
        let leader = Some(self.leader.load(Ordering::Relaxed));
        let cluster_id = vec![0xC1; 16];
        Ok(Response::new(pb::IntroduceResponse { cluster_id, epoch: 1, node_id: self.node, leader }))
    }

    async fn propose(&self, request: Request<pb::ProposeRequest>) -> Result<Response<pb::ProposeResponse>, Status> {
        let request = request.into_inner();
        self.check(request.target.as_ref(), true)?;
        if self.manner == Manner::Stops {
            return Err(Unavailable::Stopping.into());
        }
        self.proposals.fetch_add(1, Ordering::Relaxed);
        let command = read_command(&request.command.unwrap()).unwrap();
        let applied = self.registry.carry_out(&command)?;
        if self.manner == Manner::BreaksOff {
            // The next one leads from now on, as after a crash.
            self.leader.store(2, Ordering::Relaxed);
            return Err(Status::unavailable("connection reset"));
        }
        Ok(Response::new(pb::ProposeResponse { applied: Some(applied) }))
    }

    async fn query(&self, request: Request<pb::QueryRequest>) -> Result<Response<pb::QueryResponse>, Status> {
        let pb::QueryRequest { target, consistency, query } = request.into_inner();
        self.check(target.as_ref(), false)?;
        let consistency = latchkey_wire::request::read_consistency(consistency.as_ref()).unwrap();
        self.registry.query(query.unwrap(), consistency, by()).await.map(Response::new)
    }

    async fn follow(&self, request: Request<pb::FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let request = request.into_inner();
        self.check(request.target.as_ref(), false)?;
        let items = self.registry.follow(Sequence(request.from_sequence), by()).await?;
        Ok(Response::new(Box::pin(items.map(|item| item.map(written)))))
    }

    async fn select(&self, request: Request<pb::SelectRequest>) -> Result<Response<Self::SelectStream>, Status> {
        let request = request.into_inner();
        self.check(request.target.as_ref(), false)?;
        let keyspace = KeyspaceName::parse(&request.keyspace).unwrap();
        let selected = self.registry.select(&keyspace, &request.filter, by()).await?;
        let message = |keys: &[KeyId]| pb::SelectResponse {
            revision: Some(selected.revision.into()),
            key_ids: keys.iter().map(|key| key.bytes().to_vec()).collect(),
            bound_ms: selected.bound.millis(),
        };
        // The first message is empty, as it may be.
        let messages: Vec<_> = [&[][..], &selected.keys].into_iter().map(|keys| Ok(message(keys))).collect();
        Ok(Response::new(tokio_stream::iter(messages)))
    }

    async fn renew_lease(&self, _: Request<pb::RenewLeaseRequest>) -> Result<Response<pb::RenewLeaseResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn roster(&self, _: Request<pb::RosterRequest>) -> Result<Response<pb::RosterResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn recall(&self, _: Request<pb::RecallRequest>) -> Result<Response<pb::RecallResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn stand_for_election(
        &self,
        _: Request<pb::StandForElectionRequest>,
    ) -> Result<Response<pb::StandForElectionResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn evidence(&self, _: Request<pb::EvidenceRequest>) -> Result<Response<pb::EvidenceResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn gather_evidence(
        &self,
        request: Request<pb::GatherEvidenceRequest>,
    ) -> Result<Response<pb::GatherEvidenceResponse>, Status> {
        let request = request.into_inner();
        self.check(request.target.as_ref(), true)?;
        Ok(Response::new(self.registry.evidence_of(&request.version_ids, request.curves)))
    }

    async fn take_observations(
        &self,
        request: Request<pb::TakeObservationsRequest>,
    ) -> Result<Response<pb::TakeObservationsResponse>, Status> {
        self.check(request.into_inner().target.as_ref(), false)?;
        Ok(Response::new(pb::TakeObservationsResponse { node_id: self.node, ..Default::default() }))
    }

    async fn cosign(&self, _: Request<pb::CosignRequest>) -> Result<Response<pb::CosignResponse>, Status> {
        Err(Rejection::NotServedHere.into())
    }

    async fn confirm(&self, request: Request<pb::ConfirmRequest>) -> Result<Response<pb::ConfirmResponse>, Status> {
        let request = request.into_inner();
        self.check(request.target.as_ref(), true)?;
        let barrier = Barrier {
            revision: request.revision.unwrap().into(),
            bound: latchkey_domain::DurationMillis::new(request.bound_ms),
            wait: Duration::from_millis(request.timeout_ms),
        };
        let replicas = self.registry.confirm(barrier, by()).await?;
        Ok(Response::new(pb::ConfirmResponse { replicas }))
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::AuthenticateResponse>, Status> {
        let request = request.into_inner();
        self.check(request.target.as_ref(), false)?;
        let identity = self.registry.authenticate(&request.key_text, None, by()).await?;
        Ok(Response::new(pb::AuthenticateResponse {
            identity: identity.identity.to_string(),
            grants: identity.grants.iter().map(Into::into).collect(),
            revision: Some(identity.revision.into()),
            key: identity.key.to_string(),
        }))
    }
}

/// As a replica writes it, from what the registry in memory read.
fn written(item: FollowItem) -> pb::FollowResponse {
    use pb::follow_response::Item;
    let item = match item {
        FollowItem::Event(event) => Item::Event(pb::Event {
            sequence: event.sequence.0,
            revision: Some(event.revision.into()),
            format: event.format.into(),
            event: event.event,
            opening: event.opening.to_vec(),
            root: event.root.to_vec(),
            tenant: event.tenant.map(|tenant| tenant.0),
        }),
        FollowItem::Progress { next, revision } => {
            Item::Progress(pb::Progress { next_sequence: next.0, revision: Some(revision.into()) })
        }
    };
    pb::FollowResponse { item: Some(item), ..pb::FollowResponse::default() }
}

struct Cluster {
    link: Link,
    registry: Arc<MemoryRegistry>,
    leader: Arc<AtomicU64>,
    proposals: Arc<AtomicUsize>,
    kms: Arc<SwitchableKms>,
    root: KeyText,
    entropy: Seeded,
    addresses: Vec<SocketAddr>,
    _folder: tempfile::TempDir,
}

/// Three replicas of one state: the first misbehaves as told, and a fourth address where nobody listens.
async fn cluster(first: Manner) -> Cluster {
    let (kms, mut entropy) = (Arc::new(SwitchableKms::new([1; 32])), Seeded(1));
    let (registry, root) = MemoryRegistry::found(&*kms, &mut entropy).await;
    let folder = tempfile::tempdir().unwrap();
    let secret = ClusterSecret::generate(&folder.path().join("secret"), &mut entropy).unwrap();
    let (registry, leader, proposals) = (Arc::new(registry), Arc::new(AtomicU64::new(1)), Arc::default());
    let closed = latchkey_testkit::nobody();
    let mut addresses: Vec<SocketAddr> = vec![closed];
    for node in 1..=3 {
        let replica = Replica {
            node,
            leader: leader.clone(),
            registry: registry.clone(),
            manner: if node == 1 { first } else { Manner::Well },
            proposals: Arc::clone(&proposals),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        let service = secret.guard(RegistryServiceServer::new(replica));
        let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    }
    let link = Link::new(&addresses, &Dialer::plain(), &secret.into());
    Cluster { link, registry, leader, proposals, kms, root, entropy, addresses, _folder: folder }
}

fn create_identity(entropy: &mut Seeded, request: Option<RequestMark>) -> Command {
    let operation = CreateIdentity {
        name: IdentityName::parse("tenants/system/identities/deploy").unwrap(),
        display_name: DisplayName::default(),
        grants: Vec::new(),
    };
    let root = Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
    Command { request, ..Command::new(root, draw(entropy), Operation::CreateIdentity(operation)) }
}

fn mark(entropy: &mut Seeded) -> RequestMark {
    let mut hash = [0; 32];
    entropy.fill(&mut hash);
    RequestMark { id: draw(entropy), hash }
}

#[tokio::test]
async fn the_link_passes_the_conformance_suite() {
    let mut cluster = cluster(Manner::Well).await;
    let material = Material::new(cluster.kms.clone());
    conformance::suite(&cluster.link, &material, cluster.root.expose(), &mut cluster.entropy).await;
}

#[tokio::test]
async fn a_write_whose_outcome_is_unknown_is_repeated_only_where_it_cannot_happen_twice() {
    let mut marked = cluster(Manner::BreaksOff).await;
    let command = create_identity(&mut marked.entropy, Some(mark(&mut Seeded(9))));
    let proposed = marked.link.propose(&command, by()).await.unwrap();
    assert!(proposed.replayed && proposed.answer.is_ok(), "{proposed:?}");
    assert_eq!(marked.proposals.load(Ordering::Relaxed), 2);

    let mut unmarked = cluster(Manner::BreaksOff).await;
    let command = create_identity(&mut unmarked.entropy, None);
    let status = unmarked.link.propose(&command, by()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "clients repeat UNAVAILABLE by themselves");
    assert_eq!(unmarked.proposals.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_write_that_did_not_happen_goes_to_the_next_leader_unmarked_or_not() {
    let mut stopping = cluster(Manner::Stops).await;
    let command = create_identity(&mut stopping.entropy, None);
    let (leader, link) = (stopping.leader.clone(), stopping.link.clone());
    let proposing = tokio::spawn(async move { link.propose(&command, by()).await });
    tokio::task::yield_now().await;
    leader.store(3, Ordering::Relaxed);
    let proposed = proposing.await.unwrap().unwrap();
    assert!(proposed.answer.is_ok() && !proposed.replayed);
    assert_eq!(stopping.proposals.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_leader_that_is_none_any_more_leads_to_the_next_one_whomever_it_names() {
    for manner in [Manner::Well, Manner::NamesItself] {
        let mut cluster = cluster(manner).await;
        assert!(cluster.link.finds_leader(by()).await);
        cluster.leader.store(2, Ordering::Relaxed);
        let command = create_identity(&mut cluster.entropy, None);
        assert!(cluster.link.propose(&command, by()).await.unwrap().answer.is_ok(), "{manner:?}");
        assert_eq!(cluster.proposals.load(Ordering::Relaxed), 1);
    }
}

#[tokio::test]
async fn a_region_that_is_late_is_waited_for_and_then_told_as_late() {
    let cluster = cluster(Manner::Well).await;
    let revision = cluster.registry.state().revision();
    let barrier =
        Barrier { revision, bound: latchkey_domain::DurationMillis::from_secs(5), wait: Duration::from_millis(300) };
    cluster.registry.set_waiting(true);
    let began = Instant::now();
    let late = cluster.link.confirm(barrier, by()).await.unwrap();
    assert_eq!((late.len(), late[1].status.unwrap().state()), (2, State::Waiting));
    assert!(began.elapsed() > Duration::from_millis(150), "it was waited for");

    cluster.registry.set_waiting(false);
    let settled = cluster.link.confirm(Barrier { wait: Duration::from_secs(60), ..barrier }, by()).await.unwrap();
    assert!(settled.iter().all(|one| one.status.unwrap().state() == State::Applied));
}

#[tokio::test]
async fn whoever_is_revoked_through_a_link_is_not_believed_by_it_any_more() {
    let mut cluster = cluster(Manner::Well).await;
    let root = cluster.link.authenticate(cluster.root.expose(), None, by()).await.unwrap();
    let revoke = latchkey_state::RevokeKey {
        key: root.key.clone(),
        version: None,
        reason: latchkey_domain::RevocationReason::Compromised,
        text: latchkey_domain::ReasonText::default(),
        grace: latchkey_domain::DurationMillis::ZERO,
        etag: None,
    };
    let command = Command::new(root.actor(), draw(&mut cluster.entropy), Operation::RevokeKey(revoke));
    assert!(cluster.link.propose(&command, by()).await.unwrap().answer.is_ok());
    let status = cluster.link.authenticate(cluster.root.expose(), None, by()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn without_a_leader_a_write_is_unavailable_when_its_time_is_over() {
    let mut cluster = cluster(Manner::Well).await;
    cluster.registry.set_unavailable(true);
    let command = create_identity(&mut cluster.entropy, None);
    let began = Instant::now();
    let status = cluster.link.propose(&command, began + Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(began.elapsed() < Duration::from_secs(30), "it does not hang");
}

#[tokio::test]
async fn whoever_has_another_secret_is_told_nothing() {
    let cluster = cluster(Manner::Well).await;
    let folder = tempfile::tempdir().unwrap();
    let other = ClusterSecret::generate(&folder.path().join("secret"), &mut Seeded(99)).unwrap();
    let stranger = Link::new(&cluster.addresses, &Dialer::plain(), &other.into());
    let status = stranger.cluster(Instant::now() + Duration::from_millis(50)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
}

#[tokio::test]
async fn a_replica_that_moved_since_it_was_admitted_hands_over_what_it_observed() {
    let cluster = cluster(Manner::Well).await;
    assert!(cluster.link.finds_leader(by()).await);
    let address = cluster.addresses[0].to_string();
    let moved = ObservingReplica { node: NodeId(3), region: String::new(), address };
    assert_eq!(cluster.link.take(&moved, 0, 0, by()).await.unwrap().node_id, 3);
}
