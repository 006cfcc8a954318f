//! Times and spans: `Timestamp` and `Duration` outside, whole milliseconds inside. Nothing is ever rounded.

use latchkey_domain::{DurationMillis, UnixMillis};
use prost_types::{Duration, Timestamp};

const NANOS_PER_MILLI: i32 = 1_000_000;

/// A time or span that cannot be said in whole milliseconds from 0 to 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Finer than milliseconds.
    #[error("must be whole milliseconds")]
    Fraction,
    /// Before 1970, negative, after 2^53 ms, or with nanoseconds outside of their range.
    #[error("must be from 0 to 2^53 ms")]
    Range,
}

fn millis(seconds: i64, nanos: i32) -> Result<u64, TimeError> {
    if nanos % NANOS_PER_MILLI != 0 {
        return Err(TimeError::Fraction);
    }
    let seconds = u64::try_from(seconds).map_err(|_| TimeError::Range)?;
    let part = u64::try_from(nanos / NANOS_PER_MILLI).ok().filter(|part| *part < 1_000).ok_or(TimeError::Range)?;
    let all = seconds.checked_mul(1_000).and_then(|whole| whole.checked_add(part)).ok_or(TimeError::Range)?;
    if all > UnixMillis::LAST.millis() { Err(TimeError::Range) } else { Ok(all) }
}

fn parts(millis: u64) -> (i64, i32) {
    let seconds = i64::try_from(millis / 1_000).expect("2^53 ms are fewer than 2^63 s");
    let part = i32::try_from(millis % 1_000).expect("below 1,000");
    (seconds, part * NANOS_PER_MILLI)
}

/// Reads a time.
///
/// # Errors
/// [`TimeError`] where whole milliseconds from 0 to 2^53 cannot say it.
pub fn read_time(time: &Timestamp) -> Result<UnixMillis, TimeError> {
    millis(time.seconds, time.nanos).map(UnixMillis::new)
}

/// Reads a span.
///
/// # Errors
/// [`TimeError`] where whole milliseconds from 0 to 2^53 cannot say it.
pub fn read_span(span: &Duration) -> Result<DurationMillis, TimeError> {
    millis(span.seconds, span.nanos).map(DurationMillis::new)
}

/// Writes a time.
#[must_use]
pub fn write_time(time: UnixMillis) -> Timestamp {
    let (seconds, nanos) = parts(time.millis());
    Timestamp { seconds, nanos }
}

/// Writes a span.
#[must_use]
pub fn write_span(span: DurationMillis) -> Duration {
    let (seconds, nanos) = parts(span.millis());
    Duration { seconds, nanos }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_milliseconds_cannot_say_is_refused() {
        assert_eq!(read_time(&Timestamp { seconds: 0, nanos: 1 }), Err(TimeError::Fraction));
        assert_eq!(read_time(&Timestamp { seconds: -1, nanos: 0 }), Err(TimeError::Range));
        assert_eq!(read_span(&Duration { seconds: 1, nanos: -NANOS_PER_MILLI }), Err(TimeError::Range));
        assert_eq!(read_span(&Duration { seconds: 0, nanos: 1_000 * NANOS_PER_MILLI }), Err(TimeError::Range));
        assert_eq!(read_time(&Timestamp { seconds: i64::MAX, nanos: 0 }), Err(TimeError::Range));
        assert_eq!(read_time(&Timestamp { seconds: (1 << 53) / 1_000 + 1, nanos: 0 }), Err(TimeError::Range));
    }

    proptest! {
        #[test]
        fn a_time_and_a_span_read_as_they_were_written(millis in 0..=UnixMillis::LAST.millis()) {
            prop_assert_eq!(read_time(&write_time(UnixMillis::new(millis))), Ok(UnixMillis::new(millis)));
            prop_assert_eq!(read_span(&write_span(DurationMillis::new(millis))), Ok(DurationMillis::new(millis)));
        }
    }
}
