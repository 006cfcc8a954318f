//! What the barrier says, while links and leaders come and go.

use super::Scenario;
use crate::furniture::{Furniture, of_root, propose};
use crate::ground::Profile;
use crate::world::{Outcome, World};
use latchkey_domain::NodeId;
use latchkey_domain::planted::Plant;
use latchkey_state::{Operation, ReplicaStep, StepReplica};
use std::time::Duration;

/// How long a revocation waits for all regions: longer than any bound here.
const WAIT: Duration = Duration::from_secs(45);

/// How long anybody waits for a leader.
const ELECTED: Duration = Duration::from_secs(30);

pub(super) const LEFT_BEHIND: Scenario = Scenario {
    name: "left-behind",
    story: "A leader is cut off with the callers of its region. The others elect another, and a key is revoked there. The \
            first still calls itself leader; it may not renew its own lease.",
    finds: Plant::StaleQuorum,
    run: left_behind,
};

pub(super) const LATE_ANSWER: Scenario = Scenario {
    name: "late-answer",
    story: "The way from the leader to one replica stalls for 1.5 s, so that grants arrive late; then the replica is cut \
            off. Its freshness counts from when it asked.",
    finds: Plant::FreshnessFromReceipt,
    run: late_answer,
};

pub(super) const NEW_LEADER: Scenario = Scenario {
    name: "new-leader",
    story: "A replica is cut off, and the leader that granted its lease dies. The new leader knows nothing of that lease, \
            and a key is revoked.",
    finds: Plant::NewLeaderConfirmsByTime,
    run: new_leader,
};

pub(super) const BOUND_LOWERED: Scenario = Scenario {
    name: "bound-lowered",
    story: "A replica is cut off under a bound of 30 s. The bound is lowered to 10 s, and a key is revoked: the replica \
            that knows neither answers for 30 s.",
    finds: Plant::BoundLowered,
    run: bound_lowered,
};

pub(super) const REPORT_IN_FLIGHT: Scenario = Scenario {
    name: "report-in-flight",
    story: "A replica has a revocation in its log and not before its readers, for as long as it takes to hear that it is \
            committed. What it reports meanwhile is what its readers see.",
    finds: Plant::ReportBeforePublication,
    run: report_in_flight,
};

pub(super) const REMOVED: Scenario = Scenario {
    name: "removed",
    story: "A replica is cut off, and removed from the cluster. A key is revoked: whoever is no member any more and may still \
            hold a lease is waited for.",
    finds: Plant::LeaseIgnoredOnRemoval,
    run: removed,
};

pub(super) const RESTARTED: Scenario = Scenario {
    name: "restarted-alone",
    story: "A replica is cut off, a key is revoked and confirmed, and the replica starts again, still cut off. It has a state, \
            and no lease in this life: it answers nothing.",
    finds: Plant::LastKnownAfterRestart,
    run: restarted,
};

pub(super) const LED_ON: Scenario = Scenario {
    name: "led-on",
    story: "A key is revoked and confirmed while the rows of the leader lag behind its log. It dies, is back before anybody \
            stands, and leads on in its term with a replica that hears it and can store nothing: it answers nothing before it \
            knows again what it acknowledged.",
    finds: Plant::LedOnUnread,
    run: led_on,
};

/// A world with keys that are known everywhere.
fn furnished(profile: Profile, seed: u64, keys: usize, staleness_ms: Option<u64>) -> Outcome<(World, Furniture)> {
    let mut world = World::new(profile, seed)?;
    let furniture = Furniture::put(&mut world, staleness_ms)?;
    keys_everywhere(&mut world, &furniture, keys)?;
    Ok((world, furniture))
}

/// Makes keys, and waits until every replica accepts them.
pub(crate) fn keys_everywhere(world: &mut World, furniture: &Furniture, count: usize) -> Outcome {
    let before = world.history().keys.len();
    let created = furniture.clone().create(NodeId(1), count);
    world.call("keys", ELECTED, created)?;
    let (nodes, last) = (world.nodes(), before + count - 1);
    world.until(ELECTED, "the keys are accepted everywhere", |world| {
        world.history().keys.len() > last && nodes.iter().all(|node| world.decide(*node, last).is_valid())
    })?;
    Ok(())
}

/// The leader, once there is one.
pub(super) fn led(world: &mut World) -> Outcome<NodeId> {
    let mut leader = None;
    world.until(ELECTED, "a leader", |world| {
        leader = world.leader();
        leader.is_some()
    })?;
    Ok(leader.expect("just waited for"))
}

fn left_behind(seed: u64) -> Outcome {
    let (mut world, furniture) = furnished(Profile::ONE_SITE, seed, 2, None)?;
    let old = led(&mut world)?;
    world.isolate(old);
    let others = world.others(&[old]);
    let mut new = None;
    world.until(ELECTED, "another leader", |world| {
        new = world.leader_among(&others);
        new.is_some()
    })?;
    let revoked = furniture.revoke(new.expect("just waited for"), 0, WAIT);
    world.call("a revocation", WAIT * 2, revoked)?;
    world.pass(Duration::from_secs(10))
}

fn late_answer(seed: u64) -> Outcome {
    let (mut world, furniture) = furnished(Profile::WAN, seed, 4, None)?;
    let leader = led(&mut world)?;
    let far = world.others(&[leader])[0];
    // Grants are asked for twice a second, so one is on its way back in any such time.
    for key in 0..4 {
        world.shut((leader, far));
        world.pass(Duration::from_millis(1_500))?;
        world.open((leader, far));
        world.pass(Duration::from_millis(45))?;
        world.isolate(far);
        let near = world.others(&[far])[0];
        world.call("a revocation", WAIT * 2, furniture.clone().revoke(near, key, WAIT))?;
        world.pass(Duration::from_secs(3))?;
        world.rejoin(far);
        world.until(ELECTED, "the replica is fresh again", |world| world.is_fresh())?;
        if led(&mut world)? == far {
            break;
        }
    }
    Ok(())
}

fn new_leader(seed: u64) -> Outcome {
    let profile = Profile { replicas: 5, ..Profile::WAN };
    let (mut world, furniture) = furnished(profile, seed, 2, None)?;
    let old = led(&mut world)?;
    let away = world.others(&[old])[0];
    world.isolate(away);
    world.crash(old, false);
    let rest = world.others(&[old, away]);
    let mut new = None;
    world.until(ELECTED, "another leader", |world| {
        new = world.leader_among(&rest);
        new.is_some()
    })?;
    world.call("a revocation", WAIT * 2, furniture.revoke(new.expect("just waited for"), 0, WAIT))?;
    world.pass(Duration::from_secs(12))
}

fn bound_lowered(seed: u64) -> Outcome {
    let (mut world, furniture) = furnished(Profile::WAN, seed, 2, Some(30_000))?;
    let leader = led(&mut world)?;
    let away = world.others(&[leader])[0];
    world.isolate(away);
    world.call("a lower bound", ELECTED, furniture.clone().set_staleness(leader, 10_000))?;
    world.call("a revocation", WAIT * 2, furniture.revoke(leader, 0, WAIT))?;
    world.pass(Duration::from_secs(32))
}

fn removed(seed: u64) -> Outcome {
    let profile = Profile { replicas: 5, ..Profile::ONE_SITE };
    let (mut world, furniture) = furnished(profile, seed, 2, Some(20_000))?;
    let leader = led(&mut world)?;
    let away = world.others(&[leader])[0];
    world.until(ELECTED, "the founding members are in the table", |world| {
        world.running().iter().all(|(_, registry)| registry.core().state().replicas().count() == 5)
    })?;
    world.isolate(away);
    let (ground, step) = (world.ground.clone(), StepReplica { node: away, step: ReplicaStep::Remove });
    let command = of_root(Operation::StepReplica(step));
    let removing = async move { propose(&ground, leader, &command, ELECTED).await.is_some() };
    if !world.call("a removal", ELECTED, removing)? {
        return Err(world.failure("liveness", "a removal was refused"));
    }
    world.pass(Duration::from_secs(2))?;
    world.call("a revocation", WAIT * 2, furniture.revoke(leader, 0, WAIT))?;
    world.pass(Duration::from_secs(22))
}

fn restarted(seed: u64) -> Outcome {
    let (mut world, furniture) = furnished(Profile::ONE_SITE, seed, 2, None)?;
    let leader = led(&mut world)?;
    let away = world.others(&[leader])[0];
    // What it knows is on its disk.
    world.pass(Duration::from_secs(1))?;
    world.isolate(away);
    world.call("a revocation", WAIT * 2, furniture.revoke(leader, 0, WAIT))?;
    world.crash(away, false);
    world.restart(away);
    world.pass(Duration::from_secs(10))
}

fn led_on(seed: u64) -> Outcome {
    let (mut world, furniture) = furnished(Profile::WAN, seed, 2, None)?;
    let leader = led(&mut world)?;
    let others = world.others(&[leader]);
    world.machine(others[0]).stall_disk(true);
    world.machine(leader).lag_rows();
    world.call("a revocation", WAIT * 2, furniture.revoke(leader, 0, WAIT))?;
    world.crash(leader, false);
    world.crash(others[1], false);
    world.restart(leader);
    world.pass(Duration::from_secs(2))?;
    if !world.leads_among(&[leader]) {
        return Err(world.failure("the scenario itself", "whoever led does not lead on"));
    }
    // What takes records again lets the leader know what was acknowledged.
    world.machine(others[0]).stall_disk(false);
    world.until(ELECTED, "the leader answers again", |world| world.decide(leader, 1).is_valid())?;
    Ok(())
}

fn report_in_flight(seed: u64) -> Outcome {
    let (mut world, furniture) = furnished(Profile::WAN, seed, 20, None)?;
    for key in 0..20 {
        let leader = led(&mut world)?;
        let far = world.others(&[leader])[0];
        // Else revocations and reports keep step.
        let pause = world.random().below(500);
        world.pass(Duration::from_millis(pause))?;
        let revoked = furniture.clone().revoke(leader, key, WAIT);
        world.spawn(revoked);
        // The record is with the replica, that it is committed is not; meanwhile it reports.
        world.pass(Duration::from_millis(75))?;
        world.shut((leader, far));
        world.pass(Duration::from_millis(1_200))?;
        world.open((leader, far));
        world.until(WAIT, "the revocation is confirmed", |world| {
            let history = world.history();
            history.keys[key].revoked.as_ref().is_some_and(|revoked| revoked.confirmed_ms.is_some())
        })?;
    }
    Ok(())
}
