//! What the clock has brought about.

use super::Answer;
use super::transaction::Transaction;
use latchkey_domain::Refusal;

pub(super) fn settle(transaction: &mut Transaction<'_>) -> Result<Answer, Refusal> {
    let _ = transaction;
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
