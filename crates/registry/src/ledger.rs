//! The leader's ledger of freshness leases, and the barrier: when no replica can decide on a state before a revision.
//!
//! The rules of the barrier (`crates/README.md`) that hold here: the barrier waits for every lease that may still run, never for the
//! membership alone (1); a new leader confirms nobody by time before one whole bound has passed since its election,
//! while confirmations by report count at once (3); a report says "applied and published to readers", with its
//! incarnation (5); the wait is the bound x 1.001 + 100 ms (8). Time is an argument: boot time in milliseconds.

use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{DurationMillis, NodeId};
use std::collections::BTreeMap;

/// Clock rates may differ by this share: a lease counted by a slow clock runs longer. 500 ppm on either side.
const RATE_PER_MILLE: u64 = 1;

/// What the wait adds on top, for the reading of clocks and the leaving of an answer. Milliseconds.
const MARGIN_MS: u64 = 100;

/// Grants remembered for one replica: at ten renewals a second, more than any bound reaches back.
const GRANTS_MAX: usize = 4_096;

/// How long after a lease began it may still be believed to run.
#[must_use]
pub const fn wait_ms(bound: DurationMillis) -> u64 {
    bound.millis() + bound.millis().div_ceil(1_000) * RATE_PER_MILLE + MARGIN_MS
}

/// One grant: when, and what its holder has to have applied before it may use it.
#[derive(Clone, Copy, Debug)]
struct Grant {
    at_ms: u64,
    read_index: u64,
}

#[derive(Debug, Default)]
struct Holder {
    incarnation: u64,
    published: Option<u64>,
    grants: Vec<Grant>,
}

/// The leases that this leader has granted, and what replicas have reported.
#[derive(Debug)]
pub struct Ledger {
    /// When this leader was elected: leases of the one before may run until a bound after it.
    elected_at_ms: u64,
    holders: BTreeMap<NodeId, Holder>,
}

/// How one replica stands towards a revision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has applied and published it.
    Applied,
    /// No lease that knows less can run any more.
    LeaseEnded,
    /// It may decide on an older state until this boot time of the leader.
    Waiting {
        /// Milliseconds of boot time.
        until_ms: u64,
    },
}

impl Ledger {
    /// Of a leader elected now.
    #[must_use]
    pub const fn new(elected_at_ms: u64) -> Self {
        Self { elected_at_ms, holders: BTreeMap::new() }
    }

    /// A replica reports what it has published in this process life. What it said in another one counts no more.
    pub fn report(&mut self, replica: NodeId, incarnation: u64, published: Option<u64>) {
        let holder = self.holders.entry(replica).or_default();
        if holder.incarnation == incarnation {
            holder.published = holder.published.max(published);
        } else {
            holder.incarnation = incarnation;
            holder.published = published;
        }
    }

    /// A lease is granted; noted before the answer leaves.
    pub fn grant(&mut self, replica: NodeId, at_ms: u64, read_index: u64) {
        let grants = &mut self.holders.entry(replica).or_default().grants;
        match grants.last_mut() {
            // Leases that need the same record end with the last of them.
            Some(last) if last.read_index == read_index => last.at_ms = at_ms,
            _ => grants.push(Grant { at_ms, read_index }),
        }
        if grants.len() > GRANTS_MAX {
            // Merging the two oldest keeps the later time and the lower index: it errs on waiting. They come in the order of
            // their times, and rounds to a quorum that overlap may end in any order.
            let oldest = grants.remove(0);
            grants[0].read_index = oldest.read_index.min(grants[0].read_index);
        }
    }

    /// Forgets a replica that has left the cluster and can decide on nothing any more.
    pub fn forget(&mut self, replica: NodeId) {
        self.holders.remove(&replica);
    }

    /// What a replica last reported.
    #[must_use]
    pub fn published(&self, replica: NodeId) -> Option<u64> {
        self.holders.get(&replica).and_then(|holder| holder.published)
    }

    /// When a replica last got a lease. Milliseconds of boot time.
    #[must_use]
    pub fn granted_at(&self, replica: NodeId) -> Option<u64> {
        self.holders.get(&replica).and_then(|holder| holder.grants.last()).map(|grant| grant.at_ms)
    }

    /// The incarnation that a replica last reported.
    #[must_use]
    pub fn incarnation(&self, replica: NodeId) -> Option<u64> {
        self.holders.get(&replica).map(|holder| holder.incarnation)
    }

    /// Everyone whose lease may still run: who holds one by this ledger, and `members`, who may hold one of the leader
    /// before.
    pub fn holders<'a>(&'a self, members: &'a [NodeId]) -> impl Iterator<Item = NodeId> + 'a {
        let unknown = members.iter().copied().filter(|member| !self.holders.contains_key(member));
        self.holders.keys().copied().chain(unknown)
    }

    /// How a replica stands towards the revision at `index`, for keys whose bound is `bound`.
    #[must_use]
    pub fn standing(&self, replica: NodeId, index: u64, bound: DurationMillis, now_ms: u64) -> Standing {
        let holder = self.holders.get(&replica);
        if holder.and_then(|holder| holder.published).is_some_and(|published| published >= index) {
            return Standing::Applied;
        }
        // A lease whose read index is at or beyond the revision cannot be used before it is applied.
        // They lie in the order of their times, so the last one that does not ends last.
        let granted_at = holder
            .and_then(|holder| holder.grants.iter().rev().find(|grant| grant.read_index < index))
            .map_or(0, |grant| grant.at_ms);
        let elected_at = if planted::is(Plant::NewLeaderConfirmsByTime) { 0 } else { self.elected_at_ms };
        let wait = if planted::is(Plant::NoMarginForRates) { bound.millis() } else { wait_ms(bound) };
        let until_ms = granted_at.max(elected_at) + wait;
        if now_ms >= until_ms { Standing::LeaseEnded } else { Standing::Waiting { until_ms } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLICA: NodeId = NodeId(2);
    const BOUND: DurationMillis = DurationMillis::new(5_000);

    fn granted(at_ms: u64, read_index: u64) -> Ledger {
        let mut ledger = Ledger::new(0);
        ledger.grant(REPLICA, at_ms, read_index);
        ledger
    }

    #[test]
    fn a_silent_replica_is_not_confirmed_before_its_lease_can_have_ended() {
        let ledger = granted(10_000, 41);
        let until_ms = 10_000 + 5_000 + 5 + 100;
        assert_eq!(ledger.standing(REPLICA, 42, BOUND, until_ms - 1), Standing::Waiting { until_ms });
        assert_eq!(ledger.standing(REPLICA, 42, BOUND, until_ms), Standing::LeaseEnded);
    }

    #[test]
    fn a_new_leader_confirms_nobody_by_time_before_one_bound() {
        let ledger = Ledger::new(50_000);
        let until_ms = 50_000 + wait_ms(BOUND);
        assert_eq!(ledger.standing(REPLICA, 42, BOUND, until_ms - 1), Standing::Waiting { until_ms });
        assert_eq!(ledger.standing(REPLICA, 42, BOUND, until_ms), Standing::LeaseEnded);
    }

    #[test]
    fn a_new_leader_believes_a_report_at_once() {
        let mut ledger = Ledger::new(50_000);
        ledger.report(REPLICA, 7, Some(42));
        assert_eq!(ledger.standing(REPLICA, 42, BOUND, 50_001), Standing::Applied);
        assert!(matches!(ledger.standing(REPLICA, 43, BOUND, 50_001), Standing::Waiting { .. }));
    }

    #[test]
    fn a_lease_that_needs_the_revision_does_not_delay_it() {
        let mut ledger = granted(10_000, 41);
        ledger.grant(REPLICA, 14_000, 42);
        assert_eq!(ledger.standing(REPLICA, 42, BOUND, 10_000 + wait_ms(BOUND)), Standing::LeaseEnded);
        assert!(matches!(ledger.standing(REPLICA, 43, BOUND, 10_000 + wait_ms(BOUND)), Standing::Waiting { .. }));
    }

    #[test]
    fn a_report_of_a_life_before_is_not_believed() {
        let mut ledger = Ledger::new(0);
        ledger.report(REPLICA, 7, Some(42));
        ledger.report(REPLICA, 8, Some(40));
        assert_eq!(ledger.published(REPLICA), Some(40));
    }

    #[test]
    fn grants_that_are_merged_are_waited_for_as_long_as_the_longest_of_them() {
        let mut ledger = granted(0, 50);
        // The second round to a quorum ended before the first, so its lease needs less.
        ledger.grant(REPLICA, 10, 49);
        for more in 0..2 * GRANTS_MAX as u64 {
            ledger.grant(REPLICA, 20 + more, 60 + more);
        }
        let grants = &ledger.holders[&REPLICA].grants;
        assert_eq!(grants.len(), GRANTS_MAX);
        assert_eq!(grants[0].read_index, 49, "what needs the least of all that were merged");
        let last_ms = grants[0].at_ms;
        let standing = ledger.standing(REPLICA, 50, BOUND, last_ms);
        assert_eq!(standing, Standing::Waiting { until_ms: last_ms + wait_ms(BOUND) });
    }

    #[test]
    fn every_member_is_waited_for_even_if_it_never_spoke() {
        let ledger = granted(0, 1);
        let members = [NodeId(1), REPLICA, NodeId(3)];
        assert_eq!(ledger.holders(&members).collect::<Vec<_>>(), [REPLICA, NodeId(1), NodeId(3)]);
    }
}
