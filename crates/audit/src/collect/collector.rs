//! Going round the replicas, once a second.

use super::batch::Batch;
use super::store::{Observed, Taken};
use latchkey_domain::NodeId;
use latchkey_link::{Observing, ObservingReplica};
use latchkey_telemetry::{Clock as _, SystemClock, names};
use metrics::{counter, gauge};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, interval, timeout};

/// Between two rounds. What a replica saw is shown after it has closed its batch and was asked: under 10 s in all.
const ROUND: Duration = Duration::from_secs(1);
/// How long a replica may take to hand over one batch.
const CALL_MAX: Duration = Duration::from_secs(5);
/// Batches that one replica hands over in one round, so that one that was away for long does not keep the others waiting.
const BATCHES_A_ROUND: usize = 16;
/// A replica that was not reached for this long is told as missing.
const MISSING_AFTER: Duration = Duration::from_secs(10);
/// How long a replica that is no member any more is still asked for what it has.
const FORMER_KEPT: Duration = Duration::from_secs(600);
/// Between two times that memory is written.
const WRITE_INTERVAL: Duration = Duration::from_secs(300);
/// Between two looks at what is to be merged, and what is too old.
const MERGE_INTERVAL: Duration = Duration::from_secs(30);

/// Who goes round.
#[derive(Debug)]
pub struct Collector<O> {
    cluster: Arc<O>,
    observed: Observed,
    replicas: BTreeMap<NodeId, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    replica: ObservingReplica,
    is_member: bool,
    /// When it was a member.
    seen: Instant,
    /// When it answered.
    heard: Instant,
}

impl<O: Observing> Collector<O> {
    /// From these replicas into this store.
    #[must_use]
    pub const fn new(cluster: Arc<O>, observed: Observed) -> Self {
        Self { cluster, observed, replicas: BTreeMap::new() }
    }

    /// Asks each replica once for all that it has now, and stores it before it is acknowledged.
    pub async fn round(&mut self) {
        let by = Instant::now() + CALL_MAX;
        match self.cluster.replicas(by).await {
            Ok(members) => self.learn(members),
            // Those that are known go on handing over while nobody leads.
            Err(status) => tracing::debug!(message = status.message(), "nobody says which replicas there are"),
        }
        let mut asked = JoinSet::new();
        for known in self.replicas.values() {
            let (cluster, observed, replica) = (self.cluster.clone(), self.observed.clone(), known.replica.clone());
            asked.spawn(async move { (replica.node, take(&*cluster, &observed, &replica).await) });
        }
        while let Some(answered) = asked.join_next().await {
            match answered {
                Ok((node, true)) => {
                    self.replicas.entry(node).and_modify(|known| known.heard = Instant::now());
                }
                Ok((_, false)) => counter!(names::USAGE_TAKE_FAILURES).increment(1),
                Err(error) => tracing::error!(%error, "taking what a replica observed failed"),
            }
        }
        let missing = self.replicas.values().filter(|known| known.is_member && known.heard.elapsed() > MISSING_AFTER);
        let members = self.replicas.values().filter(|known| known.is_member);
        self.observed.note_members(members.map(|known| known.replica.node), missing.map(|known| known.replica.node));
    }

    fn learn(&mut self, members: Vec<ObservingReplica>) {
        let now = Instant::now();
        self.replicas.values_mut().for_each(|known| known.is_member = false);
        for replica in members {
            let heard = self.replicas.get(&replica.node).map_or(now, |known| known.heard);
            self.replicas.insert(replica.node, Known { replica, is_member: true, seen: now, heard });
        }
        self.replicas.retain(|_, known| known.seen.elapsed() < FORMER_KEPT);
    }
}

/// Takes what one replica has; says whether it answered.
async fn take<O: Observing>(cluster: &O, observed: &Observed, replica: &ObservingReplica) -> bool {
    for _ in 0..BATCHES_A_ROUND {
        let (incarnation, acknowledged) = observed.position(replica.node);
        let answer = match cluster.take(replica, incarnation, acknowledged, Instant::now() + CALL_MAX).await {
            Ok(answer) => answer,
            Err(status) => {
                let node = replica.node.0;
                tracing::debug!(node, message = status.message(), "a replica did not hand over what it observed");
                return false;
            }
        };
        let (heard, complete, more) = (answer.incarnation, answer.complete_until_unix_ms, answer.more);
        let batch = match Batch::read(replica.node, answer) {
            Ok(Some(batch)) => batch,
            Ok(None) => {
                observed.complete(replica.node, heard, complete);
                return true;
            }
            Err(error) => {
                tracing::error!(%error, "what a replica observed cannot be read");
                return false;
            }
        };
        let store = observed.clone();
        let taken = spawn_blocking(move || store.take(&batch)).await;
        match taken {
            Ok(Ok(Taken::New | Taken::Known)) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "what a replica observed is not stored; it keeps it");
                return false;
            }
            Err(error) => {
                tracing::error!(%error, "storing what a replica observed failed");
                return false;
            }
        }
        if !more {
            // What was taken is acknowledged with the next round.
            return true;
        }
    }
    true
}

/// Collects, writes, merges and lets go of what is old, until it is asked to stop. What is in memory is written then.
pub async fn collect<O: Observing>(cluster: Arc<O>, observed: Observed, mut stopped: watch::Receiver<bool>) {
    let mut collector = Collector::new(cluster, observed.clone());
    let upkeep = tokio::spawn(keep_up(observed.clone(), stopped.clone()));
    let mut rounds = interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break,
            _ = rounds.tick() => {}
        }
        tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break,
            () = collector.round() => {}
        }
        measure(&observed);
    }
    // It ends by itself: it looks at the same mark.
    let _ = upkeep.await;
    in_thread(&observed, "written", Observed::flush).await;
}

async fn keep_up(observed: Observed, mut stopped: watch::Receiver<bool>) {
    let mut write_due = Instant::now() + WRITE_INTERVAL;
    while timeout(MERGE_INTERVAL, stopped.wait_for(|stopped| *stopped)).await.is_err() {
        if Instant::now() >= write_due {
            in_thread(&observed, "written", Observed::flush).await;
            write_due = Instant::now() + WRITE_INTERVAL;
        }
        let now_ms = SystemClock.unix_millis().millis();
        in_thread(&observed, "merged", move |observed| observed.merge(now_ms)).await;
        in_thread(&observed, "let go", move |observed| observed.expire(now_ms)).await;
    }
}

async fn in_thread(
    observed: &Observed,
    what: &'static str,
    work: impl FnOnce(&Observed) -> Result<(), super::ObservedError> + Send + 'static,
) {
    let observed = observed.clone();
    match spawn_blocking(move || work(&observed)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, what, "usage was not kept up; it is tried again"),
        Err(error) => tracing::error!(%error, what, "keeping up usage failed"),
    }
}

fn measure(observed: &Observed) {
    let (disk, memory) = observed.bytes();
    gauge!(names::USAGE_BYTES).set(disk as f64);
    gauge!(names::USAGE_MEMORY_BYTES).set(memory as f64);
    if let Some(complete) = observed.snapshot().complete_ms {
        let age = SystemClock.unix_millis().millis().saturating_sub(complete);
        gauge!(names::USAGE_LAG_SECONDS).set(age as f64 / 1_000.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collect::tests::{Ring, answer, cell, open};
    use latchkey_wire::pb::internal::v1 as pb;
    use std::sync::Mutex;
    use tonic::Status;

    /// A replica that hands over three batches, each again until it is acknowledged, and is away in every second call.
    #[derive(Debug, Default)]
    struct Shy(Mutex<Seen>);

    #[derive(Debug, Default)]
    struct Seen {
        calls: u64,
        handed: Vec<u64>,
    }

    impl Observing for Shy {
        async fn replicas(&self, _: Instant) -> Result<Vec<ObservingReplica>, Status> {
            let (region, address) = ("here".to_owned(), "replica:1".to_owned());
            Ok(vec![ObservingReplica { node: NodeId(1), region, address }])
        }

        async fn take(
            &self,
            _: &ObservingReplica,
            _: u64,
            acknowledged: u64,
            _: Instant,
        ) -> Result<pb::TakeObservationsResponse, Status> {
            let mut seen = self.0.lock().unwrap();
            seen.calls += 1;
            if seen.calls.is_multiple_of(2) {
                return Err(Status::unavailable("away"));
            }
            let next = acknowledged + 1;
            if next > 3 {
                return Ok(pb::TakeObservationsResponse { batch: 0, ..answer(1, 5, 0, Vec::new()) });
            }
            seen.handed.push(next);
            Ok(answer(1, 5, next, vec![cell(1, 1, 1, 0, &[0, 10])]))
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_a_replica_hands_over_is_acknowledged_once_it_is_stored_over_restarts_of_this_side() {
        let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
        let shy = Arc::new(Shy::default());
        for _ in 0..10 {
            // A new process each round: all that it knows is what is on the disk.
            let observed = open(folder.path(), &ring);
            Collector::new(shy.clone(), observed).round().await;
        }
        assert_eq!(shy.0.lock().unwrap().handed, [1, 2, 3]);
        let observed = open(folder.path(), &ring);
        assert_eq!(observed.position(NodeId(1)), (5, 3));
        let mut requests = 0;
        let tenant = latchkey_domain::TenantNumber(1);
        let tier = crate::collect::Tier::Days;
        observed.scan(tenant, b"T", tier, &(0..u32::MAX), |_, _, counts| requests += counts.requests()).unwrap();
        assert_eq!(requests, 30);
    }
}
