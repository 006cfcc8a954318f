//! What readers and followers see while the state moves.

use super::Scenario;
use super::barrier::keys_everywhere;
use crate::furniture::Furniture;
use crate::ground::Profile;
use crate::world::{Outcome, World};
use latchkey_domain::planted::Plant;
use latchkey_domain::{NodeId, Sequence};
use latchkey_link::FollowItem;
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;

/// How long anybody waits.
const WITHIN: Duration = Duration::from_secs(30);

pub(super) const FOLLOWED: Scenario = Scenario {
    name: "followed",
    story: "Somebody follows the entries of a replica from the first one on, while keys are made. Each entry comes once, \
            in order.",
    finds: Plant::GapInFollow,
    run: followed,
};

pub(super) const SWAPPED: Scenario = Scenario {
    name: "swapped",
    story: "A replica is away for a moment, in which its leader's log is purged; it is still fresh when it takes a snapshot, \
            and goes on to answer. Every key is there at each instant.",
    finds: Plant::NonAtomicSwap,
    run: swapped,
};

fn followed(seed: u64) -> Outcome {
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, 12)?;
    let node = NodeId(2);
    let Some(registry) = world.machine(node).process() else { return Ok(()) };
    let size = registry.core().state().progress().frontier.size();
    let read = async move {
        let by = Instant::now() + WITHIN;
        let mut following = latchkey_link::Registry::follow(&registry, Sequence(0), by).await.ok()?;
        let mut sequences = Vec::new();
        while let Some(Ok(item)) = following.next().await {
            match item {
                FollowItem::Event(event) => sequences.push(event.sequence.0),
                FollowItem::Progress { .. } => return Some(sequences),
            }
        }
        Some(sequences)
    };
    let sequences = world.call("the entries", WITHIN * 2, read)?.unwrap_or_default();
    if sequences != (0..size).collect::<Vec<_>>() {
        return Err(world.failure("sequences have no gaps", format!("of {size} entries came {sequences:?}")));
    }
    world.finish()
}

fn swapped(seed: u64) -> Outcome {
    // Fresh for long, so that it answers while it installs.
    let mut world = World::new(Profile::ONE_SITE, seed)?;
    let furniture = Furniture::put(&mut world, Some(60_000))?;
    keys_everywhere(&mut world, &furniture, 20)?;
    let Some(leader) = world.leader() else { return Ok(()) };
    let away = world.others(&[leader])[0];
    world.isolate(away);
    for _ in 0..3 {
        world.call("keys", WITHIN, furniture.clone().create(leader, 20))?;
    }
    for node in world.others(&[away]) {
        let Some(registry) = world.machine(node).process() else { continue };
        world.call("a snapshot", WITHIN, async move { registry.compact().await })?;
    }
    world.rejoin(away);
    let last = world.history().keys.len() - 1;
    world.until(WITHIN, "the replica has caught up", |world| world.decide(away, last).is_valid())?;
    world.pass(Duration::from_secs(1))?;
    world.finish()
}
