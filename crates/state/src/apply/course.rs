//! The steps of a rotation that more than one command takes: what each does to the two versions.

use super::rotation::{self, Facts};
use super::subject::Subject;
use super::transaction::Transaction;
use crate::event::Action;
use crate::key::Version;
use crate::rotation::{Course, HOLD_BEFORE_OVERLAP_MAX, Held, Rotation};
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{
    AtDeadline, DurationMillis, HOLD_MAX, HoldCause, ReasonText, RevocationReason, RotationState, RotationTerms,
    UnixMillis,
};

/// The course of a rotation. One that has none is in an overlap, of which the clock alone would know: it gets the terms
/// of the clock.
pub(super) fn of(rotation: &mut Rotation) -> &mut Course {
    let (overlap, began_at) = (rotation.overlap.unwrap_or_default(), Some(rotation.changed.at));
    rotation.course.get_or_insert_with(|| {
        let course = Course::new(RotationTerms::of_overlap(overlap), None);
        Box::new(Course { activated_at: began_at, delivered_at: began_at, overlap_began_at: began_at, ..course })
    })
}

/// Lets the new version be accepted from now on.
pub(super) fn activate(transaction: &mut Transaction<'_>, subject: &mut Subject, rotation: &mut Rotation) {
    let now = transaction.now();
    if let Some(new) = rotation.new {
        rotation::accept(transaction, &mut subject.key, new);
    }
    of(rotation).activated_at = Some(now);
}

/// Sets the end of the old version. Where there is none, or no time is left to it, the rotation is completed.
///
/// The clock ends it then, whether or not anybody drives rotations: late rather than early, so where it may be held at
/// the deadline, at the end of that.
pub(super) fn begin_overlap(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    mut rotation: Rotation,
) -> Arc<Rotation> {
    let now = transaction.now();
    let terms = of(&mut rotation).terms;
    let old = rotation.old.filter(|old| subject.key.version(*old).is_some_and(|old| rotation::lives(old, now)));
    let end = |span| old.map_or(now, |old| rotation::earliest_end(&subject.key, old, now.plus(span)));
    let (deadline, last) = (end(terms.overlap), end(terms.overlap.plus(terms.hold_max())));
    rotation.state = RotationState::Overlap;
    rotation.overlap = Some(terms.overlap);
    rotation.overlap_ends_at = Some(deadline);
    let course = of(&mut rotation);
    course.overlap_began_at = Some(now);
    course.hold = None;
    course.hold_ends_at = (deadline < last).then_some(last);
    if let Some(old) = old {
        rotation::change_version(&mut subject.key, old, |details| details.retires_at = Some(last));
    }
    let rotation = rotation::step(transaction, subject, rotation, Action::RotationOverlapBegan, Vec::new());
    complete_if_over(transaction, subject, rotation)
}

/// Lets a rotation wait. In an overlap the old version lives until the bound; before it nothing has an end, and after a
/// while the rotation may fail.
pub(super) fn hold(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    mut rotation: Rotation,
    cause: HoldCause,
    text: &ReasonText,
    mut facts: Facts,
) -> Arc<Rotation> {
    let now = transaction.now();
    let from = rotation.effective_state();
    let bound = if from == RotationState::Overlap {
        let course_end = rotation.clock_end();
        let asked = (cause == HoldCause::Asked).then(|| hold_bound(subject, &rotation, HOLD_MAX)).flatten();
        asked.into_iter().chain(course_end).max()
    } else {
        Some(now.plus(HOLD_BEFORE_OVERLAP_MAX))
    };
    let ended_at = rotation.clock_end();
    rotation.state = RotationState::Held;
    rotation.text = text.clone();
    let course = of(&mut rotation);
    course.hold = Some(Held { from, at: now, cause, text: text.clone() });
    course.hold_ends_at = bound;
    if matches!(cause, HoldCause::Delivery | HoldCause::Check) {
        course.attempts = course.attempts.saturating_add(1);
    }
    forget_warning(&mut rotation, ended_at);
    if from == RotationState::Overlap {
        retire_old_at(subject, &rotation, bound);
    }
    facts.push(("cause", cause.as_str().to_string()));
    facts.push(("from", from.as_str().to_string()));
    facts.extend(bound.map(|bound| ("hold_ends_at_ms", bound.millis().to_string())));
    rotation::step(transaction, subject, rotation, Action::RotationHeld, facts)
}

/// Lets a rotation go on from where it was held. An overlap whose deadline has passed meanwhile is over, unless its terms
/// hold it on.
pub(super) fn resume(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    mut rotation: Rotation,
    text: &ReasonText,
) -> Arc<Rotation> {
    let now = transaction.now();
    let terms = of(&mut rotation).terms;
    let (from, ended_at) = (rotation.effective_state(), rotation.clock_end());
    let bound = match terms.at_deadline {
        _ if from != RotationState::Overlap => None,
        AtDeadline::Enforce => None,
        AtDeadline::Hold { max } => hold_bound(subject, &rotation, max).map(|bound| bound.max(now)),
    };
    rotation.state = from;
    rotation.text = text.clone();
    let course = of(&mut rotation);
    course.hold = None;
    course.hold_ends_at = bound;
    // Whoever lets it go on has mended what was tried in vain: it is worth as many tries as the first time.
    course.attempts = 0;
    if from == RotationState::Overlap {
        // What was accepted until now did not end before now.
        rotation.overlap_ends_at = rotation.overlap_ends_at.map(|deadline| match bound {
            Some(_) => deadline,
            None => deadline.max(now),
        });
        retire_old_at(subject, &rotation, bound.or(rotation.overlap_ends_at));
    }
    forget_warning(&mut rotation, ended_at);
    let rotation = rotation::step(transaction, subject, rotation, Action::RotationResumed, Vec::new());
    complete_if_over(transaction, subject, rotation)
}

/// Gives the place back to the old version: it has no end of its own any more. The new one is accepted for `overlap`
/// still, where it ever was. Where the old one is dead it stays as it is: the key would be left without any.
pub(super) fn give_back(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: &Rotation,
    overlap: DurationMillis,
    text: &ReasonText,
) {
    let now = transaction.now();
    if let Some(old) = rotation.old {
        rotation::change_version(&mut subject.key, old, |details| details.retires_at = None);
    }
    let Some(new) = rotation.new else { return };
    let old = rotation.old.and_then(|old| subject.key.version(old));
    let old_lives = old.is_some_and(|old| rotation::lives(old, now));
    if subject.key.version(new).is_some_and(Version::is_pending) {
        rotation::revoke_version(transaction, subject, new, RevocationReason::Superseded, text);
    } else if old_lives {
        let ends_at = rotation::earliest_end(&subject.key, new, now.plus(overlap));
        rotation::change_version(&mut subject.key, new, |details| details.retires_at = Some(ends_at));
    }
}

/// Of another end than that which was told of it is told anew.
fn forget_warning(rotation: &mut Rotation, ended_at: Option<UnixMillis>) {
    if rotation.clock_end() != ended_at {
        of(rotation).warned_at = None;
    }
}

/// How long the old version may live where its overlap is held: `max` beyond the deadline, and never past its own end.
fn hold_bound(subject: &Subject, rotation: &Rotation, max: DurationMillis) -> Option<UnixMillis> {
    let deadline = rotation.overlap_ends_at?;
    rotation.old.map(|old| rotation::earliest_end(&subject.key, old, deadline.plus(max)))
}

fn retire_old_at(subject: &mut Subject, rotation: &Rotation, end: Option<UnixMillis>) {
    if let Some((old, end)) = rotation.old.zip(end) {
        rotation::change_version(&mut subject.key, old, |details| details.retires_at = Some(end));
    }
}

fn complete_if_over(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: Arc<Rotation>,
) -> Arc<Rotation> {
    if rotation.state_at(transaction.now()) != RotationState::Completed {
        return rotation;
    }
    let text = rotation.text.clone();
    rotation::complete(transaction, subject, (*rotation).clone(), &text, Vec::new())
}
