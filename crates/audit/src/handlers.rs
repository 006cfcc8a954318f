//! The RPCs of `AuditService`.

use crate::archive::Archive;
use crate::list::Page;
use crate::over_registry::{OverRegistry, tenant_number};
use crate::request::{ListEntries, WatchEntries};
use crate::search::{Search, Visible};
use crate::show;
use crate::watch::{Messages, Watch, Watches};
use latchkey_domain::{Duty, Refusal, Scope, TenantName, covers};
use latchkey_link::{Authorized, Call, Entrance, ProvenIdentity, Registry, fields_invalid};
use latchkey_policy::FilterError;
use latchkey_telemetry::{Clock as _, SystemClock};
use latchkey_transport::{Unavailable, status};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::audit_service_server::AuditService;
use latchkey_wire::violation::FieldViolations;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Code, Extensions, Request, Response, Status, async_trait};

/// What is stored, once the store is open: on the first start of all that takes a replica that answers.
pub type Opened<R> = Arc<OnceLock<Archive<OverRegistry<R>>>>;

/// The RPCs of audit over any registry. Cheap to clone.
#[derive(Debug)]
pub struct Handlers<R> {
    entrance: Entrance<R>,
    opened: Opened<R>,
    watches: Arc<Watches>,
}

impl<R> Clone for Handlers<R> {
    fn clone(&self) -> Self {
        Self { entrance: self.entrance.clone(), opened: self.opened.clone(), watches: self.watches.clone() }
    }
}

impl<R: Registry> Handlers<R> {
    /// Of callers that come by this entrance, over this store. Streams end when `stopped` says so.
    #[must_use]
    pub fn new(entrance: Entrance<R>, opened: Opened<R>, stopped: watch::Receiver<bool>) -> Self {
        Self { entrance, opened, watches: Arc::new(Watches::new(stopped)) }
    }

    /// The mark to set before streams are ended since the log cannot go on: their callers are told so.
    #[must_use]
    pub fn halted(&self) -> Arc<AtomicBool> {
        self.watches.halted()
    }

    async fn list(&self, call: Call<ListEntries>) -> Result<v1::ListEntriesResponse, Status> {
        let visible = self.visible(&call.identity, call.asked.parent.as_ref(), call.by).await?;
        let now = call.asked.now.unwrap_or_else(|| SystemClock.unix_millis());
        let search = Search::of_list(&call.asked.filter, visible, now).map_err(filter_invalid)?;
        let archive = self.archive()?;
        let cursor = call.asked.cursor.unwrap_or_else(|| call.asked.start(archive.reader().next()));
        let Page { found, next, stored } = archive.list(&search, cursor, call.asked.page_size, call.by).await?;
        Ok(v1::ListEntriesResponse {
            entries: found.into_iter().map(show::entry).collect(),
            next_page_token: call.asked.next_page_token(next, now),
            next_sequence: stored,
        })
    }

    async fn watch(&self, call: Call<WatchEntries>) -> Result<Messages, Status> {
        let visible = self.visible(&call.identity, call.asked.parent.as_ref(), call.by).await?;
        let search = Search::of_watch(&call.asked.filter, visible.clone()).map_err(filter_invalid)?;
        let archive = self.archive()?.clone();
        let from = call.asked.from.unwrap_or_else(|| archive.reader().next());
        let proof = Arc::new((self.clone(), call.extensions, call.asked.parent, visible));
        self.watches.begin(call.identity.identity, Watch { archive, search, from }, move || {
            let proof = proof.clone();
            async move {
                let (handlers, extensions, parent, seen) = &*proof;
                handlers.still_sees(extensions, parent.as_ref(), seen).await
            }
        })
    }

    /// Whose entries the caller sees: those of the tenant asked for, or of all where he holds the duty.
    async fn visible(
        &self,
        identity: &ProvenIdentity,
        parent: Option<&TenantName>,
        by: Instant,
    ) -> Result<Visible, Status> {
        if let Some(tenant) = parent {
            Authorized::check((), identity.clone(), &[Duty::Auditor], &Scope::Tenant(tenant.clone()))?;
            let tenant = tenant_number(&**self.entrance.registry(), tenant, by).await?;
            return Ok(Visible::Tenants(vec![tenant]));
        }
        if covers(&identity.grants, Duty::Auditor, &Scope::System) {
            return Ok(Visible::All);
        }
        let mut numbers = Vec::new();
        for grant in identity.grants.iter().filter(|grant| grant.duty.includes(Duty::Auditor)) {
            let Scope::Tenant(tenant) = &grant.scope else { continue };
            match tenant_number(&**self.entrance.registry(), tenant, by).await {
                Ok(number) => numbers.push(number),
                // The grant outlived its tenant.
                Err(error) if error.code() == Code::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        if numbers.is_empty() {
            let refusal = Refusal::PermissionDenied { duty: Duty::Auditor, scope: Scope::System };
            return Err(status::refused(&refusal));
        }
        Ok(Visible::Tenants(numbers))
    }

    /// Whether a stream may go on: its caller is still who he was and still sees what he saw.
    async fn still_sees(
        &self,
        extensions: &Extensions,
        parent: Option<&TenantName>,
        seen: &Visible,
    ) -> Result<(), Status> {
        let by = Instant::now() + crate::watch::PROOF_INTERVAL;
        let identity = latchkey_link::identify(&**self.entrance.registry(), extensions, by).await?;
        if self.visible(&identity, parent, by).await? == *seen {
            return Ok(());
        }
        let refusal = Refusal::PermissionDenied { duty: Duty::Auditor, scope: Scope::System };
        Err(status::refused(&refusal))
    }

    fn archive(&self) -> Result<&Archive<OverRegistry<R>>, Status> {
        self.opened.get().ok_or_else(|| Unavailable::Starting.into())
    }
}

fn filter_invalid(error: FilterError) -> Status {
    fields_invalid(FieldViolations::one("filter", error))
}

#[async_trait]
impl<R: Registry> AuditService for Handlers<R> {
    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Result<Response<v1::ListEntriesResponse>, Status> {
        self.entrance.call("AuditService/ListEntries", request, ListEntries::read, |call| self.list(call)).await
    }

    type WatchEntriesStream = Messages;

    async fn watch_entries(
        &self,
        request: Request<v1::WatchEntriesRequest>,
    ) -> Result<Response<Self::WatchEntriesStream>, Status> {
        self.entrance.call("AuditService/WatchEntries", request, WatchEntries::read, |call| self.watch(call)).await
    }
}
