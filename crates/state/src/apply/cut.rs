//! Cuts: all keys of a scope die at one revision, whatever their number. Resolving compares revisions, so no later
//! update takes a key out of a cut.

use super::Answer;
use super::transaction::{Telling, Transaction};
use crate::command::{Cut, CutScope};
use crate::event::Action;
use crate::key::{Holder, Key};
use crate::records::{Keyspace, Owner, Role, ScopeCut, Tenant};
use crate::row::Row;
use crate::state::State;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{BuiltInRole, Refusal, ResourceKind, Revision};

pub(super) fn cut(transaction: &mut Transaction<'_>, operation: &Cut) -> Result<Answer, Refusal> {
    let cut = Some(Box::new(ScopeCut {
        revision: transaction.revision(),
        at: transaction.now(),
        reason: operation.reason,
        text: operation.text.clone(),
        marked: false,
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

impl State {
    /// Whether a cut of the tenant, the keyspace, the owner or a role reaches this key.
    #[must_use]
    pub fn is_cut(&self, tenant: &Tenant, keyspace: &Keyspace, key: &Key) -> bool {
        self.cut_of(tenant, keyspace, key).is_some()
    }

    /// The earliest cut that reaches this key.
    #[must_use]
    pub fn cut_of<'a>(&'a self, tenant: &'a Tenant, keyspace: &'a Keyspace, key: &Key) -> Option<&'a ScopeCut> {
        let reaches =
            |cut: &'a Option<Box<ScopeCut>>, since: Revision| cut.as_deref().filter(|cut| since <= cut.revision);
        let owner = match key.holder {
            Holder::Owner(number) => self.owners().by_number(number),
            Holder::None | Holder::Identity(_) => None,
        };
        let owner = owner.and_then(|owner| reaches(&owner.cut, key.placed()));
        let roles = key.terms.roles.iter().filter_map(|number| self.roles().by_number(*number));
        let roles = roles.filter_map(|role| reaches(&role.cut, key.placed()));
        let whole = [reaches(&tenant.cut, key.created), reaches(&keyspace.cut, key.created), owner];
        whole.into_iter().flatten().chain(roles).min_by_key(|cut| cut.revision)
    }
}
