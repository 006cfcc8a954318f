//! Who may ask for what: checked again here, in the state that the command meets, whatever the proposing service saw.

use crate::command::{Actor, Command, Delete, DirectoryName, Explanation, HolderName, Operation};
use crate::key::Holder;
use crate::records::{Identity, Replica};
use crate::state::State;
use alloc::sync::Arc;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{
    DurationMillis, Duty, Grant, IdentityName, KeyName, NodeId, Refusal, ReplicaRole, Scope, TenantName, covers,
};

/// Who may end a key's life.
const REVOKERS: [Duty; 2] = [Duty::Issuer, Duty::Operator];

/// The level from which a replica may revoke and suspend on its own account.
const TAKING_AWAY_LEVEL: u32 = 4;

/// The level from which a replica may destroy anew what was destroyed after the backup that the cluster goes on from.
const DESTROYING_LEVEL: u32 = 6;

/// The word of the audit service: the only one that may say what it has.
const AUDIT: &str = "audit";

/// The word of the rotation service: the only one that drives rotations.
const ROTATION: &str = "rotation";

/// Whether the command's actor holds a grant for it.
pub(super) fn check(state: &State, command: &Command) -> Result<(), Refusal> {
    let name = match &command.actor {
        // Each replica speaks for itself alone.
        Actor::Replica(node) if speaks_for_another(*node, &command.operation) => {
            return Err(Refusal::PermissionDenied { duty: Duty::Root, scope: Scope::System });
        }
        Actor::Replica(_) if command.is_of_replica() => return Ok(()),
        // What was taken away after a backup is taken away again when the cluster goes on from it.
        Actor::Replica(_) if takes_away(state, &command.operation) => return Ok(()),
        // A replica asks for nothing else in a tenant's name.
        Actor::Replica(_) => return Err(Refusal::PermissionDenied { duty: Duty::Root, scope: Scope::System }),
        Actor::Key(name) => return of_key(name, &command.operation),
        Actor::Service(word) => return of_service(word.as_str(), &command.operation),
        Actor::Identity(_) if planted::is(Plant::GrantNotRechecked) => return Ok(()),
        Actor::Identity(name) => name,
    };
    let grants = grants_of(state, name);
    match &command.operation {
        Operation::CreateTenant(_) => need(grants, &[Duty::Admin], Scope::System),
        Operation::CreateKeyspace(operation) => need(grants, &[Duty::Admin], Scope::Tenant(operation.name.parent())),
        Operation::CreateOwner(operation) => need(grants, &[Duty::Admin], Scope::Tenant(operation.name.parent())),
        Operation::CreateIdentity(operation) => {
            need(grants, &[Duty::Admin], Scope::Tenant(operation.name.parent()))?;
            all_may_be_given(grants, &operation.grants)
        }
        Operation::CreateKeys(operation) if operation.keyspace.is_management() && operation.keys.is_empty() => {
            need(grants, &[Duty::Issuer], Scope::System)
        }
        Operation::CreateKeys(operation) if operation.keyspace.is_management() => {
            operation.keys.iter().try_for_each(|key| may_make_management_key(state, grants, &key.holder))
        }
        Operation::CreateKeys(operation) => need(grants, &[Duty::Issuer], Scope::Keyspace(operation.keyspace.clone())),
        Operation::ImportKeys(operation) => need(grants, &[Duty::Issuer], Scope::Keyspace(operation.keyspace.clone())),
        Operation::RevokeKey(operation) if operation.key.keyspace.is_management() => {
            may_revoke_management_key(state, grants, &operation.key)
        }
        Operation::RevokeKey(operation) => need(grants, &REVOKERS, Scope::Keyspace(operation.key.keyspace.clone())),
        Operation::Cut(operation) => need(grants, &REVOKERS, operation.scope.authority()),
        Operation::UpdateTenant(operation) => need(grants, &[Duty::Admin], operation.authority()),
        Operation::UpdateKeyspace(operation) => need(grants, &[Duty::Admin], operation.authority()),
        Operation::UpdateOwner(operation) => need(grants, &[Duty::Admin], Scope::Tenant(operation.name.parent())),
        Operation::CreateRole(operation) => need(grants, &[Duty::Admin], Scope::Tenant(operation.name.parent())),
        Operation::UpdateRole(operation) => need(grants, &[Duty::Admin], Scope::Tenant(operation.name.parent())),
        Operation::UpdateIdentity(operation) => {
            need(grants, &[Duty::Admin], Scope::Tenant(operation.name.parent()))?;
            // Whoever may not give what it has may not take it away either.
            all_may_be_given(grants, grants_of(state, &operation.name))?;
            all_may_be_given(grants, operation.changes.grants.as_deref().unwrap_or_default())
        }
        Operation::Delete(operation) => match &operation.name {
            // By then nobody is left in the tenant who could ask why.
            DirectoryName::Tenant(_) if operation.number.is_some() => need(grants, &[Duty::Root], Scope::System),
            DirectoryName::Tenant(_) => need(grants, &[Duty::Admin], Scope::System),
            DirectoryName::Keyspace(name) => need(grants, &[Duty::Admin], Scope::Tenant(name.parent())),
            DirectoryName::Owner(name) => need(grants, &[Duty::Admin], Scope::Tenant(name.parent())),
            DirectoryName::Role(name) => need(grants, &[Duty::Admin], Scope::Tenant(name.parent())),
            DirectoryName::Identity(name) => {
                need(grants, &[Duty::Admin], Scope::Tenant(name.parent()))?;
                all_may_be_given(grants, grants_of(state, name))
            }
        },
        Operation::UpdateKey(operation) => may_change(state, grants, &operation.key),
        Operation::RotateKey(operation) => may_issue_for(state, grants, name, &operation.key),
        Operation::PrepareStandby(operation) => may_issue_for(state, grants, name, &operation.key),
        Operation::StepRotation(operation) => may_issue_for(state, grants, name, &operation.rotation.key),
        Operation::SuspendKey(operation) => may_revoke(state, grants, &operation.key),
        Operation::ResumeKey(operation) => may_revoke(state, grants, &operation.key),
        Operation::RestrictKey(operation) => may_revoke(state, grants, &operation.key),
        Operation::RevokeKeys(operation) if operation.keyspace.is_management() => {
            need(grants, &REVOKERS, Scope::System)
        }
        Operation::RevokeKeys(operation) => need(grants, &REVOKERS, Scope::Keyspace(operation.keyspace.clone())),
        Operation::RecordExplanation(explanation) => may_explain(grants, explanation),
        Operation::AdmitReplica(_) | Operation::StepReplica(_) if !command.is_of_replica() => {
            need(grants, &[Duty::Admin], Scope::System)
        }
        Operation::RotateRingKey(_)
        | Operation::RewrapRingKeys(_)
        | Operation::RecordBackup(_)
        | Operation::BeginAuditLog(_) => need(grants, &[Duty::Admin], Scope::System),
        // Replicas and services ask for these on their own account, and no identity does.
        Operation::Bootstrap(_)
        | Operation::AdvanceClock { .. }
        | Operation::AddRingKey(_)
        | Operation::DropRingKey(_)
        | Operation::RaiseFeatureLevel(_)
        | Operation::Settle
        | Operation::RemoveDead(_)
        | Operation::MarkRevoked(_)
        | Operation::AdmitReplica(_)
        | Operation::StepReplica(_)
        | Operation::BeginEpoch(_)
        | Operation::RedigestVersions(_)
        | Operation::ResealInners(_)
        | Operation::SetNodeKey { .. }
        | Operation::RecordKeptBackups { .. }
        | Operation::RecordCheckpoint { .. }
        | Operation::Trim(_)
        | Operation::ClaimRotations(_)
        | Operation::PlanRotations(_)
        | Operation::PrepareRotation(_)
        | Operation::AdvanceRotation(_)
        | Operation::GiveNotices(_)
        | Operation::GiveExpiryNotices(_)
        | Operation::RecordDenials(_)
        | Operation::RecordRefusals(_) => Err(Refusal::PermissionDenied { duty: Duty::Root, scope: Scope::System }),
    }
}

fn speaks_for_another(asks: NodeId, operation: &Operation) -> bool {
    let (Operation::SetNodeKey { node, .. } | Operation::RecordKeptBackups { node, .. }) = operation else {
        return false;
    };
    *node != asks
}

/// Whether a replica may ask for this on its own account. Older builds refuse it, so the replicated level decides. What cannot be
/// given back it destroys only where it is all that there is: in the first moment after a restore.
fn takes_away(state: &State, operation: &Operation) -> bool {
    let level = state.progress().feature_level;
    match operation {
        Operation::RevokeKey(_) | Operation::Cut(_) | Operation::SuspendKey(_) => level >= TAKING_AWAY_LEVEL,
        Operation::Delete(Delete { name: DirectoryName::Tenant(_), destroy: true, number: Some(_), .. }) => {
            let is_there = |replica: &&Arc<Replica>| replica.role != ReplicaRole::Retired;
            level >= DESTROYING_LEVEL && state.replicas().filter(is_there).count() == 1
        }
        _ => false,
    }
}

/// Whoever holds a key may revoke it at once, and do nothing else. That he holds it was checked by whoever proposed.
fn of_key(name: &KeyName, operation: &Operation) -> Result<(), Refusal> {
    match operation {
        Operation::RevokeKey(operation) if operation.key == *name && operation.grace == DurationMillis::new(0) => {
            Ok(())
        }
        _ => Err(Refusal::PermissionDenied { duty: Duty::Issuer, scope: Scope::Keyspace(name.keyspace.clone()) }),
    }
}

fn of_service(word: &str, operation: &Operation) -> Result<(), Refusal> {
    match operation {
        Operation::RecordRefusals(_) | Operation::RecordDenials(_) => Ok(()),
        Operation::Trim(_) | Operation::RecordCheckpoint { .. } if word == AUDIT => Ok(()),
        Operation::ClaimRotations(_)
        | Operation::PlanRotations(_)
        | Operation::PrepareRotation(_)
        | Operation::AdvanceRotation(_)
        | Operation::GiveNotices(_)
        | Operation::GiveExpiryNotices(_)
            if word == ROTATION =>
        {
            Ok(())
        }
        _ => Err(Refusal::PermissionDenied { duty: Duty::Root, scope: Scope::System }),
    }
}

/// Who may give a key another secret. An identity does so for its own management keys.
fn may_issue_for(state: &State, grants: &[Grant], actor: &IdentityName, name: &KeyName) -> Result<(), Refusal> {
    let actor = state.identity(actor).map(|identity| identity.number);
    match name.keyspace.is_management() && actor.is_some() && holder_of(state, name).map(|one| one.number) == actor {
        true => Ok(()),
        false => may_change(state, grants, name),
    }
}

/// Who may change what a key may do and for how long. Of a management key only who may give all that it proves, and never
/// its identity for that alone: whoever has stolen one could take its networks away, and its end.
fn may_change(state: &State, grants: &[Grant], name: &KeyName) -> Result<(), Refusal> {
    if !name.keyspace.is_management() {
        return need(grants, &[Duty::Issuer], Scope::Keyspace(name.keyspace.clone()));
    }
    let Some(holder) = holder_of(state, name) else { return need(grants, &[Duty::Issuer], Scope::System) };
    need(grants, &[Duty::Issuer], tenant_scope(state, holder))
        .or_else(|_| need(grants, &[Duty::Issuer], Scope::System))?;
    all_may_be_given(grants, &holder.grants)
}

fn may_revoke(state: &State, grants: &[Grant], name: &KeyName) -> Result<(), Refusal> {
    match name.keyspace.is_management() {
        true => may_revoke_management_key(state, grants, name),
        false => need(grants, &REVOKERS, Scope::Keyspace(name.keyspace.clone())),
    }
}

/// Where no key was found there is nothing to learn, but that is only told to an operator of something.
fn may_explain(grants: &[Grant], explanation: &Explanation) -> Result<(), Refusal> {
    let keyspace = explanation.key.as_ref().map(|key| &key.keyspace).or(explanation.keyspace.as_ref());
    match keyspace {
        Some(name) if name.is_management() => need(grants, &[Duty::Operator], Scope::System),
        Some(name) => need(grants, &[Duty::Operator], Scope::Keyspace(name.clone())),
        None if grants.iter().any(|grant| matches!(grant.duty, Duty::Root | Duty::Operator)) => Ok(()),
        None => need(grants, &[Duty::Operator], Scope::System),
    }
}

fn holder_of<'a>(state: &'a State, name: &KeyName) -> Option<&'a Identity> {
    match state.key(name)?.holder {
        Holder::Identity(number) => state.identities().by_number(number).map(Arc::as_ref),
        Holder::None | Holder::Owner(_) => None,
    }
}

fn grants_of<'a>(state: &'a State, name: &IdentityName) -> &'a [Grant] {
    state.identity(name).map_or(&[], |identity| &identity.grants)
}

fn need(grants: &[Grant], duties: &[Duty], scope: Scope) -> Result<(), Refusal> {
    if duties.iter().any(|duty| covers(grants, *duty, &scope)) {
        return Ok(());
    }
    Err(Refusal::PermissionDenied { duty: duties[0], scope })
}

/// A management key lies, for its authority, in the tenant of its identity.
fn may_revoke_management_key(state: &State, grants: &[Grant], name: &KeyName) -> Result<(), Refusal> {
    let scope = holder_of(state, name).map_or(Scope::System, |identity| tenant_scope(state, identity));
    // Whose key it is, and whether there is one, is not for those to learn who may not touch it.
    need(grants, &REVOKERS, scope).or_else(|_| need(grants, &REVOKERS, Scope::System))
}

fn tenant_scope(state: &State, identity: &Identity) -> Scope {
    state
        .tenants()
        .by_number(identity.tenant)
        .map_or(Scope::System, |tenant| Scope::Tenant(TenantName::new(tenant.id.clone())))
}

fn may_make_management_key(state: &State, grants: &[Grant], holder: &HolderName) -> Result<(), Refusal> {
    let HolderName::Identity(name) = holder else {
        // What is wrong with the holder itself is said when the key is made, to those who may make any here.
        return need(grants, &[Duty::Issuer], Scope::System);
    };
    need(grants, &[Duty::Issuer], Scope::Tenant(name.parent()))?;
    all_may_be_given(grants, grants_of(state, name))
}

fn all_may_be_given(grants: &[Grant], given: &[Grant]) -> Result<(), Refusal> {
    match given.iter().find(|grant| !may_give(grants, grant)) {
        None => Ok(()),
        Some(grant) => Err(Refusal::GrantExceedsCaller { duty: grant.duty, scope: grant.scope.clone() }),
    }
}

/// Whether someone with `grants` may hand out `given`: what he holds himself, or, as an `admin` of that scope,
/// any duty but `root`.
#[must_use]
pub fn may_give(grants: &[Grant], given: &Grant) -> bool {
    covers(grants, given.duty, &given.scope) || (given.duty != Duty::Root && covers(grants, Duty::Admin, &given.scope))
}
