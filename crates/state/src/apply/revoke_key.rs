//! Revoking a key or one version. Idempotent: a second revocation changes nothing and emits nothing, unless it comes
//! sooner than the first would have.

use super::Answer;
use super::transaction::{Telling, Transaction};
use crate::command::RevokeKey;
use crate::event::Action;
use crate::key::{Change, Key, Revocation};
use crate::row::Row;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use latchkey_domain::{Refusal, ResourceKind, Revision};

pub(super) fn revoke_key(transaction: &mut Transaction<'_>, operation: &RevokeKey) -> Result<Answer, Refusal> {
    let name = &operation.key;
    let not_found = || Refusal::NotFound { kind: ResourceKind::Key, name: name.to_string() };
    let mut key = transaction.state().key(name).ok_or_else(not_found)?.as_ref().clone();
    let current = key.etag();
    if operation.etag.as_deref().is_some_and(|etag| etag != current) {
        return Err(Refusal::EtagMismatch { current });
    }
    let now = transaction.now();
    let revocation = Revocation {
        effective_at: now.plus(operation.grace),
        asked_at: now,
        reason: operation.reason,
        text: operation.text.clone(),
    };
    let (action, subject, changed) = match operation.version {
        None => {
            let change = Change { revision: transaction.revision(), at: now };
            let changed = key.details.change(|details| {
                let changed = bring_forward(&mut details.revocation, &revocation);
                if changed {
                    details.changed = Some(change);
                }
                changed
            });
            (Action::KeyRevoked, name.to_string(), changed)
        }
        Some(id) => {
            let subject = format!("{name}/versions/{id}");
            let version = key
                .versions
                .iter_mut()
                .find(|version| version.id == id)
                .ok_or_else(|| Refusal::NotFound { kind: ResourceKind::Version, name: subject.clone() })?;
            let changed = version.details.change(|details| bring_forward(&mut details.revocation, &revocation));
            (Action::VersionRevoked, subject, changed)
        }
    };
    let key = Arc::new(key);
    if changed {
        transaction.put(Row::Key(key.clone()));
        let tenant = transaction.state().keyspace(&name.keyspace).map(|keyspace| keyspace.tenant);
        let facts = vec![("effective_at_ms", revocation.effective_at.millis().to_string())];
        let reason = Some((revocation.reason, revocation.text));
        transaction.emit(action, subject, Telling { tenant, reason, facts });
    }
    Ok(Answer::Revoked { key, version: operation.version })
}

/// A revocation can come sooner than one asked for earlier, never later: nothing revives a dead key.
fn bring_forward(current: &mut Option<Box<Revocation>>, asked: &Revocation) -> bool {
    match current {
        Some(current) if current.effective_at <= asked.effective_at => false,
        Some(_) | None => {
            *current = Some(Box::new(asked.clone()));
            true
        }
    }
}

impl Key {
    /// Changes whenever the key does, its versions aside.
    #[must_use]
    pub fn etag(&self) -> String {
        let Revision { epoch, index } = self.changed().revision;
        format!("{epoch}-{index}")
    }
}
