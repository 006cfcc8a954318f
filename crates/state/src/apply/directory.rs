//! Making tenants, keyspaces, owners and identities.

use super::Answer;
use super::change::grant_text;
use super::ring;
use super::transaction::{Telling, Transaction};
use crate::command::{CreateIdentity, CreateKeyspace, CreateOwner, CreateTenant, NewRingKey, WrappedKey};
use crate::directory::NO_TENANT;
use crate::event::Action;
use crate::records::{Identity, Keyspace, KeyspaceSettings, Owner, RingPurpose, Tenant, TenantQuotas};
use crate::ring::sealed_under;
use crate::row::Row;
use crate::state::State;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use latchkey_domain::{
    Grant, IdentityNumber, KeyspaceNumber, OwnerNumber, Quota, Refusal, ResourceKind, RingNumber, SYSTEM_TENANT, Scope,
    Slug, TenantName, TenantNumber,
};

/// Tenants of one cluster. A list of them all, and their keys, fit in memory with ease.
const TENANTS_MAX: usize = 10_000;
/// Keyspaces of one tenant.
const KEYSPACES_MAX: usize = 1_000;
/// Owners of one tenant.
const OWNERS_MAX: usize = 100_000;
/// Identities of one tenant.
const IDENTITIES_MAX: usize = 1_000;

/// Roles of one tenant, the built-in ones not counted.
pub(super) const ROLES_MAX: usize = 1_000;

pub(super) fn create_tenant(transaction: &mut Transaction<'_>, operation: &CreateTenant) -> Result<Answer, Refusal> {
    let name = TenantName::new(operation.tenant.clone());
    if operation.tenant.as_str() == SYSTEM_TENANT {
        return Err(Refusal::Reserved { name: name.to_string() });
    }
    make_tenant(transaction, &name, operation)
}

/// Also makes the system tenant, which nobody may ask for.
pub(super) fn make_tenant(
    transaction: &mut Transaction<'_>,
    name: &TenantName,
    operation: &CreateTenant,
) -> Result<Answer, Refusal> {
    if transaction.state().tenant(name).is_some() {
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Tenant, name: name.to_string() });
    }
    need_room(transaction.state().tenants().count(NO_TENANT), TENANTS_MAX, None, Quota::Tenants)?;
    let number = TenantNumber(transaction.next_number(Quota::Tenants, |next| &mut next.tenant)?);
    let tenant_key = wrapped(transaction, RingPurpose::Tenant(number), RingNumber(0), &operation.tenant_key)?;
    let audit_key = wrapped(transaction, RingPurpose::Audit(number), tenant_key, &operation.audit_key)?;
    let tenant = Arc::new(Tenant {
        number,
        id: name.tenant.clone(),
        display_name: operation.display_name.clone(),
        contacts: operation.contacts.clone(),
        quotas: TenantQuotas::default(),
        created_at: transaction.now(),
        changed: None,
        cut: None,
        tenant_key,
        audit_key,
    });
    transaction.put(Row::Tenant(tenant.clone()));
    transaction.emit(Action::TenantCreated, name.to_string(), told_of(number, Vec::new()));
    Ok(Answer::Tenant(tenant))
}

pub(super) fn create_keyspace(
    transaction: &mut Transaction<'_>,
    operation: &CreateKeyspace,
) -> Result<Answer, Refusal> {
    let name = &operation.name;
    if name.tenant.as_str() == SYSTEM_TENANT {
        return Err(Refusal::Reserved { name: name.to_string() });
    }
    make_keyspace(transaction, operation)
}

/// Also makes the management keyspace, which nobody may ask for.
pub(super) fn make_keyspace(transaction: &mut Transaction<'_>, operation: &CreateKeyspace) -> Result<Answer, Refusal> {
    let (name, settings) = (&operation.name, &operation.settings);
    let tenant = tenant(transaction, &name.parent())?;
    let state = transaction.state();
    if state.keyspace(name).is_some() {
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Keyspace, name: name.to_string() });
    }
    if state.keyspace_of_prefix(&settings.prefix).is_some() {
        return Err(Refusal::PrefixTaken { prefix: settings.prefix.as_str().to_string() });
    }
    let count = state.keyspaces().count(tenant.number);
    need_room(count, KEYSPACES_MAX, tenant.quotas.keyspaces_max, Quota::KeyspacesOfTenant)?;
    let staleness_max = staleness_max(transaction, settings)?;
    check_lifetimes(settings)?;
    need_tenant_key(transaction.state(), &tenant, &operation.data_key)?;
    let number = KeyspaceNumber(transaction.next_number(Quota::KeyspacesOfTenant, |next| &mut next.keyspace)?);
    let data_key = wrapped(transaction, RingPurpose::Keyspace(number), tenant.tenant_key, &operation.data_key)?;
    let keyspace = Arc::new(Keyspace {
        number,
        tenant: tenant.number,
        id: name.keyspace.clone(),
        settings: settings.clone(),
        staleness_max,
        staleness_before: None,
        created_at: transaction.now(),
        changed: None,
        cut: None,
        data_key,
        keys: 0,
    });
    transaction.put(Row::Keyspace(keyspace.clone()));
    let facts = vec![
        ("environment", settings.environment.as_str().to_string()),
        ("prefix", settings.prefix.as_str().to_string()),
    ];
    transaction.emit(Action::KeyspaceCreated, name.to_string(), told_of(tenant.number, facts));
    Ok(Answer::Keyspace(keyspace))
}

/// The level from which keys of tenants rotate.
const TENANT_KEYS_ROTATE_LEVEL: u32 = 5;

/// A data key that an older key of the tenant wraps would be lost with that. What names no key that was ever given is the
/// proposer's affair, as it was before keys of tenants rotated.
fn need_tenant_key(state: &State, tenant: &Tenant, data_key: &WrappedKey) -> Result<(), Refusal> {
    let given = |number: &RingNumber| (1..=state.progress().next.ring).contains(&number.0);
    match sealed_under(&data_key.wrapped).filter(given) {
        Some(number) if number != tenant.tenant_key && state.progress().feature_level >= TENANT_KEYS_ROTATE_LEVEL => {
            Err(Refusal::RingKeyGone { number: number.0 })
        }
        Some(_) | None => Ok(()),
    }
}

/// A default beyond the maximum would refuse every key that asks for none.
pub(super) fn check_lifetimes(settings: &KeyspaceSettings) -> Result<(), Refusal> {
    match (settings.default_lifetime, settings.maximum_lifetime) {
        (Some(asked), Some(maximum)) if asked > maximum => Err(Refusal::LifetimeTooLong { asked, maximum }),
        _ => Ok(()),
    }
}

pub(super) fn staleness_max(
    transaction: &Transaction<'_>,
    settings: &KeyspaceSettings,
) -> Result<latchkey_domain::DurationMillis, Refusal> {
    let cluster = transaction.state().cluster().expect("a tenant exists, so the cluster's first command was applied");
    let asked = settings.staleness_max.unwrap_or(cluster.staleness_default);
    if asked < cluster.staleness_floor {
        return Err(Refusal::StalenessTooShort { asked, floor: cluster.staleness_floor });
    }
    Ok(asked)
}

pub(super) fn create_owner(transaction: &mut Transaction<'_>, operation: &CreateOwner) -> Result<Answer, Refusal> {
    let name = &operation.name;
    let tenant = tenant(transaction, &name.parent())?;
    if transaction.state().owner(name).is_some() {
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Owner, name: name.to_string() });
    }
    let count = transaction.state().owners().count(tenant.number);
    need_room(count, OWNERS_MAX, tenant.quotas.owners_max, Quota::OwnersOfTenant)?;
    let owner = Arc::new(Owner {
        number: OwnerNumber(transaction.next_number(Quota::OwnersOfTenant, |next| &mut next.owner)?),
        tenant: tenant.number,
        id: name.owner.clone(),
        display_name: operation.display_name.clone(),
        contacts: operation.contacts.clone(),
        created_at: transaction.now(),
        changed: None,
        cut: None,
    });
    transaction.put(Row::Owner(owner.clone()));
    transaction.emit(Action::OwnerCreated, name.to_string(), told_of(tenant.number, Vec::new()));
    Ok(Answer::Owner(owner))
}

pub(super) fn create_identity(
    transaction: &mut Transaction<'_>,
    operation: &CreateIdentity,
) -> Result<Answer, Refusal> {
    let name = &operation.name;
    let tenant = tenant(transaction, &name.parent())?;
    if transaction.state().identity(name).is_some() {
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Identity, name: name.to_string() });
    }
    let count = transaction.state().identities().count(tenant.number);
    need_room(count, IDENTITIES_MAX, tenant.quotas.identities_max, Quota::IdentitiesOfTenant)?;
    scopes_exist(transaction, &operation.grants)?;
    let identity = Arc::new(Identity {
        number: IdentityNumber(transaction.next_number(Quota::IdentitiesOfTenant, |next| &mut next.identity)?),
        tenant: tenant.number,
        id: name.identity.clone(),
        display_name: operation.display_name.clone(),
        grants: operation.grants.clone(),
        created_at: transaction.now(),
        changed: None,
    });
    transaction.put(Row::Identity(identity.clone()));
    let grants: Vec<_> = identity.grants.iter().map(grant_text).collect();
    let facts = vec![("grants", grants.join(","))];
    transaction.emit(Action::IdentityCreated, name.to_string(), told_of(tenant.number, facts));
    Ok(Answer::Identity(identity))
}

/// A grant is by name: on a name that nobody has yet, it would be a gift to come from whoever makes that tenant.
pub(super) fn scopes_exist(transaction: &Transaction<'_>, grants: &[Grant]) -> Result<(), Refusal> {
    let state = transaction.state();
    for grant in grants {
        let (kind, exists) = match &grant.scope {
            Scope::System => continue,
            Scope::Tenant(name) => (ResourceKind::Tenant, state.tenant(name).is_some()),
            Scope::Keyspace(name) => (ResourceKind::Keyspace, state.keyspace(name).is_some()),
        };
        if !exists {
            return Err(Refusal::NotFound { kind, name: grant.scope.to_string() });
        }
    }
    Ok(())
}

pub(super) fn tenant(transaction: &Transaction<'_>, name: &TenantName) -> Result<Arc<Tenant>, Refusal> {
    let not_found = || Refusal::NotFound { kind: ResourceKind::Tenant, name: name.to_string() };
    transaction.state().tenant(name).cloned().ok_or_else(not_found)
}

/// One more is within the fixed bound, and within the tenant's own where it has one.
pub(super) fn need_room(count: usize, limit: usize, own: Option<u32>, quota: Quota) -> Result<(), Refusal> {
    let limit = own.map_or(limit as u64, |own| u64::from(own).min(limit as u64));
    if count as u64 >= limit {
        return Err(Refusal::QuotaExceeded { quota, limit });
    }
    Ok(())
}

pub(super) fn wrapped(
    transaction: &mut Transaction<'_>,
    purpose: RingPurpose,
    wrapped_by: RingNumber,
    key: &WrappedKey,
) -> Result<RingNumber, Refusal> {
    let new = NewRingKey { id: key.id, purpose, wrapped_by, kek: None, wrapped: key.wrapped.clone() };
    ring::add(transaction, &new)
}

fn told_of(tenant: TenantNumber, facts: Vec<(&'static str, String)>) -> Telling {
    Telling { tenant: Some(tenant), reason: None, facts }
}

/// A slug that this build chose and that therefore parses.
pub(super) fn slug(text: &str) -> Slug {
    Slug::parse(text).expect("built-in ids are well-formed")
}
