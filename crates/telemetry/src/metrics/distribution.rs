//! A histogram: how often which duration, and for each bucket the newest trace that fell into it.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use latchkey_domain::UnixMillis;
use metrics::HistogramFn;

use crate::clock::{Clock as _, SystemClock};
use crate::trace::TraceParent;

/// Upper bounds of the buckets of every histogram of seconds: from a validation (tens of microseconds) to the longest
/// wait that a caller may ask for.
pub const SECONDS_BUCKETS: &[f64] = &[
    0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
    2.5, 5.0, 10.0,
];

/// The bounded buckets, and one for what is longer.
const BUCKETS: usize = SECONDS_BUCKETS.len() + 1;

/// One call that fell into a bucket, by its trace.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exemplar {
    /// Whose.
    pub trace: TraceParent,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// When it ended.
    pub at: UnixMillis,
}

/// The buckets while they are counted into.
#[derive(Debug, Default)]
pub(crate) struct Buckets {
    counts: [AtomicU64; BUCKETS],
    nanos: AtomicU64,
    exemplars: [Mutex<Option<Exemplar>>; BUCKETS],
}

/// The buckets as they were read.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    /// How many fell into each bucket of [`SECONDS_BUCKETS`], and into the one above all.
    pub counts: Vec<u64>,
    /// The sum of all, in seconds.
    pub sum: f64,
    /// The newest trace of each bucket.
    pub exemplars: Vec<Option<Exemplar>>,
}

impl HistogramFn for Buckets {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration; `as` saturates")]
    fn record(&self, seconds: f64) {
        let bucket = SECONDS_BUCKETS.partition_point(|bound| *bound < seconds);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add((seconds * 1e9) as u64, Ordering::Relaxed);
        // Only a sampled call has a trace that can be found again.
        if let Some(trace) = TraceParent::current()
            && let Ok(mut exemplar) = self.exemplars[bucket].try_lock()
        {
            *exemplar = Some(Exemplar { trace, seconds, at: SystemClock.unix_millis() });
        }
    }
}

impl Buckets {
    #[expect(clippy::cast_precision_loss, reason = "exact below 104 days, and a sum of durations after that")]
    pub(crate) fn read(&self) -> Distribution {
        Distribution {
            counts: self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect(),
            sum: self.nanos.load(Ordering::Relaxed) as f64 / 1e9,
            exemplars: self.exemplars.iter().map(|one| one.lock().ok().and_then(|one| *one)).collect(),
        }
    }
}

impl Distribution {
    /// How many in all.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_own_bucket_and_what_is_above_all_to_the_last() {
        let buckets = Buckets::default();
        for seconds in [0.0, 0.000_025, 0.000_026, 10.0, 10.1] {
            buckets.record(seconds);
        }
        let read = buckets.read();
        assert_eq!((read.counts[0], read.counts[1], read.counts[17], read.counts[18]), (2, 1, 1, 1));
        assert_eq!(read.count(), 5);
        assert!((read.sum - 20.100_051).abs() < 1e-9);
        assert_eq!(read.exemplars, vec![None; BUCKETS]);
    }
}
