//! Which keys of a keyspace are rotated next. Pure: from what one survey of all its keys told.

use latchkey_domain::{DurationMillis, PHASES_MAX, UnixMillis};
use latchkey_state::{DueKey, PhaseTally};

/// How long a key waits for others before it counts as one that the cap keeps behind.
const BEHIND_AFTER: DurationMillis = DurationMillis::from_secs(3_600);

/// Phases of a policy, and the keys that are in none: these come last.
pub(crate) const PHASE_PLACES: usize = PHASES_MAX + 1;

/// What a survey told of one keyspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Surveyed {
    /// Its keys that are due and of which no rotation is under way, those that are due longest.
    pub(crate) due: Vec<DueKey>,
    /// How its phases stand.
    pub(crate) phases: [PhaseTally; PHASE_PLACES],
    /// Rotations that are not settled, also of keys that have a policy of their own.
    pub(crate) unsettled: u64,
}

/// What is to be planned, and what keeps the rest back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// These, those that are due longest first.
    pub(crate) keys: Vec<DueKey>,
    /// Whether the cap keeps keys back for longer than it should: more falls due than it lets through.
    pub(crate) behind: bool,
}

impl Surveyed {
    /// Adds more of the same keyspace, of which so many rotations are unsettled as a whole. At most `keep` keys are held:
    /// more than the cap are never planned at once. Those whose own cap is reached take no place of others.
    pub(crate) fn add(&mut self, due: Vec<DueKey>, phases: &[PhaseTally; PHASE_PLACES], unsettled: u64, keep: usize) {
        let has_room = |due: &DueKey| due.own_policy.as_ref().is_none_or(|own| unsettled < own.at_once_max.into());
        self.due.extend(due.into_iter().filter(has_room));
        self.unsettled = unsettled;
        for (sum, more) in self.phases.iter_mut().zip(phases) {
            sum.due += more.due;
            sum.unsettled += more.unsettled;
            sum.troubled += more.troubled;
        }
        // An early phase is never crowded out by a later one whose keys are due longer.
        if self.due.len() > 2 * keep {
            self.due.sort_unstable_by_key(|due| (due.phase, due.due_at, due.key));
            self.due.truncate(keep);
        }
    }

    /// What is to be planned now, with at most `at_once_max` rotations unsettled, and at most as many as a key's own policy
    /// allows where that key is. `is_open` tells whether the window of a key is.
    pub(crate) fn plan(mut self, at_once_max: u32, now: UnixMillis, is_open: impl Fn(&DueKey) -> bool) -> Plan {
        let reached = self.reached();
        self.due.retain(|due| (due.own_policy.is_some() || usize::from(due.phase) <= reached) && is_open(due));
        self.due.sort_unstable_by_key(|due| (due.due_at, due.key));
        let (mut keys, mut behind) = (Vec::new(), false);
        for due in self.due {
            // What the state would pass over is not proposed: it would be, at each survey.
            let cap = due.own_policy.as_ref().map_or(at_once_max, |own| own.at_once_max.min(at_once_max));
            if self.unsettled + (keys.len() as u64) < u64::from(cap) {
                keys.push(due);
            } else {
                behind |= due.due_at.plus(BEHIND_AFTER) <= now;
            }
        }
        Plan { keys, behind }
    }

    /// The last phase that may begin: each before it is healthy, with nothing due, nothing unsettled and no trouble.
    fn reached(&self) -> usize {
        let is_healthy = |phase: &PhaseTally| (phase.due, phase.unsettled, phase.troubled) == (0, 0, 0);
        self.phases.iter().position(|phase| !is_healthy(phase)).unwrap_or(PHASE_PLACES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{KeyId, RiskClass, RotationMode, RotationPolicy, RotationTerms};

    const NOW: UnixMillis = UnixMillis::new(100_000_000);

    fn due(key: u8, phase: u8, ago_ms: u64) -> DueKey {
        let id = KeyId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, key]).unwrap();
        DueKey { key: id, due_at: UnixMillis::new(NOW.millis() - ago_ms), phase, own_policy: None }
    }

    fn surveyed(keys: impl IntoIterator<Item = DueKey>) -> Surveyed {
        let mut surveyed = Surveyed::default();
        for due in keys {
            let mut phases = [PhaseTally::default(); PHASE_PLACES];
            phases[usize::from(due.phase)].due = 1;
            surveyed.add(vec![due], &phases, 0, 100);
        }
        surveyed
    }

    fn planned(surveyed: Surveyed, at_once_max: u32) -> Vec<u8> {
        let plan = surveyed.plan(at_once_max, NOW, |_| true);
        plan.keys.iter().map(|due| due.key.bytes()[11]).collect()
    }

    #[test]
    fn those_that_are_due_longest_come_first_and_never_more_than_the_cap() {
        let keys = || surveyed([due(1, 0, 10), due(2, 0, 30), due(3, 0, 20)]);
        assert_eq!(planned(keys(), 2), [2, 3]);
        assert_eq!(planned(keys(), 100), [2, 3, 1]);
        assert_eq!(planned(Surveyed { unsettled: 2, ..keys() }, 3), [2]);
        assert_eq!(planned(Surveyed { unsettled: 9, ..keys() }, 3), [0_u8; 0]);
    }

    #[test]
    fn a_phase_waits_until_each_before_it_is_healthy() {
        let both = || surveyed([due(1, 0, 10), due(2, 1, 30)]);
        assert_eq!(planned(both(), 100), [1], "the first phase has a key that is due");
        let second = || surveyed([due(2, 1, 30)]);
        assert_eq!(planned(second(), 100), [2]);
        for (unsettled, troubled) in [(1, 0), (0, 1)] {
            let mut waiting = second();
            waiting.phases[0] = PhaseTally { due: 0, unsettled, troubled };
            assert_eq!(planned(waiting, 100), [0_u8; 0]);
        }
        let mut own_trouble = second();
        own_trouble.phases[1].troubled = 1;
        assert_eq!(planned(own_trouble, 100), [2], "the cap bounds what goes wrong within a phase");
    }

    #[test]
    fn a_key_whose_own_cap_is_reached_is_passed_over_and_holds_nobody_back() {
        let own = |key, at_once_max| {
            let policy = RotationPolicy { at_once_max, ..own_policy() };
            DueKey { own_policy: Some(Box::new(policy)), ..due(key, 0, 30) }
        };
        let keys = || surveyed([own(1, 1), own(2, 2), due(3, 0, 10)]);
        assert_eq!(planned(Surveyed { unsettled: 1, ..keys() }, 100), [2, 3]);
        assert_eq!(planned(keys(), 100), [1, 2, 3]);
        assert_eq!(planned(Surveyed { unsettled: 1, ..surveyed([own(1, 1)]) }, 100), [0_u8; 0]);
        let mut crowded = Surveyed::default();
        crowded.add(vec![own(1, 1), own(2, 1), own(3, 1), due(4, 0, 10)], &[PhaseTally::default(); PHASE_PLACES], 1, 1);
        assert_eq!(planned(crowded, 2), [4], "they take no place of one that has room");
    }

    fn own_policy() -> RotationPolicy {
        RotationPolicy {
            risk: RiskClass::High,
            mode: RotationMode::Automatic,
            interval: DurationMillis::from_days(30),
            terms: RotationTerms::of_overlap(DurationMillis::from_days(1)),
            notices: [].into(),
            windows: [].into(),
            jitter: DurationMillis::ZERO,
            at_once_max: 1,
            phases: [].into(),
            maximum_lifetime: None,
            delivery: None,
        }
    }

    #[test]
    fn a_key_outside_its_window_waits_and_holds_nobody_back() {
        let plan = surveyed([due(1, 0, 20), due(2, 0, 10)]).plan(1, NOW, |due| due.key.bytes()[11] != 1);
        assert_eq!(plan.keys, [due(2, 0, 10)]);
    }

    #[test]
    fn what_the_cap_keeps_waiting_for_an_hour_is_behind() {
        let hour = BEHIND_AFTER.millis();
        let behind = |longest| surveyed([due(1, 0, 2 * hour), due(2, 0, longest)]).plan(1, NOW, |_| true).behind;
        assert!(behind(hour));
        assert!(!behind(hour - 1));
    }

    #[test]
    fn of_too_many_those_of_the_first_phase_and_due_longest_are_held() {
        let mut surveyed = Surveyed::default();
        for key in 1..=200 {
            let phase = u8::from(key % 2 == 0);
            surveyed.add(vec![due(key, phase, u64::from(key))], &[PhaseTally::default(); PHASE_PLACES], 0, 10);
            assert!(surveyed.due.len() <= 20);
        }
        assert!(surveyed.due.iter().take(10).all(|due| due.phase == 0));
        assert!(surveyed.due.contains(&due(199, 0, 199)));
    }
}
