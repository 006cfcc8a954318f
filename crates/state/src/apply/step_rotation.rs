//! Completing, cancelling and rolling back a rotation.

use super::Answer;
use super::transaction::Transaction;
use crate::command::StepRotation;
use latchkey_domain::Refusal;

pub(super) fn step_rotation(transaction: &mut Transaction<'_>, operation: &StepRotation) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
