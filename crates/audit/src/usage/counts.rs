//! What is counted in one step of time: few of many slots, so a list of those that have something.

use crate::run::codec::{Taker, put};
use latchkey_wire::latency::FINE_BUCKETS;

/// Slots of outcomes, by the numbers of `latchkey.v1.Outcome`.
pub(crate) const OUTCOMES: std::ops::Range<u16> = 0..32;
/// The slot of validations that succeeded.
pub(crate) const VALID: u16 = 1;
/// Slots of the 20 coarse buckets of how long validations took, of replicas that had no others.
pub(crate) const LATENCY: std::ops::Range<u16> = 32..52;
/// Requests that the protected API reported.
pub(crate) const REPORTED_REQUESTS: u16 = 64;
/// Those by status class, 1xx to 5xx.
pub(crate) const STATUS_CLASSES: std::ops::Range<u16> = 65..70;
/// Bytes of their bodies.
pub(crate) const REQUEST_BYTES: u16 = 70;
/// Bytes of the bodies of their answers.
pub(crate) const RESPONSE_BYTES: u16 = 71;
/// The load that they were, times 1,000.
pub(crate) const LOAD_MILLI: u16 = 72;
/// Slots of the 20 coarse buckets of how long they took, likewise.
pub(crate) const REPORTED_LATENCY: std::ops::Range<u16> = 80..100;
/// When a key was last used, in milliseconds since 1970: the one slot that is not added up, of which the latest counts.
pub(crate) const LAST_USED: u16 = 127;
/// Slots of countries: two letters as a number to the base 26, and one more where the country is not known.
pub(crate) const COUNTRIES: std::ops::Range<u16> = 128..128 + 26 * 26 + 1;
/// Networks of which no country is known.
pub(crate) const COUNTRY_UNKNOWN: u16 = COUNTRIES.end - 1;
/// Slots of the buckets of how long validations took, four to each doubling. A build of before keeps them and shows nothing of them.
pub(crate) const LATENCIES: std::ops::Range<u16> = 832..832 + FINE_BUCKETS as u16;
/// Slots of the buckets of how long reported requests took.
pub(crate) const REPORTED_LATENCIES: std::ops::Range<u16> = 960..960 + FINE_BUCKETS as u16;

const _: () = assert!(COUNTRIES.end <= LATENCIES.start && LATENCIES.end <= REPORTED_LATENCIES.start, "slots overlap");

/// Counts by slot, in the order of the slots, none of them zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts(Vec<(u16, u64)>);

impl Counts {
    /// Adds to one slot.
    pub(crate) fn add(&mut self, slot: u16, count: u64) {
        if count == 0 {
            return;
        }
        match self.0.binary_search_by_key(&slot, |(slot, _)| *slot) {
            Ok(at) => self.0[at].1 = joined(slot, self.0[at].1, count),
            Err(at) => self.0.insert(at, (slot, count)),
        }
    }

    /// Adds what stands in a list to the slots from the first of `slots` on; what is beyond the last counts there.
    pub(crate) fn add_all(&mut self, slots: std::ops::Range<u16>, counts: &[u64]) {
        for (slot, count) in (slots.start..).zip(counts) {
            self.add(slot.min(slots.end - 1), *count);
        }
    }

    /// Adds all of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
            return;
        }
        // Mostly the same few slots, in the same order.
        let mut at = 0;
        for (slot, count) in &other.0 {
            while self.0.get(at).is_some_and(|(mine, _)| mine < slot) {
                at += 1;
            }
            match self.0.get_mut(at) {
                Some((mine, sum)) if mine == slot => *sum = joined(*slot, *sum, *count),
                _ => self.0.insert(at, (*slot, *count)),
            }
        }
    }

    /// What one slot has.
    pub(crate) fn of(&self, slot: u16) -> u64 {
        self.0.binary_search_by_key(&slot, |(slot, _)| *slot).map_or(0, |at| self.0[at].1)
    }

    /// What slots have together.
    pub(crate) fn sum(&self, slots: &std::ops::Range<u16>) -> u64 {
        self.within(slots).map(|(_, count)| count).sum()
    }

    /// The slots of a range that have something.
    pub(crate) fn within(&self, slots: &std::ops::Range<u16>) -> impl Iterator<Item = (u16, u64)> {
        let from = self.0.partition_point(|(slot, _)| *slot < slots.start);
        let end = slots.end;
        self.0[from..].iter().copied().take_while(move |(slot, _)| *slot < end)
    }

    /// The slots of a range as a list, trailing zeros left out.
    pub(crate) fn list(&self, slots: &std::ops::Range<u16>) -> Vec<u64> {
        let mut list = Vec::new();
        for (slot, count) in self.within(slots) {
            list.resize(usize::from(slot - slots.start), 0);
            list.push(count);
        }
        list
    }

    /// Keeps the slots for which `keep` says so.
    pub(crate) fn retain(&mut self, keep: impl Fn(u16) -> bool) {
        self.0.retain(|(slot, _)| keep(*slot));
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Validations, whatever their outcome.
    pub(crate) fn requests(&self) -> u64 {
        self.sum(&OUTCOMES)
    }

    /// Appends them: how many, then of each the distance to the slot before and the count.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.0.len() as u64);
        let mut before = 0;
        for (slot, count) in &self.0 {
            put(out, u64::from(slot - before));
            put(out, *count);
            before = *slot;
        }
    }

    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn decode(taker: &mut Taker<'_>) -> Option<Self> {
        let count = taker.length()?;
        let mut slots = Vec::with_capacity(count.min(64));
        let mut slot = 0_u16;
        for _ in 0..count {
            slot = slot.checked_add(u16::try_from(taker.number()?).ok()?)?;
            slots.push((slot, taker.number()?));
        }
        Some(Self(slots))
    }
}

/// Two counts of one slot as one.
const fn joined(slot: u16, one: u64, other: u64) -> u64 {
    if slot != LAST_USED {
        one.saturating_add(other)
    } else if one > other {
        one
    } else {
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn counts_are_the_sum_of_what_was_added_in_any_order(
            added in prop::collection::vec((prop_oneof![0..130_u16, LATENCIES, REPORTED_LATENCIES], 0..1_000_u64), 0..60),
            cut in 0..60_usize,
        ) {
            let cut = cut.min(added.len());
            let mut naive = BTreeMap::<u16, u64>::new();
            for (slot, count) in added.iter().filter(|(_, count)| *count > 0) {
                let sum = naive.entry(*slot).or_default();
                *sum = if *slot == LAST_USED { (*sum).max(*count) } else { *sum + count };
            }
            let (mut one, mut other) = (Counts::default(), Counts::default());
            added[..cut].iter().for_each(|(slot, count)| one.add(*slot, *count));
            added[cut..].iter().for_each(|(slot, count)| other.add(*slot, *count));
            one.merge(&other);
            prop_assert_eq!(&one.0, &naive.into_iter().collect::<Vec<_>>());
            let mut bytes = Vec::new();
            one.encode(&mut bytes);
            let mut taker = Taker(&bytes);
            prop_assert_eq!(Counts::decode(&mut taker), Some(one));
            prop_assert!(taker.is_empty());
        }
    }

    #[test]
    fn a_list_has_no_trailing_zeros_and_what_is_beyond_counts_last() {
        let mut counts = Counts::default();
        counts.add_all(LATENCY, &[0, 3, 0, 5]);
        assert_eq!(counts.list(&LATENCY), [0, 3, 0, 5]);
        counts.add_all(STATUS_CLASSES, &[0, 0, 0, 0, 1, 1, 1]);
        assert_eq!((counts.of(STATUS_CLASSES.end - 1), counts.sum(&STATUS_CLASSES)), (3, 3));
        assert_eq!(counts.of(STATUS_CLASSES.end), 0);
    }
}
