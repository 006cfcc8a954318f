//! How much longer than its bound a replica that has lost touch may answer from what it knew last.

use crate::DurationMillis;
use core::fmt;

/// A span beyond `staleness_max`: 1 s to 15 min, whole milliseconds.
///
/// Below a second it would be over before anybody noticed that touch was lost. Above a quarter of an hour a key that was
/// revoked meanwhile would live longer than anyone who revokes in an emergency can wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LastKnownMax(DurationMillis);

/// A span that is none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastKnownMaxError {
    /// The span found.
    pub found: DurationMillis,
}

impl LastKnownMax {
    /// The shortest.
    pub const MIN: DurationMillis = DurationMillis::from_secs(1);
    /// The longest.
    pub const MAX: DurationMillis = DurationMillis::from_secs(15 * 60);

    /// From a span.
    ///
    /// # Errors
    /// [`LastKnownMaxError`] outside [`Self::MIN`] to [`Self::MAX`].
    pub const fn new(span: DurationMillis) -> Result<Self, LastKnownMaxError> {
        if span.millis() < Self::MIN.millis() || span.millis() > Self::MAX.millis() {
            return Err(LastKnownMaxError { found: span });
        }
        Ok(Self(span))
    }

    /// The span.
    #[must_use]
    pub const fn span(self) -> DurationMillis {
        self.0
    }
}

impl fmt::Display for LastKnownMax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for LastKnownMaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (min, max) = (LastKnownMax::MIN, LastKnownMax::MAX);
        write!(f, "{} is not between {min} and {max}", self.found)
    }
}

impl core::error::Error for LastKnownMaxError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_one_second_to_a_quarter_of_an_hour() {
        for millis in [0, 999, 900_001, u64::MAX] {
            let found = DurationMillis::new(millis);
            assert_eq!(LastKnownMax::new(found), Err(LastKnownMaxError { found }));
        }
        for millis in [1_000, 60_000, 900_000] {
            assert_eq!(LastKnownMax::new(DurationMillis::new(millis)).unwrap().span().millis(), millis);
        }
    }
}
