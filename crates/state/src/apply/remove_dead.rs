//! Taking away what has been dead for long enough.

use super::Answer;
use super::transaction::Transaction;
use latchkey_domain::{KeyId, KeyspaceNumber, Refusal};

pub(super) fn remove_dead(
    transaction: &mut Transaction<'_>,
    operation: &[(KeyspaceNumber, KeyId)],
) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
