//! The audit log begins anew, where what it was is lost.
//!
//! A new audit service follows a log from its first entry. Where replicas let entries go that audit said to have, and audit's copy
//! is lost since, nobody has the first ones: the log that there was has ended, whatever is done. What is left to do is to say so.

use super::Answer;
use super::checkpoint::hex;
use super::transaction::{Telling, Transaction};
use crate::command::BeginAuditLog;
use crate::event::Action;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use latchkey_domain::{DurationMillis, Refusal};

/// The oldest entry waits at least this long before audit is taken for lost. One that runs takes entries within seconds.
const AWAY_MIN: DurationMillis = DurationMillis::from_secs(600);

/// An operator says that audit's copy is lost. The log is named after this record, so that no other one has its name.
pub(super) fn begin_audit_log(transaction: &mut Transaction<'_>, operation: BeginAuditLog) -> Result<Answer, Refusal> {
    if let Some(problem) = not_lost(transaction, operation) {
        let entries = transaction.progress().entries_waiting();
        return Err(Refusal::AuditLogNotLost { entries, problem });
    }
    let revision = transaction.revision();
    begin(transaction, revision.epoch, revision.index);
    Ok(Answer::Done)
}

/// Why a new audit service needs no other log, as far as the state can tell.
fn not_lost(transaction: &Transaction<'_>, operation: BeginAuditLog) -> Option<String> {
    let (progress, now) = (transaction.progress(), transaction.now());
    let Some(trimmed) = progress.trimmed.filter(|trimmed| trimmed.next.0 > 0) else {
        return Some(
            "expected a log of which entries were let go, found one that the replicas have from its first on".into(),
        );
    };
    let (entries, waits) = (progress.entries_waiting(), now.since(trimmed.at));
    let is_away = entries > 0 && waits >= AWAY_MIN;
    (!is_away && !operation.force).then(|| {
        let (expected, waits) = (AWAY_MIN.millis() / 1_000, if entries > 0 { waits.millis() / 1_000 } else { 0 });
        format!(
            "expected an entry that has waited for audit for at least {expected} s, found {entries} that wait, the oldest for {waits} s"
        )
    })
}

/// Begins another log. Where entries were let go, it begins with nothing, and its first entry names the one before it: how long
/// that was, what its root was, and what was signed of it last. Else all is there still, and comes again under the new name.
pub(super) fn begin(transaction: &mut Transaction<'_>, epoch: u64, index: u64) {
    let before = transaction.progress().clone();
    transaction.name_tree(epoch, index);
    let Some(trimmed) = before.trimmed.filter(|trimmed| trimmed.next.0 > 0) else { return };
    let cluster = transaction.state().cluster().expect("nothing is carried out before there is a cluster").id;
    transaction.empty_tree();
    let mut facts = Vec::new();
    if let Some(checkpoint) = &before.checkpoint {
        facts.push(("checkpoint_root", hex(checkpoint.root.as_bytes())));
        facts.push(("checkpoint_size", checkpoint.size.to_string()));
    }
    facts.push(("log", transaction.progress().log_name(cluster)));
    facts.push(("lost_from", trimmed.next.0.to_string()));
    facts.push(("previous_log", before.log_name(cluster)));
    facts.push(("previous_root", hex(before.frontier.root().as_bytes())));
    facts.push(("previous_size", before.frontier.size().to_string()));
    transaction.emit(Action::AuditLogBegan, "cluster".to_string(), Telling { facts, ..Telling::default() });
}
