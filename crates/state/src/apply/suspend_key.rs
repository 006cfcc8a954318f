//! Suspending a key and resuming it.

use super::Answer;
use super::transaction::Transaction;
use crate::command::{ResumeKey, SuspendKey};
use latchkey_domain::Refusal;

pub(super) fn suspend_key(transaction: &mut Transaction<'_>, operation: &SuspendKey) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}

pub(super) fn resume_key(transaction: &mut Transaction<'_>, operation: &ResumeKey) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
