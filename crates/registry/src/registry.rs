//! One replica of the registry, as its neighbours hold it.

use crate::core::{Condition, Core};
use crate::elections::Elections;
use crate::evidence::Evidence;
use crate::holdings::Holding;
use crate::leadership::{Known, Leadership};
use crate::observed::Observed;
use crate::peers::Peers;
use crate::propose::ProposeError;
use crate::raft_service::RaftFace;
use crate::rates::Rates;
use crate::reader::Reader;
use crate::registry_service::RegistryFace;
use crate::renewal::Renewal;
use crate::sealing::OUTBOX_TABLE;
use crate::start::Timing;
use crate::types::{IntroducedKey, Member, Raft};
use latchkey_domain::NodeId;
use latchkey_kms::Kms;
use latchkey_transport::{Proof, Proven};
use latchkey_wire::pb::internal::v1::raft_service_server::RaftServiceServer;
use latchkey_wire::pb::internal::v1::registry_service_server::RegistryServiceServer;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

/// Ticks of followers that a leader waits for when it stands down: they look every one and a half heartbeats, and one
/// of them has to win. Heartbeats.
const STAND_DOWN_HEARTBEATS: u64 = 4;

/// How long a leader that stands down is silent. A follower elects after the leader's lease, `election_max`, and a draw
/// of up to `election_max` more, which it made when it started: silence for less never ends where both drew high.
pub(crate) const fn stand_down(timing: Timing) -> Duration {
    Duration::from_millis(2 * timing.election_max_ms + STAND_DOWN_HEARTBEATS * timing.heartbeat_ms)
}

/// One replica.
#[derive(Clone)]
pub struct Registry {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) core: Arc<Core>,
    pub(crate) raft: Raft,
    pub(crate) kms: Arc<dyn Kms>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) elections: Arc<Elections>,
    /// What this replica has seen of the use of versions.
    pub(crate) evidence: Arc<Evidence>,
    /// What it has seen of the use of keys.
    pub(crate) observed: Arc<Observed>,
    pub(crate) proof: Proof,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) reader: Reader,
    /// How long this replica is silent when it stands down: until the others have surely elected.
    pub(crate) stand_down: Duration,
    /// How long a follower believes in a leader that it has not heard.
    pub(crate) election_max: Duration,
    /// How long a leader rests between two searches of all keys for dead ones.
    pub(crate) search_interval: Mutex<Duration>,
    /// What each tenant has written lately, where this replica leads.
    pub(crate) rates: Rates,
    /// The log key of a cluster that this replica founds: until the state lists it, each record brings it along.
    pub(crate) founding_key: Option<IntroducedKey>,
    pub(crate) tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(crate) writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// One replica as this one knows it.
#[derive(Clone, Debug)]
pub struct ReplicaStatus {
    /// Its id.
    pub node: NodeId,
    /// How it is reached, and where it stands.
    pub member: Member,
    /// Whether it votes.
    pub voter: bool,
    /// What the leader knows of it; only where this replica leads.
    pub known: Option<Known>,
    /// What it last said of the keys that it has and needs; only where this replica leads.
    pub holding: Option<Arc<Holding>>,
}

/// The cluster as one replica knows it.
#[derive(Clone, Debug)]
pub struct ClusterStatus {
    /// The leader, where it is known.
    pub leader: Option<NodeId>,
    /// The members, by id.
    pub replicas: Vec<ReplicaStatus>,
}

impl Registry {
    /// How validation reads.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.inner.reader.clone()
    }

    /// What this replica has seen of the use of versions: whoever proves a secret here says so.
    #[must_use]
    pub fn own_evidence(&self) -> &Arc<Evidence> {
        &self.inner.evidence
    }

    /// What this replica has seen of the use of keys, on its way to the audit service: whoever answers for a key says so.
    #[must_use]
    pub fn observed(&self) -> &Arc<Observed> {
        &self.inner.observed
    }

    /// Whether this replica may answer.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.inner.core.condition()
    }

    /// Whether a write that came now would find a leader that can take it.
    #[must_use]
    pub fn can_write(&self) -> bool {
        match self.inner.reader.renewal.leader() {
            Some((leader, _)) if leader == self.inner.core.node() => self.inner.leadership.stamp().is_ok(),
            Some(_) => self.inner.reader.is_fresh(),
            None => false,
        }
    }

    /// Raft's calls, for the raft listener.
    #[must_use]
    pub fn raft_service(&self) -> Proven<RaftServiceServer<RaftFace>> {
        let face = RaftFace::new(&self.inner);
        let limit = latchkey_transport::INTERNAL_MESSAGE_BYTES_MAX;
        self.inner.proof.guard(RaftServiceServer::new(face).max_decoding_message_size(limit))
    }

    /// The registry's calls, for the listener of the services.
    #[must_use]
    pub fn registry_service(&self) -> Proven<RegistryServiceServer<RegistryFace>> {
        let limit = latchkey_transport::INTERNAL_MESSAGE_BYTES_MAX;
        let face = RegistryFace::new(self.clone());
        self.inner.proof.guard(RegistryServiceServer::new(face).max_decoding_message_size(limit))
    }

    /// The cluster as this replica knows it.
    #[must_use]
    pub fn status(&self) -> ClusterStatus {
        let metrics = self.inner.raft.metrics();
        let metrics = metrics.borrow();
        let membership = metrics.membership_config.membership();
        let voters: Vec<_> = membership.voter_ids().collect();
        let replica = |(id, member): (&u64, &Member)| ReplicaStatus {
            node: NodeId(*id),
            member: member.clone(),
            voter: voters.contains(id),
            known: self.inner.leadership.known(NodeId(*id)),
            holding: self.inner.leadership.holding(NodeId(*id)),
        };
        ClusterStatus {
            leader: metrics.current_leader.map(NodeId),
            replicas: membership.nodes().map(replica).collect(),
        }
    }

    /// This replica's id.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.inner.core.node()
    }

    /// The shared parts.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.inner.core
    }

    pub(crate) fn kms(&self) -> &dyn Kms {
        self.inner.kms.as_ref()
    }

    pub(crate) fn search_interval(&self) -> Duration {
        *self.inner.search_interval.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Searches for dead keys more often: for tests, which have no hour.
    #[doc(hidden)]
    pub fn set_search_interval(&self, interval: Duration) {
        *self.inner.search_interval.lock().unwrap_or_else(PoisonError::into_inner) = interval;
    }

    pub(crate) fn leadership(&self) -> &Leadership {
        &self.inner.leadership
    }

    pub(crate) fn peers(&self) -> &Peers {
        &self.inner.peers
    }

    pub(crate) fn renewal(&self) -> &Renewal {
        &self.inner.reader.renewal
    }

    pub(crate) fn leads(&self) -> bool {
        self.inner.leadership.leads()
    }

    /// Who leads instead, where that is known and is not this replica.
    pub(crate) fn elsewhere(&self) -> Option<ProposeError> {
        let (leader, member) = self.renewal().leader()?;
        (leader != self.inner.core.node()).then_some(ProposeError::Elsewhere(leader, member))
    }

    /// Keeps a task until the replica stops.
    pub(crate) fn own(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(tokio::spawn(task));
    }

    /// Stops leading, so that another replica can: no more proposals, read indexes or heartbeats until the others have
    /// elected. Beside a live leader nobody is elected, and each freshness ping would renew its lease.
    pub(crate) async fn stand_down(&self) {
        warn!(node = %self.node(), "this leader stands down");
        // Where it hands over at the same time it is silent already.
        let _silent_already = !self.inner.leadership.begin_silence();
        self.stop_speaking();
        tokio::time::sleep(self.inner.stand_down).await;
        self.speak_again();
    }

    /// Keeps what followers count as a leader from leaving this replica.
    pub(crate) fn stop_speaking(&self) {
        self.inner.raft.runtime_config().heartbeat(false);
        self.inner.elections.allow(false);
    }

    /// Ends a silence: whatever became of the leadership, this replica takes part again.
    pub(crate) fn speak_again(&self) {
        self.inner.raft.runtime_config().heartbeat(true);
        self.inner.elections.allow(self.condition() == Condition::Ready);
        self.inner.leadership.end_silence();
    }

    /// Builds a snapshot now and purges the log behind it: for tests, which have no twenty thousand records.
    #[doc(hidden)]
    pub async fn compact(&self) {
        let last = self.inner.core.state().revision().index;
        drop(self.inner.raft.trigger().snapshot().await);
        let built = |metrics: &openraft::RaftMetrics<u64, Member>| {
            metrics.snapshot.is_some_and(|snapshot| snapshot.index >= last)
        };
        drop(self.inner.raft.metrics().wait_for(built).await);
        drop(self.inner.raft.trigger().purge_log(last).await);
        let purged =
            |metrics: &openraft::RaftMetrics<u64, Member>| metrics.purged.is_some_and(|purged| purged.index >= last);
        drop(self.inner.raft.metrics().wait_for(purged).await);
    }

    /// The sequences of the entries that can be followed from `from` on: for tests.
    #[doc(hidden)]
    pub async fn entries(&self, from: u64) -> Vec<u64> {
        let (core, mut next, mut sequences) = (&self.inner.core, from, Vec::new());
        core.rows.written_through(core.state().revision().index).await;
        loop {
            let read = core.read_entries(next).await;
            let Ok(events) = read else { return sequences };
            let Some(last) = events.last() else { return sequences };
            next = last.sequence + 1;
            sequences.extend(events.iter().map(|event| event.sequence));
        }
    }

    /// How many entries lie on disk: for tests.
    #[doc(hidden)]
    #[must_use]
    pub fn entries_on_disk(&self) -> usize {
        let store = &self.inner.core.store;
        let rows = store.read_rows(OUTBOX_TABLE, &[0; 8][..]..&[0xFF; 8][..], usize::MAX);
        rows.map_or(usize::MAX, |rows| rows.len())
    }

    /// Lets the thread go that writes rows, of a replica whose runtime is gone: for simulations, whose processes are killed.
    #[doc(hidden)]
    pub fn abandon(&self) {
        self.inner.core.rows.close();
    }

    /// Stops: no more answers, raft ends, what waits is written.
    pub async fn shutdown(self) {
        // raft may wait for a snapshot that is never installed, or for a disk that does not answer.
        self.inner.core.durable.end();
        drop(self.inner.raft.shutdown().await);
        // Awaited as well: what a task holds, the store among it, is free only once the task is gone.
        let tasks = std::mem::take(&mut *self.inner.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            task.abort();
            drop(task.await);
        }
        self.inner.core.rows.close();
        let writer = self.inner.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let ended = tokio::task::spawn_blocking(move || writer.map(std::thread::JoinHandle::join)).await;
        if !matches!(ended, Ok(None | Some(Ok(())))) {
            error!("the thread that writes rows panicked");
        }
        let (synced, wait) = tokio::sync::oneshot::channel();
        self.inner.core.store.sync(Box::new(move |result| drop(synced.send(result))));
        if !matches!(wait.await, Ok(Ok(()))) {
            warn!("the last rows may not be durable; they are replayed from the log");
        }
        info!(node = %self.node(), "replica stopped");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_is_silent_for_longer_than_any_follower_waits() {
        // With 1,200 + 800 ms two followers that had both drawn more than 800 ms never elected: writes were gone for good.
        let timing = Timing { heartbeat_ms: 150, election_min_ms: 600, election_max_ms: 1_200 };
        let (lease_ms, longest_draw_ms, tick_ms) = (1_200, 1_200, 225);
        assert!(stand_down(timing) > Duration::from_millis(lease_ms + longest_draw_ms + tick_ms));
    }
}
