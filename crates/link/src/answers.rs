//! Reading what the registry answered: a refusal becomes a status, and a resource of the wrong kind a bug.

use crate::{Query, Registry};
use latchkey_domain::{Duty, Grant, KeyName, Revision, Scope};
use latchkey_state::Command;
use latchkey_transport::status;
use latchkey_wire::applied::{Proposed, Told, read_applied};
use latchkey_wire::disk::write_command;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::pb::v1;
use latchkey_wire::refusal::read_refusal;
use latchkey_wire::request::Consistency;
use tokio::time::Instant;
use tonic::Status;

/// What a command was answered, where it was carried out.
///
/// # Errors
/// The status of its refusal.
pub fn told(proposed: Proposed) -> Result<(Told, Revision, bool), Status> {
    match proposed.answer {
        Ok(told) => Ok((told, proposed.revision, proposed.replayed)),
        Err(refusal) => Err(status::refused(&refusal)),
    }
}

/// An answer of a kind that was not asked for.
#[must_use]
pub fn unexpected(asked: &str) -> Status {
    status::bug(&format!("the registry answered {asked} with another kind"))
}

/// Reads, from a state that knows what this process was told.
///
/// # Errors
/// `UNAVAILABLE`, or the status of the refusal: what is not there is `NOT_FOUND`.
pub async fn read(registry: &impl Registry, query: Query, by: Instant) -> Result<(Answer, Revision), Status> {
    read_as(registry, query, Consistency::default(), by).await
}

/// As [`read`], from a state that is as recent as asked.
///
/// # Errors
/// As [`read`].
pub(crate) async fn read_as(
    registry: &impl Registry,
    query: Query,
    consistency: Consistency,
    by: Instant,
) -> Result<(Answer, Revision), Status> {
    let pb::QueryResponse { revision, answer } = registry.query(query, consistency, by).await?;
    let revision = revision.ok_or_else(|| status::bug("a query was answered without a revision"))?.into();
    match answer.ok_or_else(|| status::bug("a query was answered with nothing"))? {
        Answer::Refusal(refusal) => {
            let refusal = read_refusal(refusal).map_err(|error| status::bug(&error.to_string()))?;
            Err(status::refused(&refusal))
        }
        answer => Ok((answer, revision)),
    }
}

/// Tells what would become of a command, by the real state machine on a copy of the state: nothing changes. The revision
/// is that of the state.
///
/// # Errors
/// `UNAVAILABLE`, or the status of the refusal that it would meet.
pub async fn rehearse(registry: &impl Registry, command: &Command, by: Instant) -> Result<(Told, Revision), Status> {
    match read(registry, Query::Rehearsal(write_command(command)), by).await? {
        (Answer::Rehearsed(applied), _) => {
            let proposed = read_applied(applied).map_err(|error| status::bug(&error.to_string()))?;
            told(proposed).map(|(told, revision, _)| (told, revision))
        }
        _ => Err(unexpected("a rehearsal")),
    }
}

macro_rules! readers {
    ($($reader:ident, $variant:ident, $resource:ty, $what:literal;)+) => {$(
        #[doc = concat!("Reads ", $what, " by name.")]
        ///
        /// # Errors
        /// `NOT_FOUND`; `UNAVAILABLE`.
        pub async fn $reader(registry: &impl Registry, name: &impl ToString, by: Instant) -> Result<$resource, Status> {
            match read(registry, Query::$variant(name.to_string()), by).await? {
                (Answer::$variant(resource), _) => Ok(resource),
                _ => Err(unexpected($what)),
            }
        }
    )+};
}
readers! {
    tenant, Tenant, v1::Tenant, "a tenant";
    keyspace, Keyspace, v1::Keyspace, "a keyspace";
    owner, Owner, v1::Owner, "an owner";
    identity, Identity, v1::Identity, "an identity";
    role, Role, v1::Role, "a role";
    rotation, Rotation, v1::Rotation, "a rotation";
}

/// Reads grants as the registry shows them.
///
/// # Errors
/// What is wrong with one, which is a bug of one of us.
pub fn grants(shown: &[v1::Grant]) -> Result<Vec<Grant>, &'static str> {
    let read = |grant: &v1::Grant| {
        let duty = Duty::ALL.into_iter().find(|duty| i32::from(v1::Duty::from(*duty)) == grant.duty);
        let scope = Scope::parse(&grant.scope).map_err(|_| "a grant has no scope")?;
        Ok(Grant { duty: duty.ok_or("a grant has no known duty")?, scope })
    };
    shown.iter().map(read).collect()
}

/// Reads a key by name, and the revision at which it was read.
///
/// # Errors
/// `NOT_FOUND`; `UNAVAILABLE`.
pub async fn key(registry: &impl Registry, name: &KeyName, by: Instant) -> Result<(v1::Key, Revision), Status> {
    match read(registry, Query::Key(name.to_string()), by).await? {
        (Answer::Key(key), revision) => Ok((key, revision)),
        _ => Err(unexpected("a key")),
    }
}

/// Reads one page of a listing.
///
/// # Errors
/// `NOT_FOUND` (the parent); `UNAVAILABLE`.
pub async fn page(
    registry: &impl Registry,
    list: pb::ListQuery,
    by: Instant,
) -> Result<(pb::ListAnswer, Revision), Status> {
    match read(registry, Query::List(list), by).await? {
        (Answer::List(page), revision) => Ok((page, revision)),
        _ => Err(unexpected("a page")),
    }
}
