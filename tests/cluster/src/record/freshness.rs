//! No answer rests on a state that is too old.

use super::{At, Read, Record};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::Instant;

/// Revisions that were known from a moment on: the highest of all earlier moments counts.
#[derive(Default)]
struct Known(Vec<(Instant, At)>);

impl Known {
    fn of(mut told: Vec<(Instant, At)>) -> Self {
        told.sort_unstable();
        let mut highest = (0, 0);
        for (_, at) in &mut told {
            highest = highest.max(*at);
            *at = highest;
        }
        Self(told)
    }

    /// The highest that was known before `moment`.
    fn before(&self, moment: Instant) -> Option<At> {
        let place = self.0.partition_point(|(at, _)| *at < moment);
        Some(self.0.get(place.checked_sub(1)?)?.1)
    }
}

pub(super) fn check(record: &Record, bound: Duration) -> Vec<String> {
    let told = record.writes.iter().filter_map(|write| write.told);
    let by_bound = Known::of(told.map(|(ended, at)| (ended + bound, at)).collect());
    let mut reported: BTreeMap<u64, Vec<(Instant, At)>> = BTreeMap::new();
    for write in &record.writes {
        for replica in &write.known_at {
            reported.entry(*replica).or_default().extend(write.told);
        }
    }
    let reported: BTreeMap<_, _> = reported.into_iter().map(|(replica, told)| (replica, Known::of(told))).collect();
    let wrong = record.reads.iter().filter_map(|read| {
        let by_bound = (by_bound.before(read.began), "was acknowledged more than a bound earlier");
        let by_report = reported.get(&read.replica).and_then(|known| known.before(read.began));
        let due = [by_bound, (by_report, "was reported as known there"), (read.needed, "was asked for")];
        let (missed, why) = due.into_iter().find(|(due, _)| due.is_some_and(|due| due > read.at))?;
        let Read { key, replica, outcome, at, .. } = read;
        Some(format!("replica {replica} answered {outcome:?} for key {key} at {at:?}, where {missed:?} {why}"))
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Kind::{Create, Revoke};
    use super::super::planted::{read, record, write};
    use super::super::{Read, Write};
    use super::Duration;
    use latchkey_wire::pb::v1::Outcome::{NotFound, Valid};

    const BOUND: Duration = Duration::from_millis(100);

    fn wrong(writes: Vec<Write>, reads: Vec<Read>) -> Vec<String> {
        record(writes, reads).check_freshness(BOUND)
    }

    #[test]
    fn a_valid_that_begins_after_acknowledged_and_bound_is_found() {
        let writes = || vec![write(Create, 0, Some((1, 5))), write(Revoke, 5, Some((10, 7)))];
        assert_eq!(wrong(writes(), vec![read(Valid, 110, 6)]), Vec::<String>::new(), "it begins just in time");
        assert_eq!(wrong(writes(), vec![read(Valid, 111, 6)]).len(), 1);
        assert_eq!(wrong(writes(), vec![read(Valid, 111, 7)]), Vec::<String>::new(), "that is for another checker");
    }

    #[test]
    fn a_valid_at_a_replica_that_was_confirmed_is_found_within_the_bound_too() {
        let revoke = Write { known_at: vec![1], ..write(Revoke, 5, Some((10, 7))) };
        assert_eq!(wrong(vec![revoke.clone()], vec![read(Valid, 11, 6)]).len(), 1);
        assert_eq!(wrong(vec![revoke.clone()], vec![read(Valid, 10, 6)]), Vec::<String>::new());
        let elsewhere = Read { replica: 2, ..read(Valid, 11, 6) };
        assert_eq!(wrong(vec![revoke], vec![elsewhere]), Vec::<String>::new());
    }

    #[test]
    fn a_key_that_is_refused_after_it_was_reported_visible_is_found() {
        let create = Write { known_at: vec![1], ..write(Create, 0, Some((1, 5))) };
        assert_eq!(wrong(vec![create], vec![read(NotFound, 2, 4)]).len(), 1);
    }

    #[test]
    fn a_state_older_than_what_was_asked_for_is_found() {
        let asked = Read { needed: Some((1, 5)), ..read(NotFound, 2, 4) };
        assert_eq!(wrong(Vec::new(), vec![asked]).len(), 1);
    }
}
