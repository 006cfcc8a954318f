//! Entries that the audit service has made durable.

use super::Answer;
use super::transaction::Transaction;
use latchkey_domain::{Refusal, Sequence};

pub(super) fn trim(transaction: &mut Transaction<'_>, operation: Sequence) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
