//! How the old version of a rotation ends.

use crate::rotation_policy::{RotationPolicyError, RotationPolicyRule};
use crate::time::DurationMillis;

/// The longest overlap: 90 days.
pub const OVERLAP_MAX: DurationMillis = DurationMillis::from_days(90);

/// How long a held rotation lasts at most beyond its deadline: 30 days.
pub const HOLD_MAX: DurationMillis = DurationMillis::from_days(30);

/// When the overlap begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OverlapStart {
    /// As soon as the new version is verified.
    #[default]
    AtOnce,
    /// When evidence first reports the new version.
    FirstUse,
}

impl OverlapStart {
    /// Every start.
    pub const ALL: [Self; 2] = [Self::AtOnce, Self::FirstUse];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtOnce => "AT_ONCE",
            Self::FirstUse => "FIRST_USE",
        }
    }
}

/// What happens at the end of the overlap where the old version is still used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AtDeadline {
    /// It ends.
    #[default]
    Enforce,
    /// It goes on, at most so much longer than the deadline.
    Hold {
        /// How much longer at most; 1 ms to [`HOLD_MAX`].
        max: DurationMillis,
    },
}

/// How the old version of a rotation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RotationTerms {
    /// How long both versions are accepted: until the deadline. At most [`OVERLAP_MAX`].
    pub overlap: DurationMillis,
    /// How long they are at least, whatever the evidence says.
    pub overlap_min: DurationMillis,
    /// For how long the old version has to be unused to be retired before the deadline, the new one seen; absent: it never
    /// is.
    pub silence: Option<DurationMillis>,
    /// When the overlap begins.
    pub overlap_start: OverlapStart,
    /// What happens at the deadline.
    pub at_deadline: AtDeadline,
}

impl RotationTerms {
    /// Terms that the clock alone carries out.
    #[must_use]
    pub const fn of_overlap(overlap: DurationMillis) -> Self {
        Self {
            overlap,
            overlap_min: DurationMillis::ZERO,
            silence: None,
            overlap_start: OverlapStart::AtOnce,
            at_deadline: AtDeadline::Enforce,
        }
    }

    /// How much longer than the deadline the old version may live.
    #[must_use]
    pub const fn hold_max(&self) -> DurationMillis {
        match self.at_deadline {
            AtDeadline::Enforce => DurationMillis::ZERO,
            AtDeadline::Hold { max } => max,
        }
    }

    /// Whether they fit together.
    ///
    /// # Errors
    /// [`RotationPolicyError`] tells the first field that does not fit, and the rule that it breaks.
    pub fn check(&self) -> Result<(), RotationPolicyError> {
        use RotationPolicyRule::{AtMost, Needs, Positive};
        let need = |holds: bool, field, rule| if holds { Ok(()) } else { Err(RotationPolicyError { field, rule }) };
        need(self.overlap <= OVERLAP_MAX, "overlap", AtMost("90 days"))?;
        need(self.overlap_min <= self.overlap, "overlap_min", AtMost("the overlap"))?;
        if let Some(silence) = self.silence {
            need(silence > DurationMillis::ZERO, "silence", Positive)?;
            need(silence <= self.overlap, "silence", AtMost("the overlap"))?;
        }
        if let AtDeadline::Hold { max } = self.at_deadline {
            need(max > DurationMillis::ZERO, "hold_max", Positive)?;
            need(max <= HOLD_MAX, "hold_max", AtMost("30 days"))?;
            // Without it nothing would say whether the old version is still used.
            need(self.silence.is_some(), "at_deadline", Needs("`silence`, where it is HOLD"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: DurationMillis = DurationMillis::from_secs(3_600);

    #[test]
    fn terms_that_do_not_fit_together_tell_the_field() {
        let good = RotationTerms { silence: Some(HOUR), ..RotationTerms::of_overlap(DurationMillis::from_days(1)) };
        assert_eq!(good.check(), Ok(()));
        let hold = |max| AtDeadline::Hold { max };
        let bad = [
            ("overlap", RotationTerms::of_overlap(OVERLAP_MAX.plus(HOUR))),
            ("overlap_min", RotationTerms { overlap_min: DurationMillis::from_days(2), ..good }),
            ("silence", RotationTerms { silence: Some(DurationMillis::ZERO), ..good }),
            ("silence", RotationTerms { silence: Some(DurationMillis::from_days(2)), ..good }),
            ("hold_max", RotationTerms { at_deadline: hold(DurationMillis::ZERO), ..good }),
            ("hold_max", RotationTerms { at_deadline: hold(HOLD_MAX.plus(HOUR)), ..good }),
            ("at_deadline", RotationTerms { at_deadline: hold(HOUR), silence: None, ..good }),
        ];
        for (field, terms) in bad {
            assert_eq!(terms.check().unwrap_err().field, field, "{terms:?}");
        }
    }
}
