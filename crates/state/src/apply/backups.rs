//! Backups become entries: each that is taken, and each that is kept no more.

use super::Answer;
use super::transaction::{Telling, Transaction};
use crate::backups::{Backup, ReplicaBackups};
use crate::event::Action;
use crate::records::Replica;
use crate::row::Row;
use crate::state::State;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{NodeId, Refusal, ResourceKind};

/// A backup is about to be given to whoever asked. One that was told already is no news.
pub(super) fn record_backup(transaction: &mut Transaction<'_>, backup: &Backup) -> Result<Answer, Refusal> {
    let replica = replica(transaction.state(), backup.node)?;
    let before = replica.backups.clone().unwrap_or_default();
    if before.given == Some(*backup) {
        return Ok(Answer::Done);
    }
    // Two that are asked for at once may be told in either order.
    let given = before.given.max(Some(*backup));
    put(transaction, &replica, ReplicaBackups { given, ..*before });
    tell(transaction, Action::BackupCreated, backup, Vec::new());
    Ok(Answer::Done)
}

/// What lies in a replica's folder now. Each that has come and each that has gone is told; where neither did, nothing changes. A
/// folder that several replicas write to is told of by each.
pub(super) fn keep_backups(
    transaction: &mut Transaction<'_>,
    node: NodeId,
    folder: &ReplicaBackups,
) -> Result<Answer, Refusal> {
    let replica = replica(transaction.state(), node)?;
    let ReplicaBackups { given, kept: before, .. } = *replica.backups.clone().unwrap_or_default();
    let now = ReplicaBackups { given, ..ReplicaBackups::of_folder(folder.keep, folder.older, folder.kept.clone()) };
    // Those that are only counted now are there still.
    let counted = |one: &Backup| now.older > 0 && now.kept.first().is_some_and(|first| one < first);
    let came: Vec<_> = now.kept.iter().filter(|one| !before.contains(one)).copied().collect();
    let gone: Vec<_> = before.iter().filter(|one| !now.kept.contains(one) && !counted(one)).copied().collect();
    if came.is_empty() && gone.is_empty() {
        return Ok(Answer::Done);
    }
    let kept_by = || Vec::from([("keep", now.keep.to_string()), ("kept_by", node.to_string())]);
    put(transaction, &replica, now.clone());
    came.iter().for_each(|backup| tell(transaction, Action::BackupCreated, backup, kept_by()));
    gone.iter().for_each(|backup| tell(transaction, Action::BackupRemoved, backup, kept_by()));
    Ok(Answer::Done)
}

fn replica(state: &State, node: NodeId) -> Result<Arc<Replica>, Refusal> {
    let missing = || Refusal::NotFound { kind: ResourceKind::Replica, name: format!("replicas/{node}") };
    state.replica(node).cloned().ok_or_else(missing)
}

fn put(transaction: &mut Transaction<'_>, replica: &Replica, backups: ReplicaBackups) {
    let backups = (backups != ReplicaBackups::default()).then(|| Box::new(backups));
    transaction.put(Row::Replica(Arc::new(Replica { backups, ..replica.clone() })));
}

fn tell(transaction: &mut Transaction<'_>, action: Action, backup: &Backup, mut facts: Vec<(&'static str, String)>) {
    facts.push(("replica", backup.node.to_string()));
    facts.push(("revision", backup.revision.to_string()));
    facts.push(("taken_at_ms", backup.taken_at.millis().to_string()));
    transaction.emit(action, backup.to_string(), Telling { facts, ..Telling::default() });
}
