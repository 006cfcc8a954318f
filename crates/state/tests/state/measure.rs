//! What a key costs in memory and time. Nothing is asserted of time: machines differ. Run one by its name with
//! `cargo test --release -p latchkey-state --test state the_memory_of -- --ignored --nocapture`: of two in one process
//! the second fills what the first freed, and looks cheaper than it is.

use crate::support::{
    HOUR, START, World, by_replica, by_root, command, create_keys, keyspace, later, new_key, readings, slug, stamped,
};
use latchkey_domain::{DurationMillis, KeyId, KeyName, Revision, UnixMillis, VersionId};
use latchkey_state::{
    Actor, ClaimRotations, Command, ExpiringKey, Expiry, GiveNotices, KEYS_PER_COMMAND_MAX, Key, NewKey, Operation,
    PLANS_PER_COMMAND_MAX, Row, State, Version,
};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEYS: usize = 100_000;
const DAY: u64 = 24 * HOUR;

#[test]
#[ignore = "measures, proves nothing"]
fn the_cost_of_a_key() {
    println!("size_of Key {} B, Version {} B", size_of::<Key>(), size_of::<Version>());
    let mut state = World::furnished().state;
    let mut index = state.revision().index;
    let before = resident_bytes();
    let mut slowest = Duration::ZERO;
    let filling = now();
    for batch in 0..KEYS / KEYS_PER_COMMAND_MAX {
        index += 1;
        let keys = (0..KEYS_PER_COMMAND_MAX).map(|number| random_key(batch * KEYS_PER_COMMAND_MAX + number)).collect();
        slowest = slowest.max(apply(&mut state, index, &by_root(create_keys("acme/live", keys))));
    }
    println!("{KEYS} keys in batches of {KEYS_PER_COMMAND_MAX}: {:?}, slowest batch {slowest:?}", filling.elapsed());
    println!("resident {} B a key after batches", resident_bytes().saturating_sub(before) / KEYS);

    let singles = 1_000;
    let mut total = Duration::ZERO;
    for number in 0..singles {
        index += 1;
        let command = by_root(create_keys("acme/live", vec![random_key(KEYS + number)]));
        total += apply(&mut state, index, &command);
    }
    println!("one create at {KEYS} keys: {:?} on average", total / u32::try_from(singles).unwrap());

    let rows: Vec<_> = state.rows().collect();
    let loading = now();
    let loaded = State::load(rows.into_iter()).unwrap();
    println!("load of {} keys: {:?}", loaded.key_count(), loading.elapsed());

    let looking = now();
    let found = (0..KEYS).filter(|number| loaded.version(random_key(*number).version).is_some()).count();
    println!("{found} look-ups with making the id: {:?}", looking.elapsed());
    let cloning = now();
    let clones: Vec<_> = (0..1_000).map(|_| loaded.clone()).collect();
    println!("clone {:?}", cloning.elapsed() / u32::try_from(clones.len()).unwrap());
    assert_eq!(loaded, state);
}

/// What a replica holds after a restart: rows come from the store one by one, in the order of their ids.
#[test]
#[ignore = "measures, proves nothing"]
fn the_memory_of_a_key_after_a_restart() {
    let keys = 10 * KEYS;
    let mut world = World::furnished();
    world.done(by_root(create_keys("acme/live", vec![random_key(0)])));
    let pattern = world.state.version(random_key(0).version).unwrap().key.clone();
    let others: Vec<Row> = world.state.rows().filter(|row| !matches!(row, Row::Key(_))).collect();
    let row_of = |number: usize| {
        let spread = (u128::try_from(number).unwrap() << 75) + 1;
        let id = KeyId::from_random(spread.to_be_bytes()[4..].try_into().unwrap());
        let mut key = Key { id, terms: Arc::new((*pattern.terms).clone()), ..(*pattern).clone() };
        key.versions[0].id = random_key(number).version;
        Row::Key(Arc::new(key))
    };
    let before = resident_bytes();
    let loading = now();
    let loaded = State::load(others.into_iter().chain((0..keys).map(row_of))).unwrap();
    println!("load of {keys} keys: {:?}", loading.elapsed());
    println!("resident {} B a key after a restart", resident_bytes().saturating_sub(before) / loaded.key_count());
}

fn apply(state: &mut State, index: u64, command: &Command) -> Duration {
    let start = now();
    let applied = state.apply(Revision::new(1, index), command);
    let took = start.elapsed();
    assert!(applied.answer.is_ok() && state.clock() == START);
    took
}

/// A key as most are: ids all over the place, some permissions, a short name.
fn random_key(number: usize) -> NewKey {
    let random: [u8; 32] = Sha256::digest(number.to_be_bytes()).into();
    let part = |start: usize| random[start..start + 12].try_into().unwrap();
    NewKey { id: KeyId::from_random(part(0)), version: VersionId::from_random(part(12)), ..new_key(1) }
}

#[expect(clippy::disallowed_methods, reason = "this is what measures")]
fn now() -> Instant {
    Instant::now()
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches("kB").trim().parse::<usize>().unwrap_or(0) * 1_024
}

/// What one look of whoever drives costs: of keys that end late, that are owed a notice, and that have been told of.
#[test]
#[ignore = "measures, proves nothing"]
fn the_cost_of_looking_for_keys_that_soon_end() {
    let mut state = World::furnished().state;
    let mut index = state.revision().index;
    let fence = {
        index += 1;
        let claim = ClaimRotations { holder: [7; 16], life: DurationMillis::from_secs(10) };
        state.apply(Revision::new(1, index), &by_driver(Operation::ClaimRotations(claim)));
        state.rotation_claim().unwrap().fence
    };
    for batch in 0..KEYS / KEYS_PER_COMMAND_MAX {
        index += 1;
        let numbers = batch * KEYS_PER_COMMAND_MAX..(batch + 1) * KEYS_PER_COMMAND_MAX;
        let life = |number: usize| DurationMillis::new(100 * DAY + u64::try_from(number).unwrap());
        let keys = numbers.map(|number| NewKey { expiry: Expiry::After(life(number)), ..random_key(number) });
        apply(&mut state, index, &by_root(create_keys("acme/live", keys.collect())));
    }
    for (days, what) in [(0, "end late"), (75, "are owed one")] {
        let (owed, took) = look(&state, later(START, days * DAY));
        println!("{KEYS} keys that {what}: {took:?}, {} found", owed.len());
    }
    let at = later(START, 75 * DAY);
    index += 1;
    let advance = stamped(by_replica(readings(&[at; 3])), START);
    state.apply(Revision::new(1, index), &advance).answer.unwrap();
    let (owed, _) = look(&state, at);
    let giving = now();
    for keys in owed.chunks(PLANS_PER_COMMAND_MAX) {
        index += 1;
        let name = |key: &ExpiringKey| KeyName { keyspace: keyspace("acme/live"), key: key.key };
        let give = GiveNotices { fence, keys: keys.iter().map(name).collect() };
        let applied = state.apply(Revision::new(1, index), &by_driver(Operation::GiveExpiryNotices(give)));
        assert_eq!(applied.entries.len(), keys.len());
    }
    println!("notices of {} keys: {:?}", owed.len(), giving.elapsed());
    let (owed, took) = look(&state, at);
    println!("{KEYS} keys in sight that were told of: {took:?}, {} found", owed.len());
    let surveying = now();
    let mut after = None;
    loop {
        after = state.rotation_survey(after, at, 5_000).next;
        if after.is_none() {
            break;
        }
    }
    println!("a survey of all keys, for comparison: {:?}", surveying.elapsed());
}

fn look(state: &State, at: UnixMillis) -> (Vec<ExpiringKey>, Duration) {
    let (begun, mut owed, mut after) = (now(), Vec::new(), None);
    loop {
        let page = state.owed_expiries(after, at, 5_000);
        owed.extend(page.owed);
        after = page.next;
        if after.is_none() {
            return (owed, begun.elapsed());
        }
    }
}

fn by_driver(operation: Operation) -> Command {
    command(Actor::Service(slug("rotation")), operation)
}
