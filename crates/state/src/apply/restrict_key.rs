//! Letting a key do less for a while. A new restriction replaces the one before.

use super::Answer;
use super::subject::{Subject, said};
use super::transaction::Transaction;
use crate::command::{End, RESTRICTION_MAX, RestrictKey};
use crate::event::Action;
use crate::key::Restriction;
use crate::state::State;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Display;
use latchkey_domain::{Refusal, UnixMillis};

pub(super) fn restrict_key(transaction: &mut Transaction<'_>, operation: &RestrictKey) -> Result<Answer, Refusal> {
    let mut subject = Subject::find(transaction.state(), &operation.key, operation.etag.as_deref())?;
    let now = transaction.now();
    subject.need_alive(transaction.state(), now)?;
    let restriction = Restriction {
        permissions: operation.permissions.clone(),
        networks: operation.networks.clone(),
        ends_at: end(operation.end, now)?,
        at: now,
        text: operation.text.clone(),
    };
    need_within(transaction.state(), &subject, &restriction, now)?;
    // The same again is no change, whenever it was said.
    if subject.key.restriction(now).is_some_and(|current| Restriction { at: now, ..current.clone() } == restriction) {
        return Ok(Answer::Key(Arc::new(subject.key)));
    }
    let facts = facts(&restriction);
    subject.key.details.change(|details| details.restriction = Some(Box::new(restriction)));
    subject.touch(transaction);
    subject.tell(transaction, Action::KeyRestricted, facts);
    Ok(Answer::Key(subject.put(transaction)))
}

fn end(asked: End, now: UnixMillis) -> Result<UnixMillis, Refusal> {
    let ends_at = match asked {
        End::At(time) => time,
        End::After(span) => now.plus(span),
    };
    if ends_at <= now {
        return Err(Refusal::ExpiryPast { expire_time: ends_at, now });
    }
    if ends_at.since(now) > RESTRICTION_MAX {
        return Err(Refusal::LifetimeTooLong { asked: ends_at.since(now), maximum: RESTRICTION_MAX });
    }
    Ok(ends_at)
}

/// Whoever asks for more than the key has is mistaken about the key.
fn need_within(state: &State, subject: &Subject, restriction: &Restriction, now: UnixMillis) -> Result<(), Refusal> {
    let exceeds = |field, value: String| Err(Refusal::ExceedsKey { name: subject.name.to_string(), field, value });
    let layers = state.terms_of(&subject.key, now);
    let permissions = restriction.permissions.as_ref().into_iter().flat_map(|permissions| permissions.iter());
    if let Some(pattern) = permissions.into_iter().find(|pattern| !layers.key_covers(pattern)) {
        return exceeds("permissions", pattern.to_string());
    }
    let networks = &subject.key.terms.networks;
    match restriction.networks.iter().find(|network| !networks.is_empty() && !networks.covers(network)) {
        Some(network) => exceeds("networks", network.to_string()),
        None => Ok(()),
    }
}

fn facts(restriction: &Restriction) -> Vec<(&'static str, String)> {
    let mut facts = Vec::from([("ends_at_ms", restriction.ends_at.millis().to_string())]);
    if !restriction.networks.is_empty() {
        facts.push(("networks", joined(restriction.networks.iter())));
    }
    // None at all differs from not restricted.
    facts.extend(restriction.permissions.as_ref().map(|permissions| ("permissions", joined(permissions.iter()))));
    facts.extend(said(&restriction.text));
    facts
}

fn joined(values: impl Iterator<Item = impl Display>) -> String {
    values.map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}
