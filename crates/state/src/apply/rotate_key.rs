//! Giving a key a new version.

use super::Answer;
use super::transaction::Transaction;
use crate::command::{PrepareStandby, RotateKey};
use latchkey_domain::Refusal;

pub(super) fn rotate_key(transaction: &mut Transaction<'_>, operation: &RotateKey) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}

pub(super) fn prepare_standby(
    transaction: &mut Transaction<'_>,
    operation: &PrepareStandby,
) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
