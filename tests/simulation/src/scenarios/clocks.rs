//! Clocks that are wrong, that differ, and machines that slept.

use super::Scenario;
use super::barrier::keys_everywhere;
use crate::furniture::Furniture;
use crate::ground::Profile;
use crate::world::{Outcome, World};
use latchkey_domain::NodeId;
use latchkey_domain::planted::Plant;
use std::time::Duration;

/// How long anybody waits for a leader.
const ELECTED: Duration = Duration::from_secs(30);

/// A year. Milliseconds.
const YEAR_MS: i64 = 365 * 86_400_000;

pub(super) const FROZEN: Scenario = Scenario {
    name: "frozen",
    story: "The machine of a replica sleeps for 20 s, during which a key is revoked and confirmed. It wakes in the middle of \
            its work, and may not decide by what it knew.",
    finds: Plant::LeaseFromInstant,
    run: frozen,
};

pub(super) const APART: Scenario = Scenario {
    name: "clocks-apart",
    story: "The leader's clock runs 500 ppm fast and another's 500 ppm slow. That one is cut off under a bound of 5 min: \
            its lease ends 0.3 s after the leader has counted it out.",
    finds: Plant::NoMarginForRates,
    run: apart,
};

pub(super) const IN_APPLY: Scenario = Scenario {
    name: "clocks-differ",
    story: "The wall clocks of three replicas differ by up to 200 ms while keys are made. What is applied knows one time, \
            the leader's, and so all replicas are equal.",
    finds: Plant::ClockInApply,
    run: in_apply,
};

pub(super) const YEAR_AHEAD: Scenario = Scenario {
    name: "year-ahead",
    story: "The leader's wall clock jumps ahead by a year. Nothing expires, the replicated clock stays, and writes go on \
            under another leader.",
    finds: Plant::LeaderYearAhead,
    run: year_ahead,
};

fn leader(world: &mut World) -> Outcome<NodeId> {
    let mut leader = None;
    world.until(ELECTED, "a leader", |world| {
        leader = world.leader();
        leader.is_some()
    })?;
    Ok(leader.expect("just waited for"))
}

fn frozen(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, 2)?;
    let leader = leader(&mut world)?;
    let sleeper = world.others(&[leader])[0];
    world.freeze(sleeper, Duration::from_secs(20));
    let revoked = furniture.revoke(leader, 0, Duration::from_secs(15));
    world.call("a revocation", Duration::from_secs(30), revoked)?;
    world.pass(Duration::from_secs(25))
}

fn apart(seed: u64) -> Outcome {
    let bound_ms = 300_000;
    let mut world = World::prepared(Profile::ONE_SITE, seed, |machines| {
        // The slow one is never elected while the others live: it waits longer.
        let slow = latchkey_registry::Timing { heartbeat_ms: 150, election_min_ms: 5_000, election_max_ms: 6_000 };
        machines.timing.push((NodeId(3), slow));
        machines.rates.extend([(NodeId(1), 500), (NodeId(2), 500), (NodeId(3), -500)]);
    })?;
    let furniture = Furniture::put(&mut world, Some(bound_ms))?;
    keys_everywhere(&mut world, &furniture, 2)?;
    let leader = leader(&mut world)?;
    world.isolate(NodeId(3));
    let wait = Duration::from_secs(400);
    // The barrier waits a minute at most for one who asks; whoever asks again hears more.
    let revoked = furniture.clone().revoke(leader, 0, wait);
    world.call("a revocation", wait * 2, revoked)?;
    world.pass(Duration::from_secs(5))
}

fn in_apply(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    for (node, ahead_ms) in [(1, 100), (2, -100), (3, 0)] {
        world.machine(NodeId(node)).clock.set_wall_ahead(ahead_ms);
    }
    let furniture = Furniture::put(&mut world, None)?;
    for _ in 0..5 {
        keys_everywhere(&mut world, &furniture, 3)?;
    }
    world.finish()
}

fn year_ahead(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, 3)?;
    let leader = leader(&mut world)?;
    world.machine(leader).clock.set_wall_ahead(YEAR_MS);
    world.note(format!("the wall clock of replica {leader} is a year ahead"));
    keys_everywhere(&mut world, &furniture, 3)?;
    world.pass(Duration::from_secs(10))?;
    keys_everywhere(&mut world, &furniture, 3)?;
    world.finish()
}
