//! How often something was used over time, in a bounded number of buckets.

use latchkey_domain::UnixMillis;
use latchkey_wire::pb::internal::v1 as pb;

/// Buckets at most.
pub const BUCKETS_MAX: usize = 64;

/// The widest bucket: by then one covers all of time.
const WIDTH_LOG2_MAX: u8 = 54;

/// How often something was used over time. A bucket covers a power of two of seconds and begins at a multiple of that, so
/// two curves are added exactly whatever their widths are, and the sum depends on nothing but what was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    width_log2: u8,
    /// Which bucket of that width, since 1970, the first one is.
    first: u64,
    /// The first and the last are not zero.
    counts: Vec<u32>,
}

impl Curve {
    /// Counts uses at a time.
    pub fn add(&mut self, at: UnixMillis, count: u32) {
        if count == 0 {
            return;
        }
        let second = at.millis() / 1_000;
        let bucket = self.reach(second >> self.width_log2.min(63), second);
        let count_there = &mut self.counts[bucket];
        *count_there = count_there.saturating_add(count);
    }

    /// Adds another curve.
    pub fn merge(&mut self, other: &Self) {
        while self.width_log2 < other.width_log2 {
            self.coarsen();
        }
        for (bucket, count) in (other.first..).zip(&other.counts) {
            self.add(UnixMillis::new((bucket << other.width_log2).saturating_mul(1_000)), *count);
        }
    }

    /// When the first bucket begins; absent: there was no use.
    #[must_use]
    pub fn began(&self) -> Option<UnixMillis> {
        (!self.counts.is_empty()).then(|| UnixMillis::new((self.first << self.width_log2).saturating_mul(1_000)))
    }

    /// How many seconds a bucket covers.
    #[must_use]
    pub const fn width_s(&self) -> u64 {
        1 << self.width_log2
    }

    /// The buckets, oldest first. A count that is too large to be told stays at the largest.
    #[must_use]
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// Bytes that it holds beside itself.
    #[must_use]
    pub const fn heap_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<u32>()
    }

    /// Writes it.
    #[must_use]
    pub fn write(&self) -> Option<pb::UseCurve> {
        (!self.counts.is_empty()).then(|| pb::UseCurve {
            width_log2: self.width_log2.into(),
            first_bucket: self.first,
            counts: self.counts.iter().map(|count| u64::from(*count)).collect(),
        })
    }

    /// Reads one; what is none is empty.
    #[must_use]
    pub fn read(curve: &pb::UseCurve) -> Self {
        let width = u8::try_from(curve.width_log2).ok().filter(|width| *width <= WIDTH_LOG2_MAX);
        let Some(width_log2) = width.filter(|_| curve.counts.len() <= BUCKETS_MAX) else { return Self::default() };
        let mut read = Self { width_log2, ..Self::default() };
        for (offset, count) in (0..).zip(&curve.counts) {
            let second = curve.first_bucket.saturating_add(offset).saturating_mul(1 << width_log2);
            read.add(UnixMillis::new(second.saturating_mul(1_000)), u32::try_from(*count).unwrap_or(u32::MAX));
        }
        read
    }

    /// Makes place for a bucket, in wider ones where it needs that, and tells where it is.
    fn reach(&mut self, mut bucket: u64, second: u64) -> usize {
        if self.counts.is_empty() {
            self.first = bucket;
        }
        loop {
            let last = self.first + (self.counts.len() as u64).saturating_sub(1);
            if last.max(bucket) - self.first.min(bucket) < BUCKETS_MAX as u64 {
                break;
            }
            self.coarsen();
            bucket = second >> self.width_log2.min(63);
        }
        if bucket < self.first {
            let missing = usize::try_from(self.first - bucket).unwrap_or(BUCKETS_MAX);
            self.counts.splice(..0, std::iter::repeat_n(0, missing));
            self.first = bucket;
        }
        let place = usize::try_from(bucket - self.first).unwrap_or(BUCKETS_MAX);
        if place >= self.counts.len() {
            self.counts.resize(place + 1, 0);
        }
        place
    }

    /// Makes the buckets twice as wide, in place.
    fn coarsen(&mut self) {
        let offset = usize::try_from(self.first & 1).unwrap_or(0);
        let halves = (self.counts.len() + offset).div_ceil(2);
        for index in 0..self.counts.len() {
            let (count, wider) = (self.counts[index], (index + offset) / 2);
            if wider == index {
                continue;
            }
            // The place of an even bucket is still that of one that moved on already.
            let fresh = (index + offset).is_multiple_of(2);
            self.counts[wider] = if fresh { count } else { self.counts[wider].saturating_add(count) };
        }
        self.counts.truncate(halves);
        self.first >>= 1;
        self.width_log2 += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(uses: &[(u64, u32)]) -> Curve {
        let mut curve = Curve::default();
        for (second, count) in uses {
            curve.add(UnixMillis::new(second * 1_000), *count);
        }
        curve
    }

    fn total(curve: &Curve) -> u64 {
        curve.counts.iter().map(|count| u64::from(*count)).sum()
    }

    #[test]
    fn buckets_grow_wider_as_time_goes_by_and_lose_nothing() {
        let mut curve = Curve::default();
        for second in 1_000..1_064 {
            curve.add(UnixMillis::new(second * 1_000 + 999), 1);
        }
        assert_eq!((curve.width_s(), curve.counts.len(), curve.began()), (1, 64, Some(UnixMillis::new(1_000_000))));
        curve.add(UnixMillis::new(1_064_000), 1);
        assert_eq!((curve.width_s(), curve.counts.len(), total(&curve)), (2, 33, 65));
        assert_eq!((curve.counts[0], curve.counts[31], curve.counts[32]), (2, 2, 1));
        let day = 86_400;
        curve.add(UnixMillis::new((1_000 + 90 * day) * 1_000), 7);
        assert!(curve.counts.len() <= BUCKETS_MAX && curve.width_s() <= 2 * 90 * day / 32, "{}", curve.width_s());
        assert_eq!(total(&curve), 72);
    }

    #[test]
    fn the_ends_of_time_are_no_end_of_the_program() {
        let mut curve = of(&[(0, 1)]);
        curve.add(UnixMillis::new(u64::MAX), 1);
        assert_eq!(total(&curve), 2);
        let odd = pb::UseCurve { width_log2: 54, first_bucket: u64::MAX - 1, counts: vec![1, 1] };
        assert!(total(&Curve::read(&odd)) <= 2);
        for bad in [
            pb::UseCurve { width_log2: 55, first_bucket: 0, counts: vec![1] },
            pb::UseCurve { width_log2: u32::MAX, first_bucket: 0, counts: vec![1] },
            pb::UseCurve { width_log2: 0, first_bucket: 0, counts: vec![1; 65] },
        ] {
            assert_eq!(Curve::read(&bad), Curve::default());
        }
    }

    prop_compose! {
        fn curves()(uses in prop::collection::vec((0..200_000_u64, 0..5_u32), 0..40), span in 1..2_000_u64) -> Curve {
            of(&uses.into_iter().map(|(second, count)| (second / span, count)).collect::<Vec<_>>())
        }
    }

    proptest! {
        #[test]
        fn the_order_of_adding_does_not_matter(mut all in prop::collection::vec(curves(), 1..6), seed in any::<u64>()) {
            let sum = |curves: &[Curve]| curves.iter().fold(Curve::default(), |mut sum, one| { sum.merge(one); sum });
            let (left, right) = all.split_at(all.len() / 2);
            let (first, mut halves) = (sum(&all), sum(left));
            halves.merge(&sum(right));
            prop_assert_eq!(&halves, &first);
            prop_assert_eq!(total(&first), all.iter().map(total).sum::<u64>());
            let by = usize::try_from(seed % all.len() as u64).unwrap();
            all.rotate_left(by);
            all.reverse();
            prop_assert_eq!(&sum(&all), &first);
        }

        #[test]
        fn what_is_written_is_read(curve in curves()) {
            let read = curve.write().map(|written| Curve::read(&written)).unwrap_or_default();
            prop_assert_eq!(read, if curve.counts.is_empty() { Curve::default() } else { curve });
        }

        #[test]
        fn a_curve_keeps_its_bounds(uses in prop::collection::vec((any::<u64>(), any::<u32>()), 0..200)) {
            let mut curve = Curve::default();
            for (at, count) in uses {
                curve.add(UnixMillis::new(at), count);
            }
            prop_assert!(curve.counts.len() <= BUCKETS_MAX);
            prop_assert!(curve.counts.first() != Some(&0) && curve.counts.last() != Some(&0));
        }
    }
}
