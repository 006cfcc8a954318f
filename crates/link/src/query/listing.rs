//! Listings in an order of their own: keys, rotations, and roles with the built-in ones among them.

use super::{name, not_found};
use latchkey_domain::{KeyName, KeyspaceName, KeyspaceNumber, ResourceKind, Scope, Slug};
use latchkey_state::listing::{AnyRole, KeyFilter, KeyOrder, Position, RotationPlace, SCAN_MAX};
use latchkey_state::{Rotation, State, Tenant};
use latchkey_transport::Rejection;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::resource::View;
use latchkey_wire::violation::FieldViolations;
use std::sync::Arc;
use tonic::Status;

/// One page of keys.
pub(super) fn keys(
    view: &View<'_>,
    list: &pb::ListQuery,
    keyspace: KeyspaceNumber,
    size: usize,
    answer: &mut pb::ListAnswer,
) -> Result<(), Status> {
    let filter = key_filter(view.state, &list.filter)?;
    let order = KeyOrder::parse(&list.order_by).ok_or_else(|| invalid("order_by", "is no order of keys"))?;
    let after = match list.position.as_slice() {
        [] => None,
        bytes => Some(Position::decode(bytes).ok_or(Rejection::PageTokenInvalid)?),
    };
    let page = view.state.list_keys(keyspace, &filter, order, after, view.now, size, SCAN_MAX);
    answer.keys = page.keys.iter().map(|key| view.key(key)).collect();
    answer.more = page.next.is_some();
    answer.next_position = page.next.map(|next| next.encode()).unwrap_or_default();
    Ok(())
}

/// A filter of keys, its names resolved in this state.
pub(super) fn key_filter(state: &State, filter: &str) -> Result<KeyFilter, Status> {
    KeyFilter::parse(state, filter).map_err(|error| invalid("filter", &error.to_string()))
}

fn invalid(field: &str, description: &str) -> Status {
    Rejection::FieldsInvalid(FieldViolations::one(field, description)).into()
}

/// One page of the rotations of a key, or of those in progress of a keyspace. What is not there is the answer.
pub(super) fn rotations(
    view: &View<'_>,
    list: &pb::ListQuery,
    size: usize,
    seen: impl Fn(Scope) -> bool,
    answer: &mut pb::ListAnswer,
) -> Result<Option<Answer>, Status> {
    let state = view.state;
    let after = match list.position.as_slice() {
        [] => None,
        bytes => Some(RotationPlace::decode(bytes).ok_or(Rejection::PageTokenInvalid)?),
    };
    if let Ok(keyspace) = KeyspaceName::parse(&list.parent) {
        let Some(found) = state.keyspace(&keyspace) else {
            return Ok(Some(not_found(ResourceKind::Keyspace, &list.parent)));
        };
        if seen(Scope::Keyspace(keyspace)) {
            let listed = state.list_rotations_in_progress(found.number, after);
            let in_progress = listed.filter(|rotation| !rotation.state_at(view.now).is_final());
            show(view, in_progress, RotationPlace::of_keyspace, size, answer);
        }
    } else {
        let key = name(KeyName::parse(&list.parent))?;
        let Some(found) = state.key(&key) else { return Ok(Some(not_found(ResourceKind::Key, &list.parent))) };
        if seen(Scope::Keyspace(key.keyspace)) {
            let listed = state.list_rotations(found.keyspace, found.id, after);
            show(view, listed.iter(), RotationPlace::of_key, size, answer);
        }
    }
    Ok(None)
}

fn show<'a>(
    view: &View<'_>,
    rotations: impl Iterator<Item = &'a Arc<Rotation>>,
    place: impl Fn(&Rotation) -> RotationPlace,
    size: usize,
    answer: &mut pb::ListAnswer,
) {
    let mut rotations = rotations.peekable();
    let page: Vec<_> = rotations.by_ref().take(size).collect();
    answer.more = rotations.peek().is_some();
    let last = page.last().filter(|_| answer.more);
    answer.next_position = last.map(|last| place(last).encode()).unwrap_or_default();
    answer.rotations = page.into_iter().map(|rotation| view.rotation(rotation)).collect();
}

/// One page of the roles of a tenant, by id, the built-in ones among them.
pub(super) fn roles(view: &View<'_>, tenant: &Tenant, after: Option<&Slug>, size: usize, answer: &mut pb::ListAnswer) {
    let mut roles = view.state.list_roles(tenant.number, after).peekable();
    let shown = |role| match role {
        AnyRole::BuiltIn(role) => view.built_in_role(&tenant.id, role),
        AnyRole::Made(role) => view.role(&role),
    };
    answer.roles = roles.by_ref().take(size).map(shown).collect();
    answer.more = roles.peek().is_some();
}
