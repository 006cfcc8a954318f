//! Denying keys on this replica alone: for when no leader is to be had. It works on a state of any age, by what the
//! replica knew last of who asks, since it can only take away.

mod reconcile;

pub(crate) use reconcile::run as reconcile;

use crate::halt::Halt;
use crate::session::{ground_of, recognised};
use latchkey_crypto::draw;
use latchkey_decision::Identified;
use latchkey_domain::{Duty, KeyName, Refusal, ResourceKind, Scope, VersionId, VersionName, covers};
use latchkey_registry::{DenialError, Registry, View};
use latchkey_state::LocalDenial;
use latchkey_telemetry::OsEntropy;
use latchkey_wire::pb::v1;
use latchkey_wire::request::{DenyKeyLocally, read_allow_key_locally, read_deny_key_locally, write_local_denial};
use tonic::{Request, Response, Status};

/// Who may deny and allow.
const DENIERS: [Duty; 2] = [Duty::Operator, Duty::Admin];

/// Who may see what is denied.
const READERS: [Duty; 3] = [Duty::Operator, Duty::Admin, Duty::Auditor];

/// Stops accepting a key on this replica.
///
/// # Errors
/// `UNAUTHENTICATED`, `PERMISSION_DENIED`, `INVALID_ARGUMENT`, `NOT_FOUND`, `RESOURCE_EXHAUSTED`, `UNAVAILABLE`.
pub(crate) async fn deny(
    registry: &Registry,
    request: Request<v1::DenyKeyLocallyRequest>,
) -> Result<Response<v1::LocalDenial>, Status> {
    let (_, extensions, message) = request.into_parts();
    let view = registry.reader().now().map_err(Halt::from)?;
    let identified = recognised(ground_of(&view), &extensions)?;
    require_any(&identified, &DENIERS)?;
    let DenyKeyLocally { key, version, reason, text, then } = read_deny_key_locally(&message).map_err(Halt::from)?;
    if !reaches(&identified, &key, &DENIERS) || !knows(&view, &key, version) {
        return Err(not_found(key, version).into());
    }
    let denial = LocalDenial {
        id: draw(&mut OsEntropy),
        key,
        version,
        reason,
        text,
        then,
        by: identified.name(),
        at: view.now(),
        told: false,
        lifted: None,
    };
    let denied = registry.core().change_denials(|all| put(all, denial)).await.map_err(refused)?;
    tracing::warn!(key = %denied.key, identity = %denied.by, then = ?denied.then, "a key is denied on this replica");
    reconcile::tell_now(registry).await;
    let all = registry.core().local_denials().await;
    let denied = all.into_iter().find(|one| one.id == denied.id).unwrap_or(denied);
    Ok(Response::new(write_local_denial(&denied, registry.node())))
}

/// Accepts it again.
///
/// # Errors
/// As [`deny`].
pub(crate) async fn allow(
    registry: &Registry,
    request: Request<v1::AllowKeyLocallyRequest>,
) -> Result<Response<v1::AllowKeyLocallyResponse>, Status> {
    let (_, extensions, message) = request.into_parts();
    let view = registry.reader().now().map_err(Halt::from)?;
    let identified = recognised(ground_of(&view), &extensions)?;
    require_any(&identified, &DENIERS)?;
    let (key, version) = read_allow_key_locally(&message).map_err(Halt::from)?;
    let (by, at) = (identified.name(), view.now());
    let lift = |all: &mut Vec<LocalDenial>| {
        let denial = all.iter_mut().find(|denial| denial.is_in_force() && denial.is_of(&key, version));
        denial.map(|denial| denial.lifted = Some((by.clone(), at))).is_some()
    };
    let may = reaches(&identified, &key, &DENIERS);
    let was_denied = may && registry.core().change_denials(lift).await.map_err(refused)?;
    // A key that has left the state may still be denied here.
    if !may || !(was_denied || knows(&view, &key, version)) {
        return Err(not_found(key, version).into());
    }
    if was_denied {
        tracing::warn!(%key, identity = %by, "a key is denied on this replica no more");
        reconcile::tell_now(registry).await;
    }
    Ok(Response::new(v1::AllowKeyLocallyResponse { replica: registry.node().0, was_denied }))
}

/// Tells what this replica denies, of what the caller may see.
///
/// # Errors
/// `UNAUTHENTICATED`, `PERMISSION_DENIED`, `UNAVAILABLE`.
pub(crate) async fn list(
    registry: &Registry,
    request: Request<v1::ListLocalDenialsRequest>,
) -> Result<Response<v1::ListLocalDenialsResponse>, Status> {
    let view = registry.reader().now().map_err(Halt::from)?;
    let identified = recognised(ground_of(&view), request.extensions())?;
    require_any(&identified, &READERS)?;
    let (replica, all) = (registry.node(), registry.core().local_denials().await);
    let seen = all.iter().filter(|denial| denial.is_in_force() && reaches(&identified, &denial.key, &READERS));
    let denials = seen.map(|denial| write_local_denial(denial, replica)).collect();
    Ok(Response::new(v1::ListLocalDenialsResponse { denials, replica: replica.0 }))
}

/// A second denial of the same key takes the place of the first: why, and what is to become of it. The audit log hears of
/// the first all the same.
fn put(all: &mut Vec<LocalDenial>, denial: LocalDenial) -> LocalDenial {
    let same = |one: &LocalDenial| one.is_in_force() && one.is_of(&denial.key, denial.version);
    let before = all.iter().position(same);
    if let Some(before) = before {
        let one = &mut all[before];
        if (one.reason, &one.text, one.then) == (denial.reason, &denial.text, denial.then) {
            return one.clone();
        }
        if one.told {
            all.remove(before);
        } else {
            one.lifted = Some((denial.by.clone(), denial.at));
        }
    }
    all.push(denial.clone());
    denial
}

/// Who holds none of these duties anywhere learns nothing at all.
fn require_any(identified: &Identified<'_>, duties: &[Duty]) -> Result<(), Halt> {
    let holds = |duty: &Duty| identified.grants().iter().any(|grant| grant.duty.includes(*duty));
    if duties.iter().any(holds) {
        return Ok(());
    }
    Err(Halt::Refused(Refusal::PermissionDenied { duty: duties[0], scope: Scope::System }))
}

/// Management keys are those of the system, whosever they are.
fn reaches(identified: &Identified<'_>, key: &KeyName, duties: &[Duty]) -> bool {
    let scope = match key.keyspace.is_management() {
        true => Scope::System,
        false => Scope::Keyspace(key.keyspace.clone()),
    };
    duties.iter().any(|duty| covers(identified.grants(), *duty, &scope))
}

fn knows(view: &View, name: &KeyName, version: Option<VersionId>) -> bool {
    let key = view.state().key(name);
    key.is_some_and(|key| version.is_none_or(|version| key.versions.iter().any(|one| one.id == version)))
}

/// A key that is not there, and one that the caller may not touch: the same bytes.
fn not_found(key: KeyName, version: Option<VersionId>) -> Halt {
    Halt::Refused(match version {
        None => Refusal::NotFound { kind: ResourceKind::Key, name: key.to_string() },
        Some(version) => {
            Refusal::NotFound { kind: ResourceKind::Version, name: VersionName { key, version }.to_string() }
        }
    })
}

fn refused(error: DenialError) -> Halt {
    match error {
        DenialError::Refused(refusal) => Halt::Refused(refusal),
        DenialError::Unavailable(unavailable) => Halt::Unavailable(unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{IdentityName, NodeId, ReasonText, RevocationReason, UnixMillis};
    use latchkey_state::{DenialStep, FollowUp};

    fn denial(by: &str, then: FollowUp) -> LocalDenial {
        LocalDenial {
            id: [then as u8; 16],
            key: KeyName::parse("tenants/acme/keyspaces/live/keys/0123456789abcdef").unwrap(),
            version: None,
            reason: RevocationReason::Compromised,
            text: ReasonText::default(),
            then,
            by: IdentityName::parse(&format!("tenants/acme/identities/{by}")).unwrap(),
            at: UnixMillis::new(1_000),
            told: false,
            lifted: None,
        }
    }

    #[test]
    fn the_audit_log_hears_of_a_denial_whose_place_another_took() {
        let mut all = Vec::new();
        put(&mut all, denial("ann", FollowUp::Revoke));
        let again = put(&mut all, denial("bob", FollowUp::Revoke));
        assert_eq!((all.len(), again.by.identity.as_str()), (1, "ann"), "nothing new");

        put(&mut all, denial("bob", FollowUp::Nothing));
        let in_force: Vec<_> = all.iter().filter(|one| one.is_in_force()).collect();
        assert_eq!((in_force.len(), in_force[0].then), (1, FollowUp::Nothing));
        let told: Vec<_> = all.iter().flat_map(|one| one.untold(NodeId(1))).collect();
        let told: Vec<_> = told.iter().map(|one| (one.step, one.by.identity.as_str())).collect();
        let expected = [(DenialStep::Denied, "ann"), (DenialStep::Allowed, "bob"), (DenialStep::Denied, "bob")];
        assert_eq!(told, expected);

        // What the audit log has needs no place.
        all = vec![LocalDenial { told: true, ..denial("ann", FollowUp::Revoke) }];
        put(&mut all, denial("bob", FollowUp::Nothing));
        assert_eq!(all, [denial("bob", FollowUp::Nothing)]);
    }
}
