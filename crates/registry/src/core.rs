//! What the parts of one replica share: the published state, its condition, and what has to reach the disk.

use crate::cosigning::NodeKeyBook;
use crate::denials::DenialBook;
use crate::durable::Durable;
use crate::holdings::Holdings;
use crate::keyring::{Keyring, Peppers};
use crate::log_keys::LogKeys;
use crate::outbox::{Outbox, OutboxError};
use crate::propagation::Propagation;
use crate::row_writer::RowQueue;
use crate::sealing::Sealer;
use crate::traces::Traces;
use crate::types::{LogId, StoredMembership};
use crate::words::log_id_to_pb;
use arc_swap::ArcSwap;
use latchkey_domain::{ClusterId, NodeId, Revision, UnixMillis};
use latchkey_kms::Kms;
use latchkey_state::{HashedAt, State, StateHash};
use latchkey_storage::{Mark, Store, Word};
use latchkey_telemetry::Clock;
use latchkey_transport::Unavailable;
use latchkey_wire::pb::disk::v1 as pb;
use latchkey_wire::pb::internal::v1::Event;
use prost::Message;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;
use tracing::{error, warn};

/// How often replicas take a state hash to compare: every so many records.
pub(crate) const HASH_INTERVAL_RECORDS: u64 = 1_000;

/// Whether this replica may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It loads its state.
    Starting,
    /// Its key-encryption key is away: it votes and appends, and holds its applies.
    Locked,
    /// It answers.
    Ready,
    /// It has stopped answering, voting and applying until an operator acts.
    Fenced,
    /// It was removed from the cluster: it answers no more, and stands for no election.
    Removed,
}

/// The shared parts of one replica.
pub struct Core {
    node: NodeId,
    cluster: ClusterId,
    epoch: u64,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) durable: Arc<Durable>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) sealer: Sealer,
    pub(crate) outbox: Outbox,
    pub(crate) rows: RowQueue,
    pub(crate) log_keys: LogKeys,
    pub(crate) holdings: Holdings,
    published: ArcSwap<State>,
    revision: watch::Sender<Revision>,
    condition: watch::Sender<Condition>,
    hashed: Mutex<Option<HashedAt>>,
    pub(crate) traces: Traces,
    pub(crate) denials: DenialBook,
    pub(crate) node_key: NodeKeyBook,
    pub(crate) propagation: Propagation,
    /// When this process began: what was stamped before it says nothing of how fast it is.
    pub(crate) began: UnixMillis,
}

impl Core {
    /// For the folder that `store` holds.
    pub fn new(store: Arc<dyn Store>, kms: Arc<dyn Kms>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let facts = store.facts();
        let cluster = ClusterId(facts.cluster_id);
        let keyring = Arc::new(Keyring::new(cluster, kms));
        let durable = Arc::new(Durable::new(store.clone()));
        Arc::new(Self {
            node: NodeId(facts.node_id),
            cluster,
            epoch: facts.epoch,
            store,
            durable,
            sealer: Sealer::new(cluster, keyring.clone()),
            keyring,
            outbox: Outbox::new(),
            rows: RowQueue::new(),
            log_keys: LogKeys::default(),
            holdings: Holdings::default(),
            published: ArcSwap::default(),
            revision: watch::Sender::new(Revision::default()),
            condition: watch::Sender::new(Condition::Starting),
            hashed: Mutex::default(),
            traces: Traces::default(),
            denials: DenialBook::default(),
            node_key: NodeKeyBook::default(),
            propagation: Propagation::default(),
            began: clock.unix_millis(),
            clock,
        })
    }

    /// This replica's id.
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// The cluster's id.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The cluster's epoch.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The peppers at hand.
    pub fn peppers(&self) -> Arc<Peppers> {
        self.keyring.peppers()
    }

    /// The state as readers see it.
    pub fn state(&self) -> arc_swap::Guard<Arc<State>> {
        self.published.load()
    }

    /// The state as readers see it, and all peppers that its digests are under. A pepper is there before a state that lists
    /// it is shown, and until one is shown that does not: where the peppers are the same before and after the state was
    /// taken, they are those of the state.
    pub(crate) fn state_and_peppers(&self) -> (Arc<State>, Arc<Peppers>) {
        let mut peppers = self.peppers();
        loop {
            let state = arc_swap::Guard::into_inner(self.state());
            let after = self.peppers();
            if Arc::ptr_eq(&peppers, &after) {
                return (state, peppers);
            }
            peppers = after;
        }
    }

    /// Some entries of the audit tree from `from` on; empty where there are none yet.
    pub(crate) async fn read_entries(&self, from: u64) -> Result<Vec<Event>, OutboxError> {
        let trimmed = self.state().progress().trimmed.map_or(0, |trimmed| trimmed.next.0);
        self.outbox.read(self.store.as_ref(), &self.sealer, from, trimmed).await
    }

    /// Shows readers a new state, then tells who waits for its revision.
    pub(crate) fn publish(&self, state: State) {
        let revision = state.revision();
        self.published.store(Arc::new(state));
        self.revision.send_replace(revision);
    }

    /// Follows the revision that readers see.
    pub(crate) fn watch_revision(&self) -> watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    /// Whether this replica may answer.
    pub fn condition(&self) -> Condition {
        *self.condition.borrow()
    }

    /// Follows the condition.
    pub(crate) fn watch_condition(&self) -> watch::Receiver<Condition> {
        self.condition.subscribe()
    }

    /// Moves to another condition; a fence is never left, and who was removed comes back only under a fence.
    pub(crate) fn set_condition(&self, next: Condition) {
        self.condition.send_if_modified(|condition| {
            let stays = match *condition {
                Condition::Fenced => true,
                Condition::Removed => next != Condition::Fenced,
                Condition::Starting | Condition::Locked | Condition::Ready => false,
            };
            let changes = !stays && *condition != next;
            if changes {
                *condition = next;
            }
            changes
        });
    }

    /// Returns once the state is loaded; `false` where the replica is fenced and will never be.
    pub(crate) async fn loaded(&self) -> bool {
        let mut condition = self.watch_condition();
        let reached =
            condition.wait_for(|now| matches!(now, Condition::Ready | Condition::Fenced | Condition::Removed)).await;
        // Who was removed goes on to apply, for as long as the others count on its log.
        reached.is_ok_and(|now| *now != Condition::Fenced)
    }

    /// Stops answering, voting and applying, for this life and the next ones, until an operator acts.
    pub(crate) fn fence(&self, why: &str) {
        error!(node = %self.node, why, "this replica has fenced itself: rebuild it under a new node id");
        metrics::gauge!(latchkey_telemetry::names::FENCED).set(1.0);
        let fence = why.as_bytes().to_vec();
        self.store.save_word(
            Word::Fence,
            fence.into(),
            Box::new(|result| {
                if let Err(error) = result {
                    error!(%error, "the fence could not be made durable");
                }
            }),
        );
        self.set_condition(Condition::Fenced);
    }

    /// Stops answering: this replica was removed from the cluster.
    pub(crate) fn remove(&self) {
        warn!(node = %self.node(), "this replica was removed from the cluster: it answers no more. Stop it, and keep no folder of it");
        self.set_condition(Condition::Removed);
    }

    /// Why nothing can be answered now, if so.
    pub fn unavailable(&self) -> Option<Unavailable> {
        match self.condition() {
            Condition::Ready if !self.denials.is_loaded() => Some(Unavailable::Starting),
            Condition::Ready => None,
            Condition::Starting => Some(Unavailable::Starting),
            Condition::Locked => Some(Unavailable::Locked),
            Condition::Fenced => Some(Unavailable::Fenced),
            Condition::Removed => Some(Unavailable::Removed { node: self.node }),
        }
    }

    pub(crate) fn note_hash(&self, hashed: HashedAt) {
        *self.hashed.lock().unwrap_or_else(PoisonError::into_inner) = Some(hashed);
    }

    /// The newest state hash taken at a common revision.
    pub(crate) fn hashed(&self) -> Option<HashedAt> {
        *self.hashed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Boot time, as standings tell it: for tests. Milliseconds.
    #[doc(hidden)]
    pub fn boot_ms(&self) -> u64 {
        self.clock.boottime_millis()
    }

    pub(crate) fn revision_at(&self, index: u64) -> Revision {
        Revision::new(self.epoch, index)
    }
}

/// The mark that rows carry: where they stand, in the clear.
pub(crate) fn mark(log_id: &LogId, membership: &StoredMembership, hash: StateHash) -> Mark {
    let content = pb::StateMark {
        last_log_id: Some(log_id_to_pb(log_id)),
        membership: Some(crate::words::stored_membership_to_pb(membership)),
        hash: hash.bytes().to_vec(),
    };
    Mark { index: log_id.index, bytes: content.encode_to_vec().into() }
}
