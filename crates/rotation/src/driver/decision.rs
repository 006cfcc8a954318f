//! What the next step of a rotation is. Pure: the same rotation at the same time with the same evidence gives the same
//! step, whoever asks, so a driver that takes over goes on where the last one was.
//!
//! | state | the next step |
//! |---|---|
//! | PLANNED | `Prepare`, once it is its time and its window is open |
//! | PREPARED | `Deliver`; `Prepare` anew where the text is lost |
//! | DELIVERED | `Activate` at its time, then `Verify` |
//! | VERIFIED | `BeginOverlap`, at once or when the new version was seen |
//! | OVERLAP | `Retire` on evidence; in its last part `Warn` of who still uses the old version; at the deadline `Hold`, or nothing: the clock ends it |
//! | HELD | for traffic: as OVERLAP; never used: as VERIFIED; else it waits for a person. What nobody uses fails at last |

use super::attempts::{Attempts, FAILURES_MAX};
use super::look::{Look, Verdict};
use latchkey_domain::{AtDeadline, DurationMillis, HoldCause, OverlapStart, RotationState, UnixMillis, VersionId};
use latchkey_state::{Course, Evidence, HOLD_BEFORE_OVERLAP_MAX, Rotation, WARNING_LEVEL};

/// How long what the replicas told is good for a decision.
const LOOK_FRESH: DurationMillis = DurationMillis::from_secs(10);

/// How long after the deadline replicas that do not answer are asked again before the rotation is held for it.
const UNKNOWN_MAX: DurationMillis = DurationMillis::from_secs(30);

/// For how long every replica has to have watched before a new version counts as one that nobody uses: a day, or the overlap
/// where that is shorter.
const UNUSED_FOR: DurationMillis = DurationMillis::from_days(1);

/// The shortest and the longest time between two looks at the evidence of one rotation.
const LOOK_MIN: DurationMillis = DurationMillis::from_secs(1);
const LOOK_MAX: DurationMillis = DurationMillis::from_secs(60);

/// What is to be done about a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing before then; [`UnixMillis::LAST`]: nothing, unless somebody changes it.
    Wait(UnixMillis),
    /// Mint a version. It takes the place of one that was not delivered.
    Prepare {
        /// The version whose text is lost.
        replaces: Option<VersionId>,
    },
    /// Lay the new secret where its consumer will find it, then let the version be accepted.
    Deliver,
    /// Let the version be accepted: its time has come.
    Activate,
    /// Wait until each region knows the version, have the consumer check it, and make it the current one.
    Verify,
    /// Ask the replicas who uses which version, then decide again.
    Look,
    /// Give the old version its end.
    BeginOverlap,
    /// End the old version: nobody uses it any more.
    Retire(Evidence),
    /// Tell who still uses the old version, which soon ends by the clock.
    Warn(Evidence),
    /// Stop, and tell a person.
    Hold {
        /// Why.
        cause: HoldCause,
        /// Why, in words.
        text: String,
        /// What the replicas saw, where that is why.
        evidence: Option<Evidence>,
    },
    /// Give up: nothing was ended.
    Fail {
        /// Why, in words.
        text: String,
    },
}

impl Step {
    /// The word for it, in metrics and logs; none for what changes nothing.
    pub(crate) const fn word(&self) -> Option<&'static str> {
        Some(match self {
            Self::Wait(_) | Self::Look => return None,
            Self::Prepare { .. } => "prepare",
            Self::Deliver => "deliver",
            Self::Activate => "activate",
            Self::Verify => "verify",
            Self::BeginOverlap => "begin_overlap",
            Self::Retire(_) => "retire",
            Self::Warn(_) => "warn",
            Self::Hold { .. } => "hold",
            Self::Fail { .. } => "fail",
        })
    }
}

/// All that the next step depends on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing<'a> {
    /// The rotation as it is written down.
    pub(crate) rotation: &'a Rotation,
    /// The time of the cluster.
    pub(crate) now: UnixMillis,
    /// When its window is next open; `now` or before: it is. Absent: what its policy planned is wanted no more.
    pub(crate) opens_at: Option<UnixMillis>,
    /// Whether its old version lives.
    pub(crate) old_lives: bool,
    /// What went wrong since it came into its state.
    pub(crate) attempts: &'a Attempts,
    /// Whether the new version's text cannot be had any more.
    pub(crate) text_lost: bool,
    /// What the replicas last told.
    pub(crate) look: Option<&'a Look>,
    /// The feature level of the cluster.
    pub(crate) level: u32,
}

/// What is to be done next.
pub(crate) fn next_step(standing: Standing<'_>) -> Step {
    let Standing { rotation, now, attempts, .. } = standing;
    // One without a course is nobody's to drive: the clock ends it.
    let Some(course) = rotation.course.as_deref() else { return Step::Wait(UnixMillis::LAST) };
    let state = rotation.state_at(now);
    if state.is_final() {
        return Step::Wait(UnixMillis::LAST);
    }
    // What is given up is not tried again, but it has to be written down, and that may have to wait too.
    if let Some(until) = attempts.postponed_until(now) {
        return Step::Wait(until);
    }
    let is_before_overlap = !matches!(state, RotationState::Held | RotationState::Overlap);
    // Nothing is retired yet. Where a policy began it, it is planned anew a day later, if that still makes sense then.
    if is_before_overlap && let Some(text) = attempts.hopeless() {
        return Step::Fail { text: text.to_owned() };
    }
    if is_before_overlap && let Some(failure) = attempts.given_up() {
        return Step::Hold { cause: failure.cause, text: failure.text.clone(), evidence: None };
    }
    if let Some(until) = attempts.waits_until(now) {
        return Step::Wait(until);
    }
    match state {
        RotationState::Planned => planned(standing, course),
        RotationState::Prepared => prepared(standing, course),
        RotationState::Delivered => delivered(standing, course),
        RotationState::Verified => verified(standing, course),
        RotationState::Overlap => overlap(standing, course),
        RotationState::Held => held(standing, course),
        RotationState::Completed | RotationState::RolledBack | RotationState::Cancelled | RotationState::Failed => {
            Step::Wait(UnixMillis::LAST)
        }
    }
}

fn planned(standing: Standing<'_>, course: &Course) -> Step {
    let Some(opens_at) = standing.opens_at else {
        return Step::Fail {
            text: "the policy that planned it is gone, or does not rotate by itself any more".to_owned(),
        };
    };
    let starts_at = course.starts_at.unwrap_or_default().max(opens_at);
    if standing.now < starts_at { Step::Wait(starts_at) } else { Step::Prepare { replaces: None } }
}

fn prepared(standing: Standing<'_>, course: &Course) -> Step {
    let lost = standing.text_lost || course.replay.is_none();
    if course.delivery.is_none() || !lost {
        return Step::Deliver;
    }
    if course.attempts >= FAILURES_MAX {
        let text = format!(
            "the new secret was lost {} times before it was delivered: its box can be opened for one hour; see that the \
             rotation service runs and reaches the store, then resume",
            course.attempts
        );
        return Step::Hold { cause: HoldCause::Delivery, text, evidence: None };
    }
    Step::Prepare { replaces: standing.rotation.new }
}

fn delivered(standing: Standing<'_>, course: &Course) -> Step {
    if course.activated_at.is_some() {
        return Step::Verify;
    }
    let activate_at = course.activate_at.unwrap_or_default();
    if standing.now < activate_at { Step::Wait(activate_at) } else { Step::Activate }
}

fn verified(standing: Standing<'_>, course: &Course) -> Step {
    // Without an old version there is nothing left to wait with.
    if course.terms.overlap_start == OverlapStart::AtOnce || !standing.old_lives {
        return Step::BeginOverlap;
    }
    let Some(look) = fresh(standing) else { return Step::Look };
    if look.new_seen {
        return Step::BeginOverlap;
    }
    let until = course.verified_at.unwrap_or(standing.now).plus(course.terms.overlap);
    let next = standing.now.plus(look_interval(course));
    if standing.now < until {
        return Step::Wait(until.min(next));
    }
    // What was seen before is no reason to stop: it may have been used since.
    if look.at < until {
        return Step::Look;
    }
    // Who did not answer may have seen it.
    if !look.all_told && standing.now.since(until) < UNKNOWN_MAX {
        return Step::Wait(next);
    }
    let text = match look.all_told {
        true => "the new version was not used within the time of an overlap: see that its consumer reads it",
        false => {
            "whether the new version was used within the time of an overlap is not known: some replica does not answer"
        }
    };
    let (cause, evidence) = (HoldCause::NeverSeen, Some(look.evidence.clone()));
    Step::Hold { cause, text: text.to_owned(), evidence }
}

/// Also of what is held for traffic, which is not held again.
fn overlap(standing: Standing<'_>, course: &Course) -> Step {
    warning(standing, course, traffic(standing, course))
}

/// In place of waiting: in the last part of an overlap who still uses the old version is told of, once.
fn warning(standing: Standing<'_>, course: &Course, step: Step) -> Step {
    let Standing { rotation, now, old_lives, level, .. } = standing;
    let (Step::Wait(until), Some(from), Some(last_part)) = (&step, rotation.warns_from(), rotation.last_part()) else {
        return step;
    };
    if level < WARNING_LEVEL || course.warned_at.is_some() || !old_lives {
        return step;
    }
    if now < from {
        return Step::Wait((*until).min(from));
    }
    let interval = look_interval(course);
    let recent = |look: &&Look| from <= look.at && now.since(look.at) < interval;
    let Some(look) = fresh(standing).filter(recent) else { return Step::Look };
    let again = Step::Wait((*until).min(now.plus(interval)));
    // Whoever does not answer may know of more callers, and it is told once: there is half of the time left to ask again.
    let unknown_max = UNKNOWN_MAX.min(DurationMillis::new(last_part.millis() / 2));
    if !look.all_told && now.since(from) < unknown_max {
        return again;
    }
    if !look.evidence.old_last_used.is_some_and(|last| rotation.is_used(last, now)) {
        return again;
    }
    // A caller that comes once a night is silent by day.
    let named_for = course.terms.silence.unwrap_or(last_part).max(last_part);
    let mut evidence = look.evidence.clone();
    evidence.callers.retain(|caller| now < caller.last_used.plus(named_for));
    Step::Warn(evidence)
}

/// What the traffic of both versions asks for.
fn traffic(standing: Standing<'_>, course: &Course) -> Step {
    let Standing { rotation, now, .. } = standing;
    let deadline = rotation.overlap_ends_at.unwrap_or(UnixMillis::LAST);
    let may_hold =
        rotation.state == RotationState::Overlap && matches!(course.terms.at_deadline, AtDeadline::Hold { .. });
    // Without a silence nothing ends early, and the deadline ends it whoever uses it.
    let (Some(began_at), Some(_)) = (course.overlap_began_at, course.terms.silence) else {
        return Step::Wait(deadline);
    };
    let may_retire_at = began_at.plus(course.terms.overlap_min);
    if now < may_retire_at {
        return Step::Wait(may_retire_at);
    }
    let Some(look) = fresh(standing) else { return Step::Look };
    let is_over = may_hold && deadline <= now;
    let next = now.plus(look_interval(course));
    let next = if may_hold && !is_over { next.min(deadline) } else { next };
    match &look.verdict {
        Verdict::Moved => Step::Retire(look.evidence.clone()),
        // Not every replica told: most often one that is about to lose its lease, so it is asked again for a while.
        Verdict::Keep { known: false, .. } if now.since(deadline) < UNKNOWN_MAX => Step::Wait(next),
        // What was seen before the deadline is no reason to stop: the traffic may have moved since.
        Verdict::Keep { .. } if is_over && look.at < deadline => Step::Look,
        // Also where nobody uses either version: it ends as what is still used does, by traffic that moves or by its bound.
        Verdict::Keep { text, .. } if is_over => {
            let cause = HoldCause::StillUsed;
            Step::Hold { cause, text: text.clone(), evidence: Some(look.evidence.clone()) }
        }
        Verdict::Keep { .. } => Step::Wait(next),
    }
}

fn held(standing: Standing<'_>, course: &Course) -> Step {
    let Some(hold) = &course.hold else { return Step::Wait(UnixMillis::LAST) };
    if hold.from == RotationState::Overlap {
        return match hold.cause {
            HoldCause::StillUsed => overlap(standing, course),
            // Whoever held it wants the old version to go on. Its bound ends it by the clock. The rest is of before an overlap.
            HoldCause::Asked | HoldCause::Delivery | HoldCause::Check | HoldCause::NeverSeen => {
                warning(standing, course, Step::Wait(UnixMillis::LAST))
            }
        };
    }
    let Standing { rotation, now, .. } = standing;
    let fails_at = course.hold_ends_at.unwrap_or_else(|| hold.at.plus(HOLD_BEFORE_OVERLAP_MAX));
    let is_over = fails_at <= now;
    let fail = || Step::Fail {
        text: format!("nobody resumed it in time; it was held ({}): {}", hold.cause.as_str(), hold.text.as_str()),
    };
    if !rotation.has_two_active() {
        return if is_over { fail() } else { Step::Wait(fails_at) };
    }
    let goes_on = hold.cause == HoldCause::NeverSeen && rotation.is_in_place();
    if !standing.old_lives {
        // There is no going back: it is over where the new secret can be found, and else a person has to see to that.
        return match rotation.is_in_place() {
            true if goes_on || is_over => Step::BeginOverlap,
            true => Step::Wait(fails_at),
            false => Step::Wait(UnixMillis::LAST),
        };
    }
    if !goes_on && !is_over {
        return Step::Wait(fails_at);
    }
    let Some(look) = fresh(standing) else { return Step::Look };
    let next = now.plus(look_interval(course));
    let watched_for = now.since(look.evidence.watched_since);
    match look.new_seen {
        true if goes_on => Step::BeginOverlap,
        // What a failure would end is in use: whoever held it decides.
        true => Step::Wait(next),
        false if !is_over => Step::Wait(next.min(fails_at)),
        false if look.all_told && watched_for >= UNUSED_FOR.min(course.terms.overlap) => fail(),
        false => Step::Wait(next),
    }
}

/// A quarter of the silence: it is noticed soon after it was long enough, and a long one is not looked at all the time.
fn look_interval(course: &Course) -> DurationMillis {
    let silence = course.terms.silence.unwrap_or(course.terms.overlap);
    DurationMillis::new(silence.millis() / 4).clamp(LOOK_MIN, LOOK_MAX)
}

/// What the replicas told, unless that is too long ago.
fn fresh(standing: Standing<'_>) -> Option<&Look> {
    standing.look.filter(|look| standing.now.since(look.at) < LOOK_FRESH)
}

#[cfg(test)]
mod tests;
