//! Completing, cancelling and rolling back a rotation. Each is idempotent where it has come to its own end.

use super::Answer;
use super::rotate_key::need_overlap;
use super::rotation;
use super::subject::Subject;
use super::transaction::Transaction;
use crate::command::{RotationStep, StepRotation};
use crate::key::Version;
use crate::records::Rotation;
use alloc::string::ToString;
use alloc::sync::Arc;
use latchkey_domain::{DurationMillis, Refusal, ResourceKind, RotationState, UnixMillis};

pub(super) fn step_rotation(transaction: &mut Transaction<'_>, operation: &StepRotation) -> Result<Answer, Refusal> {
    let name = &operation.rotation;
    let state = transaction.state();
    let not_found = || Refusal::NotFound { kind: ResourceKind::Rotation, name: name.to_string() };
    let rotation = state.rotation(name).ok_or_else(not_found)?.clone();
    let current = rotation.etag();
    if operation.etag.as_deref().is_some_and(|etag| etag != current) {
        return Err(Refusal::EtagMismatch { current });
    }
    let mut subject = Subject::find(state, &name.key, None)?;
    if rotation.state == own_end(operation.step) {
        return Ok(Answer::Rotation { rotation, key: Arc::new(subject.key), made: None, replay: None });
    }
    let rotation = (*rotation).clone();
    let rotation = match operation.step {
        RotationStep::Complete => complete(transaction, &mut subject, operation, rotation),
        RotationStep::Cancel => cancel(transaction, &mut subject, operation, rotation),
        RotationStep::RollBack { overlap } => roll_back(transaction, &mut subject, operation, rotation, overlap),
    }?;
    Ok(Answer::Rotation { rotation, key: subject.put(transaction), made: None, replay: None })
}

const fn own_end(step: RotationStep) -> RotationState {
    match step {
        RotationStep::Complete => RotationState::Completed,
        RotationStep::Cancel => RotationState::Cancelled,
        RotationStep::RollBack { .. } => RotationState::RolledBack,
    }
}

/// Also where the overlap is over by the clock: then this writes it down.
fn complete(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    operation: &StepRotation,
    rotation: Rotation,
) -> Result<Arc<Rotation>, Refusal> {
    if !rotation.state.overlaps() {
        return Err(not_in(operation, rotation.state, RotationState::Overlap.as_str()));
    }
    Ok(rotation::complete(transaction, subject, rotation, &operation.text))
}

fn cancel(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    operation: &StepRotation,
    rotation: Rotation,
) -> Result<Arc<Rotation>, Refusal> {
    if !rotation.state.has_standby() {
        let state = rotation.state_at(transaction.now());
        return Err(not_in(operation, state, RotationState::Prepared.as_str()));
    }
    Ok(rotation::cancel(transaction, subject, rotation, &operation.text))
}

/// The old version is accepted for the whole life of the key again, and the new one for an overlap of its own.
fn roll_back(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    operation: &StepRotation,
    rotation: Rotation,
    overlap: Option<DurationMillis>,
) -> Result<Arc<Rotation>, Refusal> {
    let now = transaction.now();
    let overlap = overlap.or(rotation.overlap).unwrap_or_default();
    need_overlap(overlap)?;
    subject.need_alive(transaction.state(), now)?;
    let state = rotation.state_at(now);
    if !state.overlaps() {
        return Err(not_in(operation, state, RotationState::Overlap.as_str()));
    }
    let old = rotation.old.and_then(|old| subject.key.version(old)).filter(|old| lives(old, now));
    let Some(old) = old.map(|version| version.id) else {
        return Err(not_in(operation, state, "an old version that lives"));
    };
    let ends_at = rotation::earliest_end(&subject.key, now.plus(overlap));
    rotation::change_version(&mut subject.key, old, |details| details.retires_at = None);
    rotation::change_version(&mut subject.key, rotation.new, |details| details.retires_at = Some(ends_at));
    Ok(rotation::end(transaction, subject, rotation, RotationState::RolledBack, &operation.text))
}

fn lives(version: &Version, now: UnixMillis) -> bool {
    !rotation::is_revoked(version, now) && version.retires_at().is_none_or(|end| now < end)
}

fn not_in(operation: &StepRotation, state: RotationState, expected: &'static str) -> Refusal {
    Refusal::RotationNotIn { rotation: operation.rotation.to_string(), state, expected }
}
