//! Making keys: all of the command's, or none.

use super::Answer;
use super::key_facts;
use super::transaction::{Telling, Transaction};
use super::within::{self, Parent};
use crate::command::{CreateKeys, Expiry, HolderName, KEYS_PER_COMMAND_MAX, NewKey};
use crate::event::Action;
use crate::key::{Details, Holder, Key, Rare, SealedInner, Versions};
use crate::records::{Keyspace, RingPurpose};
use crate::ring::sealed_under;
use crate::row::Row;
use crate::state::State;
use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{
    KeyName, KeyspaceName, PermissionPattern, Quota, Refusal, ResourceKind, RingNumber, Terms, UnixMillis, VersionId,
};

pub(super) fn create_keys(transaction: &mut Transaction<'_>, operation: &CreateKeys) -> Result<Answer, Refusal> {
    if operation.keys.len() > KEYS_PER_COMMAND_MAX {
        return Err(Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit: KEYS_PER_COMMAND_MAX as u64 });
    }
    let name = &operation.keyspace;
    let mut keyspace = transaction
        .state()
        .keyspace(name)
        .ok_or_else(|| Refusal::NotFound { kind: ResourceKind::Keyspace, name: name.to_string() })?
        .as_ref()
        .clone();
    let mut made = Vec::with_capacity(operation.keys.len());
    let mut last = None;
    for new in &operation.keys {
        if keyspace.keys >= keyspace.settings.keys_max {
            return Err(Refusal::QuotaExceeded { quota: Quota::KeysOfKeyspace, limit: keyspace.settings.keys_max });
        }
        keyspace.keys += 1;
        let asked = terms(transaction.state(), name, &keyspace, new)?;
        let neighbour = transaction.state().shared_terms(keyspace.number, new.id, &asked);
        let terms = share(&mut last, neighbour, &asked);
        let key = Arc::new(make(transaction, name, &keyspace, new, terms)?);
        transaction.put(Row::Key(key.clone()));
        tell(transaction, name, &keyspace, &key, new);
        made.push((key, new.version));
    }
    transaction.put(Row::Keyspace(Arc::new(keyspace)));
    Ok(Answer::Keys { keys: made, replay: None })
}

/// The terms asked for, with the numbers of the roles named beside them. Numbers that came with a command are nobody's.
pub(super) fn terms<'a>(
    state: &State,
    name: &KeyspaceName,
    keyspace: &Keyspace,
    new: &'a NewKey,
) -> Result<Cow<'a, Terms>, Refusal> {
    let roles = within::roles(state, name, keyspace, &new.roles)?;
    Ok(match new.terms.roles == roles {
        true => Cow::Borrowed(&new.terms),
        false => Cow::Owned(Terms { roles, ..new.terms.clone() }),
    })
}

/// Neighbours in the keyspace or in the batch mostly say the same, and a million keys live in memory.
pub(super) fn share(last: &mut Option<Arc<Terms>>, neighbour: Option<&Arc<Terms>>, terms: &Terms) -> Arc<Terms> {
    match (neighbour, &*last) {
        (Some(neighbour), _) => neighbour.clone(),
        (None, Some(last)) if **last == *terms => last.clone(),
        (None, _) => last.insert(Arc::new(terms.clone())).clone(),
    }
}

/// The key with its first version, as it would be; nothing is changed yet.
pub(super) fn make(
    transaction: &Transaction<'_>,
    name: &KeyspaceName,
    keyspace: &Keyspace,
    new: &NewKey,
    terms: Arc<Terms>,
) -> Result<Key, Refusal> {
    let (state, now) = (transaction.state(), transaction.now());
    if state.key_at(keyspace.number, new.id).is_some() || state.version(new.version).is_some() {
        let name = format!("{name}/keys/{}", new.id);
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Key, name });
    }
    need_ring_key(state, new.pepper, RingPurpose::Pepper)?;
    need_data_key(state, keyspace, &new.inner)?;
    within::need_allowed(keyspace, &terms.permissions)?;
    within::need_room(state, keyspace, 1, new.metadata.bytes() as u64)?;
    let parent = new.parent.map(|parent| Parent::for_new(state, name, keyspace, parent, now)).transpose()?;
    let mut expires_at = expiry(keyspace, new.expiry, now)?;
    if let Some(parent) = &parent {
        parent.need_within(&terms)?;
        // Who asks for no end gets that of the parent; who asks for one beyond it is told.
        if new.expiry == Expiry::Default {
            expires_at = expires_at.into_iter().chain(parent.expires_at()).min();
        }
        parent.need_no_later(expires_at)?;
    }
    if let (Some(not_before), Some(expire_time)) = (new.not_before, expires_at)
        && not_before >= expire_time
    {
        return Err(Refusal::NotBeforeAfterExpiry { not_before, expire_time });
    }
    // The bound of the policy in force: no later change of it moves this.
    let policy = new.rotation_policy.as_deref().or(keyspace.settings.rotation_policy.as_deref());
    let lifetime = policy.and_then(|policy| policy.maximum_lifetime);
    let mut version = new.first_version(now);
    version.details.change(|details| details.expires_at = lifetime.map(|lifetime| now.plus(lifetime)));
    Ok(Key {
        id: new.id,
        keyspace: keyspace.number,
        holder: holder(state, name, &new.holder)?,
        display_name: new.display_name.clone(),
        terms,
        created: transaction.revision(),
        created_at: now,
        expires_at,
        details: Rare::from(Details {
            purpose: new.purpose.clone(),
            metadata: new.metadata.clone(),
            not_before: new.not_before,
            parent: new.parent,
            rotation_policy: new.rotation_policy.clone(),
            ..Details::default()
        }),
        versions: Versions::from(version),
    })
}

/// No version is found by an id that another has.
pub(super) fn need_unused_version(state: &State, key: &KeyName, id: VersionId) -> Result<(), Refusal> {
    match state.version(id) {
        Some(_) => Err(Refusal::AlreadyExists { kind: ResourceKind::Version, name: format!("{key}/versions/{id}") }),
        None => Ok(()),
    }
}

/// A digest under a pepper that is gone could never be checked again.
pub(super) fn need_ring_key(state: &State, number: RingNumber, purpose: RingPurpose) -> Result<(), Refusal> {
    match state.ring_key(number) {
        Some(key) if key.purpose == purpose => Ok(()),
        Some(_) | None => Err(Refusal::RingKeyGone { number: number.0 }),
    }
}

/// The level from which data keys rotate.
const DATA_KEYS_ROTATE_LEVEL: u32 = 5;

/// An inner digest under a data key that is gone could never be opened again. What names no key that was ever given is
/// the proposer's affair, as it was before data keys rotated.
pub(super) fn need_data_key(state: &State, keyspace: &Keyspace, inner: &SealedInner) -> Result<(), Refusal> {
    let given = |number: &RingNumber| (1..=state.progress().next.ring).contains(&number.0);
    match sealed_under(inner).filter(given) {
        Some(number) if state.progress().feature_level >= DATA_KEYS_ROTATE_LEVEL => {
            need_ring_key(state, number, RingPurpose::Keyspace(keyspace.number))
        }
        Some(_) | None => Ok(()),
    }
}

/// When the key ends: never later than the keyspace's maximum allows, and never rounded up.
fn expiry(keyspace: &Keyspace, asked: Expiry, now: UnixMillis) -> Result<Option<UnixMillis>, Refusal> {
    let maximum = keyspace.settings.maximum_lifetime;
    let expires_at = match asked {
        Expiry::At(time) => Some(time),
        Expiry::After(span) => Some(now.plus(span)),
        Expiry::Default => keyspace.settings.default_lifetime.or(maximum).map(|span| now.plus(span)),
    };
    let Some(expire_time) = expires_at else { return Ok(None) };
    if expire_time <= now {
        return Err(Refusal::ExpiryPast { expire_time, now });
    }
    match maximum {
        Some(maximum) if expire_time.since(now) > maximum => {
            Err(Refusal::LifetimeTooLong { asked: expire_time.since(now), maximum })
        }
        Some(_) | None => Ok(expires_at),
    }
}

/// Keys belong to owners of their own tenant; management keys, and only they, to identities of any tenant.
pub(super) fn holder(state: &State, keyspace: &KeyspaceName, holder: &HolderName) -> Result<Holder, Refusal> {
    match holder {
        HolderName::Identity(name) if keyspace.is_management() => state
            .identity(name)
            .map(|identity| Holder::Identity(identity.number))
            .ok_or_else(|| Refusal::NotFound { kind: ResourceKind::Identity, name: name.to_string() }),
        HolderName::Owner(name) if !keyspace.is_management() && name.tenant == keyspace.tenant => state
            .owner(name)
            .map(|owner| Holder::Owner(owner.number))
            .ok_or_else(|| Refusal::NotFound { kind: ResourceKind::Owner, name: name.to_string() }),
        HolderName::None if !keyspace.is_management() => Ok(Holder::None),
        HolderName::Identity(name) => {
            Err(Refusal::OwnerNotAllowed { owner: name.to_string(), expected: "an owner of the keyspace's tenant" })
        }
        HolderName::Owner(name) if keyspace.is_management() => {
            Err(Refusal::OwnerNotAllowed { owner: name.to_string(), expected: "an identity" })
        }
        HolderName::Owner(name) => {
            Err(Refusal::OwnerNotAllowed { owner: name.to_string(), expected: "an owner of the keyspace's tenant" })
        }
        HolderName::None => Err(Refusal::OwnerNotAllowed { owner: "".to_string(), expected: "an identity" }),
    }
}

fn tell(transaction: &mut Transaction<'_>, name: &KeyspaceName, keyspace: &Keyspace, key: &Key, new: &NewKey) {
    let facts = facts(transaction.state(), key, new);
    let subject = format!("{name}/keys/{}", key.id);
    let telling = Telling { tenant: Some(keyspace.tenant), facts, ..Telling::default() };
    transaction.emit(Action::KeyCreated, subject, telling);
}

/// What an auditor wants to know of a new key, sorted by name.
pub(super) fn facts(state: &State, key: &Key, new: &NewKey) -> Vec<(&'static str, String)> {
    let holder = match &new.holder {
        HolderName::None => None,
        HolderName::Owner(name) => Some(name.to_string()),
        HolderName::Identity(name) => Some(name.to_string()),
    };
    let permissions: Vec<_> = key.terms.permissions.iter().map(PermissionPattern::as_str).collect();
    let roles: Vec<_> = key_facts::names_of_roles(state, key).into_iter().collect();
    let mut facts = Vec::new();
    facts.extend(key.expires_at.map(|time| ("expires_at_ms", time.millis().to_string())));
    facts.extend(holder.map(|holder| ("owner", holder)));
    facts.extend(key.parent().map(|parent| ("parent_key", parent.to_string())));
    facts.push(("permissions", permissions.join(",")));
    if !roles.is_empty() {
        facts.push(("roles", roles.join(",")));
    }
    facts.push(("version", new.version.to_string()));
    facts
}
