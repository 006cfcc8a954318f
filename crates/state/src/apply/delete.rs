//! Deleting records of the directory.

use super::Answer;
use super::transaction::Transaction;
use crate::command::Delete;
use latchkey_domain::Refusal;

pub(super) fn delete(transaction: &mut Transaction<'_>, operation: &Delete) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
