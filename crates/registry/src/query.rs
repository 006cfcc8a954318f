//! Reads for the services that hold no state: one resource, one page of one listing, or what it takes to mint.

use latchkey_domain::{
    IdentityName, KeyName, KeyspaceName, OwnerName, Refusal, ResourceKind, Scope, Slug, TenantName, TenantNumber,
    UnixMillis,
};
use latchkey_state::{Directory, Keyspace, Listed, NO_TENANT, RingPurpose, State, Tenant};
use latchkey_transport::Rejection;
use latchkey_wire::disk::{write_keyspace_row, write_ring_key_row, write_tenant_row};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::list_query::Collection;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::refusal::write_refusal;
use latchkey_wire::request::read_name;
use latchkey_wire::resource::View;
use std::sync::Arc;
use tonic::Status;

/// Resources on one page.
const PAGE_SIZE_MAX: usize = 1_000;

/// Answers one query from one state.
pub(crate) fn answer(state: &State, now: UnixMillis, query: &pb::query_request::Query) -> Result<Answer, Status> {
    use pb::query_request::Query;
    let view = View::new(state, now);
    let answer = match query {
        Query::Tenant(text) => {
            let name = name(TenantName::parse(text))?;
            let found = state.tenant(&name).map(|tenant| Answer::Tenant(view.tenant(tenant)));
            found.unwrap_or_else(|| not_found(ResourceKind::Tenant, text))
        }
        Query::Keyspace(text) => {
            let name = name(KeyspaceName::parse(text))?;
            let found = state.keyspace(&name).map(|keyspace| Answer::Keyspace(view.keyspace(keyspace)));
            found.unwrap_or_else(|| not_found(ResourceKind::Keyspace, text))
        }
        Query::Owner(text) => {
            let name = name(OwnerName::parse(text))?;
            let found = state.owner(&name).map(|owner| Answer::Owner(view.owner(owner)));
            found.unwrap_or_else(|| not_found(ResourceKind::Owner, text))
        }
        Query::Identity(text) => {
            let name = name(IdentityName::parse(text))?;
            let found = state.identity(&name).map(|identity| Answer::Identity(view.identity(identity)));
            found.unwrap_or_else(|| not_found(ResourceKind::Identity, text))
        }
        Query::Key(text) => {
            let name = name(KeyName::parse(text))?;
            let found = state.key(&name).map(|key| Answer::Key(view.key(key)));
            found.unwrap_or_else(|| not_found(ResourceKind::Key, text))
        }
        Query::List(list) => page(&view, list)?,
        Query::Material(query) => material(state, now, query)?,
    };
    Ok(answer)
}

fn name<T>(parsed: Result<T, latchkey_domain::NameError>) -> Result<T, Status> {
    read_name(parsed).map_err(|violations| Rejection::FieldsInvalid(violations).into())
}

fn not_found(kind: ResourceKind, name: &str) -> Answer {
    Answer::Refusal(write_refusal(&Refusal::NotFound { kind, name: name.into() }))
}

fn page(view: &View<'_>, list: &pb::ListQuery) -> Result<Answer, Status> {
    let size = usize::try_from(list.page_size).unwrap_or(PAGE_SIZE_MAX).clamp(1, PAGE_SIZE_MAX);
    let scopes = list.scopes.iter().map(|scope| name(Scope::parse(scope))).collect::<Result<Vec<_>, _>>()?;
    let seen = |scope: Scope| scopes.iter().any(|granted| granted.includes(&scope));
    let state = view.state;
    let mut answer = pb::ListAnswer::default();
    match list.collection() {
        Collection::Tenants => {
            let after = after(&list.after)?;
            let tenants = state.tenants().of_tenant(NO_TENANT, after.as_ref());
            let tenants = tenants.filter(|tenant| seen(Scope::Tenant(TenantName::new(tenant.id.clone()))));
            answer.tenants = cut(tenants, size, &mut answer.more, |tenant| view.tenant(tenant));
        }
        Collection::Keyspaces => {
            let Some(tenant) = parent_tenant(state, &list.parent)? else {
                return Ok(not_found(ResourceKind::Tenant, &list.parent));
            };
            let after = after(&list.after)?;
            let keyspaces = state.keyspaces().of_tenant(tenant.number, after.as_ref());
            let keyspaces = keyspaces.filter(|keyspace| seen(Scope::Keyspace(state.keyspace_name(keyspace))));
            answer.keyspaces = cut(keyspaces, size, &mut answer.more, |keyspace| view.keyspace(keyspace));
        }
        Collection::Owners => {
            let Some(tenant) = parent_tenant(state, &list.parent)? else {
                return Ok(not_found(ResourceKind::Tenant, &list.parent));
            };
            let owners = of_tenant(state.owners(), &tenant, &seen, &list.after)?;
            answer.owners = cut(owners, size, &mut answer.more, |owner| view.owner(owner));
        }
        Collection::Identities => {
            let Some(tenant) = parent_tenant(state, &list.parent)? else {
                return Ok(not_found(ResourceKind::Tenant, &list.parent));
            };
            let identities = of_tenant(state.identities(), &tenant, &seen, &list.after)?;
            answer.identities = cut(identities, size, &mut answer.more, |identity| view.identity(identity));
        }
        Collection::Keys => {
            let parent = name(KeyspaceName::parse(&list.parent))?;
            let Some(keyspace) = state.keyspace(&parent) else {
                return Ok(not_found(ResourceKind::Keyspace, &list.parent));
            };
            let after = match list.after.as_str() {
                "" => None,
                text => Some(KeyName::parse(text).map_err(|_| Status::from(Rejection::PageTokenInvalid))?.key),
            };
            let keys = state.keys_of(keyspace.number, after).filter(|_| seen(Scope::Keyspace(parent.clone())));
            answer.keys = cut(keys, size, &mut answer.more, |key| view.key(key));
        }
        Collection::Unspecified => return Err(Rejection::PageTokenInvalid.into()),
    }
    Ok(Answer::List(answer))
}

/// The first `size` of what there is, and whether there is more.
fn cut<'a, R: 'a, T>(
    records: impl Iterator<Item = &'a Arc<R>>,
    size: usize,
    more: &mut bool,
    show: impl Fn(&R) -> T,
) -> Vec<T> {
    let mut records = records.peekable();
    let page = records.by_ref().take(size).map(|record| show(record)).collect();
    *more = records.peek().is_some();
    page
}

fn of_tenant<'a, R: Listed>(
    directory: &'a Directory<R>,
    tenant: &Tenant,
    seen: &impl Fn(Scope) -> bool,
    after_name: &str,
) -> Result<impl Iterator<Item = &'a Arc<R>>, Status> {
    let shown = seen(Scope::Tenant(TenantName::new(tenant.id.clone())));
    let number: TenantNumber = tenant.number;
    let after = after(after_name)?;
    Ok(directory.of_tenant(number, after.as_ref()).filter(move |_| shown))
}

fn parent_tenant(state: &State, parent: &str) -> Result<Option<Arc<Tenant>>, Status> {
    Ok(state.tenant(&name(TenantName::parse(parent))?).cloned())
}

/// The id in the name of the last resource of the page before.
fn after(name: &str) -> Result<Option<Slug>, Status> {
    let Some(id) = name.rsplit('/').next().filter(|id| !id.is_empty()) else { return Ok(None) };
    Slug::parse(id).map(Some).map_err(|_| Rejection::PageTokenInvalid.into())
}

fn material(state: &State, now: UnixMillis, query: &pb::MaterialQuery) -> Result<Answer, Status> {
    use pb::material_query::Scope as Of;
    let (tenant, keyspace): (Option<&Arc<Tenant>>, Option<&Arc<Keyspace>>) = match &query.scope {
        None => (None, None),
        Some(Of::Tenant(text)) => match state.tenant(&name(TenantName::parse(text))?) {
            None => return Ok(not_found(ResourceKind::Tenant, text)),
            found => (found, None),
        },
        Some(Of::Keyspace(text)) => match state.keyspace(&name(KeyspaceName::parse(text))?) {
            None => return Ok(not_found(ResourceKind::Keyspace, text)),
            Some(keyspace) => (state.tenants().by_number(keyspace.tenant), Some(keyspace)),
        },
    };
    let ring_row = |number| state.ring_key(number).map(|key| write_ring_key_row(key));
    let cluster = state.cluster();
    Ok(Answer::Material(pb::Material {
        pepper: state.newest_ring_key(RingPurpose::Pepper).map(|key| write_ring_key_row(key)),
        replay_keys: state
            .ring()
            .filter(|key| key.purpose == RingPurpose::Replay)
            .map(|key| write_ring_key_row(key))
            .collect(),
        tenant: tenant.map(|tenant| write_tenant_row(tenant)),
        tenant_key: tenant.and_then(|tenant| ring_row(tenant.tenant_key)),
        keyspace: keyspace.map(|keyspace| write_keyspace_row(keyspace)),
        data_key: keyspace.and_then(|keyspace| ring_row(keyspace.data_key)),
        feature_level: state.progress().feature_level,
        staleness_floor_ms: cluster.map_or(0, |cluster| cluster.staleness_floor.millis()),
        staleness_default_ms: cluster.map_or(0, |cluster| cluster.staleness_default.millis()),
        now_unix_ms: now.millis(),
    }))
}
