//! Rotating keys of the keyring: what may take the place of what, what is made anew, and what may be destroyed.

use crate::support::{
    HOUR, START, World, by, by_replica, by_root, create_keys, declare_formats, delete, import_keys, inner, key_id,
    key_to_import, keyspace, later, new_key, readings, ring_key, settings, tenant, version_id,
};
use latchkey_crypto::Digest;
use latchkey_domain::{Duty, KekId, Refusal, RingNumber, Scope, TenantNumber, VersionId};
use latchkey_state::{
    Answer, CreateKeyspace, DirectoryName, ImportOutcome, Key, KeyAt, KeyToImport, NewKey, NewRingKey, Operation,
    REKEYED_PER_COMMAND_MAX, RING_KEYS_OF_PURPOSE_MAX, RedigestVersions, ResealInners, RewrappedKey, RingPurpose,
    WrappedKey, bootstrap_ring,
};
use std::sync::Arc;

fn purpose_of(world: &World, path: &str) -> RingPurpose {
    RingPurpose::Keyspace(world.state.keyspace(&keyspace(path)).unwrap().number)
}

fn data_key(world: &World, path: &str) -> RingNumber {
    world.state.keyspace(&keyspace(path)).unwrap().data_key
}

fn newest(world: &World, purpose: RingPurpose) -> RingNumber {
    world.state.newest_ring_key(purpose).unwrap().number
}

fn rotate(world: &mut World, purpose: RingPurpose) -> RingNumber {
    let wrapped_by = world.state.wrapping_key(purpose);
    world.done(by_root(Operation::RotateRingKey(NewRingKey { wrapped_by, ..ring_key(purpose) })));
    newest(world, purpose)
}

/// A world with keys 1 to 3 of `acme/live`, whose inner digests name their data key.
fn with_keys() -> (World, Vec<Arc<Key>>) {
    let mut world = World::furnished();
    let sealed = inner(data_key(&world, "acme/live"));
    let keys = (1..=3).map(|number| NewKey { inner: sealed, ..new_key(number) }).collect();
    world.done(by_root(create_keys("acme/live", keys)));
    let number = world.state.keyspace(&keyspace("acme/live")).unwrap().number;
    let keys = (1..=3).map(|key| world.state.key_at(number, key_id(key)).unwrap().clone()).collect();
    (world, keys)
}

fn at(key: &Key) -> (KeyAt, VersionId) {
    ((key.keyspace, key.id), key.versions[0].id)
}

fn redigest(pepper: RingNumber, keys: &[Arc<Key>]) -> Operation {
    let digested = keys.iter().map(|key| (at(key).0, at(key).1, Digest::new([0xD1; 32])));
    Operation::RedigestVersions(RedigestVersions { pepper, versions: digested.collect() })
}

fn reseal(data_key: RingNumber, keys: &[Arc<Key>]) -> Operation {
    let sealed = keys.iter().map(|key| (at(key).0, at(key).1, inner(data_key)));
    Operation::ResealInners(Box::new(ResealInners { data_key, versions: sealed.collect() }))
}

fn counted(world: &mut World, operation: Operation) -> u64 {
    match world.done(by_replica(operation)) {
        Answer::Counted(count) => count,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pepper_rotates_and_the_old_one_goes_when_no_digest_is_under_it() {
    let (mut world, keys) = with_keys();
    let drop = by_replica(Operation::DropRingKey(bootstrap_ring::PEPPER));
    let before = world.state.ring_uses(bootstrap_ring::PEPPER);
    assert_eq!(before.versions, 4, "three, and the key of root");
    let new = rotate(&mut world, RingPurpose::Pepper);
    assert_eq!(world.state.versions_to_rekey().0, 4);
    let in_use = |uses| Refusal::RingKeyInUse { number: bootstrap_ring::PEPPER.0, uses };
    assert_eq!(world.refused(drop.clone()), in_use(4));

    // What is minted under either of them is taken meanwhile.
    world.done(by_root(create_keys("acme/live", vec![new_key(8), NewKey { pepper: new, ..new_key(9) }])));
    let (left, next) = world.state.keys_to_rekey(None, 1_000, 1_000);
    assert_eq!((left.len(), next), (5, None));
    let etags: Vec<_> = left.iter().map(|key| key.etag()).collect();
    assert_eq!(counted(&mut world, redigest(new, &left)), 5);
    assert_eq!(counted(&mut world, redigest(new, &left)), 0, "again changes nothing");
    assert_eq!(world.state.ring_uses(bootstrap_ring::PEPPER).total(), 0);
    let now: Vec<_> = left.iter().map(|key| world.state.key_at(key.keyspace, key.id).unwrap().clone()).collect();
    assert_eq!(now.iter().map(|key| key.etag()).collect::<Vec<_>>(), etags);
    assert!(now.iter().all(|key| key.versions[0].digest == Digest::new([0xD1; 32]) && key.versions[0].pepper == new));
    let inners = |keys: &[Arc<Key>]| keys.iter().map(|key| key.versions[0].inner).collect::<Vec<_>>();
    assert_eq!(inners(&now), inners(&left), "nobody needs another seal");
    assert_eq!(keys.len(), 3);
    let unused: Vec<_> = world.state.unused_ring_keys().iter().map(|key| key.number).collect();
    assert_eq!(unused, [bootstrap_ring::PEPPER]);
    world.done(drop);
    let late = by_root(create_keys("acme/live", vec![new_key(10)]));
    assert_eq!(world.refused(late), Refusal::RingKeyGone { number: bootstrap_ring::PEPPER.0 });
}

#[test]
fn only_the_newest_pepper_is_redigested_to() {
    let (mut world, keys) = with_keys();
    let first = rotate(&mut world, RingPurpose::Pepper);
    rotate(&mut world, RingPurpose::Pepper);
    let refusal = world.refused(by_replica(redigest(first, &keys)));
    assert_eq!(refusal, Refusal::RingKeyGone { number: first.0 });
    let too_many = vec![(at(&keys[0]).0, version_id(1), Digest::new([1; 32])); REKEYED_PER_COMMAND_MAX + 1];
    let pepper = newest(&world, RingPurpose::Pepper);
    let operation = Operation::RedigestVersions(RedigestVersions { pepper, versions: too_many });
    assert!(matches!(world.refused(by_replica(operation)), Refusal::QuotaExceeded { .. }));
}

#[test]
fn a_data_key_rotates_and_the_old_one_goes_when_no_inner_digest_is_under_it() {
    let (mut world, keys) = with_keys();
    let (purpose, old) = (purpose_of(&world, "acme/live"), data_key(&world, "acme/live"));
    let new = rotate(&mut world, purpose);
    assert_eq!(data_key(&world, "acme/live"), new);
    assert_eq!((world.state.ring_uses(old).inners, world.state.versions_to_rekey().1), (3, 3));
    // Under another than the one in use nothing is sealed anew.
    assert_eq!(counted(&mut world, reseal(old, &keys)), 0);
    assert_eq!(counted(&mut world, reseal(new, &keys[..2])), 2);
    let drop = by_replica(Operation::DropRingKey(old));
    assert_eq!(world.refused(drop.clone()), Refusal::RingKeyInUse { number: old.0, uses: 1 });
    assert_eq!(counted(&mut world, reseal(new, &keys)), 1);
    world.done(drop);
    let late = NewKey { inner: inner(old), ..new_key(9) };
    assert_eq!(world.refused(by_root(create_keys("acme/live", vec![late]))), Refusal::RingKeyGone { number: old.0 });
    // The key of another keyspace opens nothing here either.
    let foreign = NewKey { inner: inner(data_key(&world, "acme/test")), ..new_key(9) };
    let refusal = world.refused(by_root(create_keys("acme/live", vec![foreign])));
    assert_eq!(refusal, Refusal::RingKeyGone { number: data_key(&world, "acme/test").0 });
    let current = Operation::DropRingKey(new);
    assert_eq!(world.refused(by_replica(current)), Refusal::RingKeyInUse { number: new.0, uses: 3 });
}

#[test]
fn the_key_of_a_tenant_rotates_and_the_old_one_goes_when_it_wraps_nothing() {
    let mut world = World::furnished();
    let acme = world.state.tenant(&tenant("acme")).unwrap().clone();
    let purpose = RingPurpose::Tenant(acme.number);
    let wrapped = world.state.ring_uses(acme.tenant_key).ring_keys;
    let new = rotate(&mut world, purpose);
    assert_eq!(world.state.tenant(&tenant("acme")).unwrap().tenant_key, new);
    let drop = by_replica(Operation::DropRingKey(acme.tenant_key));
    assert!(matches!(world.refused(drop.clone()), Refusal::RingKeyInUse { uses, .. } if uses == wrapped && uses > 1));
    let keys = world.state.ring_keys_to_rewrap(1_000);
    assert_eq!(keys.len() as u64, wrapped);
    let under = |wrapped_by| {
        let rewrap = |key: &Arc<latchkey_state::RingKey>| RewrappedKey {
            number: key.number,
            wrapped_by,
            kek: None,
            wrapped: Box::new([0xEE; 60]),
        };
        Operation::RewrapRingKeys(keys.iter().map(rewrap).collect())
    };
    assert_eq!(counted(&mut world, under(acme.tenant_key)), 0, "only under the key in use");
    assert_eq!(counted(&mut world, under(RingNumber(0))), 0);
    assert_eq!(counted(&mut world, under(new)), wrapped);
    assert_eq!(world.state.ring_key(acme.audit_key).unwrap().wrapped[..], [0xEE; 60]);
    assert!(world.state.ring_keys_to_rewrap(1_000).is_empty());
    world.done(drop);

    // A keyspace whose key was wrapped by the old one just before is refused; one wrapped by the new one is made.
    let wrapped = |by| WrappedKey { id: [1; 16], wrapped: Box::new(inner(by)) };
    let create = |by| {
        let (name, settings) = (keyspace("acme/late"), settings("late"));
        by_root(Operation::CreateKeyspace(Box::new(CreateKeyspace { name, settings, data_key: wrapped(by) })))
    };
    assert_eq!(world.refused(create(acme.tenant_key)), Refusal::RingKeyGone { number: acme.tenant_key.0 });
    world.done(create(new));
}

#[test]
fn keys_that_are_in_use_are_not_replaced_by_what_would_be_lost() {
    let mut world = World::furnished();
    let purpose = purpose_of(&world, "acme/live");
    let by_kek = NewRingKey { wrapped_by: RingNumber(0), ..ring_key(purpose) };
    let refusal = world.refused(by_root(Operation::RotateRingKey(by_kek)));
    assert_eq!(refusal, Refusal::RingKeyGone { number: 0 });
    let tenant = TenantNumber(1);
    for purpose in [RingPurpose::Replay, RingPurpose::Audit(tenant)] {
        let refusal = world.refused(by_root(Operation::RotateRingKey(ring_key(purpose))));
        assert!(matches!(refusal, Refusal::Reserved { .. }), "{refusal:?}");
    }
    for _ in 1..RING_KEYS_OF_PURPOSE_MAX {
        rotate(&mut world, RingPurpose::Pepper);
    }
    let refusal = world.refused(by_root(Operation::RotateRingKey(ring_key(RingPurpose::Pepper))));
    assert_eq!(refusal, Refusal::RingKeyInUse { number: bootstrap_ring::PEPPER.0, uses: 1 });
    // What was replaced and is not used goes; what is in use never does.
    world.done(by_replica(Operation::DropRingKey(RingNumber(newest(&world, RingPurpose::Pepper).0 - 1))));
    let refusal = world.refused(by_replica(Operation::DropRingKey(newest(&world, RingPurpose::Pepper))));
    assert!(matches!(refusal, Refusal::RingKeyInUse { uses: 0, .. }));
}

#[test]
fn a_key_that_was_drawn_before_the_kek_changed_does_not_take_the_keyring_back() {
    let mut world = World::furnished();
    let (before, after) = (KekId([1; 8]), KekId([2; 8]));
    let moved = RewrappedKey {
        number: newest(&world, RingPurpose::Log),
        wrapped_by: RingNumber(0),
        kek: Some(after),
        wrapped: Box::new([21; 60]),
    };
    world.done(by_root(Operation::RewrapRingKeys(vec![moved])));
    for purpose in [RingPurpose::Log, RingPurpose::Pepper] {
        let drawn = |kek| by_root(Operation::RotateRingKey(NewRingKey { kek: Some(kek), ..ring_key(purpose) }));
        assert_eq!(world.refused(drawn(before)), Refusal::RingKeyGone { number: 0 });
        world.done(drawn(after));
    }
}

#[test]
fn an_administrator_of_the_system_rotates_and_nobody_rekeys_but_a_replica() {
    let mut world = World::furnished();
    let operation = Operation::RotateRingKey(ring_key(RingPurpose::Pepper));
    let denied = Refusal::PermissionDenied { duty: Duty::Admin, scope: Scope::System };
    assert_eq!(world.refused(by("acme/admin", operation.clone())), denied);
    assert!(matches!(world.refused(by_replica(operation)), Refusal::PermissionDenied { .. }));
    for operation in [
        redigest(bootstrap_ring::PEPPER, &[]),
        reseal(bootstrap_ring::KEYSPACE, &[]),
        Operation::DropRingKey(bootstrap_ring::PEPPER),
    ] {
        assert!(matches!(world.refused(by_root(operation)), Refusal::PermissionDenied { .. }));
    }
}

fn import(world: &mut World, keys: Vec<KeyToImport>) -> Vec<ImportOutcome> {
    match world.done(by_root(import_keys("acme/live", keys))) {
        Answer::Imported { rows, .. } => rows.into_iter().map(|row| row.outcome).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_text_is_not_imported_twice_while_the_pepper_rotates() {
    let mut world = World::furnished();
    world.done(by_root(declare_formats("acme/live")));
    let first = key_to_import(1, 1);
    let old = first.key.digest;
    import(&mut world, vec![first.clone()]);
    let new = rotate(&mut world, RingPurpose::Pepper);
    // The same text, digested under the new pepper: only its digest under the old one tells that it is here.
    let mut again = key_to_import(2, 1);
    (again.key.pepper, again.key.digest) = (new, Digest::new([0x99; 32]));
    let refusal = world.refused(by_root(import_keys("acme/live", vec![again.clone()])));
    assert_eq!(refusal, Refusal::RingKeyGone { number: new.0 });
    again.also = vec![(bootstrap_ring::PEPPER, old)];
    let rows = import(&mut world, vec![again.clone()]);
    assert!(matches!(rows[0], ImportOutcome::Existing(id, _) if id == first.key.id));

    // Redigested, it is found by the new digest and by nothing else.
    let (keys, _) = world.state.keys_to_rekey(None, 1_000, 1_000);
    let number = world.state.keyspace(&keyspace("acme/live")).unwrap().number;
    let redigested = keys.iter().map(|key| (at(key).0, at(key).1, again.key.digest)).collect();
    counted(&mut world, Operation::RedigestVersions(RedigestVersions { pepper: new, versions: redigested }));
    assert!(world.state.imported(number, &old).is_none());
    assert_eq!(world.state.imported(number, &again.key.digest).unwrap().key.id, first.key.id);
}

#[test]
fn a_keyspace_takes_all_its_data_keys_with_it() {
    let mut world = World::furnished();
    let purpose = purpose_of(&world, "acme/test");
    rotate(&mut world, purpose);
    assert_eq!(world.state.ring_keys_of(purpose).count(), 2);
    let name = DirectoryName::Keyspace(keyspace("acme/test"));
    world.done(by_root(delete(name)));
    assert_eq!(world.state.ring_keys_of(purpose).count(), 0);
}

#[test]
fn replay_keys_go_by_their_time_as_ever() {
    let mut world = World::furnished();
    world.done(by_replica(readings(&[later(START, 2 * HOUR); 3])));
    world.done(by_replica(Operation::DropRingKey(bootstrap_ring::REPLAY)));
}
