//! Cuts: all keys of a scope die at one revision, whatever their number. Resolving compares revisions, so no later
//! update takes a key out of a cut.

use super::Answer;
use super::transaction::{Telling, Transaction};
use crate::command::{Cut, CutScope};
use crate::event::Action;
use crate::records::{Keyspace, Owner, Role, ScopeCut, Tenant};
use crate::row::Row;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{BuiltInRole, Refusal, ResourceKind};

/// The level from which a cut keeps when and why it was.
const DETAILS_LEVEL: u32 = 2;

pub(super) fn cut(transaction: &mut Transaction<'_>, operation: &Cut) -> Result<Answer, Refusal> {
    let revision = transaction.revision();
    // Builds of two ages run side by side at level 1, and the older ones keep the revision alone.
    let cut = Some(Box::new(match transaction.progress().feature_level < DETAILS_LEVEL {
        true => ScopeCut::of_level_1(revision),
        false => ScopeCut {
            revision,
            at: transaction.now(),
            reason: operation.reason,
            text: operation.text.clone(),
            marked: false,
        },
    }));
    let state = transaction.state();
    let (row, subject, tenant) = match &operation.scope {
        CutScope::Tenant(name) => {
            let tenant = state.tenant(name).ok_or_else(|| not_found(ResourceKind::Tenant, name))?;
            (Row::Tenant(Arc::new(Tenant { cut, ..(**tenant).clone() })), name.to_string(), tenant.number)
        }
        CutScope::Keyspace(name) => {
            let keyspace = state.keyspace(name).ok_or_else(|| not_found(ResourceKind::Keyspace, name))?;
            (Row::Keyspace(Arc::new(Keyspace { cut, ..(**keyspace).clone() })), name.to_string(), keyspace.tenant)
        }
        CutScope::Owner(name) => {
            let owner = state.owner(name).ok_or_else(|| not_found(ResourceKind::Owner, name))?;
            (Row::Owner(Arc::new(Owner { cut, ..(**owner).clone() })), name.to_string(), owner.tenant)
        }
        CutScope::Role(name) => {
            if BuiltInRole::parse(name.role.as_str()).is_some() {
                return Err(Refusal::Reserved { name: name.to_string() });
            }
            let role = state.role(name).ok_or_else(|| not_found(ResourceKind::Role, name))?;
            (Row::Role(Arc::new(Role { cut, ..(**role).clone() })), name.to_string(), role.tenant)
        }
    };
    transaction.put(row);
    let reason = Some((operation.reason, operation.text.clone()));
    let facts = Vec::new();
    transaction.emit(Action::ScopeRevoked, subject, Telling { tenant: Some(tenant), reason, facts });
    Ok(Answer::Done)
}

fn not_found(kind: ResourceKind, name: &impl ToString) -> Refusal {
    Refusal::NotFound { kind, name: name.to_string() }
}
