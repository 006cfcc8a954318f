//! When the secret of a key is to be replaced, and how.

use crate::delivery::Delivery;
use crate::id::KeyId;
use crate::name::Slug;
use crate::rotation_terms::RotationTerms;
use crate::text::check_text;
use crate::time::{DurationMillis, UnixMillis};
use alloc::boxed::Box;
use core::fmt;

/// Notices before one due time.
pub const NOTICES_MAX: usize = 8;

/// Windows of one policy.
pub const WINDOWS_MAX: usize = 8;

/// Phases of one policy.
pub const PHASES_MAX: usize = 8;

/// Rotations of one keyspace at once, at most.
pub const AT_ONCE_MAX: u32 = 10_000;

/// Rotations of one keyspace at once where nobody says.
pub const AT_ONCE_DEFAULT: u32 = 100;

/// Longest cron expression of a window. Bytes.
pub const CRON_BYTES_MAX: usize = 128;

/// Longest name of a time zone. Bytes.
pub const TIME_ZONE_BYTES_MAX: usize = 64;

/// Longest filter of a phase. Bytes.
pub const PHASE_FILTER_BYTES_MAX: usize = 2_048;

/// How often a secret is to be replaced, as a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RiskClass {
    /// Every 30 days, both accepted for 24 hours.
    High,
    /// Every 90 days, both accepted for 48 hours.
    Moderate,
    /// As the policy says.
    Custom,
}

impl RiskClass {
    /// Every class.
    pub const ALL: [Self; 3] = [Self::High, Self::Moderate, Self::Custom];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::High => "HIGH",
            Self::Moderate => "MODERATE",
            Self::Custom => "CUSTOM",
        }
    }

    /// The interval that it means; absent: the policy says.
    #[must_use]
    pub const fn interval(self) -> Option<DurationMillis> {
        match self {
            Self::High => Some(DurationMillis::from_days(30)),
            Self::Moderate => Some(DurationMillis::from_days(90)),
            Self::Custom => None,
        }
    }

    /// The overlap that it means; absent: the policy says.
    #[must_use]
    pub const fn overlap(self) -> Option<DurationMillis> {
        match self {
            Self::High => Some(DurationMillis::from_days(1)),
            Self::Moderate => Some(DurationMillis::from_days(2)),
            Self::Custom => None,
        }
    }
}

/// Who rotates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RotationMode {
    /// Latchkey does.
    Automatic,
    /// Whoever is told.
    Notify,
}

impl RotationMode {
    /// Every mode.
    pub const ALL: [Self; 2] = [Self::Automatic, Self::Notify];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "AUTOMATIC",
            Self::Notify => "NOTIFY",
        }
    }
}

/// When rotations may start. What the texts mean is not known here, only how long they may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RotationWindow {
    /// When it opens; at most [`CRON_BYTES_MAX`] bytes.
    pub cron: Box<str>,
    /// Where that time is told; at most [`TIME_ZONE_BYTES_MAX`] bytes.
    pub time_zone: Box<str>,
    /// For how long; 1 minute to 7 days.
    pub length: DurationMillis,
}

/// A part of the keys, rotated once the parts before it are healthy.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RotationPhase {
    /// Its name, unique in the policy.
    pub name: Slug,
    /// Which keys it has, as listings filter them; at most [`PHASE_FILTER_BYTES_MAX`] bytes.
    pub filter: Box<str>,
}

/// When the secret of a key is to be replaced, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotationPolicy {
    /// The class that interval and overlap come from.
    pub risk: RiskClass,
    /// Who rotates.
    pub mode: RotationMode,
    /// How old a version may become.
    pub interval: DurationMillis,
    /// How the old version ends.
    pub terms: RotationTerms,
    /// How long before the due time notice is given, falling; at most [`NOTICES_MAX`].
    pub notices: Box<[DurationMillis]>,
    /// When rotations may start; at most [`WINDOWS_MAX`], none: at any time.
    pub windows: Box<[RotationWindow]>,
    /// Within how long before the interval is over keys are due, each at its own time.
    pub jitter: DurationMillis,
    /// How many rotations of one keyspace may be unsettled at once; 1 to [`AT_ONCE_MAX`].
    pub at_once_max: u32,
    /// The parts of the keys, the least critical first; at most [`PHASES_MAX`], none: all at once.
    pub phases: Box<[RotationPhase]>,
    /// How long a version is accepted at most, whatever becomes of its rotation; absent: without a bound.
    pub maximum_lifetime: Option<DurationMillis>,
    /// Where new secrets go.
    pub delivery: Option<Delivery>,
}

/// A policy that cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RotationPolicyError {
    /// The field that does not fit, such as `overlap_min`.
    pub field: &'static str,
    /// The rule that it breaks.
    pub rule: RotationPolicyRule,
}

/// The rules for policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RotationPolicyRule {
    /// At most this.
    AtMost(&'static str),
    /// Below this.
    Below(&'static str),
    /// At least this.
    AtLeast(&'static str),
    /// More than nothing.
    Positive,
    /// What the risk class means.
    OfRiskClass,
    /// It needs this.
    Needs(&'static str),
    /// Each shorter than the one before.
    Falling,
    /// Each once.
    Unique,
    /// Neither empty nor longer than so many bytes, without control characters.
    Text(usize),
}

impl fmt::Display for RotationPolicyRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "must be at most {bound}"),
            Self::Below(bound) => write!(f, "must be less than {bound}"),
            Self::AtLeast(bound) => write!(f, "must be at least {bound}"),
            Self::Positive => f.write_str("must be more than nothing"),
            Self::OfRiskClass => f.write_str("must be what the risk class means; choose CUSTOM for another"),
            Self::Needs(what) => write!(f, "needs {what}"),
            Self::Falling => f.write_str("must each be shorter than the one before"),
            Self::Unique => f.write_str("must each be there once"),
            Self::Text(max) => write!(f, "must be 1 to {max} bytes without control characters"),
        }
    }
}

impl fmt::Display for RotationPolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.field, self.rule)
    }
}

impl core::error::Error for RotationPolicyError {}

impl RotationPolicy {
    /// When a version of this key is due that is the active one since `active_since`.
    #[must_use]
    pub const fn due_at(&self, active_since: UnixMillis, key: KeyId) -> UnixMillis {
        due_at(active_since, key, self.interval, self.jitter)
    }

    /// Whether its parts fit together.
    ///
    /// # Errors
    /// [`RotationPolicyError`] tells the first field that does not fit, and the rule that it breaks.
    pub fn check(&self) -> Result<(), RotationPolicyError> {
        use RotationPolicyRule::{AtLeast, AtMost, Below, Falling, Needs, OfRiskClass, Positive};
        let interval = self.interval;
        need(interval > DurationMillis::ZERO, "interval", Positive)?;
        need(self.risk.interval().is_none_or(|of_class| of_class == interval), "interval", OfRiskClass)?;
        need(self.risk.overlap().is_none_or(|of_class| of_class == self.terms.overlap), "overlap", OfRiskClass)?;
        self.terms.check()?;
        need(self.terms.overlap < interval, "overlap", Below("the interval"))?;
        need(self.jitter < interval, "jitter", Below("the interval"))?;
        need(self.notices.len() <= NOTICES_MAX, "notices", AtMost("8"))?;
        need(self.notices.iter().all(|notice| *notice < interval), "notices", Below("the interval"))?;
        need(self.notices.array_windows().all(|[before, notice]| notice < before), "notices", Falling)?;
        need(self.at_once_max >= 1, "at_once_max", AtLeast("1"))?;
        need(self.at_once_max <= AT_ONCE_MAX, "at_once_max", AtMost("10000"))?;
        let lived = interval.plus(self.terms.overlap).plus(self.terms.hold_max());
        let fits = self.maximum_lifetime.is_none_or(|lifetime| lifetime >= lived);
        need(fits, "maximum_lifetime", AtLeast("interval, overlap and hold_max together"))?;
        let delivered = self.mode == RotationMode::Notify || self.delivery.is_some();
        need(delivered, "delivery", Needs("a recipient or a store, where the mode is AUTOMATIC"))?;
        self.check_windows()?;
        self.check_phases()
    }

    fn check_windows(&self) -> Result<(), RotationPolicyError> {
        use RotationPolicyRule::{AtLeast, AtMost, Text};
        need(self.windows.len() <= WINDOWS_MAX, "windows", AtMost("8"))?;
        self.windows.iter().try_for_each(|window| {
            need(is_text(&window.cron, CRON_BYTES_MAX), "windows.cron", Text(CRON_BYTES_MAX))?;
            need(is_text(&window.time_zone, TIME_ZONE_BYTES_MAX), "windows.time_zone", Text(TIME_ZONE_BYTES_MAX))?;
            need(window.length >= DurationMillis::from_secs(60), "windows.length", AtLeast("1 minute"))?;
            need(window.length <= DurationMillis::from_days(7), "windows.length", AtMost("7 days"))
        })
    }

    fn check_phases(&self) -> Result<(), RotationPolicyError> {
        use RotationPolicyRule::{AtMost, Text, Unique};
        need(self.phases.len() <= PHASES_MAX, "phases", AtMost("8"))?;
        self.phases.iter().enumerate().try_for_each(|(index, phase)| {
            let is_new = self.phases.iter().take(index).all(|before| before.name != phase.name);
            need(is_new, "phases.name", Unique)?;
            need(is_text(&phase.filter, PHASE_FILTER_BYTES_MAX), "phases.filter", Text(PHASE_FILTER_BYTES_MAX))
        })
    }
}

/// The interval after `active_since`, or up to the jitter earlier: each key at a place of its own within it, so that a
/// million keys made at one moment are not due at one moment. Never later, since the interval is a promise.
const fn due_at(active_since: UnixMillis, key: KeyId, interval: DurationMillis, jitter: DurationMillis) -> UnixMillis {
    let early = key_place(key, jitter.millis());
    active_since.plus(DurationMillis::new(interval.millis().saturating_sub(early)))
}

/// The place of a key among `places`; 0 where there is none.
const fn key_place(key: KeyId, places: u64) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *key.bytes();
    match u64::from_be_bytes([a, b, c, d, e, f, g, h]).checked_rem(places) {
        Some(place) => place,
        None => 0,
    }
}

const fn need(holds: bool, field: &'static str, rule: RotationPolicyRule) -> Result<(), RotationPolicyError> {
    if holds { Ok(()) } else { Err(RotationPolicyError { field, rule }) }
}

fn is_text(text: &str, bytes_max: usize) -> bool {
    !text.is_empty() && check_text(text, bytes_max).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rotation_terms::AtDeadline;

    const DAY: DurationMillis = DurationMillis::from_days(1);

    fn policy() -> RotationPolicy {
        RotationPolicy {
            risk: RiskClass::High,
            mode: RotationMode::Automatic,
            interval: DurationMillis::from_days(30),
            terms: RotationTerms::of_overlap(DAY),
            notices: [DurationMillis::from_days(7), DAY].into(),
            windows: [RotationWindow { cron: "0 3 * * SAT".into(), time_zone: "Europe/Zurich".into(), length: DAY }]
                .into(),
            jitter: DAY,
            at_once_max: AT_ONCE_DEFAULT,
            phases: ["staging", "live"]
                .map(|name| RotationPhase { name: Slug::parse(name).unwrap(), filter: "state = ACTIVE".into() })
                .into(),
            maximum_lifetime: Some(DurationMillis::from_days(31)),
            delivery: Some(Delivery::Store(Slug::parse("vault").unwrap())),
        }
    }

    fn broken(change: impl FnOnce(&mut RotationPolicy)) -> &'static str {
        let mut policy = policy();
        change(&mut policy);
        policy.check().unwrap_err().field
    }

    #[test]
    fn a_policy_that_fits_together_is_one() {
        assert_eq!(policy().check(), Ok(()));
        let plain = RotationPolicy { windows: [].into(), phases: [].into(), notices: [].into(), ..policy() };
        assert_eq!(plain.check(), Ok(()));
    }

    #[test]
    fn a_policy_that_does_not_fit_together_tells_the_field() {
        assert_eq!(broken(|policy| policy.interval = DurationMillis::from_days(31)), "interval");
        assert_eq!(broken(|policy| policy.terms.overlap = DurationMillis::from_days(2)), "overlap");
        let custom = |policy: &mut RotationPolicy| policy.risk = RiskClass::Custom;
        assert_eq!(broken(|policy| (custom(policy), policy.interval = DurationMillis::ZERO).1), "interval");
        assert_eq!(broken(|policy| (custom(policy), policy.interval = DAY).1), "overlap");
        assert_eq!(broken(|policy| policy.jitter = policy.interval), "jitter");
        assert_eq!(broken(|policy| policy.notices = [policy.interval].into()), "notices");
        assert_eq!(broken(|policy| policy.notices = [DAY, DAY].into()), "notices");
        assert_eq!(broken(|policy| policy.notices = (0..9).rev().map(DurationMillis::new).collect()), "notices");
        assert_eq!(broken(|policy| policy.at_once_max = 0), "at_once_max");
        assert_eq!(broken(|policy| policy.at_once_max = AT_ONCE_MAX + 1), "at_once_max");
        assert_eq!(broken(|policy| policy.maximum_lifetime = Some(policy.interval)), "maximum_lifetime");
        let held = |policy: &mut RotationPolicy| {
            policy.terms.silence = Some(DAY);
            policy.terms.at_deadline = AtDeadline::Hold { max: DAY };
        };
        assert_eq!(broken(held), "maximum_lifetime", "a held version has to live for as long as it is held");
        assert_eq!(broken(|policy| policy.delivery = None), "delivery");
        assert_eq!(broken(|policy| policy.windows[0].cron = "".into()), "windows.cron");
        assert_eq!(broken(|policy| policy.windows[0].time_zone = "Europe\n".into()), "windows.time_zone");
        assert_eq!(broken(|policy| policy.windows[0].length = DurationMillis::new(59_999)), "windows.length");
        assert_eq!(broken(|policy| policy.phases[1].name = policy.phases[0].name.clone()), "phases.name");
        assert_eq!(broken(|policy| policy.phases[1].filter = " ".repeat(2_049).into()), "phases.filter");
    }

    #[test]
    fn whoever_is_told_needs_no_delivery() {
        let told = RotationPolicy { mode: RotationMode::Notify, delivery: None, ..policy() };
        assert_eq!(told.check(), Ok(()));
    }

    #[test]
    fn keys_of_one_moment_are_due_over_the_whole_jitter_and_never_late() {
        let (since, policy) = (UnixMillis::new(1_000_000), policy());
        let last = since.plus(policy.interval);
        let due: Vec<_> = (0..=255).map(|byte| policy.due_at(since, KeyId::from_random([byte; 12]))).collect();
        assert!(due.iter().all(|due| *due <= last && last.since(*due) < policy.jitter));
        let quarter = policy.jitter.millis() / 4;
        for part in 0..4 {
            let in_part = |due: &&UnixMillis| last.since(**due).millis() / quarter == part;
            assert!(due.iter().filter(in_part).count() > 32, "part {part} of the jitter is nearly empty");
        }
        let punctual = RotationPolicy { jitter: DurationMillis::ZERO, ..policy };
        assert_eq!(punctual.due_at(since, KeyId::from_random([7; 12])), last);
    }
}
