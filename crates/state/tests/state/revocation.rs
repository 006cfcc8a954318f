//! Revoking: sooner is possible, later is not, and nothing revives.

use crate::support::{HOUR, START, World, by_root, create_keys, key_name, later, new_key, revoke, version_id};
use latchkey_domain::{DurationMillis, Refusal, ResourceKind, UnixMillis};
use latchkey_state::{Answer, Operation, RevokeKey};

fn world() -> World {
    let mut world = World::furnished();
    world.done(by_root(create_keys("acme/live", vec![new_key(1)])));
    world
}

fn with_grace(grace: DurationMillis) -> Operation {
    Operation::RevokeKey(RevokeKey { grace, ..revoke("acme/live", 1) })
}

fn end(world: &World) -> UnixMillis {
    world.state.key(&key_name("acme/live", 1)).unwrap().revocation().unwrap().effective_at
}

#[test]
fn a_revocation_can_come_sooner_and_never_later() {
    let mut world = world();
    world.done(by_root(with_grace(DurationMillis::new(HOUR))));
    assert_eq!(end(&world), later(START, HOUR));

    let applied = world.apply(by_root(with_grace(DurationMillis::new(2 * HOUR))));
    assert!(applied.answer.is_ok() && applied.entries.is_empty());
    assert_eq!(end(&world), later(START, HOUR));

    world.done(by_root(with_grace(DurationMillis::ZERO)));
    assert_eq!(end(&world), START);
    assert!(world.apply(by_root(with_grace(DurationMillis::ZERO))).entries.is_empty());
}

#[test]
fn an_endless_grace_ends_at_the_end_of_time() {
    let mut world = world();
    world.done(by_root(with_grace(DurationMillis::new(u64::MAX))));
    assert_eq!(end(&world), UnixMillis::LAST);
}

#[test]
fn a_version_is_revoked_alone() {
    let mut world = world();
    let one = RevokeKey { version: Some(version_id(1)), ..revoke("acme/live", 1) };
    let etag = world.state.key(&key_name("acme/live", 1)).unwrap().etag();
    let Answer::Revoked { key, version } = world.done(by_root(Operation::RevokeKey(one))) else { panic!() };
    assert_eq!(version, Some(version_id(1)));
    assert!(key.revocation().is_none() && key.versions[0].revocation().is_some());
    assert_eq!(key.etag(), etag, "the etag is the key's, its versions aside");
}

#[test]
fn what_is_not_there_is_not_found() {
    let mut world = world();
    let version = RevokeKey { version: Some(version_id(9)), ..revoke("acme/live", 1) };
    for (operation, expected) in [
        (version, ResourceKind::Version),
        (revoke("acme/live", 9), ResourceKind::Key),
        (revoke("acme/test", 1), ResourceKind::Key),
        (revoke("acme/none", 1), ResourceKind::Key),
    ] {
        let refusal = world.refused(by_root(Operation::RevokeKey(operation)));
        assert!(matches!(refusal, Refusal::NotFound { kind, .. } if kind == expected), "{refusal:?}");
    }
}

#[test]
fn another_etag_is_refused_with_the_current_one() {
    let mut world = world();
    let current = world.state.key(&key_name("acme/live", 1)).unwrap().etag();
    let stale = RevokeKey { etag: Some("1-1".into()), ..revoke("acme/live", 1) };
    let refusal = world.refused(by_root(Operation::RevokeKey(stale)));
    assert_eq!(refusal, Refusal::EtagMismatch { current: current.clone() });
    world.done(by_root(Operation::RevokeKey(RevokeKey { etag: Some(current.into()), ..revoke("acme/live", 1) })));
}
