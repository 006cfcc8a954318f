//! Deleting records of the directory. What still holds something that lives stays; the dead keys that it holds go with
//! it, in the same record.

use super::Answer;
use super::change::{self, check_etag, not_found};
use super::remove_dead::Removed;
use super::subject::Subject;
use super::transaction::{Telling, Transaction};
use crate::command::{Delete, DirectoryName};
use crate::event::Action;
use crate::index::Group;
use crate::records::{Identity, RingPurpose};
use crate::row::{Row, RowId};
use crate::state::State;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use latchkey_domain::{
    BuiltInRole, IdentityName, IdentityNumber, KeyId, KeyspaceName, KeyspaceNumber, OwnerName, Refusal, ResourceKind,
    RingNumber, RoleName, Scope, TenantName, TenantNumber,
};

/// Dead keys that one deletion takes with it. Where there are more, their retention has to end first.
const DEAD_KEYS_MAX: usize = 1_000;

/// Identities that lose a grant by one deletion.
const GRANTEES_MAX: usize = 1_000;

pub(super) fn delete(transaction: &mut Transaction<'_>, operation: &Delete) -> Result<Answer, Refusal> {
    let etag = operation.etag.as_deref();
    match &operation.name {
        DirectoryName::Tenant(name) => match operation.number {
            Some(number) if transaction.state().tenants().by_number(number).is_none() => {
                destroy_deleted(transaction, name, number, operation.destroy)
            }
            _ => tenant(transaction, name, operation),
        },
        DirectoryName::Keyspace(name) => keyspace(transaction, name, etag),
        DirectoryName::Owner(name) => owner(transaction, name, etag),
        DirectoryName::Role(name) => role(transaction, name, etag),
        DirectoryName::Identity(name) => identity(transaction, name, etag),
    }
}

/// Its keys in the keyring stay, so that what is told of it in the audit trail remains readable; unless its data is to be destroyed. Then
/// that is told as the cluster's own, which has a key.
fn tenant(transaction: &mut Transaction<'_>, name: &TenantName, operation: &Delete) -> Result<Answer, Refusal> {
    not_reserved(*name == TenantName::system(), name)?;
    let state = transaction.state();
    let is_meant = |number| operation.number.is_none_or(|meant| meant == number);
    let tenant = state.tenant(name).filter(|tenant| is_meant(tenant.number));
    let tenant = tenant.ok_or_else(|| not_found(ResourceKind::Tenant, name))?.clone();
    check_etag(operation.etag.as_deref(), tenant.etag())?;
    let number = tenant.number;
    for (holds, count) in [
        (ResourceKind::Keyspace, state.keyspaces().count(number)),
        (ResourceKind::Owner, state.owners().count(number)),
        (ResourceKind::Role, state.roles().count(number)),
        (ResourceKind::Identity, state.identities().count(number)),
    ] {
        need_none(ResourceKind::Tenant, name, holds, count as u64)?;
    }
    take_grants(transaction, ResourceKind::Tenant, &Scope::Tenant(name.clone()))?;
    transaction.delete(RowId::Tenant(number));
    if operation.destroy {
        destroy(transaction, Action::TenantDeleted, name, number);
    } else {
        tell(transaction, Action::TenantDeleted, name, number);
    }
    Ok(Answer::Done)
}

/// A tenant that was deleted is known by its number alone: what it was called is told as whoever asks says it, since nobody could read
/// it after. Where nothing is left there is nothing to tell.
fn destroy_deleted(
    transaction: &mut Transaction<'_>,
    name: &TenantName,
    number: TenantNumber,
    destroys: bool,
) -> Result<Answer, Refusal> {
    not_reserved(*name == TenantName::system(), name)?;
    let was_given = (1..=transaction.progress().next.tenant).contains(&number.0);
    if !was_given || !destroys {
        return Err(not_found(ResourceKind::Tenant, name));
    }
    if !keys_of(transaction.state(), number).is_empty() {
        destroy(transaction, Action::TenantDataDestroyed, name, number);
    }
    Ok(Answer::Done)
}

/// Takes the keys of a tenant out of the keyring. The entry names the last backup that can hold them, as far as the cluster knows.
fn destroy(transaction: &mut Transaction<'_>, action: Action, name: &TenantName, number: TenantNumber) {
    let keys = keys_of(transaction.state(), number);
    keys.iter().for_each(|key| transaction.delete(RowId::RingKey(*key)));
    transaction.note_tenant_key_gone();
    let mut facts = vec![("destroyed", number.0.to_string()), ("keys", numbers(&keys))];
    facts.extend(transaction.state().newest_backup().map(|backup| ("last_backup", backup.to_string())));
    transaction.emit(action, name.to_string(), Telling { facts, ..Telling::default() });
}

/// The keys of the keyring that everything of a tenant lies under.
fn keys_of(state: &State, tenant: TenantNumber) -> Vec<RingNumber> {
    let purposes = [RingPurpose::Tenant(tenant), RingPurpose::Audit(tenant)];
    purposes.into_iter().flat_map(|purpose| state.ring_keys_of(purpose)).map(|key| key.number).collect()
}

fn numbers(keys: &[RingNumber]) -> String {
    let numbers: Vec<_> = keys.iter().map(|key| key.0.to_string()).collect();
    numbers.join(" ")
}

/// Its prefix is free then, and its data key is gone, with any that a rotation had not done with.
fn keyspace(transaction: &mut Transaction<'_>, name: &KeyspaceName, etag: Option<&str>) -> Result<Answer, Refusal> {
    not_reserved(name.is_management(), name)?;
    let state = transaction.state();
    let keyspace = state.keyspace(name).ok_or_else(|| not_found(ResourceKind::Keyspace, name))?.clone();
    check_etag(etag, keyspace.etag())?;
    let keys = state.keys_of(keyspace.number, None).take(DEAD_KEYS_MAX + 1);
    let keys: Vec<_> = keys.map(|key| (key.keyspace, key.id)).collect();
    take_dead(transaction, ResourceKind::Keyspace, name, &keys, keyspace.keys)?;
    take_grants(transaction, ResourceKind::Keyspace, &Scope::Keyspace(name.clone()))?;
    transaction.delete(RowId::Keyspace(keyspace.number));
    let purpose = RingPurpose::Keyspace(keyspace.number);
    let data_keys: Vec<_> = transaction.state().ring_keys_of(purpose).map(|key| key.number).collect();
    data_keys.iter().for_each(|number| transaction.delete(RowId::RingKey(*number)));
    let facts = vec![("prefix", keyspace.settings.prefix.as_str().to_string())];
    let telling = Telling { tenant: Some(keyspace.tenant), facts, ..Telling::default() };
    transaction.emit(Action::KeyspaceDeleted, name.to_string(), telling);
    for number in data_keys {
        let facts = vec![("purpose", "keyspace".to_string())];
        let subject = alloc::format!("keyring/{}", number.0);
        transaction.emit(Action::RingKeyDropped, subject, Telling { facts, ..Telling::default() });
    }
    Ok(Answer::Done)
}

fn owner(transaction: &mut Transaction<'_>, name: &OwnerName, etag: Option<&str>) -> Result<Answer, Refusal> {
    let state = transaction.state();
    let owner = state.owner(name).ok_or_else(|| not_found(ResourceKind::Owner, name))?.clone();
    check_etag(etag, owner.etag())?;
    take_group(transaction, ResourceKind::Owner, name, Group::Owner(owner.number))?;
    transaction.delete(RowId::Owner(owner.number));
    tell(transaction, Action::OwnerDeleted, name, owner.tenant);
    Ok(Answer::Done)
}

/// Also a dead key names its roles, so a role waits for it.
fn role(transaction: &mut Transaction<'_>, name: &RoleName, etag: Option<&str>) -> Result<Answer, Refusal> {
    not_reserved(BuiltInRole::parse(name.role.as_str()).is_some(), name)?;
    let state = transaction.state();
    let role = state.role(name).ok_or_else(|| not_found(ResourceKind::Role, name))?.clone();
    check_etag(etag, role.etag())?;
    need_none(ResourceKind::Role, name, ResourceKind::Key, count(transaction, Group::Role(role.number)))?;
    transaction.delete(RowId::Role(role.number));
    tell(transaction, Action::RoleDeleted, name, role.tenant);
    Ok(Answer::Done)
}

fn identity(transaction: &mut Transaction<'_>, name: &IdentityName, etag: Option<&str>) -> Result<Answer, Refusal> {
    not_reserved(change::is_root(name), name)?;
    let state = transaction.state();
    let identity = state.identity(name).ok_or_else(|| not_found(ResourceKind::Identity, name))?.clone();
    check_etag(etag, identity.etag())?;
    take_group(transaction, ResourceKind::Identity, name, Group::Identity(identity.number))?;
    transaction.delete(RowId::Identity(identity.number));
    tell(transaction, Action::IdentityDeleted, name, identity.tenant);
    Ok(Answer::Done)
}

fn not_reserved(is_reserved: bool, name: &impl ToString) -> Result<(), Refusal> {
    if is_reserved { Err(Refusal::Reserved { name: name.to_string() }) } else { Ok(()) }
}

fn need_none(kind: ResourceKind, name: &impl ToString, holds: ResourceKind, count: u64) -> Result<(), Refusal> {
    if count > 0 { Err(Refusal::NotEmpty { kind, name: name.to_string(), holds, count }) } else { Ok(()) }
}

fn count(transaction: &Transaction<'_>, group: Group) -> u64 {
    transaction.state().index().counts.get(&group).copied().unwrap_or_default()
}

fn take_group(
    transaction: &mut Transaction<'_>,
    kind: ResourceKind,
    name: &impl ToString,
    group: Group,
) -> Result<(), Refusal> {
    let keys: Vec<_> = transaction.state().keys_in(group, None).take(DEAD_KEYS_MAX + 1).collect();
    let count = count(transaction, group);
    take_dead(transaction, kind, name, &keys, count)
}

/// Takes all keys that something holds, where all are dead and they are few.
fn take_dead(
    transaction: &mut Transaction<'_>,
    kind: ResourceKind,
    name: &impl ToString,
    keys: &[(KeyspaceNumber, KeyId)],
    count: u64,
) -> Result<(), Refusal> {
    let (state, now) = (transaction.state(), transaction.now());
    let subjects: Vec<_> = keys.iter().filter_map(|(keyspace, id)| Subject::at(state, *keyspace, *id)).collect();
    let all_dead = subjects.iter().all(|subject| state.death_of(&subject.key, now).is_some());
    if keys.len() > DEAD_KEYS_MAX || !all_dead {
        need_none(kind, name, ResourceKind::Key, count)?;
    }
    let mut removed = Removed::default();
    for subject in &subjects {
        removed.take(transaction, subject, Vec::new());
    }
    removed.finish(transaction);
    Ok(())
}

/// Takes the grants on what goes from whoever holds them. They are by name: who makes another of that name must not
/// find that others may act on it.
fn take_grants(transaction: &mut Transaction<'_>, kind: ResourceKind, scope: &Scope) -> Result<(), Refusal> {
    let all = (scope.clone(), IdentityNumber(0))..=(scope.clone(), IdentityNumber(u32::MAX));
    let grantees = transaction.state().index().grantees.range(all).map(|(_, number)| *number);
    let grantees: Vec<_> = grantees.take(GRANTEES_MAX + 1).collect();
    if grantees.len() > GRANTEES_MAX {
        need_none(kind, scope, ResourceKind::Identity, grantees.len() as u64)?;
    }
    for number in grantees {
        let Some(identity) = transaction.state().identities().by_number(number).cloned() else { continue };
        let name = change::identity_name(transaction.state(), &identity);
        let grants = identity.grants.iter().filter(|grant| grant.scope != *scope).cloned().collect();
        let changed = Some(change::now(transaction));
        let without = Identity { grants, changed, ..(*identity).clone() };
        let facts = change::facts_of_grants(&identity.grants, &without.grants);
        transaction.put(Row::Identity(Arc::new(without)));
        let telling = Telling { tenant: Some(identity.tenant), facts, ..Telling::default() };
        transaction.emit(Action::IdentityUpdated, name.to_string(), telling);
    }
    Ok(())
}

fn tell(transaction: &mut Transaction<'_>, action: Action, name: &impl ToString, tenant: TenantNumber) {
    let subject: String = name.to_string();
    transaction.emit(action, subject, Telling { tenant: Some(tenant), ..Telling::default() });
}
