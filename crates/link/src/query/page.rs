//! One page of a listing.

use super::listing::{keys, roles};
use super::rotations::{due, rotations};
use super::{name, not_found};
use latchkey_domain::{KeyspaceName, ResourceKind, Scope, Slug, TenantName};
use latchkey_state::{Directory, Listed, NO_TENANT, Tenant};
use latchkey_transport::Rejection;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::list_query::Collection;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::resource::View;
use std::sync::Arc;
use tonic::Status;

/// Resources on one page.
const PAGE_SIZE_MAX: usize = 1_000;

pub(super) fn page(view: &View<'_>, list: &pb::ListQuery) -> Result<Answer, Status> {
    let size = usize::try_from(list.page_size).unwrap_or(PAGE_SIZE_MAX).clamp(1, PAGE_SIZE_MAX);
    let scopes = list.scopes.iter().map(|scope| name(Scope::parse(scope))).collect::<Result<Vec<_>, _>>()?;
    let seen = |scope: Scope| scopes.iter().any(|granted| granted.includes(&scope));
    let state = view.state;
    let mut answer = pb::ListAnswer::default();
    let collection = list.collection();
    match collection {
        Collection::Unspecified => return Err(Rejection::PageTokenInvalid.into()),
        Collection::Tenants => {
            let after = after(&list.after)?;
            let tenants = state.tenants().of_tenant(NO_TENANT, after.as_ref());
            let tenants = tenants.filter(|tenant| seen(Scope::Tenant(TenantName::new(tenant.id.clone()))));
            answer.tenants = cut(tenants, size, &mut answer.more, |tenant| view.tenant(tenant));
        }
        Collection::Keys => {
            let parent = name(KeyspaceName::parse(&list.parent))?;
            let Some(keyspace) = state.keyspace(&parent) else {
                return Ok(not_found(ResourceKind::Keyspace, &list.parent));
            };
            if seen(Scope::Keyspace(parent)) {
                keys(view, list, keyspace.number, size, &mut answer)?;
            }
        }
        Collection::Rotations => {
            if let Some(missing) = rotations(view, list, size, seen, &mut answer)? {
                return Ok(missing);
            }
        }
        Collection::DueRotations => {
            if let Some(missing) = due(view, list, size, seen, &mut answer)? {
                return Ok(missing);
            }
        }
        Collection::Keyspaces | Collection::Owners | Collection::Identities | Collection::Roles => {
            let Some(tenant) = state.tenant(&name(TenantName::parse(&list.parent))?) else {
                return Ok(not_found(ResourceKind::Tenant, &list.parent));
            };
            of_tenant(view, list, tenant, size, seen, &mut answer)?;
        }
    }
    Ok(Answer::List(answer))
}

fn of_tenant(
    view: &View<'_>,
    list: &pb::ListQuery,
    tenant: &Tenant,
    size: usize,
    seen: impl Fn(Scope) -> bool,
    answer: &mut pb::ListAnswer,
) -> Result<(), Status> {
    let (state, more) = (view.state, &mut answer.more);
    let shown = seen(Scope::Tenant(TenantName::new(tenant.id.clone())));
    match list.collection() {
        Collection::Keyspaces => {
            let after = after(&list.after)?;
            let keyspaces = state.keyspaces().of_tenant(tenant.number, after.as_ref());
            let keyspaces = keyspaces.filter(|keyspace| seen(Scope::Keyspace(state.keyspace_name(keyspace))));
            answer.keyspaces = cut(keyspaces, size, more, |keyspace| view.keyspace(keyspace));
        }
        Collection::Owners => {
            let owners = records(state.owners(), tenant, shown, &list.after)?;
            answer.owners = cut(owners, size, more, |owner| view.owner(owner));
        }
        Collection::Roles => {
            let after = after(&list.after)?;
            if shown {
                roles(view, tenant, after.as_ref(), size, answer);
            }
        }
        _ => {
            let identities = records(state.identities(), tenant, shown, &list.after)?;
            answer.identities = cut(identities, size, more, |identity| view.identity(identity));
        }
    }
    Ok(())
}

fn records<'a, R: Listed>(
    directory: &'a Directory<R>,
    tenant: &Tenant,
    shown: bool,
    after_name: &str,
) -> Result<impl Iterator<Item = &'a Arc<R>>, Status> {
    let after = after(after_name)?;
    Ok(directory.of_tenant(tenant.number, after.as_ref()).filter(move |_| shown))
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

/// The id in the name of the last resource of the page before.
fn after(name: &str) -> Result<Option<Slug>, Status> {
    let Some(id) = name.rsplit('/').next().filter(|id| !id.is_empty()) else { return Ok(None) };
    Slug::parse(id).map(Some).map_err(|_| Rejection::PageTokenInvalid.into())
}
