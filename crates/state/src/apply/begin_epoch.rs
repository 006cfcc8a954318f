//! A new epoch: the cluster goes on from a backup or from one replica. Whoever was not taken along is out for good.

use super::Answer;
use super::audit_log;
use super::change::now;
use super::transaction::{Telling, Transaction};
use crate::command::{Actor, BeginEpoch, EpochOrigin};
use crate::event::Action;
use crate::records::{Replica, Trimmed};
use crate::row::Row;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{NodeId, Refusal, ReplicaRole, ResourceKind, Sequence};

/// The level from which on checkpoints of the audit log are signed.
const CHECKPOINTS_LEVEL: u32 = 6;

pub(super) fn begin_epoch(transaction: &mut Transaction<'_>, operation: &BeginEpoch) -> Result<Answer, Refusal> {
    let (before, given) = (transaction.progress().last, operation.epoch);
    // Its own record has to be of that epoch, and the first one.
    if given != transaction.revision().epoch || given <= before.epoch {
        return Err(Refusal::EpochChanged { given, current: before.epoch });
    }
    let Actor::Replica(node) = transaction.command().actor else {
        return Err(Refusal::EpochChanged { given, current: before.epoch });
    };
    let is_new = transaction.state().replica(node).is_none();
    if operation.origin == EpochOrigin::Backup && !is_new {
        // The replica with this id may still be there, with the records that the backup lacks.
        let name = format!("replicas/{node}");
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Replica, name });
    }
    transaction.set_feature_level(transaction.progress().feature_level.max(transaction.command().feature_level));
    transaction.advance_clock(transaction.command().at);
    if let Some(audit) = operation.audit.as_ref().filter(|audit| audit.size() >= transaction.progress().frontier.size())
    {
        let trimmed = Trimmed { next: Sequence(audit.size()), at: transaction.now() };
        transaction.skip_numbers(audit.size() - transaction.progress().frontier.size());
        transaction.set_frontier(audit.clone());
        transaction.set_trimmed(trimmed);
    } else if operation.origin == EpochOrigin::Backup && transaction.progress().feature_level >= CHECKPOINTS_LEVEL {
        audit_log::begin(transaction, given, 0);
    }
    leave_behind(transaction, node, operation);
    let facts = Vec::from([
        ("epoch", given.to_string()),
        ("from", operation.origin.as_str().to_string()),
        ("previous", before.to_string()),
        ("replica", node.to_string()),
    ]);
    transaction.emit(Action::EpochBegan, "cluster".to_string(), Telling { facts, ..Telling::default() });
    Ok(Answer::Done)
}

/// The only replica is a voter; all others have left.
fn leave_behind(transaction: &mut Transaction<'_>, node: NodeId, operation: &BeginEpoch) {
    let changed = now(transaction);
    let admitted = transaction.state().replica(node).map_or(changed, |replica| replica.admitted);
    let others = transaction.state().replicas().filter(|replica| replica.node != node);
    let others: Vec<_> = others.filter(|replica| replica.role != ReplicaRole::Retired).cloned().collect();
    for other in others {
        let retired = Replica { role: ReplicaRole::Retired, changed, ..Replica::clone(&other) };
        transaction.put(Row::Replica(Arc::new(retired)));
    }
    // A folder that is left over has its key still, and its backups; a new replica tells its own.
    let before = transaction.state().replica(node);
    let node_key = before.and_then(|replica| replica.node_key);
    let backups = before.and_then(|replica| replica.backups.clone());
    let (place, role) = (operation.place.clone(), ReplicaRole::Voter);
    let replica = Replica { node, place, role, admitted, changed, node_key, backups };
    transaction.put(Row::Replica(Arc::new(replica)));
}
