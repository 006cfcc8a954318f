//! Who has a vote, while some are away.

use super::Scenario;
use super::barrier::led;
use crate::furniture::{of_root, propose};
use crate::ground::Profile;
use crate::world::{Outcome, World};
use latchkey_domain::planted::Plant;
use latchkey_domain::{NodeId, Refusal, ReplicaRole};
use latchkey_state::{Operation, ReplicaStep, StepReplica};
use std::time::Duration;

/// How long anybody waits.
const WITHIN: Duration = Duration::from_secs(30);

/// Longer than the bound within which a replica is heard.
const UNHEARD: Duration = Duration::from_secs(7);

pub(super) const LEARNERS_ALIVE: Scenario = Scenario {
    name: "learners-alive",
    story: "Three replicas vote and two learn, all alive but one that votes. Another is to lose its vote: of the two voters \
            that there would be one is heard, and however many learners are alive, nothing could be written. It is refused.",
    finds: Plant::LearnerCounted,
    run: learners_alive,
};

fn demote(node: NodeId) -> Operation {
    Operation::StepReplica(StepReplica { node, step: ReplicaStep::Demote })
}

/// Whether a replica follows without a vote, by the table and by raft.
fn is_learner(world: &World, leader: NodeId, node: NodeId) -> bool {
    world.machine(leader).process().is_some_and(|registry| {
        let role = registry.core().state().replica(node).map(|replica| replica.role);
        let votes = registry.status().replicas.into_iter().find(|replica| replica.node == node).map(|one| one.voter);
        (role, votes) == (Some(ReplicaRole::Learner), Some(false))
    })
}

fn learners_alive(seed: u64) -> Outcome {
    let profile = Profile { replicas: 5, ..Profile::ONE_SITE };
    let mut world = World::new(profile, seed)?;
    world.until(WITHIN, "the founding members are in the table", |world| {
        world.running().iter().all(|(_, registry)| registry.core().state().replicas().count() == 5)
    })?;
    let leader = led(&mut world)?;
    let others = world.others(&[leader]);
    let [learner, other_learner, away, asked] = others[..] else {
        return Err(world.failure("the simulation itself", "expected five replicas"));
    };
    for node in [learner, other_learner] {
        let (ground, command) = (world.ground.clone(), of_root(demote(node)));
        let demoting = async move { propose(&ground, leader, &command, WITHIN).await.is_some() };
        if !world.call("a vote is given back", WITHIN * 2, demoting)? {
            return Err(world.failure("liveness", "a demotion was refused while everybody is heard"));
        }
        world.until(WITHIN, "it is a learner", |world| is_learner(world, leader, node))?;
    }
    world.isolate(away);
    world.pass(UNHEARD)?;
    let leader = led(&mut world)?;
    let registry = world.machine(leader).process().expect("it leads");
    let checking = async move { registry.check_change(&demote(asked)).await };
    match world.call("whether that is safe", WITHIN, checking)? {
        Ok(Err(Refusal::MembershipUnsafe { .. })) => Ok(()),
        told => {
            let what = format!("replica {asked} may lose its vote, with {away} away of three that vote: {told:?}");
            Err(world.failure("a quorum is of voters", what))
        }
    }
}
