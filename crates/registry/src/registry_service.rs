//! `latchkey.internal.v1.RegistryService`: the replicated state for the services that hold none of it.

use crate::barrier::Confirmed;
use crate::core::Condition;
use crate::evidence::read_versions;
use crate::holdings::read_holding;
use crate::leadership::Report;
use crate::ledger::Standing;
use crate::membership::write_roster;
use crate::outbox::OutboxError;
use crate::propose::ProposeError;
use crate::registry::Registry;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{DurationMillis, KeyId, NodeId, Refusal, Revision, UnixMillis};
use latchkey_state::{Applied, HashedAt, Operation, StateHash};
use latchkey_storage::StoreError;
use latchkey_transport::{Deadline, Rejection, Unavailable, status};
use latchkey_wire::applied::write_applied;
use latchkey_wire::disk::read_command;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::registry_service_server::RegistryService;
use latchkey_wire::pb::v1;
use latchkey_wire::request::read_consistency;
use latchkey_wire::time::write_time;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use tracing::warn;

/// How long a call may take that brought no deadline.
const WITHIN_DEFAULT: Duration = Duration::from_secs(5);

/// Ids in one message of a selection.
const IDS_PER_MESSAGE: usize = 1_000;

/// Messages of one follower on their way.
const FOLLOW_PENDING_MAX: usize = 64;

/// How long a barrier is waited for at most, whatever was asked.
const CONFIRM_MAX: Duration = Duration::from_secs(60);

/// How often a follower hears that nothing happened.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// The registry's face to other processes.
#[derive(Clone)]
pub struct RegistryFace {
    registry: Registry,
}

impl RegistryFace {
    pub(crate) const fn new(registry: Registry) -> Self {
        Self { registry }
    }

    fn check(&self, target: Option<&pb::Target>) -> Result<(), Status> {
        let node = self.registry.node();
        if self.registry.peers().is_meant_for(target, node) {
            return Ok(());
        }
        Err(Rejection::WrongTarget { node: node.0 }.into())
    }
}

/// How much time a call has left.
fn within<T>(request: &Request<T>) -> Duration {
    request.extensions().get::<Deadline>().map_or(WITHIN_DEFAULT, Deadline::remaining)
}

/// What a failed proposal is to a caller. Who leads instead is found by `Introduce`.
pub(crate) fn propose_status(registry: &Registry, error: &ProposeError) -> Status {
    match error {
        ProposeError::Unavailable(unavailable) => unavailable.into_status(),
        ProposeError::Elsewhere(..) => Unavailable::NoLeader { node: Some(registry.node()) }.into_status(),
        ProposeError::Unknown => status::deadline_exceeded(),
    }
}

/// What became of a command, with the names of the state after it.
pub(crate) fn told(registry: &Registry, applied: &Applied) -> pb::Applied {
    let state = registry.core().state();
    write_applied(&state, state.clock(), applied)
}

#[tonic::async_trait]
impl RegistryService for RegistryFace {
    async fn introduce(&self, _: Request<pb::IntroduceRequest>) -> Result<Response<pb::IntroduceResponse>, Status> {
        let core = self.registry.core();
        Ok(Response::new(pb::IntroduceResponse {
            cluster_id: core.cluster().0.to_vec(),
            epoch: core.epoch(),
            node_id: core.node().0,
            leader: self.registry.status().leader.map(|leader| leader.0),
        }))
    }

    async fn propose(&self, request: Request<pb::ProposeRequest>) -> Result<Response<pb::ProposeResponse>, Status> {
        let left = within(&request);
        let (_, extensions, request) = request.into_parts();
        self.check(request.target.as_ref())?;
        let command = request.command.as_ref().ok_or_else(|| Status::invalid_argument("expected a command"))?;
        let command = read_command(command).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let tells = matches!(command.operation, Operation::SetNodeKey { .. } | Operation::RecordKeptBackups { .. });
        if command.is_of_replica() && !tells {
            // Only the leader itself asks for these, in its own process; each replica tells its own key and its own backups.
            return Err(Rejection::NotServedHere.into());
        }
        self.registry.peers().check_actor(&extensions, &command.actor)?;
        let applied = self.registry.propose(command, left).await;
        let applied = applied.map_err(|error| propose_status(&self.registry, &error))?;
        Ok(Response::new(pb::ProposeResponse { applied: Some(told(&self.registry, &applied)) }))
    }

    async fn query(&self, request: Request<pb::QueryRequest>) -> Result<Response<pb::QueryResponse>, Status> {
        let left = within(&request);
        let request = request.into_inner();
        self.check(request.target.as_ref())?;
        let consistency = read_consistency(request.consistency.as_ref())
            .map_err(|violations| Status::from(Rejection::FieldsInvalid(violations)))?;
        let query = request.query.ok_or_else(|| Status::invalid_argument("expected a query"))?;
        self.registry.answer(query, consistency, left).await.map(Response::new)
    }

    type SelectStream = tokio_stream::Iter<std::vec::IntoIter<Result<pb::SelectResponse, Status>>>;

    async fn select(&self, request: Request<pb::SelectRequest>) -> Result<Response<Self::SelectStream>, Status> {
        let left = within(&request);
        let request = request.into_inner();
        self.check(request.target.as_ref())?;
        let consistency = read_consistency(request.consistency.as_ref())
            .map_err(|violations| Status::from(Rejection::FieldsInvalid(violations)))?;
        let selected = self.registry.select_keys(request.keyspace, request.filter, consistency, left).await?;
        let message = |keys: &[KeyId]| pb::SelectResponse {
            revision: Some(selected.revision.into()),
            key_ids: keys.iter().map(|key| key.bytes().to_vec()).collect(),
            bound_ms: selected.bound.millis(),
        };
        let mut messages: Vec<_> = selected.keys.chunks(IDS_PER_MESSAGE).map(|keys| Ok(message(keys))).collect();
        if messages.is_empty() {
            messages.push(Ok(message(&[])));
        }
        Ok(Response::new(tokio_stream::iter(messages)))
    }

    type FollowStream = ReceiverStream<Result<pb::FollowResponse, Status>>;

    async fn follow(&self, request: Request<pb::FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        let request = request.into_inner();
        self.check(request.target.as_ref())?;
        Ok(Response::new(follow(self.registry.clone(), request.from_sequence)))
    }

    async fn renew_lease(
        &self,
        request: Request<pb::RenewLeaseRequest>,
    ) -> Result<Response<pb::RenewLeaseResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        self.check(request.target.as_ref())?;
        self.registry.peers().check_sender(&extensions, NodeId(request.node_id))?;
        let hashed = request.hashed.as_ref().and_then(|hashed| {
            let hash = <[u8; 32]>::try_from(&hashed.hash[..]).ok()?;
            let revision = hashed.revision?;
            Some(HashedAt { revision: revision.into(), hash: StateHash::from_bytes(&hash) })
        });
        let report = Report {
            replica: NodeId(request.node_id),
            incarnation: request.incarnation,
            published: request.published.map(|revision| revision.index),
            clock: UnixMillis::new(request.clock_unix_ms),
            hashed,
            state: request.state,
            // A build that does not say knows what the first release knew.
            feature_level: request.feature_level_newest.max(1),
            holding: request.holding.as_ref().map(|holding| Arc::new(read_holding(holding))),
        };
        let (granted, differs) = self.registry.renewal().grant(report).await.map_err(Unavailable::into_status)?;
        let state = self.registry.core().state();
        Ok(Response::new(pb::RenewLeaseResponse {
            term: granted.term,
            read_index: granted.read_index,
            now_unix_ms: granted.time.millis(),
            lease_ms: state.cluster().map_or(0, |cluster| cluster.staleness_default.millis()),
            clock_offset_ms: granted.clock_offset_ms,
            differs,
        }))
    }

    async fn confirm(&self, request: Request<pb::ConfirmRequest>) -> Result<Response<pb::ConfirmResponse>, Status> {
        let left = within(&request);
        let request = request.into_inner();
        self.check(request.target.as_ref())?;
        let revision: Revision =
            request.revision.ok_or_else(|| Status::invalid_argument("expected a revision"))?.into();
        let current = self.registry.core().epoch();
        if revision.epoch != current {
            return Err(status::refused(&Refusal::EpochChanged { given: revision.epoch, current }));
        }
        let wait = Duration::from_millis(request.timeout_ms).min(left).min(CONFIRM_MAX);
        let replicas = confirm(&self.registry, revision, DurationMillis::new(request.bound_ms), wait)
            .await
            .map_err(|error| propose_status(&self.registry, &error))?;
        Ok(Response::new(pb::ConfirmResponse { replicas }))
    }

    async fn roster(&self, request: Request<pb::RosterRequest>) -> Result<Response<pb::RosterResponse>, Status> {
        self.check(request.get_ref().target.as_ref())?;
        let no_leader = Unavailable::NoLeader { node: Some(self.registry.node()) };
        let roster = self.registry.own_roster().ok_or(no_leader)?;
        Ok(Response::new(write_roster(roster)))
    }

    async fn recall(&self, request: Request<pb::RecallRequest>) -> Result<Response<pb::RecallResponse>, Status> {
        let request = request.into_inner();
        self.check(request.target.as_ref())?;
        Ok(Response::new(pb::RecallResponse { removed: self.registry.was_removed(NodeId(request.node_id)) }))
    }

    async fn stand_for_election(
        &self,
        request: Request<pb::StandForElectionRequest>,
    ) -> Result<Response<pb::StandForElectionResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        self.check(request.target.as_ref())?;
        self.registry.peers().check_replica(&extensions)?;
        self.registry.stand_for_election(request.term).await?;
        Ok(Response::new(pb::StandForElectionResponse {}))
    }

    async fn evidence(&self, request: Request<pb::EvidenceRequest>) -> Result<Response<pb::EvidenceResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        self.check(request.target.as_ref())?;
        self.registry.peers().check_replica(&extensions)?;
        let versions = read_versions(&request.version_ids)?;
        Ok(Response::new(self.registry.own_evidence().answer(self.registry.node().0, &versions, request.curves)))
    }

    async fn gather_evidence(
        &self,
        request: Request<pb::GatherEvidenceRequest>,
    ) -> Result<Response<pb::GatherEvidenceResponse>, Status> {
        let left = within(&request);
        let (_, extensions, request) = request.into_parts();
        self.check(request.target.as_ref())?;
        self.registry.peers().check_rotates(&extensions)?;
        self.registry.answer_gathering(&request, left).await.map(Response::new)
    }

    async fn take_observations(
        &self,
        request: Request<pb::TakeObservationsRequest>,
    ) -> Result<Response<pb::TakeObservationsResponse>, Status> {
        let (_, extensions, request) = request.into_parts();
        self.check(request.target.as_ref())?;
        self.registry.peers().check_audits(&extensions)?;
        let registry = self.registry.clone();
        // A batch is some milliseconds of work.
        let taken = move || registry.take_observations(request.incarnation, request.acknowledged);
        let taken = tokio::task::spawn_blocking(taken).await;
        taken.map(Response::new).map_err(|error| status::bug(&error.to_string()))
    }

    async fn cosign(&self, request: Request<pb::CosignRequest>) -> Result<Response<pb::CosignResponse>, Status> {
        let left = within(&request);
        let (_, extensions, request) = request.into_parts();
        self.check(request.target.as_ref())?;
        self.registry.peers().check_audits(&extensions)?;
        self.registry.cosign(&request, left).await.map(Response::new)
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::AuthenticateResponse>, Status> {
        let request = request.into_inner();
        self.check(request.target.as_ref())?;
        let client = request.client_ip.parse().ok();
        let answer = crate::local::authenticate(&self.registry, &request.key_text, client)?;
        Ok(Response::new(answer))
    }
}

/// The entries from `from` on, for as long as somebody listens.
pub(crate) fn follow(registry: Registry, from: u64) -> ReceiverStream<Result<pb::FollowResponse, Status>> {
    let (messages, stream) = mpsc::channel(FOLLOW_PENDING_MAX);
    // Owned by the stream: it ends when the follower goes away.
    tokio::spawn(async move {
        if let Err(error) = send_entries(&registry, from, &messages).await {
            drop(messages.send(Err(error)).await);
        }
    });
    ReceiverStream::new(stream)
}

async fn send_entries(
    registry: &Registry,
    from: u64,
    messages: &mpsc::Sender<Result<pb::FollowResponse, Status>>,
) -> Result<(), Status> {
    use pb::follow_response::Item;
    let core = registry.core();
    if !core.loaded().await {
        return Err(Unavailable::Fenced.into());
    }
    let (mut next, tree) = (from, core.outbox.tree());
    let mut sequences = core.outbox.watch();
    loop {
        sequences.borrow_and_update();
        // One that differs from the others must not feed what it has to the audit.
        if core.condition() == Condition::Fenced {
            return Err(Unavailable::Fenced.into());
        }
        let events = core.read_entries(next).await.map_err(|error| match error {
            OutboxError::Gone { .. } => Status::failed_precondition(error.to_string()),
            // A snapshot was installed, and its rows are on their way to the tables.
            OutboxError::Store(StoreError::RowsSuperseded { .. }) => Unavailable::Starting.into(),
            OutboxError::Store(_) | OutboxError::Unseal(_) => {
                warn!(error = crate::state_machine::chain(&error), "the outbox cannot be read");
                status::bug("the outbox cannot be read")
            }
        })?;
        if core.outbox.tree() != tree {
            // Another log began, with the same sequences: what was read may be of either.
            return Err(Unavailable::Starting.into());
        }
        let idle = events.is_empty();
        for event in events {
            next = event.sequence + 1;
            if planted::is(Plant::GapInFollow) && next.is_multiple_of(7) {
                continue;
            }
            let trace = event.revision.and_then(|revision| core.traces.find(revision.index));
            let trace_parent = trace.map_or_else(Default::default, |trace| trace.to_bytes().to_vec());
            let item = Some(Item::Event(event));
            if messages.send(Ok(pb::FollowResponse { item, trace_parent })).await.is_err() {
                return Ok(());
            }
        }
        if idle {
            let revision = Some(core.state().revision().into());
            let item = Some(Item::Progress(pb::Progress { next_sequence: next, revision }));
            let message = pb::FollowResponse { item, ..pb::FollowResponse::default() };
            if messages.send(Ok(message)).await.is_err() {
                return Ok(());
            }
            // A follower that went away must not keep a replica, and with it the folder, that is to stop.
            tokio::select! {
                () = messages.closed() => return Ok(()),
                _ = tokio::time::timeout(PROGRESS_INTERVAL, sequences.changed()) => {}
            }
        }
    }
}

/// The barrier's answer as it travels, ordered by region and id.
pub(crate) async fn confirm(
    registry: &Registry,
    revision: Revision,
    bound: DurationMillis,
    wait: Duration,
) -> Result<Vec<pb::ReplicaConfirmation>, ProposeError> {
    let standings = registry.confirm(revision.index, bound, wait).await?;
    let (boot, now) = {
        let core = registry.core();
        (core.clock.boottime_millis(), core.clock.unix_millis())
    };
    let mut replicas: Vec<_> = standings.into_iter().map(|one| confirmation(&one, boot, now)).collect();
    let place =
        |one: &pb::ReplicaConfirmation| (one.region.clone(), one.status.as_ref().map_or(0, |status| status.replica));
    replicas.sort_by_key(place);
    Ok(replicas)
}

fn confirmation(confirmed: &Confirmed, boot_ms: u64, now: UnixMillis) -> pb::ReplicaConfirmation {
    use v1::replica_status::State;
    let Confirmed { replica, standing, incarnation, seen_ms } = confirmed;
    let seen = UnixMillis::new(now.millis().saturating_sub(boot_ms.saturating_sub(*seen_ms)));
    let (state, time) = match standing {
        Standing::Applied => (State::Applied, seen),
        Standing::LeaseEnded => (State::LeaseEnded, seen),
        Standing::Waiting { until_ms } => {
            (State::Waiting, now.plus(DurationMillis::new(until_ms.saturating_sub(boot_ms))))
        }
    };
    pb::ReplicaConfirmation {
        region: replica.member.region.clone(),
        status: Some(v1::ReplicaStatus { replica: replica.node.0, state: state.into(), time: Some(write_time(time)) }),
        incarnation: incarnation.unwrap_or(0),
    }
}
