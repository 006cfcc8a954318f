//! Changing a key.

use super::Answer;
use super::transaction::Transaction;
use crate::command::UpdateKey;
use latchkey_domain::Refusal;

pub(super) fn update_key(transaction: &mut Transaction<'_>, operation: &UpdateKey) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
