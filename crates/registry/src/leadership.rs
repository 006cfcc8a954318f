//! What a leader knows and others do not: the leases that it granted, the voters' clocks, the replicas' hashes. It
//! begins anew with each term.

use crate::cluster_time::{Consensus, Readings};
use crate::holdings::Holding;
use crate::ledger::{Ledger, Standing};
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{DurationMillis, NodeId, UnixMillis};
use latchkey_state::HashedAt;
use latchkey_telemetry::Clock;
use latchkey_transport::Unavailable;
use latchkey_wire::pb::v1::replica::State as ReplicaState;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Revisions at which hashes are compared that a leader remembers.
const HASHES_MAX: usize = 16;

/// What a replica says of itself when it renews its lease.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) replica: NodeId,
    pub(crate) incarnation: u64,
    pub(crate) published: Option<u64>,
    pub(crate) clock: UnixMillis,
    pub(crate) hashed: Option<HashedAt>,
    pub(crate) state: i32,
    /// The newest feature level that its build knows.
    pub(crate) feature_level: u32,
    /// Which KEKs it has, and what its folder needs; absent: it does not say.
    pub(crate) holding: Option<Arc<Holding>>,
}

/// One replica as the leader knows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// The number of its process life.
    pub incarnation: Option<u64>,
    /// What it last said that it published.
    pub published: Option<u64>,
    /// How long ago it got a lease.
    pub lease_age: Option<DurationMillis>,
    /// How far its clock is ahead of the median.
    pub clock_offset_ms: Option<i64>,
    /// What it last said that it does.
    pub state: Option<i32>,
}

struct Term {
    term: u64,
    ledger: Ledger,
    readings: Readings,
    states: BTreeMap<NodeId, i32>,
    feature_levels: BTreeMap<NodeId, u32>,
    holdings: BTreeMap<NodeId, Arc<Holding>>,
    /// The first index that a quorum confirmed in this term: what is sealed by a state of before may be under a log key that
    /// others have destroyed since.
    begins_at: Option<u64>,
    hashes: BTreeMap<u64, BTreeMap<NodeId, HashedAt>>,
    /// Set once this leader has moved the clock to a majority's median.
    clock_advanced: bool,
    /// Boot time when the last read index was asked for that a quorum confirmed.
    quorum_at_ms: Option<u64>,
    /// Boot time of the election.
    elected_at_ms: u64,
    /// Those that get no more leases: they are to leave the cluster.
    leaving: BTreeSet<NodeId>,
}

/// The leadership of this replica, if it has it.
pub(crate) struct Leadership {
    node: NodeId,
    clock: Arc<dyn Clock>,
    /// How old the last confirmed read index may be before this leader takes itself for isolated.
    quorum_age_ms_max: u64,
    term: Mutex<Option<Term>>,
    voters: Mutex<Vec<NodeId>>,
    news: watch::Sender<u64>,
    standing_down: AtomicBool,
}

impl Leadership {
    pub(crate) fn new(node: NodeId, clock: Arc<dyn Clock>, quorum_age_ms_max: u64) -> Self {
        let (term, voters) = (Mutex::default(), Mutex::default());
        Self {
            node,
            clock,
            quorum_age_ms_max,
            term,
            voters,
            news: watch::Sender::new(0),
            standing_down: AtomicBool::new(false),
        }
    }

    /// Follows raft: a new term as leader begins with nothing known.
    pub(crate) fn follow(&self, leads_term: Option<u64>, voters: Vec<NodeId>) {
        *self.voters.lock().unwrap_or_else(PoisonError::into_inner) = voters;
        let mut current = self.term();
        match leads_term {
            None => *current = None,
            Some(term) if current.as_ref().is_some_and(|now| now.term == term) => {}
            Some(term) => {
                let elected_at_ms = self.clock.boottime_millis();
                *current = Some(Term {
                    term,
                    ledger: Ledger::new(elected_at_ms),
                    readings: Readings::default(),
                    states: BTreeMap::new(),
                    feature_levels: BTreeMap::new(),
                    holdings: BTreeMap::new(),
                    begins_at: None,
                    hashes: BTreeMap::new(),
                    clock_advanced: false,
                    quorum_at_ms: None,
                    elected_at_ms,
                    leaving: BTreeSet::new(),
                });
            }
        }
    }

    /// Takes note of a replica's report. `true` where its state differs from a majority's.
    pub(crate) fn report(&self, report: Report) -> bool {
        let voters = self.voters();
        let mut current = self.term();
        let Some(term) = current.as_mut() else { return false };
        term.ledger.report(report.replica, report.incarnation, report.published);
        term.states.insert(report.replica, report.state);
        term.feature_levels.insert(report.replica, report.feature_level);
        match report.holding {
            Some(holding) => drop(term.holdings.insert(report.replica, holding)),
            // It may have begun anew since it spoke last.
            None => drop(term.holdings.remove(&report.replica)),
        }
        if voters.contains(&report.replica) && report.replica != self.node {
            term.readings.note(report.replica, self.clock.boottime_millis(), report.clock);
        }
        let differs = report.hashed.is_some_and(|hashed| term.differs(report.replica, hashed, &voters));
        drop(current);
        self.news.send_modify(|count| *count += 1);
        differs
    }

    /// Grants a lease: notes it, and tells the term and the time. `asked_ms` is the boot time when the read index was asked
    /// for.
    ///
    /// # Errors
    /// Where this is no leader or knows no time yet, and for a replica that is to leave.
    pub(crate) fn grant(
        &self,
        replica: NodeId,
        read_index: u64,
        asked_ms: u64,
    ) -> Result<(u64, UnixMillis, i64), Unavailable> {
        let voters = self.voters();
        let mut current = self.term();
        let Some(term) = current.as_mut() else { return Err(Unavailable::NoLeader { node: Some(self.node) }) };
        let (boot, own) = (self.clock.boottime_millis(), self.clock.unix_millis());
        let consensus = term.readings.consensus(self.node, &voters, boot, own).ok_or(Unavailable::Starting)?;
        term.quorum_at_ms = term.quorum_at_ms.max(Some(asked_ms));
        if term.leaving.contains(&replica) {
            return Err(Unavailable::Removed { node: replica });
        }
        term.ledger.grant(replica, boot, read_index);
        term.begins_at.get_or_insert(read_index);
        let offset = term.readings.offset_from_median(replica, boot, own, Some(consensus)).unwrap_or(0);
        Ok((term.term, consensus.time(own), offset))
    }

    /// This leader may speak again.
    pub(crate) fn end_silence(&self) {
        self.standing_down.store(false, Ordering::Relaxed);
    }

    /// Whether this leader is silent.
    pub(crate) fn stands_down(&self) -> bool {
        self.standing_down.load(Ordering::Relaxed)
    }

    /// Falls silent; `false` where it is already.
    pub(crate) fn begin_silence(&self) -> bool {
        !self.standing_down.swap(true, Ordering::Relaxed)
    }

    /// The term in which this replica leads.
    pub(crate) fn term_led(&self) -> Option<u64> {
        self.term().as_ref().map(|term| term.term)
    }

    /// Whether this leader has heard no quorum for so long that another may lead.
    pub(crate) fn is_isolated(&self) -> bool {
        let now_ms = self.clock.boottime_millis();
        self.term().as_ref().is_some_and(|term| {
            let heard_ms = term.quorum_at_ms.unwrap_or(term.elected_at_ms);
            now_ms.saturating_sub(heard_ms) > self.quorum_age_ms_max
        })
    }

    /// Whether a replica that is to leave can decide on nothing any more: it has said that it answers no more, or no lease
    /// of it can run. From here on it gets none.
    pub(crate) fn has_stopped(&self, replica: NodeId, bound: DurationMillis) -> bool {
        let mut current = self.term();
        let Some(term) = current.as_mut() else { return false };
        term.leaving.insert(replica);
        let has_said = term.states.get(&replica) == Some(&i32::from(ReplicaState::Removed));
        let now_ms = self.clock.boottime_millis();
        // No lease needs this record, so what counts is the last one that was granted.
        has_said
            || planted::is(Plant::LeaseIgnoredOnRemoval)
            || term.ledger.standing(replica, u64::MAX, bound, now_ms) == Standing::LeaseEnded
    }

    /// Forgets a replica that has left: nobody waits for it any more.
    pub(crate) fn forget(&self, replica: NodeId) {
        if let Some(term) = self.term().as_mut() {
            term.ledger.forget(replica);
            term.states.remove(&replica);
            term.feature_levels.remove(&replica);
            term.holdings.remove(&replica);
        }
    }

    /// The time to stamp a command with.
    pub(crate) fn stamp(&self) -> Result<UnixMillis, Unavailable> {
        let voters = self.voters();
        let current = self.term();
        let no_leader = Unavailable::NoLeader { node: Some(self.node) };
        let Some(term) = current.as_ref().filter(|_| !self.stands_down()) else { return Err(no_leader) };
        let (boot, own) = (self.clock.boottime_millis(), self.clock.unix_millis());
        // An isolated leader still calls itself leader, and its writes would hang.
        let quorum_age = term.quorum_at_ms.map(|at| boot.saturating_sub(at));
        if quorum_age.is_none_or(|age| age > self.quorum_age_ms_max) {
            return Err(if quorum_age.is_none() { Unavailable::Starting } else { no_leader });
        }
        let Consensus { median_ms } =
            term.readings.consensus(self.node, &voters, boot, own).ok_or(Unavailable::Starting)?;
        if !(Consensus { median_ms }).trusts_leader() && !planted::is(Plant::LeaderYearAhead) {
            return Err(Unavailable::ClockSkew { offset_ms: -median_ms });
        }
        if !term.clock_advanced {
            return Err(Unavailable::Starting);
        }
        Ok(own)
    }

    /// The voters' clocks, once a majority has spoken; for the command that moves the clock.
    pub(crate) fn readings(&self) -> Option<(u64, Vec<(NodeId, UnixMillis)>)> {
        let voters = self.voters();
        let current = self.term();
        let term = current.as_ref()?;
        let (boot, own) = (self.clock.boottime_millis(), self.clock.unix_millis());
        term.readings.consensus(self.node, &voters, boot, own)?;
        Some((term.term, term.readings.readings(self.node, &voters, boot, own)))
    }

    /// The clock was moved to the median in this term.
    pub(crate) fn clock_advanced(&self, in_term: u64) {
        if let Some(term) = self.term().as_mut().filter(|term| term.term == in_term) {
            term.clock_advanced = true;
        }
    }

    /// Whether this leader still has to move the clock before it may stamp.
    pub(crate) fn needs_clock(&self) -> bool {
        self.term().as_ref().is_some_and(|term| !term.clock_advanced)
    }

    /// Whether this replica leads.
    pub(crate) fn leads(&self) -> bool {
        self.term().is_some()
    }

    /// How everyone who may hold a lease stands towards a revision; `None` where this is no leader.
    pub(crate) fn standings(
        &self,
        members: &[NodeId],
        index: u64,
        bound: DurationMillis,
    ) -> Option<Vec<(NodeId, Standing, Option<u64>)>> {
        let current = self.term();
        let term = current.as_ref()?;
        let now = self.clock.boottime_millis();
        let standing =
            |holder: NodeId| (holder, term.ledger.standing(holder, index, bound, now), term.ledger.incarnation(holder));
        Some(term.ledger.holders(members).map(standing).collect())
    }

    /// What this leader knows of a replica.
    pub(crate) fn known(&self, replica: NodeId) -> Option<Known> {
        let voters = self.voters();
        let current = self.term();
        let term = current.as_ref()?;
        let (boot, own) = (self.clock.boottime_millis(), self.clock.unix_millis());
        let consensus = term.readings.consensus(self.node, &voters, boot, own);
        let offset = if replica == self.node {
            consensus.map(|consensus| -consensus.median_ms)
        } else {
            term.readings.offset_from_median(replica, boot, own, consensus)
        };
        let lease_age = term.ledger.granted_at(replica).map(|at| DurationMillis::new(boot.saturating_sub(at)));
        Some(Known {
            incarnation: term.ledger.incarnation(replica),
            published: term.ledger.published(replica),
            lease_age,
            clock_offset_ms: offset,
            state: term.states.get(&replica).copied(),
        })
    }

    /// The newest feature level that each of these knows; `None` until all of them have reported in this term.
    pub(crate) fn common_feature_level(&self, members: &[NodeId]) -> Option<u32> {
        let current = self.term();
        let term = current.as_ref()?;
        let levels = members.iter().map(|member| term.feature_levels.get(member).copied());
        levels.collect::<Option<Vec<_>>>()?.into_iter().min()
    }

    /// What a replica has last said of the keys that it has and needs.
    pub(crate) fn holding(&self, replica: NodeId) -> Option<Arc<Holding>> {
        self.term().as_ref()?.holdings.get(&replica).cloned()
    }

    /// Whether a state at this index has all that was committed before this term; only by such a one may records be sealed.
    pub(crate) fn may_seal_at(&self, index: u64) -> bool {
        self.term().as_ref().is_some_and(|term| term.begins_at.is_some_and(|begin| begin <= index))
    }

    /// Changes with every report.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn term(&self) -> MutexGuard<'_, Option<Term>> {
        self.term.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn voters(&self) -> Vec<NodeId> {
        self.voters.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Term {
    /// Whether `hashed` differs from what a majority of the voters has at the same revision.
    fn differs(&mut self, replica: NodeId, hashed: HashedAt, voters: &[NodeId]) -> bool {
        let at = self.hashes.entry(hashed.revision.index).or_default();
        at.insert(replica, hashed);
        let majority = voters.len() / 2 + 1;
        let others = at.iter().filter(|(node, other)| voters.contains(node) && other.hash != hashed.hash);
        let mut counts: Vec<(latchkey_state::StateHash, usize)> = Vec::new();
        for (_, other) in others {
            match counts.iter_mut().find(|(hash, _)| *hash == other.hash) {
                Some((_, count)) => *count += 1,
                None => counts.push((other.hash, 1)),
            }
        }
        let differs = counts.iter().any(|(_, count)| *count >= majority);
        while self.hashes.len() > HASHES_MAX {
            self.hashes.pop_first();
        }
        differs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::Revision;
    use latchkey_state::StateHash;
    use latchkey_telemetry::SystemClock;

    const VOTERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

    fn leader() -> Leadership {
        let leadership = Leadership::new(NodeId(1), Arc::new(SystemClock), 1_000);
        leadership.follow(Some(7), VOTERS.to_vec());
        leadership
    }

    fn report(replica: NodeId, hash: u8) -> Report {
        let hashed = HashedAt { revision: Revision::new(1, 1_000), hash: StateHash::from_bytes(&[hash; 32]) };
        Report {
            replica,
            incarnation: 1,
            published: Some(1_000),
            clock: SystemClock.unix_millis(),
            hashed: Some(hashed),
            state: 1,
            feature_level: 2,
            holding: None,
        }
    }

    #[test]
    fn the_odd_one_out_is_told_once_a_majority_agrees() {
        let leader = leader();
        assert!(!leader.report(report(NodeId(3), 0xBB)), "one against nobody is no majority");
        assert!(!leader.report(report(NodeId(1), 0xAA)));
        assert!(!leader.report(report(NodeId(2), 0xAA)));
        assert!(leader.report(report(NodeId(3), 0xBB)));
    }

    #[test]
    fn a_leader_that_differs_is_told_too() {
        let leader = leader();
        leader.report(report(NodeId(2), 0xBB));
        leader.report(report(NodeId(3), 0xBB));
        assert!(leader.report(report(NodeId(1), 0xAA)));
    }

    #[test]
    fn the_common_feature_level_is_the_lowest_once_all_have_spoken() {
        let leader = leader();
        leader.report(report(NodeId(1), 0xAA));
        leader.report(report(NodeId(2), 0xAA));
        assert_eq!(leader.common_feature_level(&VOTERS), None);
        leader.report(Report { feature_level: 1, ..report(NodeId(3), 0xAA) });
        assert_eq!(leader.common_feature_level(&VOTERS), Some(1));
        leader.report(report(NodeId(3), 0xAA));
        assert_eq!(leader.common_feature_level(&VOTERS), Some(2));
    }

    #[test]
    fn a_leader_that_no_quorum_answers_does_not_stamp() {
        let leader = leader();
        assert_eq!(leader.stamp(), Err(Unavailable::Starting));
        leader.report(report(NodeId(2), 0xAA));
        leader.grant(NodeId(2), 5, SystemClock.boottime_millis()).unwrap();
        assert_eq!(leader.stamp(), Err(Unavailable::Starting), "the clock is not moved to the median yet");
        leader.clock_advanced(7);
        assert!(leader.stamp().is_ok());
        leader.follow(Some(8), VOTERS.to_vec());
        assert_eq!(leader.stamp(), Err(Unavailable::Starting), "a new term begins with nothing known");
        leader.follow(None, VOTERS.to_vec());
        assert_eq!(leader.stamp(), Err(Unavailable::NoLeader { node: Some(NodeId(1)) }));
    }
}
