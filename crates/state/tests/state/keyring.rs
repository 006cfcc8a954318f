//! The keyring: what may be added, and what may be destroyed.

use crate::support::{HOUR, START, World, by_replica, by_root, create_keys, later, new_key, readings, ring_key};
use latchkey_domain::{KeyspaceNumber, Refusal, ResourceKind, RingNumber, TenantNumber};
use latchkey_state::{NewKey, Operation, RingPurpose, bootstrap_ring};

#[test]
fn a_key_for_a_tenant_or_keyspace_that_is_not_there_is_refused() {
    // Its entry would be sealed under an audit key that nobody has.
    let mut world = World::furnished();
    for (purpose, kind) in [
        (RingPurpose::Tenant(TenantNumber(99)), ResourceKind::Tenant),
        (RingPurpose::Audit(TenantNumber(99)), ResourceKind::Tenant),
        (RingPurpose::Keyspace(KeyspaceNumber(99)), ResourceKind::Keyspace),
    ] {
        let refusal = world.refused(by_replica(Operation::AddRingKey(ring_key(purpose))));
        assert!(matches!(refusal, Refusal::NotFound { kind: found, .. } if found == kind), "{refusal:?}");
    }
    let mut wrapped_by_nothing = ring_key(RingPurpose::Replay);
    wrapped_by_nothing.wrapped_by = RingNumber(999);
    let refusal = world.refused(by_replica(Operation::AddRingKey(wrapped_by_nothing)));
    assert_eq!(refusal, Refusal::RingKeyGone { number: 999 });
}

#[test]
fn a_replay_key_is_destroyed_after_two_hours_and_no_key_that_is_in_use() {
    let mut world = World::furnished();
    let drop = |number| by_replica(Operation::DropRingKey(number));
    let gone = |number: RingNumber| Refusal::RingKeyGone { number: number.0 };
    assert_eq!(world.refused(drop(bootstrap_ring::REPLAY)), gone(bootstrap_ring::REPLAY));
    world.done(by_replica(readings(&[later(START, 2 * HOUR); 3])));
    for number in [bootstrap_ring::LOG, bootstrap_ring::PEPPER, bootstrap_ring::TENANT, bootstrap_ring::KEYSPACE] {
        let uses = world.state.ring_uses(number).total();
        assert_eq!(world.refused(drop(number)), Refusal::RingKeyInUse { number: number.0, uses });
    }
    world.done(drop(bootstrap_ring::REPLAY));
    assert_eq!(world.refused(drop(bootstrap_ring::REPLAY)), gone(bootstrap_ring::REPLAY));
}

#[test]
fn a_number_is_never_given_twice() {
    let mut world = World::furnished();
    let newest = |world: &World| world.state.newest_ring_key(RingPurpose::Replay).unwrap().number;
    world.done(by_replica(Operation::AddRingKey(ring_key(RingPurpose::Replay))));
    let first = newest(&world);
    world.done(by_replica(readings(&[later(START, 3 * HOUR); 3])));
    world.done(by_replica(Operation::DropRingKey(first)));
    world.done(by_replica(Operation::AddRingKey(ring_key(RingPurpose::Replay))));
    assert_eq!(newest(&world), RingNumber(first.0 + 1));
}

#[test]
fn a_digest_under_anything_but_a_pepper_is_refused() {
    let mut world = World::furnished();
    for pepper in [RingNumber(0), bootstrap_ring::LOG, bootstrap_ring::REPLAY, RingNumber(u32::MAX)] {
        let key = NewKey { pepper, ..new_key(1) };
        let refusal = world.refused(by_root(create_keys("acme/live", vec![key])));
        assert_eq!(refusal, Refusal::RingKeyGone { number: pepper.0 });
    }
}
