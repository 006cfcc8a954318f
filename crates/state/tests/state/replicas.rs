//! The table of replicas: ids are never used again, steps are idempotent, and only a voter besides it lets one go.

use crate::support::{World, by, by_replica, by_root, create_identity, grant};
use latchkey_domain::{Duty, NodeId, Refusal, ReplicaPlace, ReplicaRole, ResourceKind};
use latchkey_state::{AdmitReplica, Operation, REPLICAS_MAX, ReplicaStep, StepReplica};

pub(crate) fn admit(node: u64, role: ReplicaRole) -> Operation {
    let place = ReplicaPlace::new("north", "127.0.0.1:7721", "127.0.0.1:7720").unwrap();
    Operation::AdmitReplica(AdmitReplica { node: NodeId(node), place, role })
}

pub(crate) fn step(node: u64, step: ReplicaStep) -> Operation {
    Operation::StepReplica(StepReplica { node: NodeId(node), step })
}

fn role(world: &World, node: u64) -> Option<ReplicaRole> {
    world.state.replica(NodeId(node)).map(|replica| replica.role)
}

/// A cluster of two voters and a learner.
fn three() -> World {
    let mut world = World::furnished();
    world.done(by_replica(admit(1, ReplicaRole::Voter)));
    world.done(by_replica(admit(2, ReplicaRole::Voter)));
    world.done(by_root(admit(3, ReplicaRole::Learner)));
    world
}

#[test]
fn an_id_is_never_used_again_not_even_by_the_same_place() {
    let mut world = three();
    let taken = |node: u64| Refusal::AlreadyExists { kind: ResourceKind::Replica, name: format!("replicas/{node}") };
    assert_eq!(world.refused(by_root(admit(3, ReplicaRole::Learner))), taken(3));
    world.done(by_root(step(3, ReplicaStep::Remove)));
    world.done(by_replica(step(3, ReplicaStep::Retire)));
    assert_eq!(role(&world, 3), Some(ReplicaRole::Retired));
    assert_eq!(world.refused(by_root(admit(3, ReplicaRole::Learner))), taken(3));
    assert!(matches!(world.refused(by_root(admit(0, ReplicaRole::Learner))), Refusal::Reserved { .. }));
}

#[test]
fn a_step_that_was_taken_changes_nothing_and_leaves_no_entry() {
    let mut world = three();
    for (taken, becomes) in [
        (ReplicaStep::Promote, ReplicaRole::Voter),
        (ReplicaStep::Demote, ReplicaRole::Learner),
        (ReplicaStep::Remove, ReplicaRole::Leaving),
    ] {
        assert_eq!(world.apply(by_root(step(3, taken))).entries.len(), 1);
        assert_eq!(role(&world, 3), Some(becomes));
        assert!(world.apply(by_root(step(3, taken))).entries.is_empty(), "{taken:?}");
    }
    world.done(by_replica(step(3, ReplicaStep::Retire)));
    assert!(world.apply(by_root(step(3, ReplicaStep::Remove))).entries.is_empty());
}

#[test]
fn the_last_voter_neither_leaves_nor_loses_its_vote() {
    let mut world = three();
    world.done(by_root(step(2, ReplicaStep::Demote)));
    for last in [ReplicaStep::Demote, ReplicaStep::Remove] {
        let expected = "another voter besides it";
        let refusal = Refusal::ReplicaNotIn { replica: NodeId(1), role: ReplicaRole::Voter, expected };
        assert_eq!(world.refused(by_root(step(1, last))), refusal);
    }
}

#[test]
fn who_leaves_comes_back_by_no_step() {
    let mut world = three();
    world.done(by_root(step(3, ReplicaStep::Remove)));
    for (back, expected) in
        [(ReplicaStep::Promote, "a learner"), (ReplicaStep::Demote, "a voter"), (ReplicaStep::Lead, "a voter")]
    {
        let refusal = Refusal::ReplicaNotIn { replica: NodeId(3), role: ReplicaRole::Leaving, expected };
        assert_eq!(world.refused(by_root(step(3, back))), refusal);
    }
    assert!(matches!(world.refused(by_root(step(9, ReplicaStep::Remove))), Refusal::NotFound { .. }));
}

#[test]
fn the_membership_is_for_admins_of_the_system_and_retiring_for_the_leader() {
    let mut world = three();
    world.done(by_root(create_identity("acme/ann", &[grant(Duty::Admin, "acme")])));
    for operation in [admit(4, ReplicaRole::Learner), step(3, ReplicaStep::Promote), step(2, ReplicaStep::Lead)] {
        assert!(matches!(world.refused(by("acme/ann", operation.clone())), Refusal::PermissionDenied { .. }));
        assert!(matches!(world.refused(by_replica(operation)), Refusal::PermissionDenied { .. }));
    }
    world.done(by_root(step(3, ReplicaStep::Remove)));
    for operation in [admit(4, ReplicaRole::Voter), step(3, ReplicaStep::Retire)] {
        assert!(matches!(world.refused(by_root(operation)), Refusal::PermissionDenied { .. }));
    }
}

#[test]
fn there_are_at_most_so_many_replicas_that_are_not_retired() {
    let mut world = three();
    for node in 4..=REPLICAS_MAX as u64 {
        world.done(by_root(admit(node, ReplicaRole::Learner)));
    }
    assert!(matches!(world.refused(by_root(admit(999, ReplicaRole::Learner))), Refusal::QuotaExceeded { .. }));
    world.done(by_root(step(9, ReplicaStep::Remove)));
    world.done(by_replica(step(9, ReplicaStep::Retire)));
    world.done(by_root(admit(999, ReplicaRole::Learner)));
}
