//! Adding keys to the keyring and destroying them, and the feature level: what the leader itself asks for.

use super::Answer;
use super::transaction::{Telling, Transaction};
use crate::command::NewRingKey;
use crate::event::Action;
use crate::records::{RingKey, RingPurpose};
use crate::row::{Row, RowId};
use crate::state::State;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{Quota, Refusal, ResourceKind, RingNumber};

/// What wraps the keys at the top: it lies outside the state.
const KEK: RingNumber = RingNumber(0);

pub(super) fn add_ring_key(transaction: &mut Transaction<'_>, operation: &NewRingKey) -> Result<Answer, Refusal> {
    check_place(transaction.state(), operation)?;
    add(transaction, operation)?;
    Ok(Answer::Done)
}

/// A key that belongs nowhere could never be used, and its entry would be sealed under an audit key that is not there.
fn check_place(state: &State, new: &NewRingKey) -> Result<(), Refusal> {
    let (exists, kind, number) = match new.purpose {
        RingPurpose::Log | RingPurpose::Pepper | RingPurpose::Replay => (true, ResourceKind::Tenant, 0),
        RingPurpose::Tenant(tenant) | RingPurpose::Audit(tenant) => {
            (state.tenants().by_number(tenant).is_some(), ResourceKind::Tenant, tenant.0)
        }
        RingPurpose::Keyspace(keyspace) => {
            (state.keyspaces().by_number(keyspace).is_some(), ResourceKind::Keyspace, keyspace.0)
        }
    };
    if !exists {
        return Err(Refusal::NotFound { kind, name: format!("number {number}") });
    }
    match new.wrapped_by {
        KEK => Ok(()),
        number if state.ring_key(number).is_some() => Ok(()),
        number => Err(Refusal::RingKeyGone { number: number.0 }),
    }
}

/// Adds a key and returns its number. Callers have checked what it belongs to.
pub(super) fn add(transaction: &mut Transaction<'_>, new: &NewRingKey) -> Result<RingNumber, Refusal> {
    let facts = vec![("purpose", new.purpose.as_str().to_string())];
    add_as(transaction, new, Action::RingKeyAdded, facts)
}

/// As [`add`], told in other words.
pub(super) fn add_as(
    transaction: &mut Transaction<'_>,
    new: &NewRingKey,
    action: Action,
    facts: Vec<(&'static str, String)>,
) -> Result<RingNumber, Refusal> {
    let quota = match new.purpose {
        RingPurpose::Keyspace(_) => Quota::KeyspacesOfTenant,
        _ => Quota::Tenants,
    };
    let number = RingNumber(transaction.next_number(quota, |next| &mut next.ring)?);
    let key = RingKey {
        number,
        id: new.id,
        purpose: new.purpose,
        wrapped_by: new.wrapped_by,
        kek: new.kek,
        wrapped: new.wrapped.clone(),
        created_at: transaction.now(),
    };
    transaction.put(Row::RingKey(Arc::new(key)));
    let tenant = match new.purpose {
        RingPurpose::Tenant(tenant) | RingPurpose::Audit(tenant) => Some(tenant),
        RingPurpose::Log | RingPurpose::Pepper | RingPurpose::Replay | RingPurpose::Keyspace(_) => None,
    };
    transaction.emit(action, format!("keyring/{}", number.0), Telling { tenant, facts, reason: None });
    Ok(number)
}

/// The level from which other keys than those of replays are destroyed: once nothing uses them.
const DESTROYING_LEVEL: u32 = 5;

/// A replay key when its time is over; any other when another took its place and nothing in the state uses it any more.
/// What lies on the disks of replicas is for the leader to ask before.
pub(super) fn drop_ring_key(transaction: &mut Transaction<'_>, number: RingNumber) -> Result<Answer, Refusal> {
    let (state, now) = (transaction.state(), transaction.now());
    let gone = Refusal::RingKeyGone { number: number.0 };
    let key = state.ring_key(number).ok_or(gone.clone())?.clone();
    match key.purpose {
        RingPurpose::Replay if key.created_at.plus(crate::REPLAY_KEY_LIFE) <= now => {}
        RingPurpose::Replay => return Err(gone),
        _ if state.progress().feature_level < DESTROYING_LEVEL => return Err(gone),
        _ => {
            let uses = state.ring_uses(number).total();
            let is_used = uses > 0 && !planted::is(Plant::PepperDroppedInUse);
            if is_used || state.is_current_ring_key(&key) {
                return Err(Refusal::RingKeyInUse { number: number.0, uses });
            }
        }
    }
    transaction.delete(RowId::RingKey(number));
    if matches!(key.purpose, RingPurpose::Tenant(_)) {
        transaction.note_tenant_key_gone();
    }
    let facts = vec![("purpose", key.purpose.as_str().to_string())];
    transaction.emit(Action::RingKeyDropped, format!("keyring/{}", number.0), Telling { facts, ..Telling::default() });
    Ok(Answer::Done)
}

pub(super) fn raise_feature_level(transaction: &mut Transaction<'_>, level: u32) -> Result<Answer, Refusal> {
    let current = transaction.progress().feature_level;
    // Step by step, and whatever this build knows: it must not differ from others in what it answers. The leader asks
    // only for what all replicas know, and a replica that knows less fences itself, see `State::is_understood`.
    if level > current.saturating_add(1) {
        return Err(Refusal::FeatureLevel { needed: level, current });
    }
    if level > current {
        transaction.set_feature_level(level);
        let facts = vec![("level", level.to_string())];
        transaction.emit(Action::FeatureLevelRaised, "cluster".to_string(), Telling { facts, ..Telling::default() });
    }
    Ok(Answer::Done)
}
