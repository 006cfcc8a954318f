//! Carrying out what the clock has brought about: overlaps and restrictions that have ended. What a key is worth does
//! not wait for this, since everybody compares with the clock; it leaves the events, and clears the way.

use super::Answer;
use super::rotation;
use super::subject::Subject;
use super::transaction::Transaction;
use crate::event::Action;
use alloc::string::ToString;
use alloc::vec::Vec;
use latchkey_domain::{KeyId, KeyspaceNumber};

/// Keys that one record settles. What remains is due still, and the leader asks again.
const SETTLED_PER_COMMAND_MAX: usize = 1_000;

pub(super) fn settle(transaction: &mut Transaction<'_>) -> Answer {
    let due: Vec<_> = transaction.state().keys_due(transaction.now()).take(SETTLED_PER_COMMAND_MAX).collect();
    for (keyspace, id) in due {
        settle_key(transaction, keyspace, id);
    }
    Answer::Done
}

fn settle_key(transaction: &mut Transaction<'_>, keyspace: KeyspaceNumber, id: KeyId) {
    let Some(mut subject) = Subject::at(transaction.state(), keyspace, id) else { return };
    let now = transaction.now();
    rotation::settle(transaction, &mut subject);
    let ended =
        subject.key.details.change(|details| details.restriction.take_if(|restriction| restriction.ends_at <= now));
    if let Some(restriction) = ended {
        // The etag stays: nothing that anybody could see has changed.
        let facts = Vec::from([("ended_at_ms", restriction.ends_at.millis().to_string())]);
        subject.tell(transaction, Action::RestrictionEnded, facts);
    }
    subject.put(transaction);
}
