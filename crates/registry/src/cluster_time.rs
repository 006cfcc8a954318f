//! The leader's idea of the time: its own clock where it agrees with the voters' median, and never a clock alone.

use latchkey_domain::{NodeId, UnixMillis};
use std::collections::BTreeMap;

/// How far the leader's clock may be from the voters' median before it stops stamping. Milliseconds.
pub const SKEW_MS_MAX: i64 = 500;

/// Readings older than this count no more. Milliseconds of boot time.
const READING_AGE_MS_MAX: u64 = 15_000;

/// The voters' clocks as the leader sees them.
#[derive(Debug, Default)]
pub struct Readings {
    /// By voter: when it was read, in boot time, and how far it was ahead of the leader's wall clock then.
    offsets: BTreeMap<NodeId, (u64, i64)>,
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
    pub fn note(&mut self, voter: NodeId, boottime_ms: u64, own: UnixMillis, reading: UnixMillis) {
        self.offsets.insert(voter, (boottime_ms, offset(reading, own)));
    }

    /// The median over the voters' recent readings and the leader's own; `None` below a majority. With an even number
    /// it is the lower one, since waiting is safer than expiring.
    #[must_use]
    pub fn consensus(&self, leader: NodeId, voters: &[NodeId], boottime_ms: u64) -> Option<Consensus> {
        let mut offsets: Vec<_> = self.recent(leader, voters, boottime_ms).map(|(_, offset)| offset).collect();
        if offsets.len() * 2 <= voters.len() {
            return None;
        }
        offsets.sort_unstable();
        Some(Consensus { median_ms: offsets[(offsets.len() - 1) / 2] })
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
        self.recent(leader, voters, boottime_ms).map(|(node, offset)| (node, shifted(own, offset))).collect()
    }

    /// How far a replica's clock is ahead of the median; `None` where either is not known.
    #[must_use]
    pub fn offset_from_median(&self, replica: NodeId, consensus: Option<Consensus>) -> Option<i64> {
        let (_, offset) = self.offsets.get(&replica)?;
        Some(offset.saturating_sub(consensus?.median_ms))
    }

    fn recent(&self, leader: NodeId, voters: &[NodeId], now_ms: u64) -> impl Iterator<Item = (NodeId, i64)> {
        voters.iter().filter_map(move |voter| {
            if *voter == leader {
                return Some((leader, 0));
            }
            let (at, offset) = self.offsets.get(voter)?;
            (now_ms.saturating_sub(*at) <= READING_AGE_MS_MAX).then_some((*voter, *offset))
        })
    }
}

fn offset(reading: UnixMillis, own: UnixMillis) -> i64 {
    let millis = |time: UnixMillis| i64::try_from(time.millis()).expect("times are at most 2^53");
    millis(reading) - millis(own)
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

    fn ahead(ms: u64) -> UnixMillis {
        UnixMillis::new(NOW.millis() + ms)
    }

    #[test]
    fn a_leader_a_year_ahead_is_not_trusted_once_a_majority_has_spoken() {
        let own = ahead(YEAR_MS);
        let mut readings = Readings::default();
        assert_eq!(readings.consensus(NodeId(1), &VOTERS, 0), None);
        readings.note(NodeId(2), 0, own, NOW);
        let consensus = readings.consensus(NodeId(1), &VOTERS, 0).unwrap();
        assert!(!consensus.trusts_leader());
        assert_eq!(consensus.time(own), NOW);
    }

    #[test]
    fn a_follower_a_year_ahead_moves_nothing() {
        let mut readings = Readings::default();
        readings.note(NodeId(2), 0, NOW, ahead(YEAR_MS));
        readings.note(NodeId(3), 0, NOW, ahead(40));
        let consensus = readings.consensus(NodeId(1), &VOTERS, 0).unwrap();
        assert!(consensus.trusts_leader());
        assert_eq!(consensus.time(NOW), NOW);
    }

    #[test]
    fn readings_that_are_old_do_not_count() {
        let mut readings = Readings::default();
        readings.note(NodeId(2), 0, NOW, NOW);
        assert!(readings.consensus(NodeId(1), &VOTERS, READING_AGE_MS_MAX).is_some());
        assert!(readings.consensus(NodeId(1), &VOTERS, READING_AGE_MS_MAX + 1).is_none());
    }

    #[test]
    fn a_single_voter_is_its_own_majority() {
        let consensus = Readings::default().consensus(NodeId(1), &[NodeId(1)], 0);
        assert_eq!(consensus, Some(Consensus { median_ms: 0 }));
    }
}
