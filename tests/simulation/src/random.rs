//! Random histories: a phase in which anything may go wrong and no rule may be broken, and one in which everything is healed
//! and the cluster has to be whole again in time.

use crate::faults::{Faults, drawn_profile};
use crate::furniture::Furniture;
use crate::world::{Outcome, Random, World};
use latchkey_domain::NodeId;
use std::time::Duration;

/// How long things go wrong.
const SAFETY: Duration = Duration::from_secs(60);

/// Within how many of the longest elections everything is whole again, once everything is healed: a leader is elected, has
/// moved the clock, and has granted leases to all. Silent leaders and clocks that have to be heard of are in it.
const ELECTIONS: u32 = 8;

/// How often a key is looked at with which nothing can be wrong. Milliseconds.
const STRIDE_MS: u64 = 16;

/// How long a revocation waits for all regions.
const WAIT: Duration = Duration::from_secs(25);

/// What one history had.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Histories.
    pub histories: u64,
    /// Writes that were acknowledged.
    pub writes: u64,
    /// Of these, revocations.
    pub revocations: u64,
    /// Consistent reads that were answered.
    pub reads: u64,
    /// Decisions that were looked at.
    pub decisions: u64,
    /// Faults.
    pub faults: u64,
    /// Simulated seconds.
    pub seconds: u64,
    /// The longest that a cluster took to be whole again. Milliseconds.
    pub healed_ms: u64,
}

impl Tally {
    /// Adds another.
    pub fn add(&mut self, other: Self) {
        self.histories += other.histories;
        self.writes += other.writes;
        self.revocations += other.revocations;
        self.reads += other.reads;
        self.decisions += other.decisions;
        self.faults += other.faults;
        self.seconds += other.seconds;
        self.healed_ms = self.healed_ms.max(other.healed_ms);
    }
}

/// One history.
///
/// # Errors
/// The rule that is broken.
pub fn history(seed: u64) -> Outcome<Tally> {
    let mut random = Random::new(seed);
    let profile = drawn_profile(&mut random);
    let mut world = World::prepared(profile, seed, |machines| {
        for node in 1..=profile.replicas {
            let ppm = i64::try_from(random.below(1_001)).unwrap_or(0) - 500;
            machines.rates.push((NodeId(node), ppm));
        }
    })?;
    let furniture = Furniture::put(&mut world, None)?;
    let mut faults = Faults::new(seed, world.now_ms() + 1_000);
    world.set_stalls(10, 300);
    world.history().stride = STRIDE_MS;
    let ends_ms = world.now_ms() + u64::try_from(SAFETY.as_millis()).unwrap_or(0);
    let mut call_ms = world.now_ms();
    let mut bounds_ms = world.now_ms() + 10_000;
    while world.now_ms() < ends_ms {
        faults.act(&mut world);
        if world.now_ms() >= call_ms {
            call_ms = world.now_ms() + 20 + random.below(250);
            call(&mut world, &furniture, &mut random);
        }
        if world.now_ms() >= bounds_ms {
            bounds_ms += 15_000;
            let bound_ms = profile.staleness_ms * (1 + random.below(2));
            let changed = furniture.clone().set_staleness(near(&world, &mut random), bound_ms);
            world.spawn(changed);
        }
        world.step()?;
    }
    faults.stop(&mut world);
    let healed_ms = heal(&mut world, &furniture)?;
    // Whoever waits for regions is told by now.
    world.pass(WAIT)?;
    world.finish()?;
    let history = world.history();
    let revocations = history.keys.iter().filter(|key| key.revoked.is_some()).count() as u64;
    Ok(Tally {
        histories: 1,
        writes: history.writes.len() as u64,
        revocations,
        reads: history.reads,
        decisions: history.decisions,
        faults: faults.count,
        seconds: world.now_ms() / 1_000,
        healed_ms,
    })
}

/// Everything is healed: writes are taken through each replica, and each of them answers by what it was just told.
fn heal(world: &mut World, furniture: &Furniture) -> Outcome<u64> {
    let longest = Duration::from_millis(world.profile.timing.election_max_ms) * ELECTIONS;
    world.note(format!("everything is healed, and has to be whole within {longest:?}"));
    let began = world.now_ms();
    world.until(longest, "leases everywhere", |world| world.is_fresh())?;
    let before = world.history().keys.len();
    for node in world.nodes() {
        let created = furniture.clone().create(node, 1);
        world.spawn(created);
    }
    let (nodes, count) = (world.nodes(), world.nodes().len());
    world.until(longest, "writes through everybody, seen by everybody", |world| {
        let keys = world.history().keys.len();
        keys >= before + count && nodes.iter().all(|node| world.decide(*node, keys - 1).is_valid())
    })?;
    Ok(world.now_ms() - began)
}

fn near(world: &World, random: &mut Random) -> NodeId {
    let nodes = world.nodes();
    nodes[usize::try_from(random.below(nodes.len() as u64)).unwrap_or(0)]
}

fn call(world: &mut World, furniture: &Furniture, random: &mut Random) {
    let (near, furniture) = (near(world, random), furniture.clone());
    world.spawn(furniture.clone().read(near));
    let alive: Vec<_> = {
        let history = world.history();
        let alive = |place: &usize| history.keys[*place].revoke_asked_ms.is_none();
        (0..history.keys.len()).filter(alive).collect()
    };
    if alive.len() < 6 || random.below(3) == 0 {
        let count = 1 + usize::try_from(random.below(3)).unwrap_or(0);
        world.spawn(furniture.create(near, count));
    } else {
        let key = alive[usize::try_from(random.below(alive.len() as u64)).unwrap_or(0)];
        let now_ms = world.now_ms();
        // At once, so that nobody else takes the same.
        world.history().revoke_asked(key, now_ms);
        world.spawn(furniture.revoke(near, key, WAIT));
    }
}
