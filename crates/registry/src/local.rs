//! The registry as the handlers in its own process ask for it: the same interface that `link` serves over gRPC.

use crate::observed::ManagementUse;
use crate::propose::ProposeError;
use crate::registry::Registry;
use crate::registry_service::{confirm, follow, propose_status, told};
use latchkey_decision::{Ground, NotIdentified, authenticate_noting};
use latchkey_domain::{ClusterId, KeyspaceName, Sequence, UnixMillis, VersionId};
use latchkey_link::evidence::Gathered;
use latchkey_link::query::{self, answer};
use latchkey_link::{Barrier, FollowItem, Following, ProvenIdentity, Query, Selected};
use latchkey_state::{Command, State};
use latchkey_transport::{Rejection, Unavailable, status};
use latchkey_wire::applied::{Proposed, read_applied};
use latchkey_wire::disk::write_command;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::list_query::Collection;
use latchkey_wire::request::Consistency;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::{Code, Request, Status};

impl latchkey_link::Registry for Registry {
    async fn cluster(&self, _: Instant) -> Result<ClusterId, Status> {
        Ok(self.core().cluster())
    }

    async fn propose(&self, command: &Command, by: Instant) -> Result<Proposed, Status> {
        let applied = match Self::propose(self, command.clone(), left(by)).await {
            Ok(applied) => told(self, &applied),
            Err(ProposeError::Elsewhere(leader, member)) => {
                let request = pb::ProposeRequest {
                    target: Some(self.peers().target(leader)),
                    command: Some(write_command(command)),
                };
                let mut client = self.peers().registry(leader, &member);
                let answer = client.propose(timed(request, by)).await?.into_inner();
                answer.applied.ok_or_else(|| status::bug("a proposal was answered with nothing"))?
            }
            Err(error) => return Err(propose_status(self, &error)),
        };
        read_applied(applied).map_err(|error| status::bug(&error.to_string()))
    }

    async fn query(&self, query: Query, consistency: Consistency, by: Instant) -> Result<pb::QueryResponse, Status> {
        self.answer(query, consistency, left(by)).await
    }

    async fn select(&self, keyspace: &KeyspaceName, filter: &str, by: Instant) -> Result<Selected, Status> {
        self.select_keys(keyspace.to_string(), filter.to_owned(), Consistency::FullyConsistent, left(by)).await
    }

    async fn follow(&self, from: Sequence, _: Instant) -> Result<Following, Status> {
        let items = follow(self.clone(), from.0).map(|message| message.and_then(FollowItem::read));
        Ok(Box::pin(items))
    }

    async fn evidence(&self, versions: &[VersionId], curves: bool, by: Instant) -> Result<Gathered, Status> {
        let answer = self.evidence_of_all(versions, curves, left(by)).await?;
        Ok(Gathered::read(&answer, versions.len()))
    }

    async fn confirm(&self, barrier: Barrier, by: Instant) -> Result<Vec<pb::ReplicaConfirmation>, Status> {
        // A leader that is lost meanwhile does not cost the caller what the next one knows.
        let ends = Instant::now() + barrier.wait.min(left(by));
        loop {
            match self.confirm_once(&barrier, left(ends), by).await {
                Ok(replicas) => return Ok(replicas),
                Err(status) if status.code() == Code::Unavailable && left(ends) > CONFIRM_PAUSE => {
                    tracing::debug!(code = %status.code(), "nobody confirms a write yet");
                    tokio::time::sleep(CONFIRM_PAUSE).await;
                }
                Err(status) => return Err(status),
            }
        }
    }

    async fn authenticate(&self, key_text: &str, client: Option<IpAddr>, _: Instant) -> Result<ProvenIdentity, Status> {
        let answer = authenticate(self, key_text, client)?;
        ProvenIdentity::read(&answer).map_err(status::bug)
    }
}

/// Between two times of asking who leads what each replica knows.
const CONFIRM_PAUSE: Duration = Duration::from_millis(100);

impl Registry {
    /// Asks the leader, which may be this replica, how everyone stands towards a revision.
    async fn confirm_once(
        &self,
        barrier: &Barrier,
        wait: Duration,
        by: Instant,
    ) -> Result<Vec<pb::ReplicaConfirmation>, Status> {
        match confirm(self, barrier.revision, barrier.bound, wait).await {
            Ok(replicas) => Ok(replicas),
            Err(ProposeError::Elsewhere(leader, member)) => {
                let request = pb::ConfirmRequest {
                    target: Some(self.peers().target(leader)),
                    revision: Some(barrier.revision.into()),
                    bound_ms: barrier.bound.millis(),
                    timeout_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
                };
                let mut client = self.peers().registry(leader, &member);
                Ok(client.confirm(timed(request, by)).await?.into_inner().replicas)
            }
            Err(error) => Err(propose_status(self, &error)),
        }
    }

    /// Answers a query from a state that is as recent as asked.
    pub(crate) async fn answer(
        &self,
        query: Query,
        consistency: Consistency,
        within: Duration,
    ) -> Result<pb::QueryResponse, Status> {
        let view = self.reader().view(consistency, within).await?;
        let (now, revision) = (view.now(), Some(view.state().revision().into()));
        let looks_at_many = match &query {
            Query::List(list) => {
                matches!(list.collection(), Collection::Keys | Collection::Rotations | Collection::DueRotations)
            }
            Query::Reach(_) | Query::Rehearsal(_) | Query::Driving(_) => true,
            _ => false,
        };
        let answer = if looks_at_many {
            from_a_copy(view.state(), now, move |state, now| answer(state, now, &query)).await?
        } else {
            answer(view.state(), now, &query)?
        };
        Ok(pb::QueryResponse { revision, answer: Some(answer) })
    }

    /// Selects from a state that is as recent as asked.
    pub(crate) async fn select_keys(
        &self,
        keyspace: String,
        filter: String,
        consistency: Consistency,
        within: Duration,
    ) -> Result<Selected, Status> {
        let view = self.reader().view(consistency, within).await?;
        let select = move |state: &State, now| query::select(state, now, &keyspace, &filter);
        from_a_copy(view.state(), view.now(), select).await
    }
}

/// Asks a copy of the state on a thread that may take its time: raft's heartbeats must not wait for a listing.
async fn from_a_copy<T: Send + 'static>(
    state: &State,
    now: UnixMillis,
    ask: impl FnOnce(&State, UnixMillis) -> Result<T, Status> + Send + 'static,
) -> Result<T, Status> {
    let state = state.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&state, now)).await;
    asked.unwrap_or_else(|error| Err(status::bug(&error.to_string())))
}

/// Tells whose management key this is, from the state of this replica.
pub(crate) fn authenticate(
    registry: &Registry,
    key_text: &str,
    client: Option<IpAddr>,
) -> Result<pb::AuthenticateResponse, Status> {
    let view = registry.reader().now()?;
    let ground = Ground { state: view.state(), peppers: view.peppers(), now: view.now(), denials: view.denials() };
    let age = view.age().map_err(Unavailable::into_status)?;
    let mut uses = ManagementUse::of(registry, ground.now, client);
    let identified = authenticate_noting(key_text, client, ground, age, |found| uses.note(found));
    uses.tell(&identified);
    match identified {
        Ok(identified) => Ok(pb::AuthenticateResponse {
            identity: identified.name().to_string(),
            grants: identified.grants().iter().map(Into::into).collect(),
            revision: Some(view.state().revision().into()),
            key: identified.key_name().to_string(),
        }),
        Err(NotIdentified::Unknown) => Err(Rejection::IdentityUnknown.into()),
        Err(NotIdentified::Undecided(latchkey_decision::Undecided::Stale(stale))) => {
            Err(Unavailable::NotFresh { age: stale.age, bound: stale.bound }.into_status())
        }
        Err(NotIdentified::Undecided(_)) => Err(Unavailable::Locked.into_status()),
    }
}

fn left(by: Instant) -> Duration {
    by.saturating_duration_since(Instant::now())
}

fn timed<T>(message: T, by: Instant) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(left(by));
    request
}
