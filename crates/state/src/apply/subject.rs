//! The key that a command is about: what all commands on the life of keys begin and end with.

use super::transaction::{Telling, Transaction};
use crate::event::Action;
use crate::key::{Change, Key, Worth};
use crate::records::Keyspace;
use crate::row::Row;
use crate::state::State;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{
    KeyId, KeyName, KeyspaceNumber, ReasonText, Refusal, ResourceKind, RevocationReason, UnixMillis,
};

/// A key, taken out to be changed, and put back.
pub(super) struct Subject {
    pub(super) name: KeyName,
    pub(super) keyspace: Arc<Keyspace>,
    pub(super) key: Key,
}

impl Subject {
    /// By name, where the etag given is the key's.
    pub(super) fn find(state: &State, name: &KeyName, etag: Option<&str>) -> Result<Self, Refusal> {
        let keyspace = state.keyspace(&name.keyspace);
        let key = keyspace.and_then(|keyspace| state.key_at(keyspace.number, name.key));
        let (Some(keyspace), Some(key)) = (keyspace, key) else {
            return Err(Refusal::NotFound { kind: ResourceKind::Key, name: name.to_string() });
        };
        let current = key.etag();
        if etag.is_some_and(|etag| etag != current) {
            return Err(Refusal::EtagMismatch { current });
        }
        Ok(Self { name: name.clone(), keyspace: keyspace.clone(), key: (**key).clone() })
    }

    /// By number, where it is there.
    pub(super) fn at(state: &State, keyspace: KeyspaceNumber, id: KeyId) -> Option<Self> {
        let key = state.key_at(keyspace, id)?;
        let keyspace = state.keyspaces().by_number(keyspace)?;
        let name = KeyName { keyspace: state.keyspace_name(keyspace), key: id };
        Some(Self { name, keyspace: keyspace.clone(), key: (**key).clone() })
    }

    /// A dead key does not change.
    pub(super) fn need_alive(&self, state: &State, now: UnixMillis) -> Result<(), Refusal> {
        let name = self.name.to_string();
        match state.death_of(&self.key, now) {
            None => Ok(()),
            Some(Worth::Expired(_)) => Err(Refusal::KeyExpired { name, expire_time: self.end(state).unwrap_or(now) }),
            Some(_) => Err(Refusal::KeyRevoked { name }),
        }
    }

    /// When the key, or its parent, ends by time: whichever is first.
    fn end(&self, state: &State) -> Option<UnixMillis> {
        let parent = self.key.parent().and_then(|parent| state.key_at(self.key.keyspace, parent));
        self.key.expires_at.into_iter().chain(parent.and_then(|parent| parent.expires_at)).min()
    }

    /// Notes that the key changed, its versions aside: it has another etag from now on.
    pub(super) fn touch(&mut self, transaction: &Transaction<'_>) {
        let change = Change { revision: transaction.revision(), at: transaction.now() };
        self.key.details.change(|details| details.changed = Some(change));
    }

    /// Puts the key back.
    pub(super) fn put(self, transaction: &mut Transaction<'_>) -> Arc<Key> {
        let key = Arc::new(self.key);
        transaction.put(Row::Key(key.clone()));
        key
    }

    /// Tells something about the key itself.
    pub(super) fn tell(&self, transaction: &mut Transaction<'_>, action: Action, facts: Vec<(&'static str, String)>) {
        self.tell_of(transaction, action, self.name.to_string(), None, facts);
    }

    /// Tells something about a part of the key.
    pub(super) fn tell_of(
        &self,
        transaction: &mut Transaction<'_>,
        action: Action,
        subject: String,
        reason: Option<(RevocationReason, ReasonText)>,
        facts: Vec<(&'static str, String)>,
    ) {
        let tenant = Some(self.keyspace.tenant);
        transaction.emit(action, subject, Telling { tenant, reason, facts });
    }
}

/// Why, where that was said.
pub(super) fn said(text: &ReasonText) -> Option<(&'static str, String)> {
    (!text.is_empty()).then(|| ("reason_text", text.to_string()))
}
