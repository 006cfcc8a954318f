//! Planning rotations of keys that are due, and writing down that notice was given.

use super::Answer;
use super::claim_rotations::need_fence;
use super::rotate_key::{need_unused, new_rotation};
use super::rotation;
use super::subject::Subject;
use super::transaction::Transaction;
use crate::command::{GiveNotices, PLANS_PER_COMMAND_MAX, PlanRotations, PlannedRotation};
use crate::event::Action;
use crate::rotation::Course;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use latchkey_domain::{Quota, ReasonText, Refusal, RotationMode};

/// Those that are gone, not due any more, or rotate already are passed over, and those beyond what their keyspace may have
/// at once: between choosing them and this, others may have come first.
pub(super) fn plan_rotations(transaction: &mut Transaction<'_>, operation: &PlanRotations) -> Result<Answer, Refusal> {
    need_few(operation.plans.len())?;
    need_fence(transaction, operation.fence)?;
    let planned = operation.plans.iter().filter(|plan| plan_one(transaction, plan).is_some()).count();
    Ok(Answer::Counted(planned as u64))
}

fn plan_one(transaction: &mut Transaction<'_>, plan: &PlannedRotation) -> Option<()> {
    let mut subject = Subject::find(transaction.state(), &plan.key, None).ok()?;
    need_unused(transaction, &subject, plan.rotation).ok()?;
    let (state, now) = (transaction.state(), transaction.now());
    let policy = state.rotation_policy(&subject.key)?;
    let due_at = state.rotation_due_at(&subject.keyspace, &subject.key, now)?;
    let may = policy.mode == RotationMode::Automatic
        && due_at <= now
        && state.may_be_planned(&subject.key, now)
        && state.unsettled_rotations(subject.key.keyspace) < policy.at_once_max.into();
    if !may {
        return None;
    }
    let course = Course {
        by_policy: true,
        phase: plan.phase,
        starts_at: plan.starts_at,
        ..Course::new(policy.terms, policy.delivery.clone())
    };
    // A standby whose version has died would wait for ever.
    if let Some(dead) = rotation::in_progress(transaction.state(), &subject.key) {
        rotation::cancel(transaction, &mut subject, dead, &ReasonText::default());
    }
    let old = rotation::active(&subject.key, now);
    let mut rotation = new_rotation(transaction, &subject, plan.rotation, old, None);
    rotation.course = Some(Box::new(course));
    let facts = Vec::from([("due_at_ms", due_at.millis().to_string()), ("phase", plan.phase.to_string())]);
    rotation::step(transaction, &mut subject, rotation, Action::RotationPlanned, facts);
    subject.put(transaction);
    Some(())
}

pub(super) fn give_notices(transaction: &mut Transaction<'_>, operation: &GiveNotices) -> Result<Answer, Refusal> {
    need_few(operation.keys.len())?;
    need_fence(transaction, operation.fence)?;
    let mut given = 0;
    for name in &operation.keys {
        let Ok(mut subject) = Subject::find(transaction.state(), name, None) else { continue };
        let (state, now) = (transaction.state(), transaction.now());
        let Some((owed, due_at)) = state.notice_at(&subject.keyspace, &subject.key, now) else { continue };
        let mode = state.rotation_policy(&subject.key).map_or("", |policy| policy.mode.as_str());
        let facts = Vec::from([("due_at_ms", due_at.millis().to_string()), ("mode", mode.to_string())]);
        subject.key.details.change(|details| details.noticed_through = Some(owed));
        subject.tell(transaction, Action::KeyRotationDue, facts);
        // The etag stays: what anybody may change is as it was.
        subject.put(transaction);
        given += 1;
    }
    Ok(Answer::Counted(given))
}

pub(super) fn need_few(keys: usize) -> Result<(), Refusal> {
    match keys > PLANS_PER_COMMAND_MAX {
        true => Err(Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit: PLANS_PER_COMMAND_MAX as u64 }),
        false => Ok(()),
    }
}
