//! The next change that makes raft's membership follow the table. Pure: what is known goes in, one change comes out.

use latchkey_domain::{NodeId, ReplicaRole};
use std::collections::{BTreeMap, BTreeSet};

/// Raft's membership.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Membership {
    /// Everyone who gets the log.
    pub(super) nodes: BTreeSet<NodeId>,
    /// Whoever votes; in a joint membership by either set.
    pub(super) voters: BTreeSet<NodeId>,
    /// Whether a change of voters was begun and not finished.
    pub(super) joint: bool,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A member that the table does not know, as all are that founded the cluster.
    Admit(NodeId),
    /// A learner joins.
    AddLearner(NodeId),
    /// These vote from now on; whoever loses its vote follows on.
    SetVoters(BTreeSet<NodeId>),
    /// The leader itself is to lose its vote: another has to lead first.
    HandOver,
    /// Whoever can decide no more leaves.
    Drop(NodeId),
    /// It has left, and the table says so.
    Retire(NodeId),
}

/// The next change, absent where membership and table agree or somebody has to be waited for. `stopped` are those that
/// are to leave and can decide on nothing any more.
pub(super) fn next(
    leader: NodeId,
    membership: &Membership,
    table: &BTreeMap<NodeId, ReplicaRole>,
    stopped: &BTreeSet<NodeId>,
) -> Option<Change> {
    let Membership { nodes, voters, joint } = membership;
    // Before anything else: one that is to leave proposes nothing any more.
    let leads_on = table.get(&leader).is_none_or(|role| *role == ReplicaRole::Voter);
    let another = |(node, role): (&NodeId, &ReplicaRole)| *role == ReplicaRole::Voter && voters.contains(node);
    if !leads_on && table.iter().any(another) {
        return Some(Change::HandOver);
    }
    if let Some(unknown) = nodes.iter().find(|node| !table.contains_key(node)) {
        return Some(Change::Admit(*unknown));
    }
    let of_role = |role| table.iter().filter(move |(_, its)| **its == role).map(|(node, _)| *node);
    let absent = |node: &NodeId| !nodes.contains(node);
    if let Some(new) = of_role(ReplicaRole::Learner).chain(of_role(ReplicaRole::Voter)).find(absent) {
        return Some(Change::AddLearner(new));
    }
    // Until it can decide on nothing any more, whoever leaves keeps its vote: its log may be needed for a quorum.
    let leaving = of_role(ReplicaRole::Leaving).filter(|node| voters.contains(node) && !stopped.contains(node));
    let wanted: BTreeSet<_> = of_role(ReplicaRole::Voter).chain(leaving).collect();
    if *joint || *voters != wanted {
        return Some(Change::SetVoters(wanted));
    }
    let gone = of_role(ReplicaRole::Leaving).find(|node| stopped.contains(node));
    gone.map(|node| if nodes.contains(&node) { Change::Drop(node) } else { Change::Retire(node) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(nodes: &[u64]) -> BTreeSet<NodeId> {
        nodes.iter().map(|node| NodeId(*node)).collect()
    }

    fn membership(nodes: &[u64], voters: &[u64]) -> Membership {
        Membership { nodes: set(nodes), voters: set(voters), joint: false }
    }

    fn table(roles: &[(u64, ReplicaRole)]) -> BTreeMap<NodeId, ReplicaRole> {
        roles.iter().map(|(node, role)| (NodeId(*node), *role)).collect()
    }

    use ReplicaRole::{Learner, Leaving, Voter};
    const LEADER: NodeId = NodeId(1);

    /// Carries changes out until there is none; what was done, in order.
    fn course(mut membership: Membership, mut table: BTreeMap<NodeId, ReplicaRole>, stopped: &[u64]) -> Vec<Change> {
        let (mut done, mut leader) = (Vec::new(), LEADER);
        while let Some(change) = next(leader, &membership, &table, &set(stopped)) {
            match &change {
                Change::Admit(node) => drop(table.insert(*node, Voter)),
                Change::AddLearner(node) => drop(membership.nodes.insert(*node)),
                Change::SetVoters(voters) => membership.voters.clone_from(voters),
                Change::HandOver => leader = *table.iter().find(|(_, role)| **role == Voter).unwrap().0,
                Change::Drop(node) => drop(membership.nodes.remove(node)),
                Change::Retire(node) => drop(table.insert(*node, ReplicaRole::Retired)),
            }
            membership.joint = false;
            done.push(change);
            assert!(done.len() < 20, "{done:?}");
        }
        done
    }

    #[test]
    fn the_founding_members_are_admitted_first() {
        let done = course(membership(&[1, 2, 3], &[1, 2, 3]), table(&[]), &[]);
        assert_eq!(done, [1, 2, 3].map(|node| Change::Admit(NodeId(node))));
    }

    #[test]
    fn a_learner_joins_and_votes_only_when_it_is_to() {
        let three = membership(&[1, 2, 3], &[1, 2, 3]);
        let voters = [(1, Voter), (2, Voter), (3, Voter)];
        let done = course(three.clone(), table(&[&voters[..], &[(4, Learner)]].concat()), &[]);
        assert_eq!(done, [Change::AddLearner(NodeId(4))]);
        let done = course(three, table(&[&voters[..], &[(4, Voter)]].concat()), &[]);
        assert_eq!(done, [Change::AddLearner(NodeId(4)), Change::SetVoters(set(&[1, 2, 3, 4]))]);
    }

    #[test]
    fn whoever_leaves_stays_until_it_can_decide_no_more() {
        let three = membership(&[1, 2, 3], &[1, 2, 3]);
        let leaving = table(&[(1, Voter), (2, Voter), (3, Leaving)]);
        assert_eq!(next(LEADER, &three, &leaving, &set(&[])), None);
        let done = course(three, leaving, &[3]);
        assert_eq!(done, [Change::SetVoters(set(&[1, 2])), Change::Drop(NodeId(3)), Change::Retire(NodeId(3))]);
    }

    #[test]
    fn a_leader_that_leaves_hands_over_before_anything_else() {
        let three = membership(&[1, 2, 3], &[1, 2, 3]);
        let done = course(three, table(&[(1, Leaving), (2, Voter), (3, Voter)]), &[1]);
        let rest = [Change::SetVoters(set(&[2, 3])), Change::Drop(LEADER), Change::Retire(LEADER)];
        assert_eq!(done[0], Change::HandOver);
        assert_eq!(done[1..], rest);
    }

    #[test]
    fn a_change_that_another_leader_began_is_finished() {
        let joint = Membership { joint: true, ..membership(&[1, 2, 3, 4], &[1, 2, 3, 4]) };
        let table = table(&[(1, Voter), (2, Voter), (3, Voter), (4, Voter)]);
        assert_eq!(next(LEADER, &joint, &table, &set(&[])), Some(Change::SetVoters(set(&[1, 2, 3, 4]))));
    }

    #[test]
    fn a_leader_on_its_own_does_not_hand_over_to_nobody() {
        let one = membership(&[1, 2], &[1]);
        assert_eq!(next(LEADER, &one, &table(&[(1, Voter), (2, Learner)]), &set(&[])), None);
    }
}
