//! Marking what a cut reached: key by key, in records of a bounded size, after all of them died at one revision.

use crate::support::{
    HOUR, START, World, by_replica, by_root, create_keys, cut, key_name, keyspace, later, new_key, owned_key, owner,
    readings, revoke, stamped, tenant,
};
use latchkey_domain::{DurationMillis, KeyId, KeyspaceNumber, Quota, Refusal, Revision, VersionId};
use latchkey_state::{
    Answer, Command, CutScope, HolderName, KEYS_PER_COMMAND_MAX, MarkRevoked, NewKey, Operation, RevokeKey,
    RevokedScope, RowId, ScopeCut, State,
};
use std::time::{Duration, Instant};

const KEY: &str = "acme/live";

fn number_of(state: &State, path: &str) -> KeyspaceNumber {
    state.keyspace(&keyspace(path)).unwrap().number
}

fn shop(state: &State) -> RevokedScope {
    RevokedScope::Owner(state.owner(&owner("acme/shop")).unwrap().number)
}

fn mark(scope: RevokedScope, keys: Vec<(KeyspaceNumber, KeyId)>, done: bool) -> Operation {
    Operation::MarkRevoked(MarkRevoked { scope, keys, done })
}

#[test]
fn a_mark_says_when_and_why_the_cut_came_and_passes_over_what_it_did_not_reach() {
    let mut world = World::furnished();
    let keys: Vec<NewKey> = (1..=3).map(|number| owned_key(number, "acme/shop")).collect();
    world.done(by_root(create_keys(KEY, keys)));
    world.done(by_root(create_keys(KEY, vec![new_key(4)])));
    // The second ended before the cut, the third was to end after it.
    world.done(by_root(Operation::RevokeKey(revoke(KEY, 2))));
    let grace = DurationMillis::new(24 * HOUR);
    world.done(by_root(Operation::RevokeKey(RevokeKey { grace, ..revoke(KEY, 3) })));
    world.done(by_replica(readings(&[later(START, HOUR); 3])));
    world.done(by_root(cut(CutScope::Owner(owner("acme/shop")))));
    world.done(by_root(create_keys(KEY, vec![owned_key(5, "acme/shop")])));
    world.done(by_replica(readings(&[later(START, 2 * HOUR); 3])));

    let (scope, live) = (shop(&world.state), number_of(&world.state, KEY));
    let all: Vec<_> = (1..=9).map(|number| (live, key_name(KEY, number).key)).collect();
    let applied = world.apply(by_replica(mark(scope, all.clone(), true)));
    assert_eq!(applied.answer, Ok(Answer::Counted(2)));
    assert_eq!(applied.entries.len(), 3, "two keys, and that all are marked");
    let end = |number| {
        let key = world.state.key(&key_name(KEY, number)).unwrap();
        key.revocation().map(|revocation| revocation.effective_at)
    };
    let ends = [end(1), end(2), end(3), end(4), end(5)];
    assert_eq!(ends, [Some(later(START, HOUR)), Some(START), Some(later(START, HOUR)), None, None]);
    assert!(world.state.owner(&owner("acme/shop")).unwrap().cut.as_ref().unwrap().marked);

    assert!(world.apply(by_replica(mark(scope, all, true))).entries.is_empty(), "marked once and for all");
}

#[test]
fn nothing_is_marked_that_was_not_cut_and_never_more_than_a_record_may() {
    let mut world = World::furnished();
    world.done(by_root(create_keys(KEY, vec![owned_key(1, "acme/shop")])));
    let (scope, live) = (shop(&world.state), number_of(&world.state, KEY));
    let one = (live, key_name(KEY, 1).key);
    for scope in [scope, RevokedScope::Keyspace(live), RevokedScope::Keyspace(KeyspaceNumber(99))] {
        let applied = world.apply(by_replica(mark(scope, vec![one], true)));
        assert_eq!((applied.answer, applied.entries.len()), (Ok(Answer::Counted(0)), 0));
    }
    let refusal = world.refused(by_replica(mark(scope, vec![one; KEYS_PER_COMMAND_MAX + 1], false)));
    assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit: KEYS_PER_COMMAND_MAX as u64 });
    world.refused(by_root(mark(scope, vec![one], true)));
}

#[test]
fn a_cut_of_level_1_keeps_its_revision_alone_and_is_marked_all_the_same() {
    let first = Operation::Bootstrap(Box::new(crate::support::bootstrap()));
    let mut world = World::default();
    world.done(Command { feature_level: 1, ..stamped(by_replica(first), START) });
    world.done(by_root(crate::support::create_tenant("acme")));
    world.done(by_root(crate::support::create_keyspace(KEY, crate::support::settings("acme_live"))));
    world.done(by_root(create_keys(KEY, vec![new_key(1)])));
    world.done(by_root(cut(CutScope::Keyspace(keyspace(KEY)))));
    let live = world.state.keyspace(&keyspace(KEY)).unwrap();
    let revision = world.state.revision();
    assert_eq!(live.cut.as_deref(), Some(&ScopeCut::of_level_1(revision)));
    // What an older build would read otherwise asks for the newer level by itself.
    let with_role = NewKey { roles: vec![crate::support::slug("standard")], ..new_key(2) };
    let refusal = world.refused(by_root(create_keys(KEY, vec![with_role])));
    assert_eq!(refusal, Refusal::FeatureLevel { needed: 2, current: 1 });

    world.done(by_replica(Operation::RaiseFeatureLevel(2)));
    let live = number_of(&world.state, KEY);
    world.done(by_replica(mark(RevokedScope::Keyspace(live), vec![(live, key_name(KEY, 1).key)], true)));
    let key = world.state.key(&key_name(KEY, 1)).unwrap();
    assert_eq!(key.revocation().unwrap().effective_at, START);
}

#[test]
fn every_kind_of_scope_can_be_marked() {
    for by_tenant in [true, false] {
        let mut world = World::furnished();
        world.done(by_root(create_keys(KEY, vec![new_key(1)])));
        let (live, acme) = (number_of(&world.state, KEY), world.state.tenant(&tenant("acme")).unwrap().number);
        let (scope, marked) = match by_tenant {
            true => (CutScope::Tenant(tenant("acme")), RevokedScope::Tenant(acme)),
            false => (CutScope::Keyspace(keyspace(KEY)), RevokedScope::Keyspace(live)),
        };
        world.done(by_root(cut(scope)));
        let answer = world.done(by_replica(mark(marked, vec![(live, key_name(KEY, 1).key)], true)));
        assert_eq!(answer, Answer::Counted(1));
    }
}

/// The keys that one cut reaches here.
const KEYS: usize = 100_000;

#[test]
fn a_hundred_thousand_keys_of_one_owner_die_at_one_revision_and_are_marked_a_thousand_at_a_time() {
    let mut state = World::furnished().state;
    let mut index = 1_000;
    let mut apply = |state: &mut State, operation: Operation, replica: bool| {
        index += 1;
        let command = if replica { by_replica(operation) } else { by_root(operation) };
        let start = now();
        let applied = state.apply(Revision::new(1, index), &command);
        (applied, start.elapsed())
    };
    let batches = (0..KEYS / KEYS_PER_COMMAND_MAX).map(|batch| {
        let numbers = batch * KEYS_PER_COMMAND_MAX..(batch + 1) * KEYS_PER_COMMAND_MAX;
        numbers.map(numbered).collect::<Vec<_>>()
    });
    for batch in batches {
        assert!(apply(&mut state, create_keys(KEY, batch), false).0.answer.is_ok());
    }

    let (applied, took) = apply(&mut state, cut(CutScope::Owner(owner("acme/shop"))), false);
    println!("a cut of {KEYS} keys: {} rows in {took:?}", applied.changes.len());
    assert_eq!(applied.changes.len(), 2, "the owner and the progress");
    let live = number_of(&state, KEY);
    let dead =
        |state: &State| state.keys_of(live, None).filter(|key| state.death_of(key, state.clock()).is_some()).count();
    assert_eq!(dead(&state), KEYS);

    let keys: Vec<_> = state.keys_of(live, None).map(|key| (live, key.id)).collect();
    let (mut slowest, scope) = (Duration::ZERO, shop(&state));
    for (number, some) in keys.chunks(KEYS_PER_COMMAND_MAX).enumerate() {
        let done = (number + 1) * KEYS_PER_COMMAND_MAX == KEYS;
        let (applied, took) = apply(&mut state, mark(scope, some.to_vec(), done), true);
        slowest = slowest.max(took);
        let rows = |is: fn(&RowId) -> bool| applied.changes.keys().filter(|id| is(id)).count();
        assert_eq!(applied.answer, Ok(Answer::Counted(KEYS_PER_COMMAND_MAX as u64)));
        assert_eq!(rows(|id| matches!(id, RowId::Key(..))), KEYS_PER_COMMAND_MAX);
        assert_eq!(applied.changes.len(), KEYS_PER_COMMAND_MAX + 1 + usize::from(done));
        assert_eq!(applied.entries.len(), KEYS_PER_COMMAND_MAX + usize::from(done));
    }
    println!("{} records mark them, the slowest in {slowest:?}", KEYS / KEYS_PER_COMMAND_MAX);
    assert_eq!(dead(&state), KEYS);
    assert!(state.owner(&owner("acme/shop")).unwrap().cut.as_ref().unwrap().marked);
}

/// A key of the shop's with a number of its own.
fn numbered(number: usize) -> NewKey {
    let mut random = [1; 12];
    random[4..].copy_from_slice(&(number as u64).to_be_bytes());
    let holder = HolderName::Owner(owner("acme/shop"));
    NewKey { id: KeyId::from_random(random), version: VersionId::from_random(random), holder, ..new_key(1) }
}

#[expect(clippy::disallowed_methods, reason = "the time is printed, and nothing is decided by it")]
fn now() -> Instant {
    Instant::now()
}
