//! Children: never more than their parent, and never longer.

use crate::support::{
    HOUR, START, World, by_replica, by_root, create_keys, cut, key_id, key_name, keyspace, later, new_key, owned_key,
    owner, permissions, readings, revoke, slug,
};
use latchkey_domain::{DurationMillis, Method, MethodSet, Refusal, ResourceKind, Terms};
use latchkey_state::{By, CutScope, Expiry, ExpiryChange, KeyChanges, NewKey, Operation, SuspendKey, UpdateKey, Worth};

const KEY: &str = "acme/live";

/// A child of key 1.
fn child(number: u8) -> NewKey {
    NewKey { parent: Some(key_id(1)), ..new_key(number) }
}

/// Key 1 in `acme/live`, the shop's, with a role, and an end in five hours.
fn world() -> World {
    let mut world = World::furnished();
    let parent = NewKey {
        roles: vec![slug("standard")],
        expiry: Expiry::At(later(START, 5 * HOUR)),
        terms: Terms {
            permissions: permissions(&["orders:*"]),
            methods: MethodSet::from_values([Method::parse("GET").unwrap()]).unwrap(),
            ..Terms::default()
        },
        ..owned_key(1, "acme/shop")
    };
    world.done(by_root(create_keys(KEY, vec![parent])));
    world
}

/// What a child of key 1 has to say: the methods of its parent, since none would be all.
fn fitting(number: u8) -> NewKey {
    let methods = MethodSet::from_values([Method::parse("GET").unwrap()]).unwrap();
    let new = child(number);
    NewKey { terms: Terms { methods, ..new.terms.clone() }, ..new }
}

fn worth(world: &World, number: u8) -> Worth {
    world.state.key_worth(world.state.key(&key_name(KEY, number)).unwrap(), world.state.clock())
}

#[test]
fn only_a_living_key_of_the_same_keyspace_that_is_no_child_can_be_a_parent() {
    let mut world = world();
    world.done(by_root(create_keys(KEY, vec![fitting(2)])));
    world.done(by_root(create_keys("acme/test", vec![new_key(3)])));
    world.done(by_root(create_keys(KEY, vec![new_key(4)])));
    world.done(by_root(Operation::RevokeKey(revoke(KEY, 4))));
    let of = |parent| NewKey { parent: Some(key_id(parent)), ..fitting(9) };
    let name = |number| key_name(KEY, number).to_string();
    for (parent, expected) in [
        (2, Refusal::ParentNotAllowed { name: name(2), expected: "a key that is not itself a child" }),
        (3, Refusal::NotFound { kind: ResourceKind::Key, name: name(3) }),
        (4, Refusal::ParentNotAllowed { name: name(4), expected: "a key that is not dead" }),
        (9, Refusal::NotFound { kind: ResourceKind::Key, name: name(9) }),
    ] {
        assert_eq!(world.refused(by_root(create_keys(KEY, vec![of(parent)]))), expected);
    }
}

#[test]
fn what_a_child_asks_for_is_within_what_its_parent_has() {
    let mut world = world();
    let mut refused = |new: NewKey| match world.refused(by_root(create_keys(KEY, vec![new]))) {
        Refusal::ExceedsKey { name, field, value } => {
            assert_eq!(name, key_name(KEY, 1).to_string());
            (field, value)
        }
        other => panic!("{other:?}"),
    };
    let with = |patterns: &[&str]| Terms { permissions: permissions(patterns), ..fitting(2).terms };
    assert_eq!(refused(NewKey { terms: with(&["*"]), ..fitting(2) }), ("permissions", "*".into()));
    assert_eq!(refused(child(2)), ("methods", String::new()), "none is all");
    let more_roles = NewKey { roles: vec![slug("read-only")], ..fitting(2) };
    assert_eq!(refused(more_roles), ("roles", "tenants/acme/roles/read-only".into()));
    let longer = NewKey { expiry: Expiry::After(DurationMillis::new(5 * HOUR + 1)), ..fitting(2) };
    assert_eq!(refused(longer).0, "expire_time");

    world.done(by_root(create_keys(KEY, vec![NewKey { roles: vec![slug("standard")], ..fitting(2) }])));
    let end = world.state.key(&key_name(KEY, 2)).unwrap().expires_at;
    assert_eq!(end, Some(later(START, 5 * HOUR)), "who asks for no end gets that of the parent");
    let wider = KeyChanges { permissions: Some(permissions(&["refunds:write"])), ..KeyChanges::default() };
    let later_end = KeyChanges { expiry: Some(ExpiryChange::At(later(START, 6 * HOUR))), ..KeyChanges::default() };
    for changes in [wider, later_end] {
        let update = UpdateKey { key: key_name(KEY, 2), changes, etag: None };
        let refusal = world.refused(by_root(Operation::UpdateKey(Box::new(update))));
        assert!(matches!(refusal, Refusal::ExceedsKey { .. }), "{refusal:?}");
    }
}

#[test]
fn a_role_of_the_parent_is_something_that_it_has() {
    let mut world = World::furnished();
    let admin = NewKey { roles: vec![slug("admin")], ..new_key(1) };
    world.done(by_root(create_keys(KEY, vec![admin])));
    let anything = NewKey { terms: Terms { permissions: permissions(&["refunds:*"]), ..Terms::default() }, ..child(2) };
    world.done(by_root(create_keys(KEY, vec![anything])));
}

#[test]
fn a_child_is_worth_no_more_than_its_parent() {
    let with_child = || {
        let mut world = world();
        world.done(by_root(create_keys(KEY, vec![fitting(2)])));
        assert_eq!(worth(&world, 2), Worth::Accepted);
        world
    };
    let mut world = with_child();
    let suspend = SuspendKey { key: key_name(KEY, 1), text: Default::default(), etag: None };
    world.done(by_root(Operation::SuspendKey(suspend)));
    assert_eq!(worth(&world, 2), Worth::Suspended(By::Parent));

    let mut world = with_child();
    world.done(by_root(Operation::RevokeKey(revoke(KEY, 1))));
    assert_eq!(worth(&world, 2), Worth::Revoked(By::Parent));

    let mut world = with_child();
    world.done(by_root(cut(CutScope::Owner(owner("acme/shop")))));
    assert_eq!((worth(&world, 1), worth(&world, 2)), (Worth::Revoked(By::Owner), Worth::Revoked(By::Parent)));

    let mut world = with_child();
    world.done(by_root(cut(CutScope::Keyspace(keyspace(KEY)))));
    assert_eq!(worth(&world, 2), Worth::Revoked(By::Keyspace));

    // A parent whose end was brought forward takes its child along.
    let mut world = with_child();
    let sooner = KeyChanges { expiry: Some(ExpiryChange::At(later(START, HOUR))), ..KeyChanges::default() };
    let update = UpdateKey { key: key_name(KEY, 1), changes: sooner, etag: None };
    world.done(by_root(Operation::UpdateKey(Box::new(update))));
    world.done(by_replica(readings(&[later(START, HOUR); 3])));
    assert_eq!(worth(&world, 2), Worth::Expired(By::Parent));
    let suspend = SuspendKey { key: key_name(KEY, 2), text: Default::default(), etag: None };
    let refusal = world.refused(by_root(Operation::SuspendKey(suspend)));
    let (name, expire_time) = (key_name(KEY, 2).to_string(), later(START, HOUR));
    assert_eq!(refusal, Refusal::KeyExpired { name, expire_time });
}
