//! When keys end: as the keyspace says, never beyond its maximum, and never rounded up.

use crate::support::{START, World, by_root, create_keys, create_keyspace, later, new_key, settings, terms};
use latchkey_domain::{DurationMillis, Quota, Refusal, UnixMillis};
use latchkey_state::{Answer, Expiry, KeyspaceSettings, NewKey};

const DAY: u64 = 86_400_000;

/// Makes one key in a keyspace of these lifetimes, in days, and returns when it ends.
fn end(default: Option<u64>, maximum: Option<u64>, expiry: Expiry) -> Result<Option<UnixMillis>, Refusal> {
    let mut world = World::furnished();
    let (default_lifetime, maximum_lifetime) =
        (default.map(DurationMillis::from_days), maximum.map(DurationMillis::from_days));
    let settings = KeyspaceSettings { default_lifetime, maximum_lifetime, ..settings("new") };
    world.done(by_root(create_keyspace("acme/new", settings)));
    let applied = world.apply(by_root(create_keys("acme/new", vec![NewKey { expiry, ..new_key(1) }])));
    applied.answer.map(|answer| {
        let Answer::Keys { keys, .. } = answer else { panic!("expected keys, found {answer:?}") };
        keys[0].0.expires_at
    })
}

#[test]
fn a_key_that_asks_for_nothing_gets_the_default_else_the_maximum_else_no_end() {
    assert_eq!(end(Some(30), Some(90), Expiry::Default), Ok(Some(later(START, 30 * DAY))));
    assert_eq!(end(None, Some(90), Expiry::Default), Ok(Some(later(START, 90 * DAY))));
    assert_eq!(end(None, None, Expiry::Default), Ok(None));
}

#[test]
fn a_life_of_exactly_the_maximum_is_allowed_and_a_millisecond_more_is_refused() {
    let maximum = DurationMillis::from_days(90);
    let asked = DurationMillis::new(90 * DAY + 1);
    assert_eq!(end(None, Some(90), Expiry::After(maximum)), Ok(Some(later(START, 90 * DAY))));
    assert_eq!(end(None, Some(90), Expiry::At(later(START, 90 * DAY))), Ok(Some(later(START, 90 * DAY))));
    let too_long = Err(Refusal::LifetimeTooLong { asked, maximum });
    assert_eq!(end(None, Some(90), Expiry::After(asked)), too_long);
    assert_eq!(end(None, Some(90), Expiry::At(later(START, 90 * DAY + 1))), too_long);
}

#[test]
fn a_key_that_would_be_dead_at_birth_is_refused() {
    let past = Err(Refusal::ExpiryPast { expire_time: START, now: START });
    assert_eq!(end(None, None, Expiry::At(START)), past);
    assert_eq!(end(None, None, Expiry::After(DurationMillis::ZERO)), past);
    assert_eq!(end(None, Some(0), Expiry::Default), past);
}

#[test]
fn a_key_that_would_begin_after_its_end_is_refused() {
    let mut world = World::furnished();
    let expire_time = later(START, DAY);
    let key = NewKey { not_before: Some(expire_time), expiry: Expiry::At(expire_time), ..new_key(1) };
    let refusal = world.refused(by_root(create_keys("acme/live", vec![key.clone()])));
    assert_eq!(refusal, Refusal::NotBeforeAfterExpiry { not_before: expire_time, expire_time });
    let key = NewKey { not_before: Some(later(START, DAY - 1)), ..key };
    world.done(by_root(create_keys("acme/live", vec![key])));
}

#[test]
fn a_batch_is_made_whole_or_not_at_all() {
    let mut world = World::furnished();
    let late = NewKey { expiry: Expiry::At(START), ..new_key(2) };
    let twice = NewKey { version: crate::support::version_id(1), ..new_key(2) };
    for second in [late, twice, new_key(1)] {
        world.refused(by_root(create_keys("acme/live", vec![new_key(1), second])));
        assert_eq!(world.state.key_count(), 1, "root's key alone");
    }
}

#[test]
fn a_keyspace_holds_its_quota_and_only_its_permissions() {
    let mut world = World::furnished();
    let settings = KeyspaceSettings {
        keys_max: 2,
        allowed_permissions: crate::support::permissions(&["orders:*"]),
        ..settings("new")
    };
    world.done(by_root(create_keyspace("acme/new", settings)));
    let refusal = world.refused(by_root(create_keys("acme/new", vec![NewKey { terms: terms(&["*"]), ..new_key(1) }])));
    assert_eq!(refusal, Refusal::PermissionNotAllowed { permission: "*".into() });
    let refusal = world.refused(by_root(create_keys("acme/new", vec![new_key(1), new_key(2), new_key(3)])));
    assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::KeysOfKeyspace, limit: 2 });
    world.done(by_root(create_keys("acme/new", vec![new_key(1), new_key(2)])));
}
