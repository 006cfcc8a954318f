//! Time as the log knows it: milliseconds since 1970 UTC, stamped by the leader, and spans of milliseconds.

use core::fmt;

/// A point in time: milliseconds since 1970-01-01T00:00:00Z, 0 to 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(u64);

impl UnixMillis {
    /// The largest time there is: exact in every language that clients are written in.
    pub const LAST: Self = Self(1 << 53);

    /// From milliseconds since 1970; what lies beyond [`Self::LAST`] becomes it.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        if millis > Self::LAST.0 { Self::LAST } else { Self(millis) }
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// This time and `span` more, at most [`Self::LAST`].
    #[must_use]
    pub const fn plus(self, span: DurationMillis) -> Self {
        Self::new(self.0.saturating_add(span.0))
    }

    /// How long after `earlier` this is; zero where it is before.
    #[must_use]
    pub const fn since(self, earlier: Self) -> DurationMillis {
        DurationMillis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for UnixMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms since 1970", self.0)
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
        Self(UnixMillis::new(millis).0)
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
    fn time_never_wraps() {
        assert_eq!(UnixMillis::LAST.plus(DurationMillis::new(u64::MAX)), UnixMillis::LAST);
        assert_eq!(UnixMillis::new(5).since(UnixMillis::new(9)), DurationMillis::ZERO);
    }
}
