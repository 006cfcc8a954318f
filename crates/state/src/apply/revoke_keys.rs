//! Revoking keys by name, and marking those that a cut reached.

use super::Answer;
use super::transaction::Transaction;
use crate::command::{MarkRevoked, RevokeKeys};
use latchkey_domain::Refusal;

pub(super) fn revoke_keys(transaction: &mut Transaction<'_>, operation: &RevokeKeys) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}

pub(super) fn mark_revoked(transaction: &mut Transaction<'_>, operation: &MarkRevoked) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
