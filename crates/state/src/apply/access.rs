//! Entries about who asked, rather than about what changed.

use super::Answer;
use super::transaction::Transaction;
use crate::command::{Explanation, GatheredRefusal};
use latchkey_domain::Refusal;

pub(super) fn record_refusals(
    transaction: &mut Transaction<'_>,
    operation: &[GatheredRefusal],
) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}

pub(super) fn record_explanation(
    transaction: &mut Transaction<'_>,
    operation: &Explanation,
) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
