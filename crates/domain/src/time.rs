//! Time as the log knows it: milliseconds since 1970 UTC, stamped by the leader, and spans of milliseconds.

use core::fmt;
use core::num::NonZeroU64;

/// The milliseconds of [`UnixMillis::LAST`].
const MILLIS_MAX: u64 = 1 << 53;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, 0 to 2^53.
///
/// Holds one more than the milliseconds, so that a time that may be absent takes no more room than one that is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(NonZeroU64);

const _: () = assert!(size_of::<Option<UnixMillis>>() == 8, "a million keys hold one each");

impl UnixMillis {
    /// The largest time there is: exact in every language that clients are written in.
    pub const LAST: Self = Self::new(MILLIS_MAX);

    /// From milliseconds since 1970; what lies beyond [`Self::LAST`] becomes it.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        let millis = if millis > MILLIS_MAX { MILLIS_MAX } else { millis };
        Self(NonZeroU64::MIN.saturating_add(millis))
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0.get() - 1
    }

    /// This time and `span` more, at most [`Self::LAST`].
    #[must_use]
    pub const fn plus(self, span: DurationMillis) -> Self {
        Self::new(self.millis().saturating_add(span.0))
    }

    /// How long after `earlier` this is; zero where it is before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> DurationMillis {
        DurationMillis(self.millis().saturating_sub(earlier.millis()))
    }
}

impl Default for UnixMillis {
    fn default() -> Self {
        Self::new(0)
    }
}

impl fmt::Debug for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UnixMillis({})", self.millis())
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms since 1970", self.millis())
    }
}

/// A span of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationMillis(u64);

impl DurationMillis {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// From milliseconds; at most 2^53.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(UnixMillis::new(millis).millis())
    }

    /// From seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self::new(seconds.saturating_mul(1_000))
    }

    /// From days of 24 hours.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self::from_secs(days.saturating_mul(86_400))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Both, one after the other; at most 2^53.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self::new(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for DurationMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_tells_the_milliseconds_that_it_was_made_of() {
        for millis in [0, 1, 1_800_000_000_000, MILLIS_MAX - 1, MILLIS_MAX] {
            let time = UnixMillis::new(millis);
            assert_eq!((time.millis(), format!("{time:?}")), (millis, format!("UnixMillis({millis})")));
        }
        assert_eq!(UnixMillis::new(u64::MAX), UnixMillis::LAST);
        assert!(UnixMillis::default() == UnixMillis::new(0) && UnixMillis::new(0) < UnixMillis::new(1));
    }

    #[test]
    fn time_never_wraps() {
        assert_eq!(UnixMillis::LAST.plus(DurationMillis::new(u64::MAX)), UnixMillis::LAST);
        assert_eq!(UnixMillis::new(5).since(UnixMillis::new(9)), DurationMillis::ZERO);
    }
}
