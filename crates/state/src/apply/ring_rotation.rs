//! Rotating keys of the keyring: another takes the place of the one in use, and what it wraps is wrapped anew.

use super::Answer;
use super::change::not_found;
use super::ring::add_as;
use super::transaction::{Telling, Transaction};
use crate::command::{NewRingKey, REKEYED_PER_COMMAND_MAX, RING_KEYS_OF_PURPOSE_MAX, RewrappedKey};
use crate::event::Action;
use crate::records::{Keyspace, RingKey, RingPurpose, Tenant};
use crate::row::Row;
use crate::state::State;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use latchkey_domain::{Quota, Refusal, ResourceKind};

pub(super) fn rotate_ring_key(transaction: &mut Transaction<'_>, new: &NewRingKey) -> Result<Answer, Refusal> {
    let state = transaction.state();
    let mut facts = Vec::new();
    if let Some(name) = name_of(state, new.purpose)? {
        facts.push(("of", name));
    }
    facts.push(("purpose", new.purpose.as_str().to_string()));
    // A key that another wraps than the one in use would be the first to be lost.
    if new.wrapped_by != state.wrapping_key(new.purpose) {
        return Err(Refusal::RingKeyGone { number: new.wrapped_by.0 });
    }
    // Drawn before the keyring was moved to another KEK. The newest log key tells where the keyring is moved to: under the
    // one of before it would hold up the rest half-way.
    let in_use = state.newest_ring_key(RingPurpose::Log).and_then(|key| key.kek);
    if in_use.zip(new.kek).is_some_and(|(in_use, kek)| in_use != kek) {
        return Err(Refusal::RingKeyGone { number: new.wrapped_by.0 });
    }
    let (mut olds, mut count) = (state.ring_keys_of(new.purpose), 0);
    let oldest = olds.next().map(|key| key.number);
    count += usize::from(oldest.is_some()) + olds.count();
    if let Some(number) = oldest.filter(|_| count >= RING_KEYS_OF_PURPOSE_MAX) {
        return Err(Refusal::RingKeyInUse { number: number.0, uses: state.ring_uses(number).total() });
    }
    if let Some(replaced) = state.ring_keys_of(new.purpose).find(|key| state.is_current_ring_key(key)) {
        facts.push(("replaces", replaced.number.0.to_string()));
    }
    let number = add_as(transaction, new, Action::RingKeyRotated, facts)?;
    match new.purpose {
        RingPurpose::Tenant(tenant) => {
            if let Some(tenant) = transaction.state().tenants().by_number(tenant).cloned() {
                transaction.put(Row::Tenant(Arc::new(Tenant { tenant_key: number, ..(*tenant).clone() })));
            }
        }
        RingPurpose::Keyspace(keyspace) => {
            if let Some(keyspace) = transaction.state().keyspaces().by_number(keyspace).cloned() {
                transaction.put(Row::Keyspace(Arc::new(Keyspace { data_key: number, ..(*keyspace).clone() })));
            }
        }
        // Of these the newest is the one in use.
        RingPurpose::Log | RingPurpose::Pepper | RingPurpose::Replay | RingPurpose::Audit(_) => {}
    }
    Ok(Answer::Done)
}

/// The full name of what a key belongs to, where that is not the cluster.
fn name_of(state: &State, purpose: RingPurpose) -> Result<Option<String>, Refusal> {
    let number = |number: u32| format!("number {number}");
    match purpose {
        RingPurpose::Log | RingPurpose::Pepper => Ok(None),
        // The one is renewed each hour; the other is the only way to what the trail tells of a tenant.
        RingPurpose::Replay | RingPurpose::Audit(_) => {
            Err(Refusal::Reserved { name: format!("keyring/{}", purpose.as_str()) })
        }
        RingPurpose::Tenant(of) => {
            let tenant = state.tenants().by_number(of);
            let tenant = tenant.ok_or_else(|| not_found(ResourceKind::Tenant, &number(of.0)))?;
            Ok(Some(latchkey_domain::TenantName::new(tenant.id.clone()).to_string()))
        }
        RingPurpose::Keyspace(of) => {
            let keyspace = state.keyspaces().by_number(of);
            let keyspace = keyspace.ok_or_else(|| not_found(ResourceKind::Keyspace, &number(of.0)))?;
            Ok(Some(state.keyspace_name(keyspace).to_string()))
        }
    }
}

/// What is gone since, or what is not wrapped by the key in use, is passed over: the walk that chose it comes again.
pub(super) fn rewrap_ring_keys(transaction: &mut Transaction<'_>, keys: &[RewrappedKey]) -> Result<Answer, Refusal> {
    need_room(keys.len())?;
    let mut count = 0;
    for new in keys {
        let state = transaction.state();
        let Some(old) = state.ring_key(new.number).cloned() else { continue };
        if new.wrapped_by != state.wrapping_key(old.purpose) {
            continue;
        }
        let (wrapped_by, kek, wrapped) = (new.wrapped_by, new.kek, new.wrapped.clone());
        transaction.put(Row::RingKey(Arc::new(RingKey { wrapped_by, kek, wrapped, ..(*old).clone() })));
        count += 1;
    }
    if count > 0 {
        let facts = vec![("count", count.to_string())];
        transaction.emit(Action::RingKeysRewrapped, "keyring".to_string(), Telling { facts, ..Telling::default() });
    }
    Ok(Answer::Counted(count))
}

pub(super) fn need_room(count: usize) -> Result<(), Refusal> {
    match count > REKEYED_PER_COMMAND_MAX {
        true => Err(Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit: REKEYED_PER_COMMAND_MAX as u64 }),
        false => Ok(()),
    }
}
