//! Making and changing roles. The built-in ones have no record, and nobody changes them.

use super::Answer;
use super::change::{self, check_etag, facts, not_found};
use super::directory::{ROLES_MAX, need_room, tenant};
use super::key_facts::{from_to, of_sets, texts};
use super::transaction::{Telling, Transaction};
use super::update_directory::set;
use crate::command::{CreateRole, UpdateRole};
use crate::event::Action;
use crate::records::Role;
use crate::row::Row;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{
    BuiltInRole, Method, PermissionPattern, Quota, Refusal, ResourceKind, RoleName, RoleNumber, TenantNumber,
};

pub(super) fn create_role(transaction: &mut Transaction<'_>, operation: &CreateRole) -> Result<Answer, Refusal> {
    let name = &operation.name;
    not_built_in(name)?;
    let tenant = tenant(transaction, &name.parent())?;
    if transaction.state().role(name).is_some() {
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Role, name: name.to_string() });
    }
    let count = transaction.state().roles().count(tenant.number);
    need_room(count, ROLES_MAX, tenant.quotas.roles_max, Quota::RolesOfTenant)?;
    let number = transaction.next_number(Quota::RolesOfTenant, |next| {
        next.role = next.role.max(BuiltInRole::NUMBER_MAX);
        &mut next.role
    })?;
    let role = Arc::new(Role {
        number: RoleNumber(number),
        tenant: tenant.number,
        id: name.role.clone(),
        display_name: operation.display_name.clone(),
        permissions: operation.permissions.clone(),
        methods: operation.methods.clone(),
        created_at: transaction.now(),
        created: transaction.revision(),
        changed: None,
        cut: None,
    });
    transaction.put(Row::Role(role.clone()));
    let methods: Vec<_> = role.methods.iter().map(Method::as_str).collect();
    let permissions: Vec<_> = role.permissions.iter().map(PermissionPattern::as_str).collect();
    let facts = Vec::from([("methods", methods.join(",")), ("permissions", permissions.join(","))]);
    tell(transaction, Action::RoleCreated, name, tenant.number, facts);
    Ok(Answer::Role(role))
}

pub(super) fn update_role(transaction: &mut Transaction<'_>, operation: &UpdateRole) -> Result<Answer, Refusal> {
    let (name, changes) = (&operation.name, &operation.changes);
    not_built_in(name)?;
    let old = transaction.state().role(name).ok_or_else(|| not_found(ResourceKind::Role, name))?.clone();
    check_etag(operation.etag.as_deref(), old.etag())?;
    let mut new = Role::clone(&old);
    set(&mut new.display_name, changes.display_name.as_ref());
    set(&mut new.permissions, changes.permissions.as_ref());
    set(&mut new.methods, changes.methods.as_ref());
    if new == *old {
        return Ok(Answer::Role(old));
    }
    new.changed = Some(change::now(transaction));
    let facts = facts([
        ("display_name", from_to(&old.display_name.as_str(), &new.display_name.as_str())),
        ("methods", of_sets(&texts(&old.methods), &texts(&new.methods))),
        ("permissions", of_sets(&texts(&old.permissions), &texts(&new.permissions))),
    ]);
    let new = Arc::new(new);
    transaction.put(Row::Role(new.clone()));
    tell(transaction, Action::RoleUpdated, name, new.tenant, facts);
    Ok(Answer::Role(new))
}

fn not_built_in(name: &RoleName) -> Result<(), Refusal> {
    match BuiltInRole::parse(name.role.as_str()) {
        Some(_) => Err(Refusal::Reserved { name: name.to_string() }),
        None => Ok(()),
    }
}

fn tell(
    transaction: &mut Transaction<'_>,
    action: Action,
    name: &RoleName,
    tenant: TenantNumber,
    facts: Vec<(&'static str, String)>,
) {
    transaction.emit(action, name.to_string(), Telling { tenant: Some(tenant), facts, ..Telling::default() });
}
