//! What the leader asks before a change of membership becomes a record: whether a quorum would still be heard, and
//! whether whoever gets a vote or leads has caught up. Only the leader knows that, so no replica can judge it in `apply`.

use super::roster::Roster;
use crate::duties::kek;
use crate::registry::{Registry, ReplicaStatus};
use latchkey_domain::planted::{self, Plant};
use latchkey_domain::{DurationMillis, NodeId, Refusal, ReplicaRole, ResourceKind};
use latchkey_state::{AdmitReplica, Operation, ReplicaStep, State, StepReplica};
use latchkey_transport::Unavailable;
use std::collections::BTreeSet;

/// Records that a learner may be behind when it gets a vote, and a voter when it is to lead. Some tenths of a second of
/// writing.
pub(crate) const CAUGHT_UP_RECORDS_MAX: u64 = 1_000;

/// Refuses what only the leader can tell is not safe now: a change of membership, and moving the keyring to another
/// key-encryption key. `state` and `roster` are the leader's.
pub(crate) fn check(state: &State, roster: &Roster, operation: &Operation) -> Result<(), Refusal> {
    match operation {
        Operation::AdmitReplica(admit) if admit.role == ReplicaRole::Learner => check_new(state, roster, admit),
        Operation::StepReplica(StepReplica { node, step }) => check_step(state, roster, *node, *step),
        Operation::RewrapRingKeys(keys) => kek::check(roster, keys),
        _ => Ok(()),
    }
}

impl Registry {
    /// Whether a change of membership would be refused as things are, by what the leader knows.
    ///
    /// # Errors
    /// [`Unavailable::NoLeader`] where none answers.
    pub async fn check_change(&self, operation: &Operation) -> Result<Result<(), Refusal>, Unavailable> {
        let roster = self.roster().await?;
        Ok(check(&self.core().state(), &roster, operation))
    }
}

/// An id or an address of a replica that is there would make two of one.
fn check_new(state: &State, roster: &Roster, admit: &AdmitReplica) -> Result<(), Refusal> {
    // Members of the founding may not be in the table yet, and those that are gone are no members.
    let is_known = roster.replicas.iter().any(|replica| replica.node == admit.node);
    if is_known || state.replica(admit.node).is_some() {
        let name = format!("replicas/{}", admit.node);
        return Err(Refusal::AlreadyExists { kind: ResourceKind::Replica, name });
    }
    let of_table = state.replicas().filter(|replica| replica.role != ReplicaRole::Retired);
    let table = of_table.map(|replica| (replica.node, replica.place.address(), replica.place.raft_address()));
    let members = roster.replicas.iter();
    let members = members.map(|replica| (replica.node, &*replica.member.address, &*replica.member.raft_address));
    let addresses = [admit.place.address(), admit.place.raft_address()];
    for (node, address, raft_address) in table.chain(members) {
        if let Some(taken) = addresses.into_iter().find(|new| *new == address || *new == raft_address) {
            let problem = format!("{taken} is an address of replica {node}; remove that first, or use another");
            return Err(unsafe_for(admit.node, problem));
        }
    }
    Ok(())
}

fn check_step(state: &State, roster: &Roster, node: NodeId, step: ReplicaStep) -> Result<(), Refusal> {
    // What has been taken already, and what the table refuses, needs no quorum.
    let Some(replica) = state.replica(node) else { return Ok(()) };
    let mut voters: BTreeSet<NodeId> =
        state.replicas().filter(|replica| replica.role == ReplicaRole::Voter).map(|replica| replica.node).collect();
    match (step, replica.role) {
        (ReplicaStep::Promote, ReplicaRole::Learner) => {
            check_caught_up(state, roster, node)?;
            voters.insert(node);
            check_quorum(state, roster, node, &voters)
        }
        (ReplicaStep::Demote | ReplicaStep::Remove, ReplicaRole::Voter) if voters.len() > 1 => {
            voters.remove(&node);
            check_quorum(state, roster, node, &voters)
        }
        (ReplicaStep::Lead, ReplicaRole::Voter) if node != roster.leader => check_caught_up(state, roster, node),
        _ => Ok(()),
    }
}

/// A voter that is behind can commit nothing until it has caught up, so it would only be one more to wait for.
fn check_caught_up(state: &State, roster: &Roster, node: NodeId) -> Result<(), Refusal> {
    let replica = roster.replicas.iter().find(|replica| replica.node == node);
    let heard = replica.is_some_and(|replica| is_heard(state, replica));
    let published = replica.and_then(|replica| replica.known).and_then(|known| known.published);
    let (Some(published), true) = (published, heard) else {
        let problem = format!("replica {node} holds no lease: the leader has not heard of it; is it started?");
        return Err(unsafe_for(node, problem));
    };
    let behind = roster.revision.index.saturating_sub(published);
    if behind > CAUGHT_UP_RECORDS_MAX {
        let problem = format!("replica {node} is {behind} records behind, expected at most {CAUGHT_UP_RECORDS_MAX}");
        return Err(unsafe_for(node, problem));
    }
    Ok(())
}

fn check_quorum(state: &State, roster: &Roster, node: NodeId, voters: &BTreeSet<NodeId>) -> Result<(), Refusal> {
    quorum_missing(state, roster, voters).map_or(Ok(()), |problem| Err(unsafe_for(node, problem)))
}

/// Of the voters that there would be, a majority has to be heard now, or nothing could be written afterwards. `None`
/// where it is.
pub(super) fn quorum_missing(state: &State, roster: &Roster, voters: &BTreeSet<NodeId>) -> Option<String> {
    let heard = |id: &NodeId| {
        *id == roster.leader || roster.replicas.iter().any(|replica| replica.node == *id && is_heard(state, replica))
    };
    let needed = voters.len() / 2 + 1;
    let found = if planted::is(Plant::LearnerCounted) {
        roster.replicas.iter().filter(|replica| heard(&replica.node)).count()
    } else {
        voters.iter().filter(|id| heard(id)).count()
    };
    if found >= needed {
        return None;
    }
    let away: Vec<_> = voters.iter().filter(|id| !heard(id)).map(ToString::to_string).collect();
    Some(format!(
        "of the {} voters that there would be the leader hears {found}, expected at least {needed}; not heard: {}",
        voters.len(),
        away.join(", ")
    ))
}

/// Whether a replica has renewed its lease within what the cluster allows.
fn is_heard(state: &State, replica: &ReplicaStatus) -> bool {
    let bound = state.cluster().map_or(DurationMillis::ZERO, |cluster| cluster.staleness_default);
    replica.known.and_then(|known| known.lease_age).is_some_and(|age| age <= bound)
}

fn unsafe_for(replica: NodeId, problem: String) -> Refusal {
    Refusal::MembershipUnsafe { replica, problem }
}
