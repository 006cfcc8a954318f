//! Cuts: all keys of a scope die at one revision, whatever their number. Resolving compares revisions, so no later
//! update takes a key out of a cut.

use super::Answer;
use super::transaction::{Telling, Transaction};
use crate::command::{Cut, CutScope};
use crate::event::Action;
use crate::key::{Holder, Key};
use crate::records::{Keyspace, Owner, Tenant};
use crate::row::Row;
use crate::state::State;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{Refusal, ResourceKind, Revision};

pub(super) fn cut(transaction: &mut Transaction<'_>, operation: &Cut) -> Result<Answer, Refusal> {
    let revision = Some(transaction.revision());
    let state = transaction.state();
    let (row, subject, tenant) = match &operation.scope {
        CutScope::Tenant(name) => {
            let tenant = state.tenant(name).ok_or_else(|| not_found(ResourceKind::Tenant, name))?;
            (Row::Tenant(Arc::new(Tenant { cut: revision, ..(**tenant).clone() })), name.to_string(), tenant.number)
        }
        CutScope::Keyspace(name) => {
            let keyspace = state.keyspace(name).ok_or_else(|| not_found(ResourceKind::Keyspace, name))?;
            let row = Row::Keyspace(Arc::new(Keyspace { cut: revision, ..(**keyspace).clone() }));
            (row, name.to_string(), keyspace.tenant)
        }
        CutScope::Owner(name) => {
            let owner = state.owner(name).ok_or_else(|| not_found(ResourceKind::Owner, name))?;
            (Row::Owner(Arc::new(Owner { cut: revision, ..(**owner).clone() })), name.to_string(), owner.tenant)
        }
    };
    transaction.put(row);
    let reason = Some((operation.reason, operation.text.clone()));
    transaction.emit(Action::ScopeRevoked, subject, Telling { tenant: Some(tenant), reason, facts: Vec::new() });
    Ok(Answer::Done)
}

fn not_found(kind: ResourceKind, name: &impl ToString) -> Refusal {
    Refusal::NotFound { kind, name: name.to_string() }
}

impl State {
    /// Whether a cut of the tenant, the keyspace or the owner reaches this key.
    #[must_use]
    pub fn is_cut(&self, tenant: &Tenant, keyspace: &Keyspace, key: &Key) -> bool {
        let reaches = |cut: Option<Revision>| cut.is_some_and(|cut| key.created <= cut);
        let owner = match key.holder {
            Holder::Owner(number) => self.owners().by_number(number),
            Holder::None | Holder::Identity(_) => None,
        };
        reaches(tenant.cut) || reaches(keyspace.cut) || owner.is_some_and(|owner| reaches(owner.cut))
    }
}
