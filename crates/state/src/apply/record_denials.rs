//! Denials of one replica become entries. Whoever denied is their actor; what follows for the key is a command of its own.

use super::Answer;
use super::transaction::{Telling, Transaction};
use crate::command::{Actor, DENIALS_PER_COMMAND_MAX, DenialStep, RecordedDenial};
use crate::event::Action;
use alloc::string::ToString;
use alloc::vec::Vec;
use latchkey_domain::{Quota, Refusal, VersionName};

pub(super) fn record_denials(transaction: &mut Transaction<'_>, denials: &[RecordedDenial]) -> Result<Answer, Refusal> {
    if denials.len() > DENIALS_PER_COMMAND_MAX {
        return Err(Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit: DENIALS_PER_COMMAND_MAX as u64 });
    }
    for denial in denials {
        let (action, reason) = match denial.step {
            DenialStep::Denied => (Action::KeyDeniedLocally, Some((denial.reason, denial.text.clone()))),
            DenialStep::Allowed => (Action::KeyAllowedLocally, None),
        };
        let subject = match denial.version {
            Some(version) => VersionName { key: denial.key.clone(), version }.to_string(),
            None => denial.key.to_string(),
        };
        // The key may have left the state meanwhile; that it was denied is told all the same.
        let tenant = transaction.state().tenant(&denial.key.keyspace.parent()).map(|tenant| tenant.number);
        let facts = Vec::from([("at_ms", denial.at.millis().to_string()), ("replica", denial.replica.to_string())]);
        let telling = Telling { tenant, reason, facts };
        transaction.emit_as(Actor::Identity(denial.by.clone()), action, subject, telling);
    }
    Ok(Answer::Done)
}
