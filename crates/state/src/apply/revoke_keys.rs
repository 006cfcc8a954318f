//! Revoking keys by name, and marking those that a cut reached.

use super::Answer;
use super::revoke_key::bring_forward;
use super::rotation;
use super::subject::Subject;
use super::transaction::{Telling, Transaction};
use crate::command::{KEYS_PER_COMMAND_MAX, MarkRevoked, RevokeKeys, RevokedScope};
use crate::event::Action;
use crate::key::{Holder, Revocation};
use crate::records::{Keyspace, Owner, Role, ScopeCut, Tenant};
use crate::row::Row;
use crate::state::State;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Write as _;
use latchkey_domain::{OwnerName, Quota, Refusal, ResourceKind, RoleName, TenantName, TenantNumber};

/// Keys that are gone or dead already are passed over: between choosing them and this, others may have come first.
pub(super) fn revoke_keys(transaction: &mut Transaction<'_>, operation: &RevokeKeys) -> Result<Answer, Refusal> {
    need_few(operation.keys.len())?;
    let state = transaction.state();
    let not_found = || Refusal::NotFound { kind: ResourceKind::Keyspace, name: operation.keyspace.to_string() };
    let keyspace = state.keyspace(&operation.keyspace).ok_or_else(not_found)?.number;
    let now = transaction.now();
    let revocation =
        Revocation { effective_at: now, asked_at: now, reason: operation.reason, text: operation.text.clone() };
    let fact = ("operation", uuid(operation.operation));
    let mut count = 0;
    for id in &operation.keys {
        let Some(subject) = Subject::at(transaction.state(), keyspace, *id) else { continue };
        if transaction.state().death_of(&subject.key, now).is_none() {
            count += u64::from(revoke(transaction, subject, &revocation, fact.clone()));
        }
    }
    Ok(Answer::Counted(count))
}

/// All of them are dead since the cut. This writes it down key by key, so that each has an event of its own and its
/// retention begins.
pub(super) fn mark_revoked(transaction: &mut Transaction<'_>, operation: &MarkRevoked) -> Result<Answer, Refusal> {
    need_few(operation.keys.len())?;
    let Some(scope) = Scope::find(transaction.state(), operation.scope) else { return Ok(Answer::Counted(0)) };
    let ScopeCut { at, reason, ref text, .. } = *scope.cut;
    let revocation = Revocation { effective_at: at, asked_at: at, reason, text: text.clone() };
    let mut count = 0;
    for (keyspace, id) in &operation.keys {
        let Some(subject) = Subject::at(transaction.state(), *keyspace, *id) else { continue };
        if scope.reaches(&subject) {
            // A cut of level 1 does not know when it was: no earlier than the key was made, at any rate.
            let at = revocation.effective_at.max(subject.key.created_at);
            let revocation = Revocation { effective_at: at, asked_at: at, ..revocation.clone() };
            let fact = ("scope", scope.name.clone());
            count += u64::from(revoke(transaction, subject, &revocation, fact));
        }
    }
    if operation.done && !scope.cut.marked {
        let telling = Telling { tenant: Some(scope.tenant), ..Telling::default() };
        transaction.emit(Action::ScopeMarked, scope.name.clone(), telling);
        transaction.put(scope.marked());
    }
    Ok(Answer::Counted(count))
}

fn need_few(keys: usize) -> Result<(), Refusal> {
    match keys > KEYS_PER_COMMAND_MAX {
        true => Err(Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit: KEYS_PER_COMMAND_MAX as u64 }),
        false => Ok(()),
    }
}

/// Revokes one key, unless it ended as soon already.
fn revoke(
    transaction: &mut Transaction<'_>,
    mut subject: Subject,
    revocation: &Revocation,
    fact: (&'static str, String),
) -> bool {
    if !subject.key.details.change(|details| bring_forward(&mut details.revocation, revocation)) {
        return false;
    }
    subject.touch(transaction);
    let facts = Vec::from([("effective_at_ms", revocation.effective_at.millis().to_string()), fact]);
    let reason = Some((revocation.reason, revocation.text.clone()));
    let name = subject.name.to_string();
    subject.tell_of(transaction, Action::KeyRevoked, name, reason, facts);
    rotation::cancel_with_key(transaction, &mut subject, &revocation.text);
    subject.put(transaction);
    true
}

/// What a cut reached.
struct Scope {
    record: Record,
    cut: Box<ScopeCut>,
    name: String,
    tenant: TenantNumber,
}

enum Record {
    Tenant(Arc<Tenant>),
    Keyspace(Arc<Keyspace>),
    Owner(Arc<Owner>),
    Role(Arc<Role>),
}

impl Scope {
    /// The scope with this number, where it was cut.
    fn find(state: &State, scope: RevokedScope) -> Option<Self> {
        let tenant_id = |number| state.tenants().by_number(number).map(|tenant| tenant.id.clone());
        let (record, cut, name, tenant) = match scope {
            RevokedScope::Tenant(number) => {
                let tenant = state.tenants().by_number(number)?;
                let name = TenantName::new(tenant.id.clone()).to_string();
                (Record::Tenant(tenant.clone()), tenant.cut.clone(), name, number)
            }
            RevokedScope::Keyspace(number) => {
                let keyspace = state.keyspaces().by_number(number)?;
                let name = state.keyspace_name(keyspace).to_string();
                (Record::Keyspace(keyspace.clone()), keyspace.cut.clone(), name, keyspace.tenant)
            }
            RevokedScope::Owner(number) => {
                let owner = state.owners().by_number(number)?;
                let name = OwnerName::new(tenant_id(owner.tenant)?, owner.id.clone()).to_string();
                (Record::Owner(owner.clone()), owner.cut.clone(), name, owner.tenant)
            }
            RevokedScope::Role(number) => {
                let role = state.roles().by_number(number)?;
                let name = RoleName::new(tenant_id(role.tenant)?, role.id.clone()).to_string();
                (Record::Role(role.clone()), role.cut.clone(), name, role.tenant)
            }
        };
        Some(Self { record, cut: cut?, name, tenant })
    }

    fn reaches(&self, subject: &Subject) -> bool {
        let key = &subject.key;
        let (since, is_within) = match &self.record {
            Record::Tenant(tenant) => (key.created, subject.keyspace.tenant == tenant.number),
            Record::Keyspace(keyspace) => (key.created, key.keyspace == keyspace.number),
            Record::Owner(owner) => (key.placed(), key.holder == Holder::Owner(owner.number)),
            Record::Role(role) => (key.placed(), key.terms.roles.has(&role.number)),
        };
        is_within && since <= self.cut.revision
    }

    /// The record, with a cut whose keys are all marked.
    fn marked(self) -> Row {
        let cut = Some(Box::new(ScopeCut { marked: true, ..*self.cut }));
        match self.record {
            Record::Tenant(tenant) => Row::Tenant(Arc::new(Tenant { cut, ..(*tenant).clone() })),
            Record::Keyspace(keyspace) => Row::Keyspace(Arc::new(Keyspace { cut, ..(*keyspace).clone() })),
            Record::Owner(owner) => Row::Owner(Arc::new(Owner { cut, ..(*owner).clone() })),
            Record::Role(role) => Row::Role(Arc::new(Role { cut, ..(*role).clone() })),
        }
    }
}

/// The text of a UUID, RFC 9562, section 4.
fn uuid(bytes: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        write!(text, "{byte:02x}").expect("a string takes whatever is written to it");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_its_dashes_where_everybody_expects_them() {
        let bytes = [0x55, 0x0e, 0x84, 0, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16, 0x44, 0x66, 0x55, 0x44, 0, 0];
        assert_eq!(uuid(bytes), "550e8400-e29b-41d4-a716-446655440000");
    }
}
