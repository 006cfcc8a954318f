//! Listings in an order of their own: keys, and roles with the built-in ones among them.

use latchkey_domain::{KeyspaceNumber, Slug};
use latchkey_state::listing::{AnyRole, KeyFilter, KeyOrder, Position, SCAN_MAX};
use latchkey_state::{State, Tenant};
use latchkey_transport::Rejection;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::resource::View;
use latchkey_wire::violation::FieldViolations;
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
