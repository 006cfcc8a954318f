//! Figures of time that the product promises, asserted in simulated time.

use crate::furniture::Furniture;
use crate::ground::{Profile, REGIONS};
use crate::history::Told;
use crate::scenarios::keys_everywhere;
use crate::world::{Outcome, World};
use latchkey_domain::{DurationMillis, NodeId};
use latchkey_registry::wait_ms;
use std::time::Duration;

/// How long anybody waits for what must come.
const WITHIN: Duration = Duration::from_secs(60);

/// The p50 of a revocation's way into every region. Milliseconds.
const VISIBLE_P50_MS: u64 = 200;

/// The p99. Milliseconds.
const VISIBLE_P99_MS: u64 = 1_000;

/// What a barrier may take beyond the bound and its margin: two round trips and a tick or two. Milliseconds.
const BARRIER_SLACK_MS: u64 = 250;

/// The share of the time in which a direction stalls, and for how long each time.
const STALLS: (u64, u64) = (10, 200);

/// How often somebody asks for a write while there is none. Milliseconds.
const CALLERS_EVERY_MS: u64 = 50;

/// One figure.
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// What came out.
    pub found: String,
    /// What was promised.
    pub promised: String,
}

/// The share `per_mille` of what is measured is at or below this.
fn quantile(sorted: &[u64], per_mille: usize) -> u64 {
    let place = (sorted.len() * per_mille).div_ceil(1_000).max(1) - 1;
    sorted.get(place).copied().unwrap_or_default()
}

/// How long a revocation takes until no replica accepts the key, over so many of them.
///
/// # Errors
/// The rule that is broken, or the promise.
pub fn visibility(seed: u64, count: usize) -> Outcome<Figure> {
    let mut world = World::new(Profile::WAN, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    let mut made = 0;
    while made < count {
        let some = (count - made).min(100);
        keys_everywhere(&mut world, &furniture, some)?;
        made += some;
    }
    world.set_stalls(STALLS.0, STALLS.1);
    world.pass(Duration::from_secs(5))?;
    for key in 0..count {
        let near = NodeId(1 + key as u64 % world.profile.replicas);
        let revoked = furniture.clone().revoke(near, key, Duration::from_secs(15));
        world.spawn(revoked);
        let pause = 100 + world.random().below(200);
        world.pass(Duration::from_millis(pause))?;
    }
    let replicas = world.nodes().len();
    world.until(WITHIN, "every key is dead everywhere", |world| {
        world.history().keys.iter().all(|key| key.dead_everywhere_ms(replicas).is_some())
    })?;
    let mut spans: Vec<_> = {
        let history = world.history();
        let span = |key: &crate::history::Key| Some(key.dead_everywhere_ms(replicas)? - key.revoke_asked_ms?);
        history.keys.iter().filter_map(span).collect()
    };
    spans.sort_unstable();
    let (p50, p99, max) = (quantile(&spans, 500), quantile(&spans, 990), quantile(&spans, 1_000));
    let found = format!("p50 {p50} ms, p99 {p99} ms, longest {max} ms");
    if p50 >= VISIBLE_P50_MS || p99 >= VISIBLE_P99_MS {
        return Err(world.failure("a revocation is soon in every region", found));
    }
    Ok(Figure {
        what: format!(
            "{count} revocations, from the asking until no region accepts the key; 80 ms there and back, 1 % stalls"
        ),
        found,
        promised: format!("p50 < {VISIBLE_P50_MS} ms, p99 < {VISIBLE_P99_MS} ms"),
    })
}

/// How long the barrier takes with one region cut off, and whether it names it.
///
/// # Errors
/// The rule that is broken, or the promise.
pub fn region_cut_off(seed: u64, rounds: usize) -> Outcome<Figure> {
    let mut world = World::new(Profile::WAN, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, rounds)?;
    let bound_ms = wait_ms(DurationMillis::new(world.profile.staleness_ms));
    let mut longest_ms = 0;
    for key in 0..rounds {
        world.until(WITHIN, "everybody is fresh", |world| world.is_fresh())?;
        let mut leader = None;
        world.until(WITHIN, "a leader", |world| {
            leader = world.leader();
            leader.is_some()
        })?;
        let leader = leader.expect("just waited for");
        let away = world.others(&[leader])[key % 2];
        world.isolate(away);
        let began = world.now_ms();
        let revoked = furniture.clone().revoke(leader, key, Duration::from_secs(30));
        world.call("a revocation", WITHIN, revoked)?;
        let took = world.now_ms() - began;
        longest_ms = longest_ms.max(took);
        let told = world.history().keys[key].revoked.clone().map(|revoked| revoked.confirmed).unwrap_or_default();
        let named = told.iter().any(|said| said.node == away && said.told == Told::LeaseEnded);
        if !named || told.len() != world.nodes().len() || took > bound_ms + BARRIER_SLACK_MS {
            let region = REGIONS[usize::try_from(away.0 - 1).unwrap_or(0)];
            let what = format!("{region} is cut off; after {took} ms of at most {bound_ms} ms: {told:?}");
            return Err(world.failure("the barrier answers within the bound and names who is away", what));
        }
        world.rejoin(away);
    }
    Ok(Figure {
        what: format!("{rounds} revocations with one region cut off: the barrier answers, and names the region"),
        found: format!("at most {longest_ms} ms"),
        promised: format!("bound and margin, {bound_ms} ms, and {BARRIER_SLACK_MS} ms on the way"),
    })
}

/// How long writes are away when the leader is killed, and whether validations go on.
///
/// # Errors
/// The rule that is broken, or the promise.
pub fn leader_killed(name: &str, profile: Profile, back_ms: u64, seed: u64, kills: usize) -> Outcome<Figure> {
    let mut world = World::new(profile, seed)?;
    let furniture = Furniture::put(&mut world, None)?;
    keys_everywhere(&mut world, &furniture, 1)?;
    let (mut gaps, mut elections) = (Vec::new(), Vec::new());
    let (mut asked, mut stopped) = (0_u64, 0_u64);
    for kill in 0..kills {
        world.until(WITHIN, "everybody is fresh", |world| world.is_fresh())?;
        // At any point between two heartbeats.
        let pause = 500 + world.random().below(1_500);
        world.pass(Duration::from_millis(pause))?;
        let mut leader = None;
        world.until(WITHIN, "a leader", |world| {
            leader = world.leader();
            leader.is_some()
        })?;
        let leader = leader.expect("just waited for");
        let others = world.others(&[leader]);
        world.crash(leader, kill % 2 == 0);
        let (began, before) = (world.now_ms(), world.history().writes.len());
        let mut elected = None;
        while world.history().writes.len() == before {
            if elected.is_none() && world.leads_among(&others) {
                elected = Some(world.now_ms() - began);
            }
            // Whoever asked the dead leader hears of it late; many callers ask.
            if (world.now_ms() - began).is_multiple_of(CALLERS_EVERY_MS) {
                let created = furniture.clone().create(others[kill % others.len()], 1);
                world.spawn(created);
            }
            world.step()?;
            for node in &others {
                asked += 1;
                stopped += u64::from(!world.decide(*node, 0).is_valid());
            }
            if world.now_ms() - began > 60_000 {
                return Err(world.failure("liveness", "no write for a minute after a leader was killed".to_owned()));
            }
        }
        gaps.push(world.now_ms() - began);
        elections.extend(elected);
        world.restart(leader);
    }
    world.until(WITHIN, "everybody is fresh", |world| world.is_fresh())?;
    world.finish()?;
    gaps.sort_unstable();
    elections.sort_unstable();
    let (p50, p99) = (quantile(&gaps, 500), quantile(&gaps, 990));
    let found = format!(
        "p50 {p50} ms, p99 {p99} ms (elected after {} and {} ms); of {asked} validations on the others {stopped} were not \
         answered",
        quantile(&elections, 500),
        quantile(&elections, 990)
    );
    if p99 > back_ms || stopped > 0 {
        return Err(world.failure("writes are back soon, and validations never stop", found));
    }
    Ok(Figure {
        what: format!("{name}: the leader is killed {kills} times, until the next write"),
        found,
        promised: format!("p99 <= {back_ms} ms; validations on the others never stop"),
    })
}
