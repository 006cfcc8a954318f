//! Cuts: all keys of a scope die at one revision, and none of them comes back.

use crate::support::{
    World, as_request, by, by_root, create_keys, cut, key_name, keyspace, new_key, owned_key, owner, revoke, tenant,
    version_id,
};
use latchkey_domain::{KeyspaceName, Refusal};
use latchkey_state::{CutScope, Operation};

/// Whether a key is dead by a cut.
fn is_cut(world: &World, path: &str, number: u8) -> bool {
    let found = world.state.version(version_id(number)).unwrap();
    assert_eq!(found.key.id, key_name(path, number).key);
    world.state.is_cut(found.tenant, found.keyspace, found.key)
}

/// Keys 1 (of nobody) and 2 (of the shop) in `acme/live`, 3 in `acme/test`, 4 (of the other shop) in `globex/live`.
fn world_with_keys() -> World {
    let mut world = World::furnished();
    world.done(by_root(create_keys("acme/live", vec![new_key(1), owned_key(2, "acme/shop")])));
    world.done(by_root(create_keys("acme/test", vec![new_key(3)])));
    world.done(by_root(create_keys("globex/live", vec![owned_key(4, "globex/shop")])));
    world
}

fn dead(world: &World) -> Vec<u8> {
    let keys = [("acme/live", 1), ("acme/live", 2), ("acme/test", 3), ("globex/live", 4)];
    keys.into_iter().filter(|(path, number)| is_cut(world, path, *number)).map(|(_, number)| number).collect()
}

#[test]
fn a_cut_reaches_its_scope_and_nothing_else() {
    for (scope, expected) in [
        (CutScope::Tenant(tenant("acme")), vec![1, 2, 3]),
        (CutScope::Keyspace(keyspace("acme/live")), vec![1, 2]),
        (CutScope::Owner(owner("acme/shop")), vec![2]),
        (CutScope::Owner(owner("globex/shop")), vec![4]),
    ] {
        let mut world = world_with_keys();
        assert!(dead(&world).is_empty());
        world.done(by_root(cut(scope.clone())));
        assert_eq!(dead(&world), expected, "{scope:?}");
    }
}

#[test]
fn keys_made_after_a_cut_live() {
    let mut world = world_with_keys();
    world.done(by_root(cut(CutScope::Tenant(tenant("acme")))));
    world.done(by_root(create_keys("acme/live", vec![new_key(5), owned_key(6, "acme/shop")])));
    assert!(is_cut(&world, "acme/live", 1));
    assert!(!is_cut(&world, "acme/live", 5));
    assert!(!is_cut(&world, "acme/live", 6));
}

#[test]
fn no_later_update_takes_a_key_out_of_a_cut() {
    let mut world = world_with_keys();
    world.done(by_root(cut(CutScope::Keyspace(keyspace("acme/live")))));
    world.done(by_root(Operation::RevokeKey(revoke("acme/live", 1))));
    world.done(by_root(create_keys("acme/live", vec![new_key(5)])));
    world.done(by_root(cut(CutScope::Owner(owner("acme/shop")))));
    world.state = latchkey_state::State::load(world.state.rows()).unwrap();
    assert_eq!(dead(&world), [1, 2]);
}

#[test]
fn a_repeated_cut_leaves_the_keys_made_since_alone() {
    let mut world = world_with_keys();
    let request = as_request(by_root(cut(CutScope::Tenant(tenant("acme")))), 1, 0);
    let first = world.apply(request.clone());
    world.done(by_root(create_keys("acme/live", vec![new_key(5)])));

    let again = world.apply(request.clone());
    assert_eq!((again.repeated, again.revision), (true, first.revision));
    assert!(!is_cut(&world, "acme/live", 5), "the caller only lost the first answer");

    let other = as_request(by_root(cut(CutScope::Tenant(tenant("globex")))), 1, 1);
    assert_eq!(world.refused(other), Refusal::RequestIdReused);
}

#[test]
fn a_cut_of_the_management_keys_takes_more_than_a_grant_in_the_system_tenant() {
    // They belong to identities of all tenants.
    let mut world = World::furnished();
    let operator = latchkey_domain::Duty::Operator;
    let grants = [crate::support::grant(operator, "system"), crate::support::grant(operator, "system/management")];
    world.done(by_root(crate::support::create_identity("system/olga", &grants)));
    world.done(by_root(crate::support::create_identity("system/chief", &[crate::support::grant(operator, "")])));
    for scope in [CutScope::Tenant(tenant("system")), CutScope::Keyspace(KeyspaceName::management())] {
        let refusal = world.refused(by("system/olga", cut(scope.clone())));
        assert!(matches!(refusal, Refusal::PermissionDenied { scope: latchkey_domain::Scope::System, .. }));
        world.done(by("system/chief", cut(scope)));
    }
}
