//! Changing a key. What it is changed to already is no change.

use super::Answer;
use super::create_keys::holder;
use super::key_facts;
use super::subject::Subject;
use super::transaction::Transaction;
use super::within::{self, Parent};
use crate::command::{ExpiryChange, HolderName, KeyChanges, UpdateKey};
use crate::event::Action;
use crate::key::{Holder, Key};
use crate::records::Keyspace;
use crate::state::State;
use alloc::string::ToString;
use alloc::sync::Arc;
use latchkey_domain::{KeyspaceName, Refusal, Terms, UnixMillis};

pub(super) fn update_key(transaction: &mut Transaction<'_>, operation: &UpdateKey) -> Result<Answer, Refusal> {
    let mut subject = Subject::find(transaction.state(), &operation.key, operation.etag.as_deref())?;
    subject.need_alive(transaction.state(), transaction.now())?;
    let before = subject.key.clone();
    let changing = Changing {
        state: transaction.state(),
        now: transaction.now(),
        name: &operation.key.keyspace,
        keyspace: &subject.keyspace,
        changes: &operation.changes,
    };
    changing.change(&mut subject.key)?;
    if subject.key == before {
        return Ok(Answer::Key(Arc::new(before)));
    }
    if before.holder != subject.key.holder || before.terms.roles != subject.key.terms.roles {
        let revision = transaction.revision();
        subject.key.details.change(|details| details.placed = Some(revision));
    }
    if before.expires_at != subject.key.expires_at && transaction.state().tells_of_expiry() {
        // Whoever moved it knows that it is so near: notices that would have come before this are not owed.
        let told = subject.key.expires_at.map(|_| transaction.now());
        subject.key.details.change(|details| details.expiry_told_through = told);
    }
    let facts = key_facts::of_change(transaction.state(), &before, &subject.key);
    subject.touch(transaction);
    subject.tell(transaction, Action::KeyUpdated, facts);
    Ok(Answer::Key(subject.put(transaction)))
}

/// What is asked, and what it is asked of.
struct Changing<'a> {
    state: &'a State,
    now: UnixMillis,
    name: &'a KeyspaceName,
    keyspace: &'a Keyspace,
    changes: &'a KeyChanges,
}

impl Changing<'_> {
    fn change(&self, key: &mut Key) -> Result<(), Refusal> {
        let parent = Parent::of(self.state, self.name, key, self.now);
        if let Some(display_name) = &self.changes.display_name {
            key.display_name = display_name.clone();
        }
        if let Some(asked) = &self.changes.holder {
            key.holder = self.holder(key, asked)?;
        }
        self.change_terms(key, parent.as_ref())?;
        self.change_metadata(key)?;
        key.details.change(|details| {
            details.purpose = self.changes.purpose.clone().unwrap_or_else(|| details.purpose.clone());
            details.not_before = self.changes.not_before.unwrap_or(details.not_before);
            if let Some(policy) = &self.changes.rotation_policy {
                details.rotation_policy.clone_from(policy);
            }
        });
        self.change_expiry(key, parent.as_ref())?;
        match (key.not_before(), key.expires_at) {
            (Some(not_before), Some(expire_time)) if not_before >= expire_time => {
                Err(Refusal::NotBeforeAfterExpiry { not_before, expire_time })
            }
            _ => Ok(()),
        }
    }

    /// A management key proves its identity for life: whoever may change a key could else become whom he likes.
    fn holder(&self, key: &Key, asked: &HolderName) -> Result<Holder, Refusal> {
        let holder = holder(self.state, self.name, asked)?;
        match asked {
            HolderName::Identity(name) if holder != key.holder => {
                Err(Refusal::OwnerNotAllowed { owner: name.to_string(), expected: "the identity that it was made for" })
            }
            HolderName::Identity(_) | HolderName::Owner(_) | HolderName::None => Ok(holder),
        }
    }

    fn change_terms(&self, key: &mut Key, parent: Option<&Parent<'_>>) -> Result<(), Refusal> {
        let KeyChanges { permissions, networks, methods, resources, roles, .. } = self.changes;
        let old = &*key.terms;
        if let Some(permissions) = permissions.as_ref().filter(|permissions| **permissions != old.permissions) {
            within::need_allowed(self.keyspace, permissions)?;
        }
        let roles = roles.as_ref().map(|ids| within::roles(self.state, self.name, self.keyspace, ids)).transpose()?;
        let terms = Terms {
            permissions: permissions.clone().unwrap_or_else(|| old.permissions.clone()),
            networks: networks.clone().unwrap_or_else(|| old.networks.clone()),
            methods: methods.clone().unwrap_or_else(|| old.methods.clone()),
            resources: resources.clone().unwrap_or_else(|| old.resources.clone()),
            roles: roles.unwrap_or_else(|| old.roles.clone()),
        };
        if terms == *old {
            return Ok(());
        }
        if let Some(parent) = parent {
            parent.need_within(&terms)?;
        }
        let neighbour = self.state.shared_terms(key.keyspace, key.id, &terms).cloned();
        key.terms = neighbour.unwrap_or_else(|| Arc::new(terms));
        Ok(())
    }

    fn change_metadata(&self, key: &mut Key) -> Result<(), Refusal> {
        let Some(metadata) = &self.changes.metadata else { return Ok(()) };
        let old = key.details.as_ref().map_or(0, |details| details.metadata.bytes());
        let more = metadata.bytes().saturating_sub(old);
        within::need_room(self.state, self.keyspace, 0, more as u64)?;
        key.details.change(|details| details.metadata = metadata.clone());
        Ok(())
    }

    /// The longest life counts from when the key was made, however often it is changed.
    fn change_expiry(&self, key: &mut Key, parent: Option<&Parent<'_>>) -> Result<(), Refusal> {
        let maximum = self.keyspace.settings.maximum_lifetime;
        let expires_at = match self.changes.expiry {
            None => return Ok(()),
            Some(ExpiryChange::At(time)) if key.expires_at == Some(time) => return Ok(()),
            Some(ExpiryChange::At(time)) => Some(time),
            Some(ExpiryChange::Latest) => {
                let latest = maximum.map(|maximum| key.created_at.plus(maximum));
                latest.into_iter().chain(parent.and_then(Parent::expires_at)).min()
            }
        };
        if let Some(expire_time) = expires_at {
            let (now, asked) = (self.now, expire_time.since(key.created_at));
            if expire_time <= now {
                return Err(Refusal::ExpiryPast { expire_time, now });
            }
            if let Some(maximum) = maximum.filter(|maximum| asked > *maximum) {
                return Err(Refusal::LifetimeTooLong { asked, maximum });
            }
        }
        if let Some(parent) = parent {
            parent.need_no_later(expires_at)?;
        }
        key.expires_at = expires_at;
        Ok(())
    }
}
