//! [`Registry`] over gRPC: finds the leader, tries again while that is safe and there is time.

use crate::backoff::Backoff;
use crate::evidence::Gathered;
use crate::identities::{Identities, fingerprint};
use crate::judgement::{Judgement, judge};
use crate::observing::Ways;
use crate::replicas::{Client, Reached, Replicas};
use crate::{Barrier, FollowItem, Following, ProvenIdentity, Query, Registry, Selected};
use latchkey_domain::{ClusterId, KeyspaceName, NodeId, Revision, Sequence, VersionId};
use latchkey_state::{Command, Operation};
use latchkey_telemetry::{span, trace};
use latchkey_transport::{Dialer, Proof, Unavailable, status};
use latchkey_wire::applied::{Proposed, read_applied};
use latchkey_wire::disk::write_command;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::v1::ErrorReason;
use latchkey_wire::pb::v1::replica_status::State as Known;
use latchkey_wire::request::Consistency;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tokio_stream::StreamExt as _;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use tonic_types::StatusExt as _;
use tracing::Instrument as _;

/// How long one replica may take before another is asked, where asking twice is harmless. Longer than a commit over an
/// ocean, shorter than an election.
const TRY_MAX: Duration = Duration::from_secs(1);

/// How long a replica may take to select keys: it looks at each of a keyspace, and sends what it found.
const SELECT_MAX: Duration = Duration::from_secs(30);

/// Kept back of a turn of waiting, so that the leader's answer is here before we ask the next one.
const ANSWER_MARGIN: Duration = Duration::from_millis(200);

/// As telemetry names what is asked.
const PROPOSE: &str = "latchkey.internal.v1.RegistryService/Propose";
const CONFIRM: &str = "latchkey.internal.v1.RegistryService/Confirm";

/// A registry that is reached over gRPC. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Link {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    replicas: Replicas,
    ways: Ways,
    identities: Identities,
    /// The newest revision that this process was told: reads are at least as fresh, so that a caller reads his writes.
    seen: Mutex<Revision>,
}

/// Whether a call may be carried out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeat {
    Harmless,
    Harmful,
}

impl Link {
    /// To the replicas at these addresses, texts such as `replica-1.example:7720`. Connects with the first call.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item: Display>, dialer: &Dialer, proof: &Proof) -> Self {
        let shared = Shared {
            replicas: Replicas::new(addresses, dialer, proof),
            ways: Ways::new(dialer.clone(), proof.clone()),
            identities: Identities::default(),
            seen: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Asks the replicas who leads: what the probe `latchkey.write` tells.
    pub async fn finds_leader(&self, by: Instant) -> bool {
        let replicas = &self.shared.replicas;
        replicas.introduce(replicas.round(), by).await;
        replicas.leader().is_some()
    }

    /// The replicas as the leader knows them.
    pub(crate) async fn roster(&self, by: Instant) -> Result<pb::RosterResponse, Status> {
        self.ask_leader(Repeat::Harmless, by, |leader, left| {
            let Reached { mut client, target } = leader;
            async move { client.roster(timed(pb::RosterRequest { target: Some(target) }, left)).await }
        })
        .await
    }

    pub(crate) fn ways(&self) -> &Ways {
        &self.shared.ways
    }

    /// The way to a replica that was configured, once it has said who it is.
    pub(crate) fn known(&self, node: NodeId) -> Option<Client> {
        self.shared.replicas.known(node)
    }

    /// For whom a call of one replica is meant; absent: nobody has said yet which cluster this is.
    pub(crate) fn target(&self, node: NodeId) -> Option<pb::Target> {
        self.shared.replicas.target(node)
    }

    /// Calls the leader until it answers, the answer is final, or the time is over.
    async fn ask_leader<A, T>(
        &self,
        repeat: Repeat,
        by: Instant,
        call: impl Fn(Reached, Duration) -> A,
    ) -> Result<T, Status>
    where
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let replicas = &self.shared.replicas;
        let (mut backoff, mut last) = (Backoff::new(), None);
        loop {
            let round = replicas.round();
            let mut introduce = true;
            if let Some(leader) = replicas.leader() {
                let asked = NodeId(leader.target.node_id);
                let until = match repeat {
                    Repeat::Harmless => by.min(Instant::now() + TRY_MAX),
                    Repeat::Harmful => by,
                };
                match one_try(until, |left| call(leader, left)).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) => {
                        match judge(&error) {
                            Judgement::Final => return Err(error),
                            Judgement::Unknown if repeat == Repeat::Harmful => return Err(outcome_unknown(&error)),
                            Judgement::Unknown => {}
                            // Some name the leader, some only themselves.
                            Judgement::NotDone { named: Some(node), .. } if node != asked => {
                                replicas.leads(node);
                                introduce = false;
                            }
                            Judgement::NotDone { introduce: stale, .. } => introduce = stale,
                        }
                        last = Some(error);
                    }
                }
            }
            if introduce {
                replicas.introduce(round, by).await;
                if last.is_none() && replicas.leader().is_some() {
                    continue;
                }
            }
            if !backoff.pause(by).await {
                return Err(unavailable(last));
            }
        }
    }

    /// Calls one replica after the other, the leader first, until one answers, an answer is final, or the time is over.
    async fn ask_any<A, T>(&self, by: Instant, call: impl Fn(Reached, Duration) -> A) -> Result<T, Status>
    where
        A: Future<Output = Result<Response<T>, Status>>,
    {
        self.ask_any_for(TRY_MAX, by, call).await
    }

    /// As [`Self::ask_any`], where one replica may take longer.
    async fn ask_any_for<A, T>(
        &self,
        try_max: Duration,
        by: Instant,
        call: impl Fn(Reached, Duration) -> A,
    ) -> Result<T, Status>
    where
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let replicas = &self.shared.replicas;
        let (mut backoff, mut last) = (Backoff::new(), None);
        loop {
            let round = replicas.round();
            for reader in replicas.readers() {
                match one_try(by.min(Instant::now() + try_max), |left| call(reader, left)).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if judge(&error) == Judgement::Final => return Err(error),
                    Err(error) => last = Some(error),
                }
            }
            replicas.introduce(round, by).await;
            if round == 0 && !replicas.readers().is_empty() {
                continue;
            }
            if !backoff.pause(by).await {
                return Err(unavailable(last));
            }
        }
    }

    fn saw(&self, revision: Revision) {
        let mut seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = revision.max(*seen);
    }

    fn seen(&self) -> Revision {
        *self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for one turn at most, and for as long as there is to wait.
    async fn confirm_once(
        &self,
        barrier: Barrier,
        ends: Instant,
        by: Instant,
    ) -> Result<Vec<pb::ReplicaConfirmation>, Status> {
        let answer = self.ask_leader(Repeat::Harmless, by, |leader, left| {
            let Reached { mut client, target } = leader;
            let wait = ends.saturating_duration_since(Instant::now()).min(left.saturating_sub(ANSWER_MARGIN));
            let request = pb::ConfirmRequest {
                target: Some(target),
                revision: Some(barrier.revision.into()),
                bound_ms: barrier.bound.millis(),
                timeout_ms: u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            };
            let span = span!("confirm", otel.kind = "client", rpc.method = CONFIRM, rpc.system.name = "grpc");
            async move { client.confirm(timed(request, left)).await }.instrument(span)
        });
        Ok(answer.await?.replicas)
    }

    async fn query_once(
        &self,
        query: &Query,
        consistency: Consistency,
        by: Instant,
    ) -> Result<pb::QueryResponse, Status> {
        self.ask_any(by, |reader, left| {
            let Reached { mut client, target } = reader;
            let consistency = Some(consistency.into());
            let request = pb::QueryRequest { target: Some(target), consistency, query: Some(query.clone()) };
            async move { client.query(timed(request, left)).await }
        })
        .await
    }
}

impl Registry for Link {
    async fn cluster(&self, by: Instant) -> Result<ClusterId, Status> {
        let replicas = &self.shared.replicas;
        let mut backoff = Backoff::new();
        loop {
            if let Some(cluster) = replicas.cluster() {
                return Ok(cluster);
            }
            replicas.introduce(replicas.round(), by).await;
            if replicas.cluster().is_none() && !backoff.pause(by).await {
                return Err(unavailable(None));
            }
        }
    }

    async fn propose(&self, command: &Command, by: Instant) -> Result<Proposed, Status> {
        let ends_keys = command.operation.is_emergency();
        let (repeat, command) = (repeat_of(command), write_command(command));
        let answer = self.ask_leader(repeat, by, |leader, left| {
            let Reached { mut client, target } = leader;
            let request = pb::ProposeRequest { target: Some(target), command: Some(command.clone()) };
            let span = span!("propose", otel.kind = "client", rpc.method = PROPOSE, rpc.system.name = "grpc");
            // The request is made within the span, which the leader's then goes on with.
            async move { client.propose(timed(request, left)).await }.instrument(span)
        });
        let applied = answer.await?.applied.ok_or_else(|| status::bug("a proposal was answered with nothing"))?;
        let proposed = read_applied(applied).map_err(|error| status::bug(&error.to_string()))?;
        trace::note("latchkey.revision", || proposed.revision.to_string());
        self.saw(proposed.revision);
        if ends_keys {
            // Whoever was revoked here is not believed here any more, not even for the rest of the second.
            self.shared.identities.forget();
        }
        Ok(proposed)
    }

    async fn query(&self, query: Query, consistency: Consistency, by: Instant) -> Result<pb::QueryResponse, Status> {
        let seen = self.seen();
        let own = consistency == Consistency::MinimizeLatency && seen != Revision::default();
        let asked = if own { Consistency::AtLeastAsFresh(seen) } else { consistency };
        let mut answer = self.query_once(&query, asked, by).await;
        if own && answer.as_ref().is_err_and(|error| reason_is(error, ErrorReason::EpochChanged)) {
            // The cluster was recovered: what was seen before is no measure any more.
            *self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner) = Revision::default();
            answer = self.query_once(&query, consistency, by).await;
        }
        let answer = answer?;
        if let Some(revision) = answer.revision {
            self.saw(revision.into());
        }
        Ok(answer)
    }

    async fn confirm(&self, barrier: Barrier, by: Instant) -> Result<Vec<pb::ReplicaConfirmation>, Status> {
        let ends = (Instant::now() + barrier.wait).min(by);
        let (mut backoff, mut known) = (Backoff::new(), None);
        // In short turns, so that a leader that is lost while we wait does not cost us what the next one knows.
        loop {
            match self.confirm_once(barrier, ends, by).await {
                Ok(replicas) if replicas.iter().all(is_settled) => return Ok(replicas),
                Ok(replicas) => known = Some(replicas),
                Err(error) => return known.ok_or(error),
            }
            if !backoff.pause(ends).await {
                return Ok(known.unwrap_or_default());
            }
        }
    }

    async fn select(&self, keyspace: &KeyspaceName, filter: &str, by: Instant) -> Result<Selected, Status> {
        let answer = self.ask_any_for(SELECT_MAX, by, |reader, left| {
            let Reached { mut client, target } = reader;
            let request = pb::SelectRequest {
                target: Some(target),
                keyspace: keyspace.to_string(),
                filter: filter.to_owned(),
                consistency: Some(Consistency::FullyConsistent.into()),
            };
            async move {
                let mut messages = client.select(timed(request, left)).await?.into_inner();
                let mut selected = Selected::default();
                while let Some(message) = messages.message().await? {
                    selected.take(message)?;
                }
                Ok(Response::new(selected))
            }
        });
        let selected = answer.await?;
        self.saw(selected.revision);
        Ok(selected)
    }

    async fn evidence(&self, versions: &[VersionId], curves: bool, by: Instant) -> Result<Gathered, Status> {
        let version_ids: Vec<_> = versions.iter().map(|version| version.bytes().to_vec()).collect();
        let answer = self.ask_leader(Repeat::Harmless, by, |leader, left| {
            let Reached { mut client, target } = leader;
            let request = pb::GatherEvidenceRequest { target: Some(target), version_ids: version_ids.clone(), curves };
            async move { client.gather_evidence(timed(request, left)).await }
        });
        Ok(Gathered::read(&answer.await?, versions.len()))
    }

    async fn follow(&self, from: Sequence, by: Instant) -> Result<Following, Status> {
        let messages = self.ask_any(by, |reader, _| {
            let Reached { mut client, target } = reader;
            // Without a deadline, which would be one for the whole stream.
            let request = pb::FollowRequest { target: Some(target), from_sequence: from.0 };
            async move { client.follow(request).await }
        });
        let items = messages.await?.map(|message| message.and_then(FollowItem::read));
        Ok(Box::pin(items))
    }

    async fn authenticate(
        &self,
        key_text: &str,
        client: Option<IpAddr>,
        by: Instant,
    ) -> Result<ProvenIdentity, Status> {
        let (fingerprint, asked) = (fingerprint(key_text, client), Instant::now());
        if let Some(identity) = self.shared.identities.find(&fingerprint, asked) {
            return Ok(identity);
        }
        let client_ip = client.map(|client| client.to_string()).unwrap_or_default();
        let answer = self.ask_any(by, |reader, left| {
            let Reached { mut client, target } = reader;
            let request = pb::AuthenticateRequest {
                target: Some(target),
                key_text: key_text.to_owned(),
                client_ip: client_ip.clone(),
            };
            async move { client.authenticate(timed(request, left)).await }
        });
        let identity = ProvenIdentity::read(&answer.await?).map_err(status::bug)?;
        self.shared.identities.keep(fingerprint, asked, &identity);
        Ok(identity)
    }
}

/// Calls once. What does not answer in time may have happened.
async fn one_try<A, T>(until: Instant, call: impl FnOnce(Duration) -> A) -> Result<T, Status>
where
    A: Future<Output = Result<Response<T>, Status>>,
{
    let left = until.saturating_duration_since(Instant::now());
    match timeout_at(until, call(left)).await {
        Ok(answer) => answer.map(Response::into_inner),
        Err(_) => Err(status::deadline_exceeded()),
    }
}

pub(crate) fn timed<T>(message: T, left: Duration) -> Request<T> {
    let mut request = traced(message);
    request.set_timeout(left);
    request
}

/// Carries the trace of the call at hand on.
fn traced<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let mut headers = std::mem::take(request.metadata_mut()).into_headers();
    trace::pass_on(&mut headers);
    *request.metadata_mut() = MetadataMap::from_headers(headers);
    request
}

/// What takes away, and what writes down how far somebody is, does nothing the second time, unless it asks for an etag,
/// which the first time changed.
fn repeat_of(command: &Command) -> Repeat {
    let idempotent = match &command.operation {
        Operation::RevokeKey(operation) => operation.etag.is_none(),
        Operation::SuspendKey(operation) => operation.etag.is_none(),
        Operation::ResumeKey(operation) => operation.etag.is_none(),
        Operation::StepRotation(operation) => operation.etag.is_none(),
        Operation::RevokeKeys(_) | Operation::Trim(_) => true,
        // A fence keeps out whoever drives no more, and what was done is passed over.
        Operation::ClaimRotations(_)
        | Operation::PlanRotations(_)
        | Operation::PrepareRotation(_)
        | Operation::AdvanceRotation(_)
        | Operation::GiveNotices(_)
        | Operation::GiveExpiryNotices(_) => true,
        _ => false,
    };
    if command.request.is_some() || idempotent { Repeat::Harmless } else { Repeat::Harmful }
}

/// Whether nothing more is to be waited for.
fn is_settled(replica: &pb::ReplicaConfirmation) -> bool {
    replica.status.is_some_and(|status| status.state() != Known::Waiting)
}

fn outcome_unknown(error: &Status) -> Status {
    tracing::warn!(code = %error.code(), message = error.message(), "the outcome of a write is unknown");
    status::deadline_exceeded()
}

/// The last error where it says why, else that nobody was found.
fn unavailable(last: Option<Status>) -> Status {
    match last {
        Some(error) if error.get_details_error_info().is_some() => error,
        Some(_) | None => Unavailable::NoLeader { node: None }.into(),
    }
}

fn reason_is(error: &Status, reason: ErrorReason) -> bool {
    error.get_details_error_info().is_some_and(|info| info.reason == reason.word())
}
