//! Who may ask for what: checked again here, in the state that the command meets, whatever the proposing service saw.

use crate::command::{Actor, Command, CutScope, HolderName, Operation};
use crate::key::Holder;
use crate::records::Identity;
use crate::state::State;
use latchkey_domain::{Duty, Grant, IdentityName, KeyName, Refusal, Scope, TenantName, covers};

/// Who may end a key's life.
const REVOKERS: [Duty; 2] = [Duty::Issuer, Duty::Operator];

/// Whether the command's actor holds a grant for it.
pub(super) fn check(state: &State, command: &Command) -> Result<(), Refusal> {
    let name = match &command.actor {
        Actor::Replica(_) if command.is_of_replica() => return Ok(()),
        // A replica asks for nothing in a tenant's name, and an identity for nothing in a replica's.
        Actor::Replica(_) => return Err(Refusal::PermissionDenied { duty: Duty::Root, scope: Scope::System }),
        Actor::Identity(_) if command.is_of_replica() => {
            return Err(Refusal::PermissionDenied { duty: Duty::Root, scope: Scope::System });
        }
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
        Operation::RevokeKey(operation) if operation.key.keyspace.is_management() => {
            may_revoke_management_key(state, grants, &operation.key)
        }
        Operation::RevokeKey(operation) => need(grants, &REVOKERS, Scope::Keyspace(operation.key.keyspace.clone())),
        Operation::Cut(operation) => need(grants, &[Duty::Operator], scope_of_cut(&operation.scope)),
        Operation::Bootstrap(_)
        | Operation::AdvanceClock { .. }
        | Operation::AddRingKey(_)
        | Operation::DropRingKey(_)
        | Operation::RaiseFeatureLevel(_) => Ok(()),
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
    let identity = state.key(name).and_then(|key| match key.holder {
        Holder::Identity(number) => state.identities().by_number(number),
        Holder::None | Holder::Owner(_) => None,
    });
    let scope = identity.map_or(Scope::System, |identity| tenant_scope(state, identity));
    // Whose key it is, and whether there is one, is not for those to learn who may not touch it.
    need(grants, &REVOKERS, scope).or_else(|_| need(grants, &REVOKERS, Scope::System))
}

/// The management keyspace holds keys of all tenants' identities, so no grant within the system tenant is enough.
fn scope_of_cut(cut: &CutScope) -> Scope {
    match cut {
        CutScope::Tenant(name) if *name == TenantName::system() => Scope::System,
        CutScope::Tenant(name) => Scope::Tenant(name.clone()),
        CutScope::Keyspace(name) if name.is_management() => Scope::System,
        CutScope::Keyspace(name) => Scope::Keyspace(name.clone()),
        CutScope::Owner(name) => Scope::Tenant(name.parent()),
    }
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
