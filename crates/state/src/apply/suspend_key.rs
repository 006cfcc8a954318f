//! Suspending a key and resuming it. Both are idempotent, and neither revives a dead key.

use super::Answer;
use super::subject::{Subject, said};
use super::transaction::Transaction;
use crate::command::{ResumeKey, SuspendKey};
use crate::event::Action;
use crate::key::Suspension;
use alloc::boxed::Box;
use alloc::sync::Arc;
use latchkey_domain::Refusal;

pub(super) fn suspend_key(transaction: &mut Transaction<'_>, operation: &SuspendKey) -> Result<Answer, Refusal> {
    let mut subject = Subject::find(transaction.state(), &operation.key, operation.etag.as_deref())?;
    let now = transaction.now();
    subject.need_alive(transaction.state(), now)?;
    if subject.key.suspension().is_some() {
        return Ok(Answer::Key(Arc::new(subject.key)));
    }
    let suspension = Suspension { at: now, text: operation.text.clone() };
    subject.key.details.change(|details| details.suspension = Some(Box::new(suspension)));
    subject.touch(transaction);
    subject.tell(transaction, Action::KeySuspended, said(&operation.text).into_iter().collect());
    Ok(Answer::Key(subject.put(transaction)))
}

/// A restriction whose end has passed restricts nothing, and is left for whoever carries out what the clock brought.
pub(super) fn resume_key(transaction: &mut Transaction<'_>, operation: &ResumeKey) -> Result<Answer, Refusal> {
    let mut subject = Subject::find(transaction.state(), &operation.key, operation.etag.as_deref())?;
    let now = transaction.now();
    subject.need_alive(transaction.state(), now)?;
    let lifted = match (subject.key.restriction(now).is_some(), subject.key.suspension().is_some()) {
        (false, false) => return Ok(Answer::Key(Arc::new(subject.key))),
        (true, false) => "restriction",
        (false, true) => "suspension",
        (true, true) => "restriction,suspension",
    };
    subject.key.details.change(|details| {
        details.suspension = None;
        details.restriction = details.restriction.take().filter(|restriction| restriction.ends_at <= now);
    });
    subject.touch(transaction);
    let facts = [("lifted", lifted.into())].into_iter().chain(said(&operation.text)).collect();
    subject.tell(transaction, Action::KeyResumed, facts);
    Ok(Answer::Key(subject.put(transaction)))
}
