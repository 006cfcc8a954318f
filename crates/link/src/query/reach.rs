//! What a revocation of a whole scope would reach.

use super::{name, not_found};
use latchkey_domain::{KeyName, KeyspaceName, OwnerName, ResourceKind, RoleName, TenantName};
use latchkey_state::{Holder, Key, Keyspace};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::resource::View;
use std::sync::Arc;
use tonic::Status;

/// Names that are told.
const SAMPLE_MAX: usize = 100;

/// Counts the living keys of a scope. It looks at each key of its keyspaces.
pub(super) fn reach(view: &View<'_>, scope: &str) -> Result<Answer, Status> {
    let state = view.state;
    let none = |kind| Ok(not_found(kind, &scope));
    if let Ok(keyspace) = KeyspaceName::parse(scope) {
        let Some(found) = state.keyspace(&keyspace) else { return none(ResourceKind::Keyspace) };
        return Ok(count(view, [found].into_iter(), |_| true));
    }
    let (tenant, owner, role) = if let Ok(owner) = OwnerName::parse(scope) {
        let Some(found) = state.owner(&owner) else { return none(ResourceKind::Owner) };
        (found.tenant, Some(Holder::Owner(found.number)), None)
    } else if let Ok(role) = RoleName::parse(scope) {
        let Some(found) = state.role(&role) else { return none(ResourceKind::Role) };
        (found.tenant, None, Some(found.number))
    } else {
        let Some(found) = state.tenant(&name(TenantName::parse(scope))?) else { return none(ResourceKind::Tenant) };
        (found.number, None, None)
    };
    let within =
        |key: &Key| owner.is_none_or(|owner| key.holder == owner) && role.is_none_or(|role| key.terms.roles.has(&role));
    Ok(count(view, state.keyspaces().of_tenant(tenant, None), within))
}

fn count<'a>(
    view: &View<'a>,
    keyspaces: impl Iterator<Item = &'a Arc<Keyspace>>,
    within: impl Fn(&Key) -> bool,
) -> Answer {
    let state = view.state;
    let mut reach = pb::Reach::default();
    for keyspace in keyspaces {
        reach.bound_ms = reach.bound_ms.max(state.bound_of(keyspace.number, view.now).millis());
        let keys = state.keys_of(keyspace.number, None);
        for key in keys.filter(|key| within(key) && !state.key_worth(key, view.now).is_dead()) {
            reach.key_count += 1;
            if reach.sample.len() < SAMPLE_MAX {
                reach.sample.push(KeyName { keyspace: state.keyspace_name(keyspace), key: key.id }.to_string());
            }
        }
    }
    Answer::Reach(reach)
}
