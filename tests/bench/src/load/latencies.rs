//! How long calls took, within two parts in a hundred.

use std::time::Duration;

/// Below two to the power of this, each microsecond has a bucket; above, each power of two has half as many.
const EXACT_BITS: u32 = 7;
const HALF: u64 = 1 << (EXACT_BITS - 1);

/// Buckets up to 2^32 microseconds, more than an hour.
const BUCKETS: usize = ((32 - EXACT_BITS as usize) << (EXACT_BITS - 1)) + (1 << EXACT_BITS);

/// A count for each bucket.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    counts: Vec<u32>,
    count: u64,
}

impl Latencies {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0 }
    }

    /// One more.
    pub(crate) fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts[bucket(micros).min(BUCKETS - 1)] += 1;
        self.count += 1;
    }

    /// Takes in those of another.
    pub(crate) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.count += other.count;
    }

    /// How many.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// The time within which `percent` of 100 calls were answered. Microseconds.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        let found = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= wanted
        });
        lowest(found.unwrap_or(BUCKETS - 1))
    }
}

/// Where a time counts: by its highest bits, and how many there are below them.
fn bucket(micros: u64) -> usize {
    let dropped = u64::from((u64::BITS - micros.leading_zeros()).saturating_sub(EXACT_BITS));
    usize::try_from(dropped * HALF + (micros >> dropped)).expect("there are a few thousand buckets")
}

/// The shortest time that counts in a bucket. Microseconds.
const fn lowest(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let dropped = (bucket / HALF).saturating_sub(1);
    (bucket - dropped * HALF) << dropped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_holds_its_lowest_time_and_is_narrow() {
        for bucket in 0..BUCKETS {
            let (from, to) = (lowest(bucket), lowest(bucket + 1));
            assert_eq!(super::bucket(from), bucket);
            assert_eq!(super::bucket(to - 1), bucket);
            assert!(to - from == 1 || (to - from) * 64 <= from, "{from}..{to}");
        }
    }

    #[test]
    fn a_percentile_is_the_time_within_which_that_many_were_answered() {
        let mut latencies = Latencies::new();
        for micros in 1..=100 {
            latencies.record(Duration::from_micros(micros));
        }
        latencies.add(&latencies.clone());
        assert_eq!((latencies.percentile(50), latencies.percentile(99), latencies.count()), (50, 99, 200));
        latencies.record(Duration::from_secs(1_000_000));
        assert_eq!(latencies.percentile(100), lowest(BUCKETS - 1));
    }
}
