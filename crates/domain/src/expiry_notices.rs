//! How long before their expiry those whose keys they are are told of it.

use crate::DurationMillis;
use alloc::boxed::Box;
use core::fmt;

/// How long before the expiry of a key notice of it is given: the longest first, each shorter than the one before, such as
/// 30 days, 7 days and 1 day. None: nobody is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiryNotices(Box<[DurationMillis]>);

/// Spans that are none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiryNoticesError {
    /// Which of the spans; absent: all of them together.
    pub at: Option<usize>,
    /// What it breaks.
    pub rule: ExpiryNoticesRule,
}

/// A rule that spans may break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpiryNoticesRule {
    /// At most [`ExpiryNotices::COUNT_MAX`].
    Count {
        /// How many there are.
        found: usize,
    },
    /// Each [`ExpiryNotices::SHORTEST`] to [`ExpiryNotices::LONGEST`].
    Length {
        /// The span found.
        found: DurationMillis,
    },
    /// Each shorter than the one before.
    Falling {
        /// The span found.
        found: DurationMillis,
        /// The one before it.
        before: DurationMillis,
    },
}

impl ExpiryNotices {
    /// Notices of one expiry: whoever does not hear the first few does not hear the ninth.
    pub const COUNT_MAX: usize = 8;
    /// The shortest: below a second the notice would come after the end.
    pub const SHORTEST: DurationMillis = DurationMillis::from_secs(1);
    /// The longest: whatever ends later than in a year is nobody's concern yet.
    pub const LONGEST: DurationMillis = DurationMillis::from_days(366);
    /// Those of a keyspace that says nothing: a month, a week and a day.
    pub const DEFAULT: &'static [DurationMillis] =
        &[DurationMillis::from_days(30), DurationMillis::from_days(7), DurationMillis::from_days(1)];

    /// From spans.
    ///
    /// # Errors
    /// [`ExpiryNoticesError`]: the first rule that they break.
    pub fn new(spans: impl Into<Box<[DurationMillis]>>) -> Result<Self, ExpiryNoticesError> {
        let spans = spans.into();
        if spans.len() > Self::COUNT_MAX {
            return Err(ExpiryNoticesError { at: None, rule: ExpiryNoticesRule::Count { found: spans.len() } });
        }
        let mut before = None;
        for (at, found) in spans.iter().copied().enumerate() {
            let broken = match before {
                _ if found < Self::SHORTEST || found > Self::LONGEST => Some(ExpiryNoticesRule::Length { found }),
                Some(before) if found >= before => Some(ExpiryNoticesRule::Falling { found, before }),
                _ => None,
            };
            if let Some(rule) = broken {
                return Err(ExpiryNoticesError { at: Some(at), rule });
            }
            before = Some(found);
        }
        Ok(Self(spans))
    }

    /// The spans, falling.
    #[must_use]
    pub fn spans(&self) -> &[DurationMillis] {
        &self.0
    }

    /// The spans that hold where these were chosen, or nothing was.
    #[must_use]
    pub fn in_force(chosen: Option<&Self>) -> &[DurationMillis] {
        chosen.map_or(Self::DEFAULT, Self::spans)
    }
}

impl fmt::Display for ExpiryNoticesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            ExpiryNoticesRule::Count { found } => {
                write!(f, "{found} spans, at most {} are allowed", ExpiryNotices::COUNT_MAX)
            }
            ExpiryNoticesRule::Length { found } => {
                let (shortest, longest) = (ExpiryNotices::SHORTEST, ExpiryNotices::LONGEST);
                write!(f, "{found} is not between {shortest} and {longest}")
            }
            ExpiryNoticesRule::Falling { found, before } => {
                write!(f, "{found} must be shorter than the span before it, {before}: the longest comes first")
            }
        }
    }
}

impl core::error::Error for ExpiryNoticesError {}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec::Vec;

    fn of(seconds: &[u64]) -> Result<ExpiryNotices, ExpiryNoticesError> {
        ExpiryNotices::new(seconds.iter().copied().map(DurationMillis::from_secs).collect::<Vec<_>>())
    }

    #[test]
    fn spans_fall_from_a_year_to_a_second_and_are_few() {
        for good in [&[][..], &[1], &[366 * 86_400, 1], &[8, 7, 6, 5, 4, 3, 2, 1]] {
            assert_eq!(of(good).unwrap().spans().len(), good.len());
        }
        let day = DurationMillis::from_secs(86_400);
        for (bad, at, rule) in [
            (&[9, 8, 7, 6, 5, 4, 3, 2, 1][..], None, ExpiryNoticesRule::Count { found: 9 }),
            (&[1, 0], Some(1), ExpiryNoticesRule::Length { found: DurationMillis::ZERO }),
            (&[367 * 86_400], Some(0), ExpiryNoticesRule::Length { found: DurationMillis::from_days(367) }),
            (&[86_400, 86_400], Some(1), ExpiryNoticesRule::Falling { found: day, before: day }),
        ] {
            assert_eq!(of(bad), Err(ExpiryNoticesError { at, rule }), "{bad:?}");
        }
        assert!(of(&[1, 2]).unwrap_err().to_string().contains("the longest comes first"));
    }

    #[test]
    fn who_says_nothing_is_told_a_month_a_week_and_a_day_before_and_who_says_none_is_not() {
        assert_eq!(ExpiryNotices::in_force(None), ExpiryNotices::DEFAULT);
        assert_eq!(ExpiryNotices::new(ExpiryNotices::DEFAULT).unwrap().spans(), ExpiryNotices::DEFAULT);
        assert!(ExpiryNotices::in_force(Some(&of(&[]).unwrap())).is_empty());
    }
}
