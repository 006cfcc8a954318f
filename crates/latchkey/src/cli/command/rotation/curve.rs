//! The use of a version over time, as one row of bars.

use latchkey_wire::pb::v1::rotation_evidence::Use;
use std::ops::Range;

/// From nothing to the highest.
const BARS: [char; 9] = ['·', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How often a version was used, in equal parts of a span of time. Milliseconds since 1970.
///
/// A bucket that lies in several parts is spread over them evenly: nobody knows better when in it the uses were.
pub(super) fn resample(used: &Use, span: &Range<u64>, parts: usize) -> Vec<f64> {
    let mut sums = vec![0.0; parts];
    let (Some(start), Some(bucket)) = (super::millis(used.curve_start_time), used.curve_bucket.as_ref().map(length))
    else {
        return sums;
    };
    let part = (span.end.saturating_sub(span.start) as f64 / parts as f64).max(1.0);
    for (index, count) in (0_u64..).zip(&used.curve_counts) {
        let begins = (start + index * bucket) as f64 - span.start as f64;
        // What is still going on has no bucket that is over: its uses were before now.
        let ends = (begins + bucket as f64).min(span.end.saturating_sub(span.start) as f64).max(begins + 1.0);
        for (number, sum) in sums.iter_mut().enumerate() {
            let within = ends.min((number + 1) as f64 * part) - begins.max(number as f64 * part);
            *sum += *count as f64 * (within / (ends - begins)).max(0.0);
        }
    }
    sums
}

/// Bars as high as the values are, where `most` is the highest: whatever is above zero is seen.
pub(super) fn bars(values: &[f64], most: f64) -> String {
    let highest = (BARS.len() - 1) as f64;
    let bar = |value: &f64| {
        let height = if *value > 0.0 { (value / most * highest).ceil().clamp(1.0, highest) } else { 0.0 };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies between 0 and 8")]
        let height = height as usize;
        BARS[height]
    };
    values.iter().map(bar).collect()
}

/// When the curve begins, and when it ends by its own account. Milliseconds since 1970.
pub(super) fn extent(used: &Use) -> Option<Range<u64>> {
    let start = super::millis(used.curve_start_time)?;
    let bucket = length(used.curve_bucket.as_ref()?);
    Some(start..start + bucket * used.curve_counts.len() as u64)
}

fn length(span: &prost_types::Duration) -> u64 {
    let millis = span.seconds.saturating_mul(1_000).saturating_add(i64::from(span.nanos / 1_000_000));
    u64::try_from(millis).unwrap_or_default().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost_types::{Duration, Timestamp};

    fn used(start: i64, bucket: i64, counts: &[u64]) -> Use {
        Use {
            curve_start_time: Some(Timestamp { seconds: start, nanos: 0 }),
            curve_bucket: Some(Duration { seconds: bucket, nanos: 0 }),
            curve_counts: counts.to_vec(),
            ..Use::default()
        }
    }

    #[test]
    fn nothing_is_a_line_and_what_is_little_is_seen() {
        assert_eq!(bars(&resample(&Use::default(), &(0..1_000), 4), 1.0), "····");
        assert_eq!(bars(&[0.0, 0.001, 500.0, 1_000.0], 1_000.0), "·▁▄█");
    }

    #[test]
    fn each_use_is_in_one_part_and_none_is_lost() {
        let one = used(100, 10, &[4, 0, 8, 2]);
        assert_eq!(resample(&one, &(100_000..140_000), 4), [4.0, 0.0, 8.0, 2.0]);
        assert_eq!(resample(&one, &(100_000..140_000), 2), [4.0, 10.0]);
        assert_eq!(resample(&one, &(100_000..140_000), 8), [2.0, 2.0, 0.0, 0.0, 4.0, 4.0, 1.0, 1.0]);
        assert_eq!(resample(&one, &(60_000..140_000), 4).iter().sum::<f64>(), 14.0);
        assert_eq!(extent(&one), Some(100_000..140_000));
    }

    #[test]
    fn a_bucket_that_goes_on_lies_before_now() {
        let now = used(100, 64, &[6]);
        assert_eq!(resample(&now, &(90_000..110_000), 2), [0.0, 6.0]);
    }
}
