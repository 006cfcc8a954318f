//! `RevokeKeys`: all keys of a scope, or those that a filter selects. Served by issuance and by validation alike.
//!
//! A scope dies with one record, whatever it holds. What a filter selects is read at one revision and revoked in records
//! of a bounded number of keys, each under a mark of its own that follows from the operation: a repeat finds the records
//! of the first try, goes on where that ended, and counts both. The mark of the last record says that it is the last, so
//! that a repeat of what was done to the end touches no key: not one that came to match since, either.

use crate::answers::{read, read_as, told, unexpected};
use crate::confirm::glance;
use crate::{Authorized, ProvenIdentity, Query, Registry, Selected, Time, fields_invalid, identify, regions, wait_for};
use latchkey_crypto::{Entropy, draw};
use latchkey_domain::{DurationMillis, Duty, KeyId, KeyName, KeyspaceName, Refusal, Revision};
use latchkey_state::{Command, Cut, CutScope, KEYS_PER_COMMAND_MAX, Operation, RequestMark};
use latchkey_transport::status;
use latchkey_wire::applied::{Told, read_applied};
use latchkey_wire::disk::write_command;
use latchkey_wire::pb::internal::v1::Reach;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{AwaitedWrite, Consistency, RevokeKeys, RevokeTarget, read_revoke_keys};
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tonic::{Request, Response, Status};

/// Who may revoke.
const REVOKERS: [Duty; 2] = [Duty::Issuer, Duty::Operator];

/// Names that are told.
const SAMPLE_MAX: usize = 100;

/// Revokes keys and tells when each region stopped accepting them.
///
/// # Errors
/// Those of the RPC: `UNAUTHENTICATED`, `INVALID_ARGUMENT`, `PERMISSION_DENIED`, `NOT_FOUND`, `ABORTED`, `UNAVAILABLE`.
pub async fn revoke_keys(
    registry: &impl Registry,
    entropy: &mut (impl Entropy + Send),
    request: Request<v1::RevokeKeysRequest>,
) -> Result<Response<v1::RevokeKeysResponse>, Status> {
    let (_, extensions, message) = request.into_parts();
    let identity = identify(registry, &extensions, Time::of(&extensions)).await?;
    let asked = read_revoke_keys(&message).map_err(fields_invalid)?;
    let by = Time::waiting(&extensions, asked.wait);
    let scope = match &asked.operation.target {
        RevokeTarget::Scope(scope) => scope.authority(),
        RevokeTarget::Selection { keyspace, .. } => CutScope::Keyspace(keyspace.clone()).authority(),
    };
    let authorized = Authorized::check(asked, identity, &REVOKERS, &scope)?;
    let (AwaitedWrite { operation, request, validate_only, wait }, identity) = authorized.into_parts();
    let RevokeKeys { target, reason, text } = operation;
    let mark = request.unwrap_or_else(|| RequestMark { id: uuid(draw(entropy)), hash: [0; 32] });
    let done = match target {
        RevokeTarget::Scope(scope) if validate_only => {
            let (reach, revision) = reach(registry, &scope, Consistency::default(), by).await?;
            return Ok(Response::new(shown_scope(reach, revision)));
        }
        RevokeTarget::Scope(scope) => {
            let by_scope = Cut { scope, reason, text };
            cut(registry, &identity, mark, draw(entropy), by_scope, by).await?
        }
        RevokeTarget::Selection { keyspace, filter, selection } => {
            let selected = registry.select(&keyspace, &filter, by).await?;
            let set = Set { keyspace, selected, named: selection };
            if validate_only {
                set.check_name()?;
                return Ok(Response::new(set.shown()));
            }
            let operation = latchkey_state::RevokeKeys {
                keyspace: set.keyspace.clone(),
                keys: Vec::new(),
                reason,
                text,
                operation: mark.id,
            };
            set.revoke(registry, &identity, mark, operation, entropy, by).await?
        }
    };
    let (mut answer, revision, bound) = done;
    let replicas = wait_for(registry, wait, revision, bound, by).await;
    answer.operation_id = written(mark.id);
    answer.revision = Some(revision.into());
    answer.regions = regions(&replicas, None);
    Ok(Response::new(answer))
}

type Done = (v1::RevokeKeysResponse, Revision, DurationMillis);

/// Revokes a scope. What it holds is told as far as that is known soon: an emergency does not wait for a count.
async fn cut(
    registry: &impl Registry,
    identity: &ProvenIdentity,
    mark: RequestMark,
    opening: [u8; 32],
    operation: Cut,
    by: Instant,
) -> Result<Done, Status> {
    // A replica that lags may not know yet that a keyspace lets others answer for longer, and the barrier waits no longer
    // than is said here. Where it is not known it waits for the longest of any keyspace.
    let reach = match reach(registry, &operation.scope, Consistency::FullyConsistent, glance(by)).await {
        Ok((reach, _)) => reach,
        Err(status) => {
            tracing::warn!(code = %status.code(), message = status.message(), "what a revocation reaches is not known");
            Reach::default()
        }
    };
    let command = Command { request: Some(mark), ..Command::new(identity.actor(), opening, Operation::Cut(operation)) };
    let (told, revision, replayed) = told(registry.propose(&command, by).await?)?;
    let Told::Done = told else { return Err(unexpected("a revocation of a scope")) };
    let bound = DurationMillis::new(reach.bound_ms);
    let shown = if replayed { Reach::default() } else { reach };
    Ok((v1::RevokeKeysResponse { replayed, ..shown_scope(shown, revision) }, revision, bound))
}

async fn reach(
    registry: &impl Registry,
    scope: &CutScope,
    consistency: Consistency,
    by: Instant,
) -> Result<(Reach, Revision), Status> {
    let name = match scope {
        CutScope::Tenant(name) => name.to_string(),
        CutScope::Keyspace(name) => name.to_string(),
        CutScope::Owner(name) => name.to_string(),
        CutScope::Role(name) => name.to_string(),
    };
    match read_as(registry, Query::Reach(name), consistency, by).await? {
        (Answer::Reach(reach), revision) => Ok((reach, revision)),
        _ => Err(unexpected("what a scope holds")),
    }
}

fn shown_scope(reach: Reach, revision: Revision) -> v1::RevokeKeysResponse {
    v1::RevokeKeysResponse {
        key_count: reach.key_count,
        sample: reach.sample,
        revision: Some(revision.into()),
        ..Default::default()
    }
}

/// What a filter selected.
struct Set {
    keyspace: KeyspaceName,
    selected: Selected,
    /// The set that the caller means.
    named: Option<String>,
}

impl Set {
    /// Whether it is the set that the caller means.
    fn check_name(&self) -> Result<(), Status> {
        let current = self.selected.name();
        match &self.named {
            Some(named) if *named != current => Err(status::refused(&Refusal::EtagMismatch { current })),
            _ => Ok(()),
        }
    }

    fn shown(&self) -> v1::RevokeKeysResponse {
        let name = |key: &KeyId| KeyName { keyspace: self.keyspace.clone(), key: *key }.to_string();
        v1::RevokeKeysResponse {
            key_count: u64::try_from(self.selected.keys.len()).unwrap_or(u64::MAX),
            sample: self.selected.keys.iter().take(SAMPLE_MAX).map(name).collect(),
            selection: self.selected.name(),
            revision: Some(self.selected.revision.into()),
            ..Default::default()
        }
    }

    async fn revoke(
        self,
        registry: &impl Registry,
        identity: &ProvenIdentity,
        mark: RequestMark,
        operation: latchkey_state::RevokeKeys,
        entropy: &mut (impl Entropy + Send),
        by: Instant,
    ) -> Result<Done, Status> {
        let mut command = |part: u64, keys: &[KeyId], last: bool| Command {
            request: Some(mark_of_part(mark, part, last)),
            ..Command::new(
                identity.actor(),
                draw(entropy),
                Operation::RevokeKeys(latchkey_state::RevokeKeys { keys: keys.to_vec(), ..operation.clone() }),
            )
        };
        if self.check_name().is_err()
            && !came_before(registry, &command(0, &[], true), by).await?
            && !came_before(registry, &command(0, &[], false), by).await?
        {
            self.check_name()?;
        }
        let (mut left, mut part, mut count, mut replayed) = (self.selected.keys.as_slice(), 0, 0_u64, false);
        let revision = loop {
            let (next, rest) = left.split_at(left.len().min(KEYS_PER_COMMAND_MAX));
            let mut last = rest.is_empty();
            let mut proposed = registry.propose(&command(part, next, last), by).await?;
            if proposed.answer == Err(Refusal::RequestIdReused) {
                // The record of the first try was the last one where this is not, or the other way round.
                last = !last;
                proposed = registry.propose(&command(part, next, last), by).await?;
            }
            let (told, revision, came_before) = told(proposed)?;
            let Told::Counted(revoked) = told else { return Err(unexpected("a revocation of keys")) };
            count += revoked;
            // The answer of an earlier record says nothing of the keys of this one.
            if !came_before {
                left = rest;
            }
            replayed |= came_before && part == 0;
            if last {
                break revision;
            }
            part += 1;
        };
        let shown = if replayed { v1::RevokeKeysResponse::default() } else { self.shown() };
        let answer = v1::RevokeKeysResponse { key_count: count, replayed, ..shown };
        Ok((answer, revision, self.selected.bound))
    }
}

/// Whether this command was carried out before.
async fn came_before(registry: &impl Registry, command: &Command, by: Instant) -> Result<bool, Status> {
    match read(registry, Query::Rehearsal(write_command(command)), by).await? {
        (Answer::Rehearsed(applied), _) => {
            read_applied(applied).map(|proposed| proposed.replayed).map_err(|error| status::bug(&error.to_string()))
        }
        _ => Err(unexpected("a rehearsal")),
    }
}

/// The mark under which one record of an operation is remembered: its id tells which record it is, and its hash
/// whether it is the last.
fn mark_of_part(operation: RequestMark, part: u64, last: bool) -> RequestMark {
    let hash = Sha256::new().chain_update(operation.id).chain_update(part.to_be_bytes()).finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    let hash = match last {
        true => Sha256::new().chain_update(operation.hash).chain_update(b"last").finalize().into(),
        false => operation.hash,
    };
    RequestMark { id: uuid(id), hash }
}

/// Random bytes as a UUID, RFC 9562, section 5.4.
const fn uuid(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[6] = (bytes[6] & 0x0F) | 0x40;
    bytes[8] = (bytes[8] & 0x3F) | 0x80;
    bytes
}

/// The text of a UUID.
fn written(bytes: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

#[cfg(test)]
mod tests;
