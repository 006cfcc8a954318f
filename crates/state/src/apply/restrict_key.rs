//! Letting a key do less for a while.

use super::Answer;
use super::transaction::Transaction;
use crate::command::RestrictKey;
use latchkey_domain::Refusal;

pub(super) fn restrict_key(transaction: &mut Transaction<'_>, operation: &RestrictKey) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
