//! Buckets of how long something took. There are four to each doubling, so that what is told out of one is within a ninth of what it
//! was; the coarse ones, of a doubling each, are what sums of before have, and what is exported.

use core::time::Duration;

/// How many buckets there are. Below 4 microseconds each has one; the last one holds all from 117 s on.
pub const FINE_BUCKETS: u8 = 104;

/// How many coarse ones there are: bucket 0 is below 2 microseconds, bucket b from 2^b to 2^(b+1), the last one all above.
pub const COARSE_BUCKETS: u8 = 20;

/// Parts of a doubling are told by so many bits behind the first.
const PART_BITS: u32 = 2;
const PARTS: u8 = 1 << PART_BITS;

/// The bucket of a duration.
#[must_use]
pub fn fine_bucket(took: Duration) -> u8 {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    let doubling = micros.checked_ilog2().unwrap_or(0);
    let bucket = match doubling.checked_sub(PART_BITS) {
        None => micros,
        Some(shift) => u64::from(shift) * u64::from(PARTS) + (micros >> shift),
    };
    u8::try_from(bucket).map_or(FINE_BUCKETS - 1, |bucket| bucket.min(FINE_BUCKETS - 1))
}

/// The first microsecond of a bucket, and the first one after it.
#[must_use]
pub const fn fine_bounds(bucket: u8) -> (u64, u64) {
    let bucket = if bucket < FINE_BUCKETS { bucket } else { FINE_BUCKETS - 1 };
    if bucket < PARTS {
        return (bucket as u64, bucket as u64 + 1);
    }
    let (shift, part) = (bucket / PARTS - 1, (PARTS + bucket % PARTS) as u64);
    (part << shift, (part + 1) << shift)
}

/// The first microsecond of a coarse bucket, and the first one after it.
#[must_use]
pub const fn coarse_bounds(bucket: u8) -> (u64, u64) {
    let bucket = if bucket < COARSE_BUCKETS { bucket } else { COARSE_BUCKETS - 1 };
    (if bucket == 0 { 0 } else { 1 << bucket }, 2 << bucket)
}

/// The coarse bucket that a bucket is part of.
#[must_use]
pub fn coarse_of(bucket: u8) -> u8 {
    let (first, _) = fine_bounds(bucket);
    let doubling = first.checked_ilog2().and_then(|doubling| u8::try_from(doubling).ok()).unwrap_or(0);
    doubling.min(COARSE_BUCKETS - 1)
}

/// What stands for all that a bucket holds, in microseconds: that which is as far from either end, in parts of it. Of a bucket that is
/// a quarter as long as it begins that is a ninth at most, of a coarse one a third; and half a microsecond for rounding.
#[must_use]
pub const fn about((first, after): (u64, u64)) -> u64 {
    let sum = first + after;
    let about = (2 * first * after + sum / 2) / sum;
    // Nothing takes no time at all.
    if about == 0 { 1 } else { about }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_follow_each_other_without_gaps_and_are_found_by_what_they_hold() {
        let (mut next, mut coarse) = (0, 0);
        for bucket in 0..FINE_BUCKETS {
            let (first, after) = fine_bounds(bucket);
            assert_eq!(first, next, "{bucket}");
            for micros in [first, after - 1] {
                assert_eq!(fine_bucket(Duration::from_micros(micros)), bucket, "{micros}");
            }
            let (begins, ends) = coarse_bounds(coarse_of(bucket));
            assert!(begins <= first && (after <= ends || coarse_of(bucket) == COARSE_BUCKETS - 1), "{bucket}");
            assert!(coarse_of(bucket) - coarse <= 1);
            (next, coarse) = (after, coarse_of(bucket));
        }
        assert_eq!((next, coarse), (1 << 27, COARSE_BUCKETS - 1));
        assert_eq!(fine_bucket(Duration::MAX), FINE_BUCKETS - 1);
    }

    proptest! {
        #[test]
        fn what_stands_for_a_duration_is_within_a_ninth_of_it(nanos in 0..100_000_000_000_u64, shift in 0..36) {
            let took = Duration::from_nanos(nanos >> shift);
            let micros = took.as_secs_f64() * 1e6;
            let about = about(fine_bounds(fine_bucket(took))) as f64;
            prop_assert!((about - micros).abs() <= micros / 9.0 + 1.0, "{about} for {micros}");
            if micros >= 4.0 {
                prop_assert!((about - micros).abs() <= micros / 9.0 + 0.5, "{about} for {micros}");
            }
        }
    }
}
