//! The keys of the cluster itself: what they are for, and how they rotate while keys are validated.

use crate::world::World;

/// The numbers of the keys of a purpose that the cluster has.
fn numbers(world: &World, purpose: &str) -> Vec<u64> {
    let shown = world.json("keyring status --all --limit 0");
    let keys = shown["ringKeys"].as_array().expect("there are keys");
    let of = keys.iter().filter(|key| key["purpose"] == purpose);
    of.map(|key| key["number"].as_u64().expect("each has a number")).collect()
}

pub(crate) fn rotating(world: &World) {
    let told = world.done("keyring status");
    assert!(told.contains("PEPPER") && told.contains("LOG") && told.contains("CURRENT"), "{told}");
    assert!(!told.contains("KEYSPACE"), "what is in use in tenants is shown with --all: {told}");

    for (wrong, told) in [("pepper acme", "leave the name out"), ("keyspace", "keyring rotate keyspace acme/orders")] {
        let ended = world.ended(&format!("keyring rotate {wrong}"), 2);
        assert!(ended.err.contains(told), "{}", ended.err);
    }
    let before = numbers(world, "PEPPER");
    let told = world.ended("keyring rotate pepper --dry-run", 0);
    assert!(told.err.contains("Nothing was changed"), "{}", told.err);
    assert_eq!(numbers(world, "PEPPER"), before);

    world.done("keyring rotate pepper --wait 2m");
    let after = numbers(world, "PEPPER");
    assert!(after.len() == 1 && after != before, "{before:?}, {after:?}");
    world.done("keyring rotate keyspace acme/orders --wait 2m");
    world.done("keyring rotate tenant acme --wait 2m");
    world.done("keyring rotate log");
    world.done("validate SEED/valid.key --fully-consistent");
    assert!(world.done("key create acme/orders --permission orders:read").contains("acme_orders_"));
}
