//! Changing tenants, keyspaces, owners and identities.

use super::Answer;
use super::transaction::Transaction;
use crate::command::{UpdateIdentity, UpdateKeyspace, UpdateOwner, UpdateTenant};
use latchkey_domain::Refusal;

pub(super) fn update_tenant(transaction: &mut Transaction<'_>, operation: &UpdateTenant) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}

pub(super) fn update_keyspace(
    transaction: &mut Transaction<'_>,
    operation: &UpdateKeyspace,
) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}

pub(super) fn update_owner(transaction: &mut Transaction<'_>, operation: &UpdateOwner) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}

pub(super) fn update_identity(
    transaction: &mut Transaction<'_>,
    operation: &UpdateIdentity,
) -> Result<Answer, Refusal> {
    let _ = (transaction, operation);
    Err(Refusal::FeatureLevel { needed: 2, current: 1 })
}
