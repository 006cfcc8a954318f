//! Revoking a key or one version. Idempotent: a second revocation changes nothing and emits nothing, unless it comes
//! sooner than the first would have.

use super::Answer;
use super::rotation;
use super::subject::Subject;
use super::transaction::Transaction;
use crate::command::{Actor, RevokeKey};
use crate::event::Action;
use crate::key::Revocation;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{Refusal, ResourceKind, VersionId};

pub(super) fn revoke_key(transaction: &mut Transaction<'_>, operation: &RevokeKey) -> Result<Answer, Refusal> {
    let mut subject = Subject::find(transaction.state(), &operation.key, operation.etag.as_deref())?;
    let by_holder = matches!(transaction.command().actor, Actor::Key(_));
    if by_holder && subject.keyspace.settings.self_revocation_off {
        return Err(Refusal::SelfRevocationOff);
    }
    let now = transaction.now();
    let revocation = Revocation {
        effective_at: now.plus(operation.grace),
        asked_at: now,
        reason: operation.reason,
        text: operation.text.clone(),
    };
    let changed = match operation.version {
        None => revoke_whole(transaction, &mut subject, &revocation),
        Some(version) => revoke_version(transaction, &mut subject, version, &revocation)?,
    };
    let key = if changed { subject.put(transaction) } else { Arc::new(subject.key) };
    Ok(Answer::Revoked { key, version: operation.version })
}

/// A rotation in progress ends with its key.
fn revoke_whole(transaction: &mut Transaction<'_>, subject: &mut Subject, revocation: &Revocation) -> bool {
    if !subject.key.details.change(|details| bring_forward(&mut details.revocation, revocation)) {
        return false;
    }
    subject.touch(transaction);
    tell(transaction, subject, Action::KeyRevoked, subject.name.to_string(), revocation);
    rotation::cancel_with_key(transaction, subject, &revocation.text);
    true
}

fn revoke_version(
    transaction: &mut Transaction<'_>,
    subject: &mut Subject,
    id: VersionId,
    revocation: &Revocation,
) -> Result<bool, Refusal> {
    let name = format!("{}/versions/{id}", subject.name);
    let Some(version) = subject.key.versions.iter_mut().find(|version| version.id == id) else {
        return Err(Refusal::NotFound { kind: ResourceKind::Version, name });
    };
    if !version.details.change(|details| bring_forward(&mut details.revocation, revocation)) {
        return Ok(false);
    }
    tell(transaction, subject, Action::VersionRevoked, name, revocation);
    rotation::end_with_version(transaction, subject, id, &revocation.text);
    Ok(true)
}

fn tell(transaction: &mut Transaction<'_>, subject: &Subject, action: Action, name: String, revocation: &Revocation) {
    let facts = Vec::from([("effective_at_ms", revocation.effective_at.millis().to_string())]);
    let reason = Some((revocation.reason, revocation.text.clone()));
    subject.tell_of(transaction, action, name, reason, facts);
}

/// A revocation can come sooner than one asked for earlier, never later: nothing revives a dead key.
pub(super) fn bring_forward(current: &mut Option<Box<Revocation>>, asked: &Revocation) -> bool {
    match current {
        Some(current) if current.effective_at <= asked.effective_at => false,
        Some(_) | None => {
            *current = Some(Box::new(asked.clone()));
            true
        }
    }
}
