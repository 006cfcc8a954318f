//! Counts over time, and what of them is one item of a run.

use super::counts::Counts;
use crate::run::codec::{Taker, put};

/// Counts by the step of time in which they were, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Points(Vec<(u32, Counts)>);

impl Points {
    /// The counts of a step, to be added to.
    pub(crate) fn at(&mut self, step: u32) -> &mut Counts {
        // What comes is mostly of the newest step.
        let at = match self.0.last() {
            Some((last, _)) if *last == step => self.0.len() - 1,
            Some((last, _)) if *last > step => match self.0.binary_search_by_key(&step, |(step, _)| *step) {
                Ok(at) => at,
                Err(at) => {
                    self.0.insert(at, (step, Counts::default()));
                    at
                }
            },
            _ => {
                self.0.push((step, Counts::default()));
                self.0.len() - 1
            }
        };
        &mut self.0[at].1
    }

    /// In the order of time.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Counts)> {
        self.0.iter().map(|(step, counts)| (*step, counts))
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds all of another.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (step, counts) in other.iter() {
            self.at(step).merge(counts);
        }
    }

    /// How many, then of each the distance to the step before and its counts.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, self.0.len() as u64);
        let mut before = 0;
        for (step, counts) in &self.0 {
            put(&mut out, u64::from(step - before));
            counts.encode(&mut out);
            before = *step;
        }
        out
    }

    /// Reads what [`Self::encode`] wrote.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut taker = Taker(bytes);
        let count = taker.length()?;
        let mut points = Vec::with_capacity(count.min(bytes.len()));
        let mut step = 0_u32;
        for _ in 0..count {
            step = step.checked_add(u32::try_from(taker.number()?).ok()?)?;
            points.push((step, Counts::decode(&mut taker)?));
        }
        taker.is_empty().then_some(Self(points))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn points_are_in_order_and_read_as_they_were_put(added in prop::collection::vec((0..20_u32, 1..9_u64), 0..40)) {
            let (mut points, mut naive) = (Points::default(), BTreeMap::<u32, u64>::new());
            for (step, count) in added {
                points.at(step).add(1, count);
                *naive.entry(step).or_default() += count;
            }
            let sums: Vec<_> = points.iter().map(|(step, counts)| (step, counts.of(1))).collect();
            prop_assert_eq!(sums, naive.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(Points::decode(&points.encode()), Some(points));
        }
    }

    #[test]
    fn no_bytes_panic() {
        for noise in [&[][..], &[1], &[255; 12], &[1, 0, 255, 255, 255, 255, 15], &[2, 255, 255, 255, 255, 15, 0, 1, 0]]
        {
            assert_eq!(Points::decode(noise), None, "{noise:?}");
        }
    }
}
