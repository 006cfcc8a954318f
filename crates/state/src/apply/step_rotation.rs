//! Completing, cancelling, holding, resuming and rolling back a rotation, as operators ask for it. Each is idempotent
//! where it has come to its own end.

use super::rotate_key::need_overlap;
use super::rotation::{self, not_in};
use super::subject::Subject;
use super::transaction::Transaction;
use super::{Answer, course};
use crate::command::{RotationStep, StepRotation};
use crate::rotation::Rotation;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{DurationMillis, HoldCause, ReasonText, Refusal, RotationState, UnixMillis, VersionId};

pub(super) fn step_rotation(transaction: &mut Transaction<'_>, operation: &StepRotation) -> Result<Answer, Refusal> {
    let (state, name) = (transaction.state(), &operation.rotation);
    let rotation = rotation::find(state, name)?;
    let current = rotation.etag();
    if operation.etag.as_deref().is_some_and(|etag| etag != current) {
        return Err(Refusal::EtagMismatch { current });
    }
    let mut subject = Subject::find(state, &name.key, None)?;
    if has_come_to(&rotation, operation.step, transaction.now()) {
        return Ok(Answer::Rotation {
            rotation: Arc::new(rotation),
            key: Arc::new(subject.key),
            made: None,
            replay: None,
        });
    }
    let text = &operation.text;
    let rotation = match operation.step {
        RotationStep::Complete => complete(transaction, &mut subject, rotation, text),
        RotationStep::Cancel => cancel(transaction, &mut subject, rotation, text),
        RotationStep::Hold => hold(transaction, &mut subject, rotation, text),
        RotationStep::Resume => resume(transaction, &mut subject, rotation, text),
        RotationStep::RollBack { overlap } => roll_back(transaction, &mut subject, rotation, text, overlap),
    }?;
    Ok(Answer::Rotation { rotation, key: subject.put(transaction), made: None, replay: None })
}

/// Whether it is where the step leads to: nothing is left to do.
fn has_come_to(rotation: &Rotation, step: RotationStep, now: UnixMillis) -> bool {
    match step {
        RotationStep::Complete => rotation.state == RotationState::Completed,
        RotationStep::Cancel => rotation.state == RotationState::Cancelled,
        RotationStep::Hold => rotation.state_at(now) == RotationState::Held && !is_held_for_traffic(rotation),
        // Whatever goes on was resumed, or never had to be.
        RotationStep::Resume => rotation.state != RotationState::Held && !rotation.state.is_final(),
        RotationStep::RollBack { .. } => rotation.state == RotationState::RolledBack,
    }
}

/// Whether the driver holds its overlap, and ends it when the traffic has moved or at the bound of its terms. Whoever holds
/// it then wants the old version to live for longer than that.
fn is_held_for_traffic(rotation: &Rotation) -> bool {
    let held = rotation.course.as_ref().and_then(|course| course.hold.as_ref());
    rotation.overlaps() && held.is_some_and(|held| held.cause != HoldCause::Asked)
}

/// Also where the overlap is over by the clock: then this writes it down. One that is held before its overlap is ended by
/// whoever knows that its new version is in use.
fn complete(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: Rotation,
    text: &ReasonText,
) -> Result<Arc<Rotation>, Refusal> {
    let is_accepted = rotation.course.as_ref().is_some_and(|course| course.activated_at.is_some());
    let may = rotation.overlaps() || (rotation.state == RotationState::Held && is_accepted);
    if !may {
        return Err(not_in(subject, &rotation, transaction.now(), RotationState::Overlap.as_str()));
    }
    if !rotation.is_in_place() {
        let expected = "a new secret that its consumer can find (resume it, cancel it or roll it back)";
        return Err(not_in(subject, &rotation, transaction.now(), expected));
    }
    Ok(rotation::complete(transaction, subject, rotation, text, Vec::new()))
}

fn cancel(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: Rotation,
    text: &ReasonText,
) -> Result<Arc<Rotation>, Refusal> {
    if rotation.state.is_final() || rotation.overlaps() {
        let expected = match rotation.course {
            None => RotationState::Prepared.as_str(),
            Some(_) => "a state before OVERLAP",
        };
        return Err(not_in(subject, &rotation, transaction.now(), expected));
    }
    if !rotation.has_two_active() {
        return Ok(rotation::cancel(transaction, subject, rotation, text));
    }
    // Consumers may use the new version already: it ends as after a roll-back.
    let now = transaction.now();
    let lives = |id: Option<VersionId>| {
        id.and_then(|id| subject.key.version(id)).is_some_and(|version| rotation::lives(version, now))
    };
    if lives(rotation.new) && !lives(rotation.old) {
        let expected = "an old version that lives (complete it, or revoke the new version)";
        return Err(not_in(subject, &rotation, now, expected));
    }
    let overlap = rotation.course.as_ref().map(|course| course.terms.overlap).unwrap_or_default();
    course::give_back(transaction, subject, &rotation, overlap, text);
    Ok(rotation::end(transaction, subject, rotation, RotationState::Cancelled, text, Vec::new()))
}

fn hold(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: Rotation,
    text: &ReasonText,
) -> Result<Arc<Rotation>, Refusal> {
    let now = transaction.now();
    if rotation.state_at(now).is_final() {
        return Err(not_in(subject, &rotation, now, "a state that is not final"));
    }
    if rotation.is_standby() {
        return Err(not_in(subject, &rotation, now, "a rotation that is driven"));
    }
    Ok(course::hold(transaction, subject, rotation, HoldCause::Asked, text, Vec::new()))
}

fn resume(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: Rotation,
    text: &ReasonText,
) -> Result<Arc<Rotation>, Refusal> {
    let now = transaction.now();
    if rotation.state_at(now).is_final() {
        return Err(not_in(subject, &rotation, now, RotationState::Held.as_str()));
    }
    Ok(course::resume(transaction, subject, rotation, text))
}

/// The old version is accepted for the whole life of the key again, and the new one for an overlap of its own.
fn roll_back(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    rotation: Rotation,
    text: &ReasonText,
    overlap: Option<DurationMillis>,
) -> Result<Arc<Rotation>, Refusal> {
    let now = transaction.now();
    let of_terms = rotation.course.as_ref().map(|course| course.terms.overlap);
    let overlap = overlap.or(rotation.overlap).or(of_terms).unwrap_or_default();
    need_overlap(overlap)?;
    subject.need_alive(transaction.state(), now)?;
    let is_delivered = matches!(rotation.effective_state(), RotationState::Delivered | RotationState::Verified);
    if rotation.state_at(now).is_final() || !(rotation.overlaps() || is_delivered) {
        return Err(not_in(subject, &rotation, now, RotationState::Overlap.as_str()));
    }
    let old = rotation.old.and_then(|old| subject.key.version(old));
    if !old.is_some_and(|old| rotation::lives(old, now)) {
        return Err(not_in(subject, &rotation, now, "an old version that lives"));
    }
    course::give_back(transaction, subject, &rotation, overlap, text);
    Ok(rotation::end(transaction, subject, rotation, RotationState::RolledBack, text, Vec::new()))
}
