//! The leader's idea of the time: its own clock where it agrees with the voters' median, and never a clock alone.

use latchkey_domain::{NodeId, UnixMillis};
use std::collections::BTreeMap;

/// How far the leader's clock may be from the voters' median before it stops stamping. Milliseconds.
pub const SKEW_MS_MAX: i64 = 500;

/// Readings older than this count no more. Milliseconds of boot time.
const READING_AGE_MS_MAX: u64 = 15_000;

/// The voters' clocks as the leader sees them.
///
/// Kept against boot time, not against the leader's own wall clock: where that jumps, it is what disagrees at once.
#[derive(Debug, Default)]
pub struct Readings {
    /// By voter: when it was read, in boot time, and how far it was ahead of boot time then.
    ahead_of_boot: BTreeMap<NodeId, (u64, i64)>,
}

/// What the readings say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consensus {
    /// How far the median of a majority's clocks is ahead of the leader's own. Milliseconds.
    pub median_ms: i64,
}

impl Consensus {
    /// Whether the leader may stamp with its own clock.
    #[must_use]
    pub const fn trusts_leader(self) -> bool {
        self.median_ms.unsigned_abs() <= SKEW_MS_MAX.unsigned_abs()
    }

    /// The time: the leader's own where it agrees with the median, else the median's.
    #[must_use]
    pub fn time(self, own: UnixMillis) -> UnixMillis {
        if self.trusts_leader() { own } else { shifted(own, self.median_ms) }
    }
}

impl Readings {
    /// Takes note of a voter's clock.
    pub fn note(&mut self, voter: NodeId, boottime_ms: u64, reading: UnixMillis) {
        self.ahead_of_boot.insert(voter, (boottime_ms, ahead(reading, boottime_ms)));
    }

    /// The median over the voters' recent readings and the leader's own; `None` below a majority. With an even number
    /// it is the lower one, since waiting is safer than expiring.
    #[must_use]
    pub fn consensus(&self, leader: NodeId, voters: &[NodeId], boottime_ms: u64, own: UnixMillis) -> Option<Consensus> {
        let own = ahead(own, boottime_ms);
        let mut sorted: Vec<_> = self.recent(leader, voters, boottime_ms, own).map(|(_, ahead)| ahead).collect();
        if sorted.len() * 2 <= voters.len() {
            return None;
        }
        sorted.sort_unstable();
        Some(Consensus { median_ms: sorted[(sorted.len() - 1) / 2] - own })
    }

    /// The voters' clocks, as [`latchkey_state::Operation::AdvanceClock`] carries them.
    #[must_use]
    pub fn readings(
        &self,
        leader: NodeId,
        voters: &[NodeId],
        boottime_ms: u64,
        own: UnixMillis,
    ) -> Vec<(NodeId, UnixMillis)> {
        let (boot, own) = (UnixMillis::new(boottime_ms), ahead(own, boottime_ms));
        self.recent(leader, voters, boottime_ms, own).map(|(node, ahead)| (node, shifted(boot, ahead))).collect()
    }

    /// How far a replica's clock is ahead of the median; `None` where either is not known.
    #[must_use]
    pub fn offset_from_median(
        &self,
        replica: NodeId,
        boottime_ms: u64,
        own: UnixMillis,
        consensus: Option<Consensus>,
    ) -> Option<i64> {
        let (_, replica_ahead) = self.ahead_of_boot.get(&replica)?;
        Some(replica_ahead - ahead(own, boottime_ms) - consensus?.median_ms)
    }

    fn recent(&self, leader: NodeId, voters: &[NodeId], now_ms: u64, own: i64) -> impl Iterator<Item = (NodeId, i64)> {
        voters.iter().filter_map(move |voter| {
            if *voter == leader {
                return Some((leader, own));
            }
            let (at, ahead) = self.ahead_of_boot.get(voter)?;
            (now_ms.saturating_sub(*at) <= READING_AGE_MS_MAX).then_some((*voter, *ahead))
        })
    }
}

/// How far a wall clock is ahead of boot time.
pub(crate) fn ahead(wall: UnixMillis, boottime_ms: u64) -> i64 {
    let millis = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
    millis(wall.millis()).saturating_sub(millis(boottime_ms))
}

fn shifted(time: UnixMillis, by_ms: i64) -> UnixMillis {
    UnixMillis::new(time.millis().saturating_add_signed(by_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    const YEAR_MS: u64 = 365 * 86_400_000;
    const NOW: UnixMillis = UnixMillis::new(1_700_000_000_000);
    const VOTERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

    fn later(ms: u64) -> UnixMillis {
        UnixMillis::new(NOW.millis() + ms)
    }

    #[test]
    fn a_leader_a_year_ahead_is_not_trusted_once_a_majority_has_spoken() {
        let own = later(YEAR_MS);
        let mut readings = Readings::default();
        assert_eq!(readings.consensus(NodeId(1), &VOTERS, 0, own), None);
        readings.note(NodeId(2), 0, NOW);
        let consensus = readings.consensus(NodeId(1), &VOTERS, 0, own).unwrap();
        assert!(!consensus.trusts_leader());
        assert_eq!(consensus.time(own), NOW);
    }

    #[test]
    fn a_follower_a_year_ahead_moves_nothing() {
        let mut readings = Readings::default();
        readings.note(NodeId(2), 0, later(YEAR_MS));
        readings.note(NodeId(3), 0, later(40));
        let consensus = readings.consensus(NodeId(1), &VOTERS, 0, NOW).unwrap();
        assert!(consensus.trusts_leader());
        assert_eq!(consensus.time(NOW), NOW);
    }

    #[test]
    fn a_leader_whose_clock_jumps_is_distrusted_before_anybody_speaks_again() {
        let mut readings = Readings::default();
        readings.note(NodeId(2), 1_000, NOW);
        assert!(readings.consensus(NodeId(1), &VOTERS, 1_050, later(50)).unwrap().trusts_leader());
        assert!(!readings.consensus(NodeId(1), &VOTERS, 1_060, later(YEAR_MS)).unwrap().trusts_leader());
    }

    #[test]
    fn readings_that_are_old_do_not_count() {
        let mut readings = Readings::default();
        readings.note(NodeId(2), 0, NOW);
        assert!(readings.consensus(NodeId(1), &VOTERS, READING_AGE_MS_MAX, NOW).is_some());
        assert!(readings.consensus(NodeId(1), &VOTERS, READING_AGE_MS_MAX + 1, NOW).is_none());
    }

    #[test]
    fn a_single_voter_is_its_own_majority() {
        let consensus = Readings::default().consensus(NodeId(1), &[NodeId(1)], 0, NOW);
        assert_eq!(consensus, Some(Consensus { median_ms: 0 }));
    }
}
