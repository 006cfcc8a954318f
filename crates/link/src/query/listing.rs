//! Listings in an order of their own: keys, rotations, and roles with the built-in ones among them.

use super::{name, not_found};
use latchkey_domain::{
    BuiltInRole, KeyId, KeyName, KeyspaceName, KeyspaceNumber, ResourceKind, Scope, Slug, UnixMillis,
};
use latchkey_state::{Key, State, Tenant};
use latchkey_transport::Rejection;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::resource::View;
use tonic::Status;

/// One page of keys.
pub(super) fn keys(
    view: &View<'_>,
    list: &pb::ListQuery,
    keyspace: KeyspaceNumber,
    size: usize,
    answer: &mut pb::ListAnswer,
) -> Result<(), Status> {
    let after = key_after(list)?;
    let mut keys = view.state.keys_of(keyspace, after).peekable();
    let page: Vec<_> = keys.by_ref().take(size).collect();
    answer.more = keys.peek().is_some();
    answer.next_position = page.last().filter(|_| answer.more).map(|key| key.id.bytes().to_vec()).unwrap_or_default();
    answer.keys = page.into_iter().map(|key| view.key(key)).collect();
    Ok(())
}

fn key_after(list: &pb::ListQuery) -> Result<Option<KeyId>, Status> {
    let invalid = || Status::from(Rejection::PageTokenInvalid);
    match (list.position.as_slice(), list.after.as_str()) {
        ([], "") => Ok(None),
        ([], name) => KeyName::parse(name).map(|name| Some(name.key)).map_err(|_| invalid()),
        (bytes, _) => bytes.try_into().ok().and_then(KeyId::from_bytes).map(Some).ok_or_else(invalid),
    }
}

/// What a filter says of a key, in this state.
pub(super) fn key_filter(_: &State, filter: &str) -> Result<impl Fn(&Key, UnixMillis) -> bool, Status> {
    if !filter.is_empty() {
        return Err(Rejection::NotServedHere.into());
    }
    Ok(|_: &Key, _: UnixMillis| true)
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
    let skip = match list.position.as_slice() {
        [] => 0,
        bytes => bytes.try_into().map(u32::from_be_bytes).map_err(|_| Status::from(Rejection::PageTokenInvalid))?,
    };
    let found: Vec<_> = if let Ok(keyspace) = KeyspaceName::parse(&list.parent) {
        let Some(found) = state.keyspace(&keyspace) else {
            return Ok(Some(not_found(ResourceKind::Keyspace, &list.parent)));
        };
        let live = |key: &std::sync::Arc<Key>| Some((key.id, key.rotation()?));
        let live = state.keys_of(found.number, None).filter_map(live);
        let live = live.filter_map(|(key, rotation)| state.rotation_at(found.number, key, rotation));
        if seen(Scope::Keyspace(keyspace)) { live.collect() } else { Vec::new() }
    } else {
        let key = name(KeyName::parse(&list.parent))?;
        let Some(found) = state.key(&key) else { return Ok(Some(not_found(ResourceKind::Key, &list.parent))) };
        let all = state.rotations_of(found.keyspace, found.id);
        if seen(Scope::Keyspace(key.keyspace)) { all.collect() } else { Vec::new() }
    };
    let skip = skip as usize;
    answer.rotations = found.iter().skip(skip).take(size).map(|rotation| view.rotation(rotation)).collect();
    answer.more = found.len() > skip.saturating_add(size);
    if answer.more {
        let next = u32::try_from(skip + size).unwrap_or(u32::MAX);
        answer.next_position = next.to_be_bytes().to_vec();
    }
    Ok(None)
}

/// One page of the roles of a tenant, by id, the built-in ones among them.
pub(super) fn roles(view: &View<'_>, tenant: &Tenant, after: Option<&Slug>, size: usize, answer: &mut pb::ListAnswer) {
    let after = after.map_or("", Slug::as_str);
    let mut all: Vec<_> = BuiltInRole::ALL.into_iter().map(|role| (role.as_str(), Ok(role))).collect();
    // A tenant has a bounded number of roles, so that merging takes no more than sorting.
    all.extend(view.state.roles().of_tenant(tenant.number, None).map(|role| (role.id.as_str(), Err(role))));
    all.retain(|(id, _)| *id > after);
    all.sort_by_key(|(id, _)| *id);
    answer.more = all.len() > size;
    answer.roles = all
        .into_iter()
        .take(size)
        .map(|(_, role)| match role {
            Ok(built_in) => view.built_in_role(&tenant.id, built_in),
            Err(role) => view.role(role),
        })
        .collect();
}
