//! Reading one resource, or a page of many: what the caller's grants cover, and nothing else.

use crate::Handlers;
use latchkey_domain::{
    Duty, IdentityName, KeyName, KeyspaceName, OwnerName, Refusal, Revision, RoleName, Scope, TenantName,
};
use latchkey_link::{Authorized, Call, ProvenIdentity, READERS, Registry, answers};
use latchkey_transport::status;
use latchkey_wire::pb::internal::v1::list_query::Collection;
use latchkey_wire::pb::internal::v1::{ListAnswer, ListQuery};
use latchkey_wire::pb::v1;
use latchkey_wire::request::{List, ListKeys, next_page_token};
use std::collections::BTreeSet;
use std::fmt::Display;
use tonic::Status;

/// One page: what is on it, where the next begins, and of which revision it is.
pub(crate) type Page = (ListAnswer, String, Revision);

impl<R: Registry> Handlers<R> {
    pub(crate) async fn tenant(&self, call: Call<TenantName>) -> Result<v1::Tenant, Status> {
        let (by, scope) = (call.by, Scope::Tenant(call.asked.clone()));
        let authorized = Authorized::check(call.asked, call.identity, &READERS, &scope)?;
        answers::tenant(&*self.registry, authorized.request(), by).await
    }

    pub(crate) async fn keyspace(&self, call: Call<KeyspaceName>) -> Result<v1::Keyspace, Status> {
        let (by, scope) = (call.by, Scope::Keyspace(call.asked.clone()));
        let authorized = Authorized::check(call.asked, call.identity, &READERS, &scope)?;
        answers::keyspace(&*self.registry, authorized.request(), by).await
    }

    pub(crate) async fn owner(&self, call: Call<OwnerName>) -> Result<v1::Owner, Status> {
        let (by, scope) = (call.by, Scope::Tenant(call.asked.parent()));
        let authorized = Authorized::check(call.asked, call.identity, &READERS, &scope)?;
        answers::owner(&*self.registry, authorized.request(), by).await
    }

    pub(crate) async fn role(&self, call: Call<RoleName>) -> Result<v1::Role, Status> {
        let (by, scope) = (call.by, Scope::Tenant(call.asked.parent()));
        let authorized = Authorized::check(call.asked, call.identity, &READERS, &scope)?;
        answers::role(&*self.registry, authorized.request(), by).await
    }

    pub(crate) async fn identity(&self, call: Call<IdentityName>) -> Result<v1::Identity, Status> {
        let (by, scope) = (call.by, Scope::Tenant(call.asked.parent()));
        let authorized = Authorized::check(call.asked, call.identity, &READERS, &scope)?;
        answers::identity(&*self.registry, authorized.request(), by).await
    }

    pub(crate) async fn key(&self, call: Call<KeyName>) -> Result<v1::Key, Status> {
        let Call { asked, identity, by, .. } = call;
        let name = asked.clone();
        let authorized = Authorized::check_key(&*self.registry, asked, identity, &name, &READERS, by).await?;
        Ok(answers::key(&*self.registry, authorized.request(), by).await?.0)
    }

    pub(crate) async fn tenants(&self, call: Call<List<()>>) -> Result<Page, Status> {
        touches(&call.identity, &Scope::System, |_| true)?;
        self.page(call, Collection::Tenants, "tenants", &"").await
    }

    pub(crate) async fn keyspaces(&self, call: Call<List<TenantName>>) -> Result<Page, Status> {
        let parent = call.asked.parent.clone();
        let tenant = Scope::Tenant(parent.clone());
        touches(&call.identity, &tenant, |scope| scope.includes(&tenant) || tenant.includes(scope))?;
        self.page(call, Collection::Keyspaces, "keyspaces", &parent).await
    }

    pub(crate) async fn owners(&self, call: Call<List<TenantName>>) -> Result<Page, Status> {
        let parent = call.asked.parent.clone();
        let tenant = Scope::Tenant(parent.clone());
        touches(&call.identity, &tenant, |scope| scope.includes(&tenant))?;
        self.page(call, Collection::Owners, "owners", &parent).await
    }

    pub(crate) async fn roles(&self, call: Call<List<TenantName>>) -> Result<Page, Status> {
        let parent = call.asked.parent.clone();
        let tenant = Scope::Tenant(parent.clone());
        touches(&call.identity, &tenant, |scope| scope.includes(&tenant))?;
        self.page(call, Collection::Roles, "roles", &parent).await
    }

    pub(crate) async fn identities(&self, call: Call<List<TenantName>>) -> Result<Page, Status> {
        let parent = call.asked.parent.clone();
        let tenant = Scope::Tenant(parent.clone());
        touches(&call.identity, &tenant, |scope| scope.includes(&tenant))?;
        self.page(call, Collection::Identities, "identities", &parent).await
    }

    /// Management keys are listed as a whole: whoever reads those of one tenant only asks for each by its name.
    pub(crate) async fn keys(&self, call: Call<ListKeys>) -> Result<Page, Status> {
        let Call { asked, identity, by, .. } = call;
        let keyspace = Scope::Keyspace(asked.parent.clone());
        touches(&identity, &keyspace, |scope| scope.includes(&keyspace))?;
        let query = ListQuery {
            collection: Collection::Keys.into(),
            parent: asked.parent.to_string(),
            page_size: asked.page_size,
            scopes: printed_scopes(&identity),
            filter: asked.filter.clone(),
            order_by: asked.order_by.clone(),
            position: asked.position.clone().unwrap_or_default(),
            ..ListQuery::default()
        };
        let (page, revision) = answers::page(&*self.registry, query, by).await?;
        let next = Some(&page.next_position).filter(|position| !position.is_empty());
        let token = next.map(|position| asked.next_page_token(position)).unwrap_or_default();
        Ok((page, token, revision))
    }

    async fn page<P>(
        &self,
        call: Call<List<P>>,
        collection: Collection,
        word: &str,
        parent: &impl Display,
    ) -> Result<Page, Status> {
        let query = ListQuery {
            collection: collection.into(),
            parent: parent.to_string(),
            page_size: call.asked.page_size,
            after: call.asked.after.unwrap_or_default(),
            scopes: printed_scopes(&call.identity),
            ..ListQuery::default()
        };
        let (page, revision) = answers::page(&*self.registry, query, call.by).await?;
        let last = last_name(&page).filter(|_| page.more);
        let token = last.map(|last| next_page_token(word, parent, last)).unwrap_or_default();
        Ok((page, token, revision))
    }
}

/// Where the identity may read.
fn scopes(identity: &ProvenIdentity) -> impl Iterator<Item = &Scope> {
    let reads = |duty: Duty| READERS.iter().any(|reader| duty.includes(*reader));
    identity.grants.iter().filter(move |grant| reads(grant.duty)).map(|grant| &grant.scope)
}

fn printed_scopes(identity: &ProvenIdentity) -> Vec<String> {
    scopes(identity).map(ToString::to_string).collect::<BTreeSet<_>>().into_iter().collect()
}

/// That the identity may read something there.
fn touches(identity: &ProvenIdentity, place: &Scope, touches: impl Fn(&Scope) -> bool) -> Result<(), Status> {
    if scopes(identity).any(touches) {
        return Ok(());
    }
    let refusal = Refusal::PermissionDenied { duty: Duty::Auditor, scope: place.clone() };
    Err(status::refused(&refusal))
}

fn last_name(page: &ListAnswer) -> Option<&str> {
    let tenants = page.tenants.last().map(|one| &one.name);
    let keyspaces = page.keyspaces.last().map(|one| &one.name);
    let owners = page.owners.last().map(|one| &one.name);
    let identities = page.identities.last().map(|one| &one.name);
    let roles = page.roles.last().map(|one| &one.name);
    tenants.or(keyspaces).or(owners).or(identities).or(roles).map(String::as_str)
}
