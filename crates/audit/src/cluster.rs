//! What the audit service asks of the cluster.

use latchkey_crypto::DataKey;
use latchkey_domain::{ClusterId, Revision, RingNumber, Sequence, TenantName, TenantNumber};
use latchkey_link::LogStanding;
use latchkey_telemetry::TraceParent;
use latchkey_transparency::Hash;
use std::pin::Pin;
use std::sync::Arc;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::Status;

/// Events in the order of their sequences, with marks of progress between them.
pub type Events = Pin<Box<dyn Stream<Item = Result<Followed, Status>> + Send>>;

/// One item of [`Events`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Followed {
    /// The next event.
    Event(Event),
    /// There are no others yet.
    Progress,
}

/// An event with its place in the audit tree, as the cluster sends it. Nothing of it is believed before its root was computed again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number.
    pub sequence: Sequence,
    /// The record that made it.
    pub revision: Revision,
    /// The format of its bytes.
    pub format: u8,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// What opens its leaf.
    pub o: [u8; 32],
    /// The root of the tree with it.
    pub root: Hash,
    /// Where in its trace it was applied, if that is known.
    pub trace: Option<TraceParent>,
}

/// The key that seals a tenant's entries.
#[derive(Clone, Debug)]
pub struct AuditKey {
    /// Its number in the keyring.
    pub number: RingNumber,
    /// The key.
    pub key: Arc<DataKey>,
    /// The tenant's number.
    pub tenant: TenantNumber,
    /// The tenant's name; absent where the tenant was deleted.
    pub name: Option<TenantName>,
}

/// The cluster whose audit log this is. Implemented over a registry, and by the scripts of tests.
pub trait Cluster: Send + Sync + 'static {
    /// Which one it is.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    fn id(&self, by: Instant) -> impl Future<Output = Result<ClusterId, Status>> + Send;

    /// Where its log stands, by a state that is behind nobody.
    ///
    /// # Errors
    /// Any may pass.
    fn standing(&self, by: Instant) -> impl Future<Output = Result<LogStanding, Status>> + Send;

    /// Follows the events from a sequence on.
    ///
    /// # Errors
    /// `OUT_OF_RANGE` where the cluster has trimmed that event; any other may pass.
    fn follow(&self, from: Sequence, by: Instant) -> impl Future<Output = Result<Events, Status>> + Send;

    /// Lets the cluster forget all events up to and including this one.
    ///
    /// # Errors
    /// Any may pass.
    fn trim(&self, through: Sequence, by: Instant) -> impl Future<Output = Result<(), Status>> + Send;

    /// The audit key of a tenant, from a state that knows `revision`; a tenant that is absent stands for the cluster itself, whose
    /// entries are the system tenant's. `None`: it was destroyed.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    fn audit_key(
        &self,
        tenant: Option<TenantNumber>,
        revision: Revision,
        by: Instant,
    ) -> impl Future<Output = Result<Option<AuditKey>, Status>> + Send;
}
