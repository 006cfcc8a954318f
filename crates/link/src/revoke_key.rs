//! `RevokeKey`: served by issuance and by validation alike, so that a key dies without issuance.

use crate::answers::{self, rehearse, told, unexpected};
use crate::{Authorized, ProvenIdentity, Registry, Time, fields_invalid, identify, regions, wait_for};
use latchkey_domain::{Duty, IdentityName, KeyName, Revision, Scope, VersionId, VersionName, covers};
use latchkey_state::{Command, Operation};
use latchkey_transport::status;
use latchkey_wire::applied::Told;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{RevokeKey, Wait, read_revoke_key};
use latchkey_wire::time::read_time;
use tokio::time::Instant;
use tonic::{Code, Request, Response, Status};

/// Who may revoke.
const REVOKERS: [Duty; 2] = [Duty::Issuer, Duty::Operator];

/// Revokes a key or a version and tells when each region stopped accepting it. `opening` is 32 fresh random bytes.
///
/// # Errors
/// Those of the RPC: `UNAUTHENTICATED`, `INVALID_ARGUMENT`, `PERMISSION_DENIED`, `NOT_FOUND`, `ABORTED`, `UNAVAILABLE`.
pub async fn revoke_key(
    registry: &impl Registry,
    opening: [u8; 32],
    request: Request<v1::RevokeKeyRequest>,
) -> Result<Response<v1::RevokeKeyResponse>, Status> {
    let (_, extensions, message) = request.into_parts();
    let identity = identify(registry, &extensions, Time::of(&extensions)).await?;
    let asked = read_revoke_key(&message).map_err(fields_invalid)?;
    let by = Time::waiting(&extensions, asked.wait);
    let scope = scope_of_key(registry, &asked.operation.key, &identity, &REVOKERS, by).await?;
    let authorized = Authorized::check(asked, identity, &REVOKERS, &scope)?;
    let actor = authorized.actor();
    let (RevokeKey { operation, request, validate_only, wait }, _) = authorized.into_parts();
    let command = Command { request, ..Command::new(actor, opening, Operation::RevokeKey(operation)) };
    let answer = if validate_only {
        let (told, revision) = rehearse(registry, &Command { request: None, ..command }, by).await?;
        let Told::Revoked { key, version, .. } = told else { return Err(unexpected("a revocation")) };
        shown(key, version, revision)?
    } else {
        carry_out_revocation(registry, &command, wait, by).await?
    };
    Ok(Response::new(answer))
}

/// Where a key lies for its authority: its keyspace, and for a management key the tenant of its identity. Where nothing
/// is to be learned by `identity` about a management key, and where it is not there, that is the system.
///
/// # Errors
/// `UNAVAILABLE`.
pub async fn scope_of_key(
    registry: &impl Registry,
    name: &KeyName,
    identity: &ProvenIdentity,
    duties: &[Duty],
    by: Instant,
) -> Result<Scope, Status> {
    if !name.keyspace.is_management() {
        return Ok(Scope::Keyspace(name.keyspace.clone()));
    }
    let key = match answers::key(registry, name, by).await {
        Ok((key, _)) => key,
        Err(status) if status.code() == Code::NotFound => return Ok(Scope::System),
        Err(status) => return Err(status),
    };
    let tenant = IdentityName::parse(&key.owner).map(|holder| Scope::Tenant(holder.parent()));
    let held = tenant.ok().filter(|scope| duties.iter().any(|duty| covers(&identity.grants, *duty, scope)));
    Ok(held.unwrap_or(Scope::System))
}

/// Revokes by a command whose actor may: an identity that was authorized, or the key itself. Tells when each region
/// stopped accepting it.
///
/// # Errors
/// The refusals of the command; `UNAVAILABLE`, `DEADLINE_EXCEEDED`.
pub async fn carry_out_revocation(
    registry: &impl Registry,
    command: &Command,
    wait: Wait,
    by: Instant,
) -> Result<v1::RevokeKeyResponse, Status> {
    let (told, revision, replayed) = told(registry.propose(command, by).await?)?;
    let Told::Revoked { key, version, bound } = told else { return Err(unexpected("a revocation")) };
    let shown = shown(key, version, revision)?;
    let replicas = wait_for(registry, wait, revision, bound, by).await;
    let revoked_at = shown.revoke_time.as_ref().and_then(|time| read_time(time).ok());
    let ends_later = if shown.immediate { None } else { revoked_at };
    Ok(v1::RevokeKeyResponse { regions: regions(&replicas, ends_later), replayed, ..shown })
}

/// The answer without its regions.
fn shown(key: v1::Key, version: Option<VersionId>, revision: Revision) -> Result<v1::RevokeKeyResponse, Status> {
    let covered = |one: &&v1::Version| {
        version.is_none_or(|id| VersionName::parse(&one.name).is_ok_and(|name| name.version == id))
    };
    let versions: Vec<_> = key.versions.iter().filter(covered).collect();
    let key_revoked = key.state() == v1::key::State::Revoked;
    let immediate = key_revoked || (version.is_some() && versions.iter().all(|one| is_revoked(one)));
    // A version ends with its key where that ends sooner.
    let own = version.and_then(|_| versions.first()).and_then(|one| one.revocation.as_ref());
    let times = [key.revocation.as_ref(), own].into_iter().flatten().filter_map(|revocation| revocation.revoke_time);
    let revoke_time = times.min_by_key(|time| (time.seconds, time.nanos));
    if revoke_time.is_none() {
        return Err(status::bug("a revoked key shows no revocation"));
    }
    let versions = versions.into_iter().map(|one| one.name.clone()).collect();
    Ok(v1::RevokeKeyResponse {
        key: Some(key),
        versions,
        immediate,
        revoke_time,
        revision: Some(revision.into()),
        regions: Vec::new(),
        replayed: false,
    })
}

fn is_revoked(version: &v1::Version) -> bool {
    version.state() == v1::version::State::Revoked
}
