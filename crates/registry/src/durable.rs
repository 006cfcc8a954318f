//! How far the log is on disk. Raft's core may run ahead of the disk, so that records which wait share one sync; what
//! leaves this replica may not: a record is applied, sent on or acknowledged to a leader only when it is durable here.
//!
//! ```text
//! append -> core goes on at once        (no waiting: the next record joins the same sync)
//!        \-> durable -> replication reads it, apply applies it, a follower's answer leaves
//! ```
//! Without the first of the three, a leader that lost its last records in a power cut and leads on in the same term would
//! give their log ids to others.
//!
//! The core runs ahead of a snapshot too: it stands at the snapshot's end while that is still being installed, and the
//! records in between are nowhere on this disk. Until the state there is durable, nothing that counts on it leaves.

use latchkey_storage::{Store, StoreError};
use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long an append may take before the disk counts as stuck. Longer than any election, and a hundred times a slow sync.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// How far the log of one replica is on disk.
pub(crate) struct Durable {
    store: Arc<dyn Store>,
    pending: Mutex<Pending>,
    reached: watch::Sender<Reached>,
}

#[derive(Default)]
struct Pending {
    /// Counts appends: an index may be written twice, a ticket is not.
    tickets: u64,
    /// The appends that are not on disk yet, in order; by index they follow each other.
    spans: VecDeque<Span>,
}

struct Span {
    ticket: u64,
    since: Instant,
    first: u64,
    last: u64,
}

impl Pending {
    fn cut(&mut self, from: u64) {
        while self.spans.pop_back_if(|newest| newest.first >= from).is_some() {}
        if let Some(newest) = self.spans.back_mut() {
            newest.last = newest.last.min(from - 1);
        }
    }
}

/// How far the disk has come.
#[derive(Clone, Debug, Default)]
struct Reached {
    ticket: u64,
    /// The records below this index are purged, or will be once a snapshot stands for them.
    purged_below: u64,
    /// The log was purged up to here, beyond its end: a snapshot stands for what the disk lacks, once it is installed.
    hole_through: Option<u64>,
    /// Why it will not come further.
    failed: Option<StoreError>,
    /// The replica stops, and nobody is to wait any more.
    ended: bool,
}

impl Durable {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, pending: Mutex::default(), reached: watch::Sender::default() }
    }

    /// Records with these indexes are about to be handed to the disk; [`Self::reached`] takes the ticket. They replace
    /// those that had the same indexes.
    pub(crate) fn append(&self, indexes: Option<RangeInclusive<u64>>) -> u64 {
        let mut pending = self.pending();
        pending.tickets += 1;
        let ticket = pending.tickets;
        if let Some(indexes) = indexes {
            pending.cut(*indexes.start());
            pending.spans.push_back(Span {
                ticket,
                since: Instant::now(),
                first: *indexes.start(),
                last: *indexes.end(),
            });
        }
        ticket
    }

    /// The records from this index on are gone.
    pub(crate) fn truncate(&self, from: u64) {
        self.pending().cut(from);
    }

    /// The records up to this index are hidden: a snapshot that has come, or will, stands for them. `last` is the end of
    /// the log before that.
    pub(crate) fn purge(&self, through: u64, last: Option<u64>) {
        self.reached.send_modify(|reached| {
            reached.purged_below = reached.purged_below.max(through + 1);
            // What lies in the log stays there until the state is durable, and is shown again after a crash.
            if last.is_none_or(|last| last < through) {
                reached.hole_through = reached.hole_through.max(Some(through));
            }
        });
    }

    /// The state on disk has moved on: whoever waits for a snapshot looks again.
    pub(crate) fn state_moved(&self) {
        self.reached.send_modify(|_| {});
    }

    /// Nothing more becomes durable, for this reason: nobody who waits may wait for ever.
    pub(crate) fn fail(&self, why: StoreError) {
        self.reached.send_modify(|reached| _ = reached.failed.get_or_insert(why));
    }

    /// The replica stops: nobody is to wait any more.
    pub(crate) fn end(&self) {
        self.reached.send_modify(|reached| reached.ended = true);
        self.fail(StoreError::Stopped { why: "the replica stops".into() });
    }

    /// Whether the replica stops.
    pub(crate) fn has_ended(&self) -> bool {
        self.reached.borrow().ended
    }

    /// The disk is done with an append, and with all before it.
    pub(crate) fn reached(&self, ticket: u64, result: Result<(), StoreError>) {
        self.reached.send_modify(|reached| match result {
            // After a failure nothing is believed any more.
            Ok(()) if reached.failed.is_none() => {
                reached.ticket = reached.ticket.max(ticket);
                let mut pending = self.pending();
                while pending.spans.pop_front_if(|oldest| oldest.ticket <= ticket).is_some() {}
            }
            Ok(()) => {}
            Err(error) => _ = reached.failed.get_or_insert(error),
        });
    }

    /// Returns once the record at `index`, which was appended, and all before it are on disk, or a snapshot there stands
    /// for them.
    pub(crate) async fn record(&self, index: u64) -> Result<(), StoreError> {
        let ticket = self.ticket_of(index).unwrap_or(0);
        self.wait(|reached| reached.ticket >= ticket && self.covers(reached, index)).await
    }

    /// Returns once the record at `index`, which is committed, may be applied: when [`Self::record`] does, or when it is
    /// purged. A record that follows a snapshot which is being installed comes on disk after that, and if another one
    /// comes first, after that one, which itself waits for what is to be applied before it.
    pub(crate) async fn committed(&self, index: u64) -> Result<(), StoreError> {
        match self.ticket_of(index) {
            Some(ticket) => self.wait(|reached| reached.ticket >= ticket || reached.purged_below > index).await,
            None => Ok(()),
        }
    }

    /// Returns once all that was appended so far is on disk, and the snapshot before it.
    pub(crate) async fn all(&self) -> Result<(), StoreError> {
        let ticket = self.pending().spans.back().map_or(0, |newest| newest.ticket);
        self.wait(|reached| reached.ticket >= ticket && self.covers(reached, u64::MAX)).await
    }

    /// Whether the disk has what a purge beyond the end of the log left to a snapshot, as far as `index` counts on it.
    fn covers(&self, reached: &Reached, index: u64) -> bool {
        let counted_on = reached.hole_through.map(|through| through.min(index));
        counted_on.is_none() || counted_on <= self.store.state_durable_through()
    }

    fn ticket_of(&self, index: u64) -> Option<u64> {
        let pending = self.pending();
        let span = pending.spans.iter().find(|span| span.last >= index);
        // What lies before the oldest is on disk.
        span.filter(|span| span.first <= index).map(|span| span.ticket)
    }

    /// The first index whose record may not be on disk yet; the highest of all where every record is.
    pub(crate) fn below(&self) -> u64 {
        self.pending().spans.front().map_or(u64::MAX, |oldest| oldest.first)
    }

    /// Whether the disk takes so long that this replica should not lead: nothing would be committed.
    pub(crate) fn is_stuck(&self) -> bool {
        self.pending().spans.front().is_some_and(|oldest| oldest.since.elapsed() > STUCK_AFTER)
    }

    /// Why nothing more becomes durable, if so.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.reached.borrow().failed.clone().map_or(Ok(()), Err)
    }

    async fn wait(&self, is_reached: impl Fn(&Reached) -> bool) -> Result<(), StoreError> {
        let mut reached = self.reached.subscribe();
        let reached = reached.wait_for(|reached| is_reached(reached) || reached.failed.is_some()).await;
        let reached = reached.map_err(|_| StoreError::Stopped { why: "the replica stops".into() })?;
        match &reached.failed {
            Some(error) if !is_reached(&reached) => Err(error.clone()),
            Some(_) | None => Ok(()),
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_storage::{Base, Facts, MemoryStore, SnapshotName};
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn durable() -> (Arc<MemoryStore>, Durable) {
        let store = Arc::new(MemoryStore::new(Facts { node_id: 1, cluster_id: [7; 16], epoch: 1 }));
        (store.clone(), Durable::new(store))
    }

    fn is_ready(wait: impl Future<Output = Result<(), StoreError>>) -> bool {
        matches!(pin!(wait).poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(())))
    }

    #[test]
    fn a_record_is_durable_when_its_own_append_is_and_not_before() {
        let (_store, durable) = durable();
        let (first, second) = (durable.append(Some(1..=3)), durable.append(Some(4..=4)));
        assert_eq!(durable.below(), 1);
        assert!(!is_ready(durable.record(1)));
        durable.reached(first, Ok(()));
        assert!(is_ready(durable.record(3)));
        assert!(!is_ready(durable.record(4)));
        assert_eq!(durable.below(), 4);
        durable.reached(second, Ok(()));
        assert!(is_ready(durable.record(4)));
        assert_eq!(durable.below(), u64::MAX);
    }

    #[test]
    fn a_record_that_replaces_another_waits_for_its_own_append() {
        let (_store, durable) = durable();
        let old = durable.append(Some(5..=9));
        durable.truncate(7);
        let new = durable.append(Some(7..=7));
        durable.reached(old, Ok(()));
        assert!(is_ready(durable.record(6)));
        assert!(!is_ready(durable.record(7)), "what was on disk under this index is another record");
        durable.reached(new, Ok(()));
        assert!(is_ready(durable.record(7)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_disk_that_does_not_come_back_is_stuck_until_it_does() {
        let (_store, durable) = durable();
        let ticket = durable.append(Some(1..=1));
        tokio::time::advance(STUCK_AFTER).await;
        assert!(!durable.is_stuck());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(durable.is_stuck());
        durable.reached(ticket, Ok(()));
        assert!(!durable.is_stuck());
    }

    #[test]
    fn nothing_after_a_failure_is_durable() {
        let (_store, durable) = durable();
        let (first, second) = (durable.append(Some(1..=1)), durable.append(Some(2..=2)));
        durable.reached(first, Err(StoreError::Stopped { why: "a test".into() }));
        durable.reached(second, Ok(()));
        assert!(!is_ready(durable.record(2)));
        assert!(durable.check().is_err());
    }
    #[test]
    fn what_a_snapshot_brings_is_not_vouched_for_before_it_is_on_disk() {
        let (store, durable) = durable();
        let first = durable.append(Some(1..=5));
        durable.reached(first, Ok(()));
        // A follower that lags purges its log before the snapshot is installed.
        durable.purge(20, Some(5));
        assert!(!is_ready(durable.record(20)), "a crash now would show the leader a log that ends at 5");
        assert!(!is_ready(durable.all()), "and a candidate that stands with it");
        assert!(is_ready(durable.committed(20)), "what is applied before the snapshot must not wait for it");
        let name = SnapshotName::parse("1-20").unwrap();
        store.write_snapshot(&name).unwrap().finish().unwrap();
        store.set_base(Base { name, index: 20 }).unwrap();
        assert!(is_ready(durable.record(20)) && is_ready(durable.all()));
    }

    #[test]
    fn a_log_that_is_shortened_behind_the_state_vouches_on() {
        let (_store, durable) = durable();
        let first = durable.append(Some(1..=50));
        durable.reached(first, Ok(()));
        // Rows lag behind the state in memory, and until they are durable a crash shows the log whole.
        durable.purge(20, Some(50));
        assert!(is_ready(durable.record(50)) && is_ready(durable.all()));
    }
}
