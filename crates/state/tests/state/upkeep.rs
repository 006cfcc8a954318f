//! What the leader is told to do: settle what the clock has ended, mark what a cut reached. And rotations in order.

use crate::support::{
    MINUTE, World, by_replica, by_root, create_keys, create_role, cut, key_id, key_name, keyspace, later, new_key,
    owned_key, owner, permissions, readings, role, slug, tenant,
};
use latchkey_crypto::Digest;
use latchkey_domain::{DurationMillis, ReasonText, RotationId};
use latchkey_state::listing::RotationPlace;
use latchkey_state::{
    CutScope, End, KeyAt, MarkRevoked, NewKey, NewVersion, Operation, PrepareStandby, RestrictKey, RevokedScope,
    RotateKey, Rotation, State, bootstrap_ring,
};
use std::sync::Arc;

fn new_version(number: u8) -> NewVersion {
    let id = crate::support::version_id(number);
    NewVersion { id, pepper: bootstrap_ring::PEPPER, digest: Digest::new([number; 32]), inner: [number; 101] }
}

fn rotate(number: u8, minutes: u64) -> Operation {
    Operation::RotateKey(Box::new(RotateKey {
        key: key_name("acme/live", number),
        rotation: RotationId::from_random([number; 12]),
        new: new_version(100 + number),
        overlap: DurationMillis::new(minutes * MINUTE),
        text: ReasonText::default(),
        etag: None,
        replay: None,
        emergency: false,
        course: None,
    }))
}

fn prepare(number: u8, rotation: u8) -> Operation {
    Operation::PrepareStandby(Box::new(PrepareStandby {
        key: key_name("acme/live", number),
        rotation: RotationId::from_random([rotation; 12]),
        new: new_version(100 + rotation),
        text: ReasonText::default(),
        etag: None,
        replay: None,
    }))
}

fn pass(world: &mut World, minutes: u64) {
    let time = later(world.state.clock(), minutes * MINUTE);
    world.done(by_replica(readings(&[time; 3])));
}

fn numbers(state: &State, keys: &[KeyAt]) -> Vec<u8> {
    let live = state.keyspace(&keyspace("acme/live")).unwrap().number;
    let number = |key: &KeyAt| (0..=99).find(|number| *key == (live, key_id(*number))).unwrap();
    keys.iter().map(number).collect()
}

#[test]
fn what_the_clock_ended_is_due_until_it_is_settled() {
    let mut world = World::furnished();
    world.done(by_root(create_keys("acme/live", (1..=3).map(new_key).collect())));
    assert_eq!(world.state.next_due(), None);
    world.done(by_root(rotate(1, 20)));
    let restrict = RestrictKey {
        key: key_name("acme/live", 2),
        permissions: Some(permissions(&[])),
        networks: Default::default(),
        end: End::After(DurationMillis::new(10 * MINUTE)),
        text: ReasonText::default(),
        etag: None,
    };
    world.done(by_root(Operation::RestrictKey(restrict)));
    // A standby waits for whoever begins it, never for the clock.
    world.done(by_root(prepare(3, 3)));
    let due = |world: &World| numbers(&world.state, &world.state.keys_due(world.state.clock()).collect::<Vec<_>>());
    pass(&mut world, 9);
    assert!(!world.state.settle_due(world.state.clock()));
    pass(&mut world, 1);
    assert_eq!((due(&world), world.state.settle_due(world.state.clock())), (vec![2], true));
    pass(&mut world, 10);
    assert_eq!(due(&world), [2, 1]);
    world.done(by_replica(Operation::Settle));
    assert_eq!((due(&world), world.state.next_due()), (vec![], None));
}

#[test]
fn a_cut_is_told_of_until_it_is_marked_and_its_keys_come_in_parts() {
    let mut world = World::furnished();
    world.done(by_root(create_role("acme/clerk", &[])));
    let with_role = |number| NewKey { roles: vec![slug("clerk")], ..new_key(number) };
    let keys = vec![owned_key(1, "acme/shop"), owned_key(2, "acme/shop"), with_role(3), with_role(4), new_key(5)];
    world.done(by_root(create_keys("acme/live", keys)));
    let state = world.state.clone();
    let tenant = state.tenant(&tenant("acme")).unwrap().number;
    let shop = state.owner(&owner("acme/shop")).unwrap().number;
    let live = state.keyspace(&keyspace("acme/live")).unwrap().number;
    let clerk = state.role(&role("acme/clerk")).unwrap().number;
    for (scope, expected) in [
        (RevokedScope::Tenant(tenant), vec![1, 2, 3, 4, 5]),
        (RevokedScope::Keyspace(live), vec![1, 2, 3, 4, 5]),
        (RevokedScope::Owner(shop), vec![1, 2]),
        (RevokedScope::Role(clerk), vec![3, 4]),
    ] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let part = state.keys_of_scope(scope, after, 2);
            found.extend(numbers(&state, &part));
            after = part.last().copied();
            if part.len() < 2 {
                break;
            }
        }
        assert_eq!(found, expected, "{scope:?}");
    }

    world.done(by_root(cut(CutScope::Owner(owner("acme/shop")))));
    let scope = RevokedScope::Owner(shop);
    assert_eq!(world.state.unmarked_cuts().collect::<Vec<_>>(), [scope]);
    let keys = world.state.keys_of_scope(scope, None, 1_000);
    world.done(by_replica(Operation::MarkRevoked(MarkRevoked { scope, keys, done: true })));
    assert_eq!(world.state.unmarked_cuts().count(), 0);
}

#[test]
fn rotations_come_newest_first_of_a_key_and_by_their_end_of_a_keyspace() {
    let mut world = World::furnished();
    world.done(by_root(create_keys("acme/live", (1..=4).map(new_key).collect())));
    for (number, minutes) in [(1, 30), (2, 10), (3, 20)] {
        world.done(by_root(rotate(number, minutes)));
    }
    world.done(by_root(prepare(4, 4)));
    let live = world.state.keyspace(&keyspace("acme/live")).unwrap().number;
    let keys = |state: &State| -> Vec<u8> {
        let keys: Vec<_> = state.list_rotations_in_progress(live, None).map(|one| (one.keyspace, one.key)).collect();
        numbers(state, &keys)
    };
    assert_eq!(keys(&world.state), [2, 3, 1, 4]);

    // Page by page, while the first one ends.
    let (mut found, mut after) = (Vec::new(), None);
    let next = |state: &State, after| state.list_rotations_in_progress(live, after).next().cloned();
    while let Some(one) = next(&world.state, after) {
        found.extend(numbers(&world.state, &[(one.keyspace, one.key)]));
        let place = RotationPlace::of_keyspace(&one);
        assert_eq!(RotationPlace::decode(&place.encode()), Some(place));
        after = Some(place);
        pass(&mut world, 10);
        world.done(by_replica(Operation::Settle));
    }
    assert_eq!(found, [2, 3, 1, 4]);

    // The second of a key stands before the first.
    world.done(by_root(prepare(1, 9)));
    let ids = |rotations: Vec<Arc<Rotation>>| rotations.iter().map(|one| one.id).collect::<Vec<_>>();
    let (first, second) = (RotationId::from_random([1; 12]), RotationId::from_random([9; 12]));
    let all = world.state.list_rotations(live, key_id(1), None);
    let place = RotationPlace::of_key(&all[0]);
    assert_eq!(ids(all), [second, first]);
    assert_eq!(ids(world.state.list_rotations(live, key_id(1), Some(place))), [first]);
}
