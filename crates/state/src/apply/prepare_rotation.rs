//! Making the new version of a planned rotation, or another in the place of one whose text was lost.

use super::Answer;
use super::claim_rotations::need_fence;
use super::rotate_key::make_version;
use super::rotation::{self, not_in};
use super::subject::Subject;
use super::transaction::Transaction;
use crate::command::PrepareRotation;
use crate::event::Action;
use crate::rotation::Rotation;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{ReasonText, Refusal, RevocationReason, RotationMode, RotationState};

/// Idempotent: the version that is there already is the answer.
pub(super) fn prepare_rotation(
    transaction: &mut Transaction<'_>,
    operation: &PrepareRotation,
) -> Result<Answer, Refusal> {
    need_fence(transaction, operation.fence)?;
    let (state, now) = (transaction.state(), transaction.now());
    let mut rotation = rotation::find(state, &operation.rotation)?;
    let mut subject = Subject::find(state, &operation.rotation.key, None)?;
    if rotation.state == RotationState::Prepared && rotation.new == Some(operation.new.id) {
        let (rotation, key) = (Arc::new(rotation), Arc::new(subject.key));
        return Ok(Answer::Rotation { rotation, key, made: None, replay: None });
    }
    subject.need_alive(state, now)?;
    let expected = if operation.replaces.is_some() { RotationState::Prepared } else { RotationState::Planned };
    if rotation.state != expected {
        return Err(not_in(&subject, &rotation, now, expected.as_str()));
    }
    if rotation.new.is_none() && !is_wanted(transaction, &subject, &rotation) {
        return Err(not_in(&subject, &rotation, now, "a policy that rotates its key"));
    }
    let Some(course) = &mut rotation.course else {
        return Err(not_in(&subject, &rotation, now, "a rotation that is driven"));
    };
    if course.starts_at.is_some_and(|start| now < start) {
        return Err(not_in(&subject, &rotation, now, "a time at which it may start"));
    }
    if rotation.new != operation.replaces {
        return Err(not_in(&subject, &rotation, now, "a rotation of this version"));
    }
    // It may have been planned a while ago: what holds is the policy as it begins.
    let policy = state.rotation_policy(&subject.key).filter(|_| course.by_policy && operation.replaces.is_none());
    if let Some(policy) = policy {
        (course.terms, course.delivery) = (policy.terms, policy.delivery.clone());
    }
    course.replay = Some(operation.replay.clone());
    let mut facts = Vec::new();
    if let Some(lost) = operation.replaces {
        course.attempts = course.attempts.saturating_add(1);
        facts.push(("replaces", lost.to_string()));
        if !planted::is(Plant::ReplacedNotRevoked) {
            let (reason, text) = (RevocationReason::Superseded, ReasonText::default());
            rotation::revoke_version(transaction, &mut subject, lost, reason, &text);
        }
    }
    let made = make_version(transaction, &mut subject, &operation.new, true)?;
    rotation.state = RotationState::Prepared;
    rotation.old = rotation::active(&subject.key, now);
    rotation.new = Some(made);
    let rotation = rotation::step(transaction, &mut subject, rotation, Action::RotationPrepared, facts);
    Ok(Answer::Rotation { rotation, key: subject.put(transaction), made: Some(made), replay: None })
}

/// Whether it is to begin: nobody who brakes, by taking the policy away or letting it tell alone, wants what that planned.
pub(super) fn is_wanted(transaction: &Transaction<'_>, subject: &Subject, rotation: &Rotation) -> bool {
    let by_policy = rotation.course.as_ref().is_some_and(|course| course.by_policy);
    let policy = transaction.state().rotation_policy(&subject.key);
    !by_policy || policy.is_some_and(|policy| policy.mode == RotationMode::Automatic)
}
