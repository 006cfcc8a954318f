//! What is in a closed segment: enough to pass it over, in about a hundredth of its size, and in memory only, so that nothing of
//! an entry lies outside a seal.

use latchkey_domain::UnixMillis;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// Bits for each term: one segment in a hundred is walked in vain.
const BITS_PER_TERM: usize = 10;
/// How many bits each term sets, best for [`BITS_PER_TERM`].
const BITS_SET: u64 = 7;

/// Something that a search asks for: a field and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Term(u64);

impl Term {
    /// Of a field's value. Hashes are kept in memory only, so they may differ from build to build.
    pub fn new(field: &'static str, value: impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        (field, value).hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// What is in a closed segment.
#[derive(Debug)]
pub struct Summary {
    earliest: UnixMillis,
    latest: UnixMillis,
    /// A Bloom filter of its terms, a power of two of bits.
    bits: Vec<u64>,
}

/// Collects a [`Summary`].
#[derive(Debug, Default)]
pub struct Collector {
    times: Option<(UnixMillis, UnixMillis)>,
    terms: HashSet<Term>,
}

impl Collector {
    /// Adds an entry.
    pub fn add(&mut self, time: UnixMillis, terms: impl IntoIterator<Item = Term>) {
        let (earliest, latest) = self.times.unwrap_or((time, time));
        self.times = Some((earliest.min(time), latest.max(time)));
        self.terms.extend(terms);
    }

    /// What was collected.
    #[must_use]
    pub fn finish(self) -> Summary {
        let bits = (self.terms.len() * BITS_PER_TERM).next_power_of_two().max(64);
        let mut words = vec![0; bits / 64];
        for place in self.terms.iter().flat_map(|term| places(*term, bits)) {
            words[place / 64] |= 1 << (place % 64);
        }
        let (earliest, latest) = self.times.unwrap_or_default();
        Summary { earliest, latest, bits: words }
    }
}

impl Summary {
    /// Collects one.
    #[must_use]
    pub fn collect() -> Collector {
        Collector::default()
    }

    /// Whether an entry with `term` may be in the segment. Where one is, it says so.
    #[must_use]
    pub fn may_hold(&self, term: Term) -> bool {
        places(term, self.bits.len() * 64).all(|place| self.bits[place / 64] & 1 << (place % 64) != 0)
    }

    /// The times of its earliest and its latest entry.
    #[must_use]
    pub const fn times(&self) -> (UnixMillis, UnixMillis) {
        (self.earliest, self.latest)
    }
}

/// Source: A. Kirsch and M. Mitzenmacher, "Less Hashing, Same Performance", 2006.
fn places(term: Term, bits: usize) -> impl Iterator<Item = usize> {
    let (start, step) = (term.0, term.0.rotate_left(32) | 1);
    let places = (0..BITS_SET).map(move |turn| start.wrapping_add(turn.wrapping_mul(step)) & (bits as u64 - 1));
    places.map(|place| usize::try_from(place).expect("below the number of bits"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_term_is_missed_and_few_are_found_in_vain() {
        let mut collector = Summary::collect();
        (0..10_000_u32).for_each(|n| collector.add(UnixMillis::new(u64::from(n)), [Term::new("key", n)]));
        let summary = collector.finish();
        assert!((0..10_000_u32).all(|n| summary.may_hold(Term::new("key", n))));
        let vain = (10_000..20_000_u32).filter(|n| summary.may_hold(Term::new("key", *n))).count();
        assert!(vain < 150, "{vain} of 10,000");
        assert!(!(0..100_u32).all(|n| summary.may_hold(Term::new("actor", n))));
        assert_eq!(summary.times(), (UnixMillis::new(0), UnixMillis::new(9_999)));
        assert!(summary.bits.len() * 8 < 10_000 * 4);
    }
}
