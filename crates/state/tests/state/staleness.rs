//! How long a replica that has lost touch may answer, and for how long a longer bound counts that was in force before.

use crate::support::{World, by_root, create_keyspace, keyspace, later, settings};
use latchkey_domain::{DurationMillis, KeyspaceName, LastKnownMax, Refusal};
use latchkey_state::{Applied, KeyspaceChanges, Operation, StalenessPolicy, UpdateKeyspace};

fn tells(applied: &Applied, part: &str) -> bool {
    applied.entries.iter().any(|entry| String::from_utf8_lossy(&entry.event).contains(part))
}

fn update_keyspace(path: &str, changes: KeyspaceChanges) -> Operation {
    Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name: keyspace(path), changes, etag: None }))
}

#[test]
fn a_longer_bound_counts_for_as_long_as_somebody_may_answer_by_it() {
    let mut world = World::furnished();
    let set = |world: &mut World, seconds: u64| {
        let bound = Some(Some(DurationMillis::from_secs(seconds)));
        let changes = KeyspaceChanges { staleness_max: bound, ..KeyspaceChanges::default() };
        world.done(by_root(update_keyspace("acme/live", changes)));
    };
    let bound = |world: &World, after: u64| {
        let keyspace = world.state.keyspace(&keyspace("acme/live")).unwrap();
        keyspace.bound_at(later(world.state.clock(), after)).millis()
    };
    set(&mut world, 60);
    assert_eq!(bound(&world, 0), 60_000);
    set(&mut world, 30);
    // And a minute more: a lease may have been granted by it after the record was stamped.
    assert_eq!((bound(&world, 119_999), bound(&world, 120_000)), (60_000, 30_000));
    // Shorter still, while the longest still counts.
    set(&mut world, 10);
    assert_eq!((bound(&world, 119_999), bound(&world, 120_000)), (60_000, 10_000));
    // Longer than all: nobody answers by more.
    set(&mut world, 90);
    assert_eq!(bound(&world, 0), 90_000);
    let changes = KeyspaceChanges { staleness_max: Some(Some(DurationMillis::ZERO)), ..KeyspaceChanges::default() };
    assert!(matches!(world.refused(by_root(update_keyspace("acme/live", changes))), Refusal::StalenessTooShort { .. }));
}

#[test]
fn a_policy_is_part_of_the_bound_and_a_change_of_it_keeps_the_longer_one() {
    let mut world = World::furnished();
    let last_known = |seconds| LastKnownMax::new(DurationMillis::from_secs(seconds)).unwrap();
    let set = |world: &mut World, policy: StalenessPolicy| {
        let changes = KeyspaceChanges { staleness_policy: Some(policy), ..KeyspaceChanges::default() };
        world.apply(by_root(update_keyspace("acme/live", changes)))
    };
    let bound = |world: &World, after: u64| {
        let keyspace = world.state.keyspace(&keyspace("acme/live")).unwrap();
        keyspace.bound_at(later(world.state.clock(), after)).millis()
    };
    let plain = bound(&world, 0);
    let applied = set(&mut world, StalenessPolicy::LastKnown(last_known(60)));
    assert!(tells(&applied, "none -> 60000"));
    assert_eq!(bound(&world, 0), plain + 60_000);
    set(&mut world, StalenessPolicy::LastKnown(last_known(10)));
    assert_eq!(bound(&world, 0), plain + 60_000);
    set(&mut world, StalenessPolicy::Refuse);
    let counts_ms = plain + 60_000 + 60_000;
    assert_eq!((bound(&world, counts_ms - 1), bound(&world, counts_ms)), (plain + 60_000, plain));
    assert_eq!(world.state.keyspace(&keyspace("acme/live")).unwrap().bound().millis(), plain);

    // The same again changes nothing, least of all how long the longer one counts.
    let before = world.state.keyspace(&keyspace("acme/live")).unwrap().staleness_before;
    assert!(set(&mut world, StalenessPolicy::Refuse).entries.is_empty());
    assert_eq!(world.state.keyspace(&keyspace("acme/live")).unwrap().staleness_before, before);
}

#[test]
fn a_management_key_is_accepted_for_as_long_as_any_key_that_it_asks_for() {
    let mut world = World::furnished();
    let bound = |world: &World| {
        let management = world.state.keyspace(&KeyspaceName::management()).unwrap();
        (management.bound(), world.state.bound_of(management.number, world.state.clock()))
    };
    let (own, of_keys) = bound(&world);
    assert_eq!(own, of_keys);
    let policy = StalenessPolicy::LastKnown(LastKnownMax::new(LastKnownMax::MAX).unwrap());
    let changes = KeyspaceChanges { staleness_policy: Some(policy), ..KeyspaceChanges::default() };
    world.done(by_root(update_keyspace("acme/live", changes)));
    let live = world.state.keyspace(&keyspace("acme/live")).unwrap().bound();
    assert_eq!(bound(&world), (own, live));
}

#[test]
fn answering_from_what_was_known_last_needs_level_4_and_refusing_does_not() {
    let policy = StalenessPolicy::LastKnown(LastKnownMax::new(LastKnownMax::MIN).unwrap());
    let changed = |policy| {
        let changes = KeyspaceChanges { staleness_policy: Some(policy), ..KeyspaceChanges::default() };
        update_keyspace("acme/live", changes).feature_level()
    };
    assert_eq!((changed(policy), changed(StalenessPolicy::Refuse)), (4, 2));
    let mut made = create_keyspace("acme/other", settings("acme_other"));
    assert_eq!(made.feature_level(), 1);
    let Operation::CreateKeyspace(create) = &mut made else { panic!("it makes a keyspace") };
    create.settings.staleness_policy = policy;
    assert_eq!(made.feature_level(), 4);
}
