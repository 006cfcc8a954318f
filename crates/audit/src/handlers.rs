//! The RPCs of `AuditService`.

use crate::access::ListAccess;
use crate::entries::Entries;
use crate::exporting::{Exports, read_exports};
use crate::list::Page;
use crate::observing::Observations;
use crate::over_registry::{OverRegistry, tenant_number};
use crate::proofs::{ConsistencyAsked, InclusionAsked, Proving, read_checkpoint};
use crate::request::{ListEntries, WatchEntries};
use crate::search::{Search, Visible};
use crate::show;
use crate::usage::request::QueryUsage;
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
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tonic::{Code, Extensions, Request, Response, Status, async_trait};

/// Questions of usage and of the access log that are answered at a time. Each takes a thread, and some MiB where it asks for much.
const QUESTIONS_AT_ONCE: usize = 8;

/// What is stored, once the journal is open: on the first start of all that takes a replica that answers.
pub type Opened<R> = Arc<OnceLock<Entries<OverRegistry<R>>>>;

/// The RPCs of audit over any registry. Cheap to clone.
#[derive(Debug)]
pub struct Handlers<R> {
    entrance: Entrance<R>,
    observations: Observations,
    asking: Arc<Semaphore>,
    opened: Opened<R>,
    watches: Arc<Watches>,
    proving: Proving,
    exports: Exports,
}

impl<R> Clone for Handlers<R> {
    fn clone(&self) -> Self {
        Self {
            entrance: self.entrance.clone(),
            observations: self.observations.clone(),
            asking: self.asking.clone(),
            opened: self.opened.clone(),
            watches: self.watches.clone(),
            proving: self.proving.clone(),
            exports: self.exports.clone(),
        }
    }
}

impl<R: Registry> Handlers<R> {
    /// Of callers that come by this entrance, over this journal. Streams end when `stopped` says so.
    #[must_use]
    pub fn new(entrance: Entrance<R>, opened: Opened<R>, stopped: watch::Receiver<bool>) -> Self {
        Self {
            entrance,
            observations: Observations::default(),
            asking: Arc::new(Semaphore::new(QUESTIONS_AT_ONCE)),
            opened,
            watches: Arc::new(Watches::new(stopped)),
            proving: Proving::default(),
            exports: Exports::default(),
        }
    }

    /// Where to put what replicas observed, once it is there. Until then questions of usage are `UNAVAILABLE`.
    #[must_use]
    pub const fn observations(&self) -> &Observations {
        &self.observations
    }

    /// Who asks for what replicas observed waits for one of few places: each such question keeps a thread busy.
    pub(crate) const fn asking(&self) -> &Arc<Semaphore> {
        &self.asking
    }

    pub(crate) const fn entrance(&self) -> &Entrance<R> {
        &self.entrance
    }

    /// The mark to set before streams are ended since the log cannot go on: their callers are told so.
    #[must_use]
    pub fn halted(&self) -> Arc<AtomicBool> {
        self.watches.halted()
    }

    /// With the place where what proves the log comes to be. Until it is there proofs are `UNAVAILABLE`.
    #[must_use]
    pub fn proving_by(mut self, proving: Proving) -> Self {
        self.proving = proving;
        self
    }

    /// Where those who send entries elsewhere tell how they do.
    #[must_use]
    pub const fn sinks(&self) -> &Exports {
        &self.exports
    }

    pub(crate) const fn proving_cell(&self) -> &Proving {
        &self.proving
    }

    async fn list(&self, call: Call<ListEntries>) -> Result<v1::ListEntriesResponse, Status> {
        let visible = self.visible(&call.identity, call.asked.parent.as_ref(), call.by).await?;
        let now = call.asked.now.unwrap_or_else(|| SystemClock.unix_millis());
        let search = Search::of_list(&call.asked.filter, visible, now).map_err(filter_invalid)?;
        let entries = self.entries()?;
        let cursor = call.asked.cursor.unwrap_or_else(|| call.asked.start(entries.reader().next()));
        let Page { found, next, stored, kept_from } =
            entries.list(&search, cursor, call.asked.page_size, call.by).await?;
        Ok(v1::ListEntriesResponse {
            entries: found.into_iter().map(show::entry).collect(),
            next_page_token: call.asked.next_page_token(next, now),
            next_sequence: stored,
            kept_from,
        })
    }

    async fn watch(&self, call: Call<WatchEntries>) -> Result<Messages, Status> {
        let visible = self.visible(&call.identity, call.asked.parent.as_ref(), call.by).await?;
        let search = Search::of_watch(&call.asked.filter, visible.clone()).map_err(filter_invalid)?;
        let entries = self.entries()?.clone();
        let from = call.asked.from.unwrap_or_else(|| entries.reader().next());
        let proof = Arc::new((self.clone(), call.extensions, call.asked.parent, visible));
        self.watches.begin(call.identity.identity, Watch { entries, search, from }, move || {
            let proof = proof.clone();
            async move {
                let (handlers, extensions, parent, seen) = &*proof;
                handlers.still_sees(extensions, parent.as_ref(), seen).await
            }
        })
    }

    /// Whose entries the caller sees: those of the tenant asked for, or of all where he holds the duty.
    pub(crate) async fn visible(
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

    pub(crate) fn entries(&self) -> Result<&Entries<OverRegistry<R>>, Status> {
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

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::Checkpoint>, Status> {
        self.entrance.call("AuditService/GetCheckpoint", request, read_checkpoint, |call| self.checkpoint(call)).await
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<v1::GetInclusionProofRequest>,
    ) -> Result<Response<v1::GetInclusionProofResponse>, Status> {
        let name = "AuditService/GetInclusionProof";
        self.entrance.call(name, request, InclusionAsked::read, |call| self.inclusion_proof(call)).await
    }

    async fn get_consistency_proof(
        &self,
        request: Request<v1::GetConsistencyProofRequest>,
    ) -> Result<Response<v1::GetConsistencyProofResponse>, Status> {
        let name = "AuditService/GetConsistencyProof";
        self.entrance.call(name, request, ConsistencyAsked::read, |call| self.consistency_proof(call)).await
    }

    async fn list_access(
        &self,
        request: Request<v1::ListAccessRequest>,
    ) -> Result<Response<v1::ListAccessResponse>, Status> {
        self.entrance.call("AuditService/ListAccess", request, ListAccess::read, |call| self.access(call)).await
    }

    async fn list_exports(
        &self,
        request: Request<v1::ListExportsRequest>,
    ) -> Result<Response<v1::ListExportsResponse>, Status> {
        self.entrance.call("AuditService/ListExports", request, read_exports, |call| self.exports(call)).await
    }

    async fn query_usage(
        &self,
        request: Request<v1::QueryUsageRequest>,
    ) -> Result<Response<v1::QueryUsageResponse>, Status> {
        let read = |request: &_| QueryUsage::read(request, SystemClock.unix_millis());
        self.entrance.call("AuditService/QueryUsage", request, read, |call| self.usage(call)).await
    }
}
