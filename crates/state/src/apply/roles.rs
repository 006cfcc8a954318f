//! Making and changing roles.

use super::Answer;
use super::transaction::Transaction;
use crate::command::{CreateRole, UpdateRole};
use latchkey_domain::Refusal;

pub(super) fn create_role(transaction: &mut Transaction<'_>, operation: &CreateRole) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}

pub(super) fn update_role(transaction: &mut Transaction<'_>, operation: &UpdateRole) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
