//! How long calls took, by the microsecond.

use std::time::Duration;

/// Where counting by the microsecond ends; what took longer counts as this long. Microseconds.
const MICROS_MAX: usize = 200_000;

/// A count for each microsecond.
#[derive(Clone, Debug)]
pub(crate) struct Latencies {
    counts: Vec<u32>,
    count: u64,
}

impl Latencies {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; MICROS_MAX + 1], count: 0 }
    }

    /// One more.
    pub(crate) fn record(&mut self, took: Duration) {
        let micros = usize::try_from(took.as_micros()).unwrap_or(MICROS_MAX).min(MICROS_MAX);
        self.counts[micros] += 1;
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
        found.unwrap_or(MICROS_MAX) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_time_within_which_that_many_were_answered() {
        let mut latencies = Latencies::new();
        for micros in 1..=100 {
            latencies.record(Duration::from_micros(micros));
        }
        latencies.add(&latencies.clone());
        assert_eq!((latencies.percentile(50), latencies.percentile(99), latencies.count()), (50, 99, 200));
        latencies.record(Duration::from_secs(9));
        assert_eq!(latencies.percentile(100), MICROS_MAX as u64);
    }
}
