//! [`Cluster`] over a registry: what the replicas answer, and the KEK of this process.

use crate::cluster::{AuditKey, Cluster, Event, Events, Followed};
use latchkey_crypto::{DataKey, draw};
use latchkey_domain::{ClusterId, Revision, SYSTEM_TENANT, Sequence, Slug, TenantName, TenantNumber};
use latchkey_kms::{Kms, KmsError};
use latchkey_link::{FollowItem, LogStanding, Query, Registry, answers, log_standing};
use latchkey_minting::contexts::RingKeyPlace;
use latchkey_minting::unwrap;
use latchkey_state::{Actor, Command, Operation, RingKey};
use latchkey_telemetry::OsEntropy;
use latchkey_transparency::Hash;
use latchkey_transport::{Unavailable, status};
use latchkey_wire::disk::{DecodeError, read_ring_key_row, read_tenant_row};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::internal::v1::material_query::Scope;
use latchkey_wire::pb::internal::v1::query_response::Answer;
use latchkey_wire::request::Consistency;
use std::sync::Arc;
use tokio::time::{Instant, timeout_at};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

/// The word by which this service acts on its own account.
const AUDIT: &str = "audit";

/// A cluster that is reached through a registry.
#[derive(Debug)]
pub struct OverRegistry<R> {
    registry: Arc<R>,
    kms: Arc<dyn Kms>,
}

impl<R: Registry> OverRegistry<R> {
    /// Over this registry, with this access to the KEK.
    #[must_use]
    pub const fn new(registry: Arc<R>, kms: Arc<dyn Kms>) -> Self {
        Self { registry, kms }
    }

    /// Reads wrapped keys from a state that knows `revision`; `None`: there are none.
    async fn material(&self, scope: Scope, revision: Revision, by: Instant) -> Result<Option<Answer>, Status> {
        let query = Query::Material(pb::MaterialQuery { scope: Some(scope) });
        let again = query.clone();
        let fresh = match revision {
            any if any == Revision::default() => Consistency::default(),
            revision => Consistency::AtLeastAsFresh(revision),
        };
        let answer = match self.registry.query(query.clone(), fresh, by).await {
            // The cluster was recovered since: whoever answers knows all that is left of the older epoch.
            Err(error) if error.code() == Code::FailedPrecondition => {
                self.registry.query(query, Consistency::default(), by).await?.answer
            }
            answer => answer?.answer,
        };
        let answer = match answer {
            // A replica that lags knows no tenant that is new. That there is none is believed of a state that is behind nobody.
            Some(Answer::Refusal(_)) => self.registry.query(again, Consistency::FullyConsistent, by).await?.answer,
            answer => answer,
        };
        match answer {
            Some(Answer::Refusal(_)) => Ok(None),
            Some(answer) => Ok(Some(answer)),
            None => Err(status::bug("a query was answered with nothing")),
        }
    }

    async fn unwrap(
        &self,
        cluster: ClusterId,
        tenant_key: &RingKey,
        audit_key: &RingKey,
        by: Instant,
    ) -> Result<DataKey, Status> {
        let context = RingKeyPlace::new(cluster, tenant_key.purpose, tenant_key.id).kek_context();
        let parent = timeout_at(by, self.kms.unwrap(&context, &tenant_key.wrapped)).await;
        let parent = parent.unwrap_or(Err(KmsError::Unavailable)).map_err(|error| {
            tracing::error!(number = tenant_key.number.0, kms = self.kms.name(), %error, "a tenant's key cannot be unwrapped");
            Status::from(Unavailable::Locked)
        })?;
        let place = RingKeyPlace::new(cluster, audit_key.purpose, audit_key.id);
        unwrap(&parent, &place, &audit_key.wrapped).map_err(|error| {
            tracing::error!(number = audit_key.number.0, %error, "an audit key does not open under its tenant's key");
            Unavailable::Locked.into()
        })
    }
}

/// Whose key seals what belongs to the cluster itself.
fn system() -> TenantName {
    TenantName::new(Slug::parse(SYSTEM_TENANT).expect("the system's tenant is well-formed"))
}

/// The number of a tenant.
///
/// # Errors
/// `NOT_FOUND`; `UNAVAILABLE`.
pub(crate) async fn tenant_number(
    registry: &impl Registry,
    name: &TenantName,
    by: Instant,
) -> Result<TenantNumber, Status> {
    let scope = Some(Scope::Tenant(name.to_string()));
    match answers::read(registry, Query::Material(pb::MaterialQuery { scope }), by).await?.0 {
        Answer::Material(material) => number_of(&material),
        _ => Err(answers::unexpected("material")),
    }
}

fn number_of(material: &pb::Material) -> Result<TenantNumber, Status> {
    let row = material.tenant.as_ref().ok_or_else(|| status::bug("a tenant's material is without its row"))?;
    read_tenant_row(row).map(|tenant| tenant.number).map_err(damaged)
}

impl<R: Registry> Cluster for OverRegistry<R> {
    async fn id(&self, by: Instant) -> Result<ClusterId, Status> {
        self.registry.cluster(by).await
    }

    async fn standing(&self, by: Instant) -> Result<LogStanding, Status> {
        log_standing(self.registry.as_ref(), Consistency::FullyConsistent, by).await
    }

    async fn follow(&self, from: Sequence, by: Instant) -> Result<Events, Status> {
        let items = self.registry.follow(from, by).await.map_err(told)?;
        Ok(Box::pin(items.map(|item| item.map(read).map_err(told))))
    }

    async fn trim(&self, through: Sequence, by: Instant) -> Result<(), Status> {
        let actor = Actor::Service(Slug::parse(AUDIT).expect("the word of this service is well-formed"));
        let command = Command::new(actor, draw(&mut OsEntropy), Operation::Trim(through));
        answers::told(self.registry.propose(&command, by).await?).map(|_| ())
    }

    async fn audit_key(
        &self,
        tenant: Option<TenantNumber>,
        revision: Revision,
        by: Instant,
    ) -> Result<Option<AuditKey>, Status> {
        let tenant = match tenant {
            Some(tenant) => tenant,
            None => match self.material(Scope::Tenant(system().to_string()), revision, by).await? {
                Some(Answer::Material(material)) => number_of(&material)?,
                Some(_) => return Err(answers::unexpected("material")),
                None => return Ok(None),
            },
        };
        let material = match self.material(Scope::AuditOfTenantNumber(tenant.0), revision, by).await? {
            Some(Answer::Audit(material)) => material,
            Some(_) => return Err(answers::unexpected("audit material")),
            None => return Ok(None),
        };
        let read = |row: &Option<_>| {
            let row = row.as_ref().ok_or_else(|| status::bug("audit material is without its keys"))?;
            read_ring_key_row(row).map_err(damaged)
        };
        let (tenant_key, audit_key) = (read(&material.tenant_key)?, read(&material.audit_key)?);
        let cluster = self.registry.cluster(by).await?;
        let key = Arc::new(self.unwrap(cluster, &tenant_key, &audit_key, by).await?);
        let name = Slug::parse(&material.tenant).ok().map(TenantName::new);
        Ok(Some(AuditKey { number: audit_key.number, key, tenant, name }))
    }
}

/// That an event was trimmed is told without a reason, as nobody outside can cause it; all else that has to change first has one.
fn told(status: Status) -> Status {
    if status.code() == Code::FailedPrecondition && status.get_details_error_info().is_none() {
        return Status::out_of_range(status.message());
    }
    status
}

fn read(item: FollowItem) -> Followed {
    match item {
        FollowItem::Event(event) => Followed::Event(Event {
            sequence: event.sequence,
            revision: event.revision,
            format: event.format,
            bytes: event.event,
            o: event.opening,
            root: Hash::new(event.root),
            trace: event.trace,
        }),
        FollowItem::Progress { .. } => Followed::Progress,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of the error in `map_err`")]
fn damaged(error: DecodeError) -> Status {
    status::bug(&error.to_string())
}
