//! The RPCs about what replicas observed, and opening the store of it.

use crate::access::{self, ListAccess, Search};
use crate::collect::{Observed, ObservedError, Options, collect};
use crate::handlers::Handlers;
use crate::over_registry::tenant_number;
use crate::run::Keys;
use crate::search::Visible;
use crate::usage::request::{Parent, QueryUsage};
use crate::usage::{QueryError, answer};
use latchkey_domain::{ClusterId, Duty, KeyspaceName, Refusal, ResourceKind, Scope, TenantName, TenantNumber, covers};
use latchkey_link::{Authorized, Call, Observing, Query, Registry, answers, fields_invalid};
use latchkey_telemetry::{Clock as _, SystemClock, names};
use latchkey_transport::{Unavailable, status};
use latchkey_wire::disk::read_keyspace_row;
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::material_query::Scope as MaterialScope;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::pb::v1;
use latchkey_wire::violation::FieldViolations;
use metrics::histogram;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Code, Status};

/// Between two attempts to open the store.
const PAUSE: Duration = Duration::from_secs(2);
/// What keeps it closed is told anew after this long.
const TOLD_AGAIN: Duration = Duration::from_secs(60);

/// What replicas observed, once the store is open: that takes the keys of the cluster.
pub type Observations = Arc<OnceLock<Observed>>;

/// Opens the store as soon as it can be, puts it where those who answer look, and collects until it is asked to stop. A store that is
/// damaged stops nothing else: it is told, and looked at again.
pub async fn observe<O: Observing>(
    observations: Observations,
    replicas: Arc<O>,
    keys: Arc<dyn Keys>,
    (folder, cluster, options): (PathBuf, ClusterId, Options),
    mut stopped: watch::Receiver<bool>,
) {
    let mut told = (String::new(), Instant::now());
    loop {
        let (folder, keys, options) = (folder.clone(), keys.clone(), options.clone());
        match spawn_blocking(move || Observed::open(&folder, cluster, keys, options)).await {
            Ok(Ok(observed)) => {
                let _ = observations.set(observed.clone());
                collect(replicas, observed, stopped).await;
                return;
            }
            Ok(Err(error)) => {
                let text = error.to_string();
                if text != told.0 || told.1.elapsed() >= TOLD_AGAIN {
                    tracing::error!(error = text, "usage and the access log cannot be opened");
                    told = (text, Instant::now());
                }
            }
            Err(error) => tracing::error!(%error, "opening usage and the access log failed"),
        }
        if timeout(PAUSE, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
            return;
        }
    }
}

impl<R: Registry> Handlers<R> {
    pub(crate) async fn usage(&self, call: Call<QueryUsage>) -> Result<v1::QueryUsageResponse, Status> {
        let Call { asked, identity, by, .. } = call;
        Authorized::check((), identity.clone(), &[Duty::Auditor], &asked.parent.scope())?;
        let sees_all = covers(&identity.grants, Duty::Auditor, &Scope::System);
        let (tenant, keyspace) = self.numbers(&asked.parent, by).await?;
        let asked = answer::Asked { asked, tenant, keyspace, sees_all, now: SystemClock.unix_millis() };
        let answered = self.in_thread(by, move |observed| asked.answer(observed)).await?;
        answered.map_err(|error| match error {
            answer::AnswerError::NotFound(keyspace) => no_keyspace(&keyspace),
            answer::AnswerError::Query(QueryError::Invalid { field, expected }) => {
                fields_invalid(FieldViolations::one(field, expected))
            }
            answer::AnswerError::Query(QueryError::Observed(error)) => unreadable(&error),
        })
    }

    pub(crate) async fn access(&self, call: Call<ListAccess>) -> Result<v1::ListAccessResponse, Status> {
        let Call { asked, identity, by, .. } = call;
        let visible = match &asked.parent {
            Parent::System => self.visible(&identity, None, by).await?,
            parent => {
                Authorized::check((), identity.clone(), &[Duty::Auditor], &parent.scope())?;
                Visible::Tenants(Vec::new())
            }
        };
        let (tenant, keyspace) = self.numbers(&asked.parent, by).await?;
        let visible = if asked.parent == Parent::System { visible } else { Visible::Tenants(vec![tenant]) };
        let now = asked.now.unwrap_or_else(|| SystemClock.unix_millis());
        let search = Search::read(&asked.filter, now);
        let search = search.map_err(|error| fields_invalid(FieldViolations::one("filter", error)))?;
        let asked = access::answer::Asked { asked, search, visible, keyspace, now };
        let answered = self.in_thread(by, move |observed| asked.answer(observed)).await?;
        answered.map_err(|error| match error {
            access::answer::AnswerError::NotFound(keyspace) => no_keyspace(&keyspace),
            error @ access::answer::AnswerError::Tenants => fields_invalid(FieldViolations::one("parent", error)),
            access::answer::AnswerError::Observed(error) => unreadable(&error),
        })
    }

    /// The numbers of a parent's tenant and keyspace. Of a keyspace that is gone only its tenant has one.
    async fn numbers(&self, parent: &Parent, by: Instant) -> Result<(TenantNumber, Option<u32>), Status> {
        let registry = &**self.entrance().registry();
        let (tenant, keyspace): (TenantName, Option<&KeyspaceName>) = match parent {
            Parent::System => return Ok((TenantNumber(0), None)),
            Parent::Tenant(tenant) => (tenant.clone(), None),
            Parent::Owner(owner) => (owner.parent(), None),
            Parent::Keyspace(keyspace) => (keyspace.parent(), Some(keyspace)),
            Parent::Key(key) => (key.keyspace.parent(), Some(&key.keyspace)),
        };
        let number = tenant_number(registry, &tenant, by).await?;
        let Some(keyspace) = keyspace else { return Ok((number, None)) };
        let scope = Some(MaterialScope::Keyspace(keyspace.to_string()));
        match answers::read(registry, Query::Material(pb::MaterialQuery { scope }), by).await {
            Ok((Answer::Material(material), _)) => {
                let row = material.keyspace.ok_or_else(|| status::bug("a keyspace's material is without its row"))?;
                let row = read_keyspace_row(&row).map_err(|error| status::bug(&error.to_string()))?;
                Ok((number, Some(row.number.0)))
            }
            Ok(_) => Err(answers::unexpected("material")),
            Err(error) if error.code() == Code::NotFound => Ok((number, None)),
            Err(error) => Err(error),
        }
    }

    async fn in_thread<T: Send + 'static>(
        &self,
        by: Instant,
        work: impl FnOnce(&Observed) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let observed = self.observations().get().ok_or(Unavailable::Starting)?.clone();
        let begun = Instant::now();
        let permit = timeout_at(by, self.asking().clone().acquire_owned()).await;
        let permit = permit.map_err(|_| status::deadline_exceeded())?.map_err(|_| Unavailable::Stopping)?;
        let worked = spawn_blocking(move || {
            // Given back when the work ends, which it does soon after its caller is gone.
            let _permit = permit;
            work(&observed.within(by))
        });
        let worked = timeout_at(by, worked).await;
        histogram!(names::USAGE_QUERY_SECONDS).record(begun.elapsed().as_secs_f64());
        worked.map_err(|_| status::deadline_exceeded())?.map_err(|error| status::bug(&error.to_string()))
    }
}

/// A key is looked for in its keyspace, so that this is what is missing.
fn no_keyspace(name: &KeyspaceName) -> Status {
    status::refused(&Refusal::NotFound { kind: ResourceKind::Keyspace, name: name.to_string() })
}

fn unreadable(error: &ObservedError) -> Status {
    match error {
        ObservedError::Run(crate::run::RunError::KeysAway(_)) => Unavailable::Locked.into(),
        ObservedError::Late => status::deadline_exceeded(),
        other => status::bug(&other.to_string()),
    }
}
