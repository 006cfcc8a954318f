//! Entries about who asked, rather than about what changed.

use super::Answer;
use super::transaction::{Telling, Transaction};
use crate::command::{Actor, Explanation, GatheredRefusal, REFUSALS_PER_COMMAND_MAX, SUBJECT_BYTES_MAX};
use crate::event::Action;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use latchkey_domain::{Quota, Refusal};

/// The subject where nobody knows what it was about.
const UNKNOWN: &str = "unknown";

/// The actor of such an entry is whoever was refused, and it belongs to his tenant: the subject is what he said, and
/// need not be there.
pub(super) fn record_refusals(
    transaction: &mut Transaction<'_>,
    refusals: &[GatheredRefusal],
) -> Result<Answer, Refusal> {
    if refusals.len() > REFUSALS_PER_COMMAND_MAX {
        return Err(Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit: REFUSALS_PER_COMMAND_MAX as u64 });
    }
    let service = match &transaction.command().actor {
        Actor::Service(word) => word.to_string(),
        Actor::Identity(_) | Actor::Replica(_) | Actor::Key(_) => String::new(),
    };
    for refusal in refusals {
        let tenant = transaction.state().tenant(&refusal.identity.parent()).map(|tenant| tenant.number);
        let facts = Vec::from([
            ("count", refusal.count.to_string()),
            ("method", within_bound(&refusal.method)),
            ("reason", within_bound(&refusal.reason)),
            ("service", service.clone()),
        ]);
        let subject = if refusal.subject.is_empty() { UNKNOWN } else { &refusal.subject };
        let actor = Actor::Identity(refusal.identity.clone());
        let telling = Telling { tenant, facts, ..Telling::default() };
        transaction.emit_as(actor, Action::AccessRefused, within_bound(subject), telling);
    }
    Ok(Answer::Done)
}

/// Whole characters, so that it stays a text.
fn within_bound(text: &str) -> String {
    text[..text.floor_char_boundary(SUBJECT_BYTES_MAX)].to_string()
}

pub(super) fn record_explanation(
    transaction: &mut Transaction<'_>,
    explanation: &Explanation,
) -> Result<Answer, Refusal> {
    let keyspace = explanation.key.as_ref().map(|key| &key.keyspace).or(explanation.keyspace.as_ref());
    let tenant = keyspace.and_then(|name| transaction.state().tenant(&name.parent())).map(|tenant| tenant.number);
    let subject = match (&explanation.key, keyspace) {
        (Some(key), _) => key.to_string(),
        (None, Some(keyspace)) => keyspace.to_string(),
        (None, None) => UNKNOWN.to_string(),
    };
    let mut facts = Vec::from([("outcome", explanation.outcome.as_str().to_string())]);
    facts.extend((!explanation.text.is_empty()).then(|| ("reason_text", explanation.text.to_string())));
    transaction.emit(Action::ValidationExplained, subject, Telling { tenant, facts, ..Telling::default() });
    Ok(Answer::Done)
}
