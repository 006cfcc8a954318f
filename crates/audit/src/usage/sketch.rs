//! Who came most, in bounded memory.
//!
//! A space-saving summary in the form of Misra and Gries: a count for at most so many names, and one error for all. What came is between
//! its count and its count and the error; who has no count came at most that often. Two are added by adding both, and what is too
//! much is cut off all alike. Source: Agarwal et al., "Mergeable Summaries", PODS 2012, section 2.1.

use crate::run::codec::{Taker, put, put_bytes};
use std::collections::HashMap;

/// How many names are kept, and what is not known of any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sketch {
    counts: HashMap<Box<[u8]>, u64>,
    error: u64,
}

impl Sketch {
    /// Counts a name. Grows to twice `names_max`, and is cut down to it then.
    pub(crate) fn add(&mut self, name: &[u8], count: u64, names_max: usize) {
        if count == 0 {
            return;
        }
        match self.counts.get_mut(name) {
            Some(sum) => *sum += count,
            None => {
                self.counts.insert(name.into(), count);
                if self.counts.len() >= names_max * 2 {
                    self.cut(names_max);
                }
            }
        }
    }

    /// What came of somebody, nobody knows of whom.
    pub(crate) const fn add_unknown(&mut self, count: u64) {
        self.error += count;
    }

    /// Adds all of another.
    pub(crate) fn merge(&mut self, other: Self, names_max: usize) {
        self.error += other.error;
        for (name, count) in other.counts {
            *self.counts.entry(name).or_default() += count;
        }
        if self.counts.len() >= names_max * 2 {
            self.cut(names_max);
        }
    }

    /// Forgets all but those who came most, at most `names_max`.
    pub(crate) fn cut(&mut self, names_max: usize) {
        if self.counts.len() <= names_max {
            return;
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        let (_, first_cut, _) = counts.select_nth_unstable_by(names_max, |one, other| other.cmp(one));
        let less = *first_cut;
        self.error += less;
        self.counts.retain(|_, count| {
            *count = count.saturating_sub(less);
            *count > 0
        });
    }

    /// By how much any count may be too low.
    pub(crate) const fn error(&self) -> u64 {
        self.error
    }

    /// The count of a name; 0: it has none.
    pub(crate) fn count(&self, name: &[u8]) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// All names with their counts, who came most first, alike ones by name.
    pub(crate) fn ranked(&self) -> Vec<(&[u8], u64)> {
        let mut ranked: Vec<_> = self.counts.iter().map(|(name, count)| (&**name, *count)).collect();
        ranked.sort_by(|one, other| other.1.cmp(&one.1).then(one.0.cmp(other.0)));
        ranked
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn bytes(&self) -> usize {
        // A box of some 16 bytes, its place in the table, and the table's spare room.
        self.counts.len() * 96
    }

    /// The error, then each name with its count in the order of the names, cut to `names_max`.
    pub(crate) fn encode(mut self, names_max: usize) -> Vec<u8> {
        self.cut(names_max);
        let mut names: Vec<_> = self.counts.into_iter().collect();
        names.sort_unstable();
        let mut out = Vec::new();
        put(&mut out, self.error);
        put(&mut out, names.len() as u64);
        for (name, count) in names {
            put_bytes(&mut out, &name);
            put(&mut out, count);
        }
        out
    }

    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut taker = Taker(bytes);
        let (error, names) = (taker.number()?, taker.length()?);
        let mut counts = HashMap::with_capacity(names.min(bytes.len()));
        for _ in 0..names {
            let name = taker.bytes()?.into();
            counts.insert(name, taker.number()?);
        }
        taker.is_empty().then_some(Self { counts, error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NAMES_MAX: usize = 4;

    proptest! {
        #[test]
        fn a_count_is_never_too_high_and_too_low_by_no_more_than_the_error(
            parts in prop::collection::vec(prop::collection::vec((0..30_u8, 1..50_u64), 0..60), 1..5),
        ) {
            let (mut naive, mut total, mut all) = (HashMap::<u8, u64>::new(), 0, Sketch::default());
            for part in parts {
                let mut sketch = Sketch::default();
                for (name, count) in part {
                    *naive.entry(name).or_default() += count;
                    total += count;
                    sketch.add(&[name], count, NAMES_MAX);
                }
                let read = Sketch::decode(&sketch.encode(NAMES_MAX)).unwrap();
                all.merge(read, NAMES_MAX);
            }
            all.cut(NAMES_MAX);
            prop_assert!(all.counts.len() <= NAMES_MAX);
            for (name, true_count) in naive {
                let count = all.counts.get(&[name][..]).copied().unwrap_or(0);
                prop_assert!(count <= true_count && true_count <= count + all.error(), "{} {} {}", count, true_count, all.error());
            }
            // The error is bounded by what there is: no name can be hidden that has a share of more than one in five.
            prop_assert!(all.error() <= total / (NAMES_MAX as u64 + 1));
        }
    }

    #[test]
    fn few_names_are_counted_exactly() {
        let mut sketch = Sketch::default();
        for round in 0..10 {
            sketch.add(b"a", 1 + round, NAMES_MAX);
            sketch.add(b"b", 1, NAMES_MAX);
        }
        assert_eq!((sketch.ranked(), sketch.error()), (vec![(&b"a"[..], 55), (&b"b"[..], 10)], 0));
    }
}
