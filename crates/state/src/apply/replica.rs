//! The table of replicas: who was ever admitted, and what each is meant to be. It never forgets an id.

use super::Answer;
use super::change::now;
use super::transaction::{Telling, Transaction};
use crate::command::{AdmitReplica, REPLICAS_MAX, ReplicaStep, StepReplica};
use crate::event::Action;
use crate::records::Replica;
use crate::row::Row;
use crate::state::State;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use latchkey_domain::{NodeId, Quota, Refusal, ReplicaRole, ResourceKind};

pub(super) fn admit_replica(transaction: &mut Transaction<'_>, operation: &AdmitReplica) -> Result<Answer, Refusal> {
    let AdmitReplica { node, place, role } = operation;
    let state = transaction.state();
    // Zero stands for "whoever answers" in every target.
    if *node == NodeId(0) {
        return Err(Refusal::Reserved { name: name(*node) });
    }
    if state.replica(*node).is_some() {
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Replica, name: name(*node) });
    }
    if state.replicas().filter(|replica| replica.role != ReplicaRole::Retired).count() >= REPLICAS_MAX {
        return Err(Refusal::QuotaExceeded { quota: Quota::Replicas, limit: REPLICAS_MAX as u64 });
    }
    let admitted = now(transaction);
    let replica = Replica {
        node: *node,
        place: place.clone(),
        role: *role,
        admitted,
        changed: admitted,
        node_key: None,
        backups: None,
    };
    transaction.put(Row::Replica(Arc::new(replica)));
    let facts = Vec::from([
        ("address", place.address().to_string()),
        ("raft_address", place.raft_address().to_string()),
        ("region", place.region().to_string()),
        ("role", role.to_string()),
    ]);
    tell(transaction, Action::ReplicaAdmitted, *node, facts);
    Ok(Answer::Done)
}

/// Takes a replica one step on. A step that it has taken already changes nothing, so that a repeat is safe.
pub(super) fn step_replica(transaction: &mut Transaction<'_>, operation: StepReplica) -> Result<Answer, Refusal> {
    use ReplicaRole::{Learner, Leaving, Retired, Voter};
    let StepReplica { node, step } = operation;
    let not_found = || Refusal::NotFound { kind: ResourceKind::Replica, name: name(node) };
    let replica = transaction.state().replica(node).cloned().ok_or_else(not_found)?;
    let expected = |expected| Err(Refusal::ReplicaNotIn { replica: node, role: replica.role, expected });
    let (role, action) = match (step, replica.role) {
        (ReplicaStep::Promote, Voter)
        | (ReplicaStep::Demote, Learner)
        | (ReplicaStep::Remove, Leaving | Retired)
        | (ReplicaStep::Retire, Retired) => return Ok(Answer::Done),
        (ReplicaStep::Promote, Learner) => (Voter, Action::ReplicaPromoted),
        (ReplicaStep::Demote | ReplicaStep::Remove, Voter) if is_last_voter(transaction.state(), node) => {
            return expected("another voter besides it");
        }
        (ReplicaStep::Demote, Voter) => (Learner, Action::ReplicaDemoted),
        (ReplicaStep::Remove, Learner | Voter) => (Leaving, Action::ReplicaRemoved),
        (ReplicaStep::Retire, Leaving) => (Retired, Action::ReplicaRetired),
        (ReplicaStep::Lead, Voter) => (Voter, Action::LeadershipTransferred),
        (ReplicaStep::Promote, Leaving | Retired) => return expected("a learner"),
        (ReplicaStep::Demote, Leaving | Retired) | (ReplicaStep::Lead, Learner | Leaving | Retired) => {
            return expected("a voter");
        }
        (ReplicaStep::Retire, Learner | Voter) => return expected("a replica that is leaving"),
    };
    if role != replica.role {
        let changed = now(transaction);
        transaction.put(Row::Replica(Arc::new(Replica { role, changed, ..Replica::clone(&replica) })));
    }
    tell(transaction, action, node, Vec::from([("was", replica.role.to_string())]));
    Ok(Answer::Done)
}

fn is_last_voter(state: &State, node: NodeId) -> bool {
    !state.replicas().any(|replica| replica.node != node && replica.role == ReplicaRole::Voter)
}

fn name(node: NodeId) -> String {
    format!("replicas/{node}")
}

fn tell(transaction: &mut Transaction<'_>, action: Action, node: NodeId, facts: Vec<(&'static str, String)>) {
    transaction.emit(action, name(node), Telling { facts, ..Telling::default() });
}
