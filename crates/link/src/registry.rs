//! What a handler asks of the replicated state, wherever that is.

use crate::evidence::Gathered;
use crate::{Following, ProvenIdentity, Selected};
use latchkey_domain::{ClusterId, DurationMillis, KeyspaceName, Revision, Sequence, VersionId};
use latchkey_state::Command;
use latchkey_wire::applied::Proposed;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::request::Consistency;
use std::net::IpAddr;
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// What to read: one resource, one page, or what it takes to mint.
pub type Query = pb::query_request::Query;

/// What is waited for: that no replica decides on a state before a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// The revision that all must know.
    pub revision: Revision,
    /// How long a replica may answer after its lease began, for what is confirmed; zero: as long as for any keyspace.
    pub bound: DurationMillis,
    /// How long to wait; zero tells what is known.
    pub wait: Duration,
}

/// The replicated state, asked from a handler. Whoever implements it finds the leader by itself.
///
/// `by` is when the answer has to be there; beyond it the answer is `UNAVAILABLE` or `DEADLINE_EXCEEDED`. A refusal is
/// an answer and not an error. `testing::conformance::suite` is what every implementer must pass.
pub trait Registry: Send + Sync + 'static {
    /// Which cluster this is: part of the context of every ciphertext.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    fn cluster(&self, by: Instant) -> impl Future<Output = Result<ClusterId, Status>> + Send;

    /// Proposes a command and tells what became of it, once it is applied on the leader.
    ///
    /// # Errors
    /// `UNAVAILABLE` and `RESOURCE_EXHAUSTED`: nothing happened. `DEADLINE_EXCEEDED`: it may have happened.
    fn propose(&self, command: &Command, by: Instant) -> impl Future<Output = Result<Proposed, Status>> + Send;

    /// Reads from a state that knows all that this process was told before.
    ///
    /// # Errors
    /// `UNAVAILABLE`; `FAILED_PRECONDITION` for a revision of an older epoch.
    fn query(
        &self,
        query: Query,
        consistency: Consistency,
        by: Instant,
    ) -> impl Future<Output = Result<pb::QueryResponse, Status>> + Send;

    /// Waits until nobody decides on a state before a revision, or until the wait is over. Each replica whose lease may
    /// still run is in the answer, ordered by region and id.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    fn confirm(
        &self,
        barrier: Barrier,
        by: Instant,
    ) -> impl Future<Output = Result<Vec<pb::ReplicaConfirmation>, Status>> + Send;

    /// The ids of all keys of a keyspace that match a filter and are not dead, at one revision that knows all that was
    /// acknowledged before the call. The empty filter matches all.
    ///
    /// # Errors
    /// `NOT_FOUND`; `INVALID_ARGUMENT` for what is no filter; `UNAVAILABLE`.
    fn select(
        &self,
        keyspace: &KeyspaceName,
        filter: &str,
        by: Instant,
    ) -> impl Future<Output = Result<Selected, Status>> + Send;

    /// Asks all replicas what they have seen of the use of these versions, at most
    /// [`VERSIONS_PER_GATHERING`](crate::evidence::VERSIONS_PER_GATHERING). Who does not answer is named in what is
    /// gathered.
    ///
    /// # Errors
    /// `UNAVAILABLE` where there is no leader.
    fn evidence(
        &self,
        versions: &[VersionId],
        curves: bool,
        by: Instant,
    ) -> impl Future<Output = Result<Gathered, Status>> + Send;

    /// Follows the audit log from a sequence on. `by` is when the first answer has to be there; what follows has no end.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` where that event was trimmed; `UNAVAILABLE`. The same may come later, as an item.
    fn follow(&self, from: Sequence, by: Instant) -> impl Future<Output = Result<Following, Status>> + Send;

    /// Tells whose management key this is. The answer may be up to 1 s old.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` with reason `IDENTITY_UNKNOWN`; `UNAVAILABLE`.
    fn authenticate(
        &self,
        key_text: &str,
        client: Option<IpAddr>,
        by: Instant,
    ) -> impl Future<Output = Result<ProvenIdentity, Status>> + Send;
}
