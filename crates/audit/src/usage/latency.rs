//! How long things took, out of buckets: those of replicas of before are coarser, and are counted along.

use super::counts::{Counts, LATENCIES, LATENCY, REPORTED_LATENCIES, REPORTED_LATENCY};
use latchkey_wire::latency::{COARSE_BUCKETS, about, coarse_bounds, coarse_of, fine_bounds};
use latchkey_wire::pb::v1;
use std::ops::Range;

/// Where the buckets of one distribution are counted.
pub(super) struct Slots {
    fine: Range<u16>,
    coarse: Range<u16>,
}

/// Those of validations.
pub(super) const VALIDATIONS: Slots = Slots { fine: LATENCIES, coarse: LATENCY };
/// Those of requests that the protected API reported.
pub(super) const REPORTED: Slots = Slots { fine: REPORTED_LATENCIES, coarse: REPORTED_LATENCY };

impl Slots {
    pub(super) fn slots(&self) -> impl Iterator<Item = &Range<u16>> {
        [&self.fine, &self.coarse].into_iter()
    }
}

/// The distribution as the API shows it; `None` where nothing was timed.
pub(super) fn latency(counts: &Counts, slots: &Slots) -> Option<v1::Latency> {
    let bucket = |slot: u16, slots: &Range<u16>| u8::try_from(slot - slots.start).expect("there are fewer than 256");
    // Bounds in microseconds, and how many there are within.
    let mut spans = Vec::<((u64, u64), u64)>::new();
    let mut buckets = [0; COARSE_BUCKETS as usize];
    for (slot, count) in counts.within(&slots.fine) {
        let bucket = bucket(slot, &slots.fine);
        spans.push((fine_bounds(bucket), count));
        buckets[usize::from(coarse_of(bucket))] += count;
    }
    for (slot, count) in counts.within(&slots.coarse) {
        let bucket = bucket(slot, &slots.coarse);
        spans.push((coarse_bounds(bucket), count));
        buckets[usize::from(bucket)] += count;
    }
    let last = buckets.iter().rposition(|count| *count > 0)?;
    spans.sort_unstable_by_key(|((first, after), _)| (*after, *first));
    Some(v1::Latency {
        p50_micros: percentile(&spans, 50),
        p90_micros: percentile(&spans, 90),
        p99_micros: percentile(&spans, 99),
        buckets: buckets[..=last].to_vec(),
    })
}

/// About how long so many of a hundred took at most.
fn percentile(spans: &[((u64, u64), u64)], of_hundred: u64) -> u64 {
    let total: u128 = spans.iter().map(|(_, count)| u128::from(*count)).sum();
    let rank = (total * u128::from(of_hundred)).div_ceil(100);
    let mut seen = 0;
    let reached = spans.iter().find(|(_, count)| {
        seen += u128::from(*count);
        seen >= rank
    });
    reached.map_or(0, |(bounds, _)| about(*bounds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_wire::latency::fine_bucket;
    use proptest::prelude::*;
    use std::time::Duration;

    /// The exact percentile: the one that so many of a hundred do not exceed.
    fn exact(sorted: &[u64], of_hundred: usize) -> f64 {
        sorted[(sorted.len() * of_hundred).div_ceil(100) - 1] as f64
    }

    proptest! {
        #[test]
        fn percentiles_are_within_a_ninth_of_the_exact_ones(
            // From a microsecond to a minute, close together or far apart.
            spans in prop::collection::vec((1..60_000_000_u64, 0..24_u32), 1..400),
        ) {
            let mut sorted: Vec<u64> = spans.into_iter().map(|(micros, shift)| (micros >> shift).max(1)).collect();
            let mut counts = Counts::default();
            for micros in &sorted {
                counts.add(LATENCIES.start + u16::from(fine_bucket(Duration::from_micros(*micros))), 1);
            }
            sorted.sort_unstable();
            let shown = latency(&counts, &VALIDATIONS).unwrap();
            for (of_hundred, shown) in [(50, shown.p50_micros), (90, shown.p90_micros), (99, shown.p99_micros)] {
                let exact = exact(&sorted, of_hundred);
                let off = (shown as f64 - exact).abs();
                prop_assert!(off <= exact / 9.0 + 0.5, "p{}: {} for {}", of_hundred, shown, exact);
            }
            prop_assert_eq!(shown.buckets.iter().sum::<u64>(), sorted.len() as u64);
        }
    }

    #[test]
    fn what_replicas_of_before_counted_is_counted_along() {
        let mut counts = Counts::default();
        counts.add_all(LATENCY, &[0, 50, 40, 9, 1]);
        let before = latency(&counts, &VALIDATIONS).unwrap();
        assert_eq!((before.p50_micros, before.p90_micros, before.p99_micros), (3, 5, 11));
        assert_eq!(before.buckets, [0, 50, 40, 9, 1]);
        // A hundred of 20 microseconds.
        counts.add(LATENCIES.start + u16::from(fine_bucket(Duration::from_micros(20))), 100);
        let both = latency(&counts, &VALIDATIONS).unwrap();
        assert_eq!((both.p50_micros, both.p90_micros, both.p99_micros), (22, 22, 22));
        assert_eq!(both.buckets, [0, 50, 40, 9, 101]);
        assert_eq!(latency(&counts, &REPORTED), None);
    }
}
