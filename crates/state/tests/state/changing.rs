//! Changing a key: within its keyspace, for its whole life, and never after its death.

use crate::support::{
    HOUR, MINUTE, START, World, by, by_replica, by_root, create_keys, create_owner, cut, key_name, later,
    management_key, new_key, owned_key, owner, permissions, readings, settings, slug, text,
};
use latchkey_domain::{DurationMillis, Metadata, Network, NetworkSet, Quota, ReasonText, Refusal, ResourceKind};
use latchkey_state::{
    CutScope, End, Expiry, ExpiryChange, HolderName, Key, KeyChanges, KeyspaceSettings, NewKey, Operation,
    RESTRICTION_MAX, RestrictKey, ResumeKey, SuspendKey, UpdateKey,
};
use std::sync::Arc;

const KEY: &str = "acme/live";

/// Key 1 in `acme/live`, the shop's.
fn world() -> World {
    let mut world = World::furnished();
    world.done(by_root(create_keys(KEY, vec![owned_key(1, "acme/shop")])));
    world
}

/// Key 1 in `acme/bounded`, whose settings are these.
fn world_with(settings: KeyspaceSettings) -> World {
    let mut world = World::furnished();
    world.done(by_root(crate::support::create_keyspace("acme/bounded", settings)));
    world.done(by_root(create_keys("acme/bounded", vec![new_key(1)])));
    world
}

fn update(path: &str, changes: KeyChanges) -> Operation {
    Operation::UpdateKey(Box::new(UpdateKey { key: key_name(path, 1), changes, etag: None }))
}

fn restrict(end: End) -> RestrictKey {
    RestrictKey {
        key: key_name(KEY, 1),
        permissions: Some(permissions(&["orders:read"])),
        networks: NetworkSet::default(),
        end,
        text: ReasonText::parse("under watch").unwrap(),
        etag: None,
    }
}

fn suspend() -> Operation {
    Operation::SuspendKey(SuspendKey { key: key_name(KEY, 1), text: ReasonText::default(), etag: None })
}

fn resume() -> Operation {
    Operation::ResumeKey(ResumeKey { key: key_name(KEY, 1), text: ReasonText::default(), etag: None })
}

fn key<'a>(world: &'a World, path: &str) -> &'a Arc<Key> {
    world.state.key(&key_name(path, 1)).unwrap()
}

/// What the last entry tells, as text; its facts stand in it word by word.
fn told(applied: &latchkey_state::Applied) -> String {
    String::from_utf8_lossy(&applied.entries.last().unwrap().event).into_owned()
}

#[test]
fn a_management_key_keeps_its_identity() {
    let mut world = World::furnished();
    let management = "system/management";
    world.done(by_root(create_keys(management, vec![management_key(1, "acme/issuer")])));
    let holder = |of: &str| KeyChanges {
        holder: Some(HolderName::Identity(crate::support::identity(of))),
        ..KeyChanges::default()
    };
    let refusal = world.refused(by("acme/issuer", update(management, holder("system/root"))));
    assert!(matches!(refusal, Refusal::OwnerNotAllowed { .. }), "{refusal:?}");
    let refusal = world.refused(by_root(update(management, holder("acme/admin"))));
    assert!(matches!(refusal, Refusal::OwnerNotAllowed { .. }), "not even by root: {refusal:?}");
    assert!(world.apply(by_root(update(management, holder("acme/issuer")))).entries.is_empty());
}

#[test]
fn what_the_keyspace_does_not_allow_is_refused() {
    let only_orders = KeyspaceSettings {
        allowed_permissions: permissions(&["orders:*"]),
        allowed_roles: Box::new([slug("standard")]),
        ..settings("bounded")
    };
    let mut world = world_with(only_orders);
    let with_roles = |role: &str| KeyChanges { roles: Some(vec![slug(role)]), ..KeyChanges::default() };
    let wider = KeyChanges { permissions: Some(permissions(&["refunds:write"])), ..KeyChanges::default() };
    assert_eq!(
        world.refused(by_root(update("acme/bounded", wider))),
        Refusal::PermissionNotAllowed { permission: "refunds:write".into() }
    );
    assert_eq!(
        world.refused(by_root(update("acme/bounded", with_roles("admin")))),
        Refusal::RoleNotAllowed { role: "tenants/acme/roles/admin".into() }
    );
    assert_eq!(
        world.refused(by_root(update("acme/bounded", with_roles("nobody")))),
        Refusal::NotFound { kind: ResourceKind::Role, name: "tenants/acme/roles/nobody".into() }
    );
    world.done(by_root(update("acme/bounded", with_roles("standard"))));
    let with_role = NewKey { roles: vec![slug("admin")], ..new_key(2) };
    assert_eq!(
        world.refused(by_root(create_keys("acme/bounded", vec![with_role]))),
        Refusal::RoleNotAllowed { role: "tenants/acme/roles/admin".into() }
    );
}

#[test]
fn the_longest_life_counts_from_when_the_key_was_made() {
    let mut world =
        world_with(KeyspaceSettings { maximum_lifetime: Some(DurationMillis::new(2 * HOUR)), ..settings("bounded") });
    let end_at = |change| update("acme/bounded", KeyChanges { expiry: Some(change), ..KeyChanges::default() });
    world.done(by_replica(readings(&[later(START, HOUR); 3])));
    let refusal = world.refused(by_root(end_at(ExpiryChange::At(later(START, 2 * HOUR + 1)))));
    let (asked, maximum) = (DurationMillis::new(2 * HOUR + 1), DurationMillis::new(2 * HOUR));
    assert_eq!(refusal, Refusal::LifetimeTooLong { asked, maximum });
    let refusal = world.refused(by_root(end_at(ExpiryChange::At(later(START, HOUR)))));
    assert!(matches!(refusal, Refusal::ExpiryPast { .. }));

    world.done(by_root(end_at(ExpiryChange::At(later(START, HOUR + 1)))));
    world.done(by_root(end_at(ExpiryChange::Latest)));
    assert_eq!(key(&world, "acme/bounded").expires_at, Some(later(START, 2 * HOUR)));
}

#[test]
fn a_key_never_begins_after_its_end() {
    let mut world = world();
    let times = |not_before, end| KeyChanges {
        not_before: Some(Some(later(START, not_before))),
        expiry: Some(ExpiryChange::At(later(START, end))),
        ..KeyChanges::default()
    };
    let refusal = world.refused(by_root(update(KEY, times(HOUR, HOUR))));
    let (not_before, expire_time) = (later(START, HOUR), later(START, HOUR));
    assert_eq!(refusal, Refusal::NotBeforeAfterExpiry { not_before, expire_time });
    world.done(by_root(update(KEY, times(HOUR - 1, HOUR))));
    world.done(by_root(update(KEY, KeyChanges { not_before: Some(None), ..KeyChanges::default() })));
    assert_eq!(key(&world, KEY).not_before(), None);
}

#[test]
fn a_key_that_moves_to_an_owner_who_was_cut_before_lives_and_dies_with_the_next_cut() {
    let mut world = world();
    world.done(by_root(create_owner("acme/bank")));
    world.done(by_root(cut(CutScope::Owner(owner("acme/bank")))));
    let to_bank = KeyChanges { holder: Some(HolderName::Owner(owner("acme/bank"))), ..KeyChanges::default() };
    world.done(by_root(update(KEY, to_bank.clone())));
    let dead = |world: &World| world.state.death_of(key(world, KEY), world.state.clock()).is_some();
    assert!(!dead(&world));
    // The cut of the owner that it left does not reach it; that of the one it came to does.
    world.done(by_root(cut(CutScope::Owner(owner("acme/shop")))));
    assert!(!dead(&world));
    world.done(by_root(cut(CutScope::Owner(owner("acme/bank")))));
    assert!(dead(&world));
    let name = key_name(KEY, 1).to_string();
    for operation in [update(KEY, to_bank), suspend(), resume(), Operation::RestrictKey(restrict(End::At(START)))] {
        assert_eq!(world.refused(by_root(operation)), Refusal::KeyRevoked { name: name.clone() });
    }
}

#[test]
fn an_expired_key_does_not_change_even_while_it_is_suspended() {
    let mut world = World::furnished();
    let expire_time = later(START, HOUR);
    world.done(by_root(create_keys(KEY, vec![NewKey { expiry: Expiry::At(expire_time), ..new_key(1) }])));
    world.done(by_root(suspend()));
    world.done(by_replica(readings(&[expire_time; 3])));
    let longer = KeyChanges { expiry: Some(ExpiryChange::Latest), ..KeyChanges::default() };
    let name = key_name(KEY, 1).to_string();
    for operation in [update(KEY, longer), suspend(), resume(), Operation::RestrictKey(restrict(End::At(START)))] {
        assert_eq!(world.refused(by_root(operation)), Refusal::KeyExpired { name: name.clone(), expire_time });
    }
}

#[test]
fn a_change_to_what_is_there_is_no_change_and_a_change_is_told_from_what_to_what() {
    let mut world = world();
    let etag = key(&world, KEY).etag();
    let same = KeyChanges {
        display_name: Some(text("Checkout")),
        permissions: Some(permissions(&["orders:read"])),
        expiry: Some(ExpiryChange::Latest),
        holder: Some(HolderName::Owner(owner("acme/shop"))),
        ..KeyChanges::default()
    };
    assert!(world.apply(by_root(update(KEY, same))).entries.is_empty());
    assert_eq!(key(&world, KEY).etag(), etag);

    let changes = KeyChanges {
        display_name: Some(text("Till")),
        permissions: Some(permissions(&["orders:*"])),
        metadata: Some(Metadata::from_pairs([("team", "people whom nobody should name")]).unwrap()),
        ..KeyChanges::default()
    };
    let told = told(&world.apply(by_root(update(KEY, changes))));
    for part in ["key.updated", "Checkout -> Till", "+orders:*,-orders:read", "+team"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(!told.contains("nobody should name"));
    assert_ne!(key(&world, KEY).etag(), etag);
    let stale = UpdateKey { key: key_name(KEY, 1), changes: KeyChanges::default(), etag: Some(etag.into()) };
    let refusal = world.refused(by_root(Operation::UpdateKey(Box::new(stale))));
    assert_eq!(refusal, Refusal::EtagMismatch { current: key(&world, KEY).etag() });
}

#[test]
fn a_keyspace_holds_no_more_versions_and_metadata_than_it_may() {
    let mut world = world_with(KeyspaceSettings { versions_max: 2, metadata_bytes_max: 8, ..settings("bounded") });
    let metadata = |value: &str| Metadata::from_pairs([("team", value)]).unwrap();
    let with = |value: &str| KeyChanges { metadata: Some(metadata(value)), ..KeyChanges::default() };
    let refusal = world.refused(by_root(update("acme/bounded", with("12345"))));
    assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::MetadataBytesOfKeyspace, limit: 8 });
    world.done(by_root(update("acme/bounded", with("1234"))));
    world.done(by_root(update("acme/bounded", with("123"))));

    let beyond = NewKey { metadata: metadata("1"), ..new_key(2) };
    let refusal = world.refused(by_root(create_keys("acme/bounded", vec![beyond])));
    assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::MetadataBytesOfKeyspace, limit: 8 });
    let refusal = world.refused(by_root(create_keys("acme/bounded", vec![new_key(2), new_key(3)])));
    assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::VersionsOfKeyspace, limit: 2 });
    world.done(by_root(create_keys("acme/bounded", vec![new_key(2)])));
}

#[test]
fn a_restriction_is_within_what_the_key_has_and_ends() {
    let mut world = world();
    let now = world.state.clock();
    let refused = |world: &mut World, operation| world.refused(by_root(Operation::RestrictKey(operation)));
    let wider = RestrictKey {
        permissions: Some(permissions(&["orders:*"])),
        ..restrict(End::After(DurationMillis::new(HOUR)))
    };
    let name = key_name(KEY, 1).to_string();
    let expected = Refusal::ExceedsKey { name, field: "permissions", value: "orders:*".into() };
    assert_eq!(refused(&mut world, wider), expected);
    let refusal = refused(&mut world, restrict(End::At(now)));
    assert_eq!(refusal, Refusal::ExpiryPast { expire_time: now, now });
    let asked = DurationMillis::new(RESTRICTION_MAX.millis() + 1);
    let refusal = refused(&mut world, restrict(End::After(asked)));
    assert_eq!(refusal, Refusal::LifetimeTooLong { asked, maximum: RESTRICTION_MAX });

    let from_office = KeyChanges {
        networks: Some(NetworkSet::from_values([Network::parse("10.0.0.0/8").unwrap()]).unwrap()),
        ..KeyChanges::default()
    };
    world.done(by_root(update(KEY, from_office)));
    let elsewhere = RestrictKey {
        networks: NetworkSet::from_values([Network::parse("11.0.0.0/8").unwrap()]).unwrap(),
        ..restrict(End::After(DurationMillis::new(HOUR)))
    };
    assert!(matches!(refused(&mut world, elsewhere), Refusal::ExceedsKey { field: "networks", .. }));
}

#[test]
fn a_restriction_that_has_ended_is_told_once_and_leaves_the_etag() {
    let mut world = world();
    let end = later(START, HOUR);
    world.done(by_root(Operation::RestrictKey(restrict(End::At(end)))));
    assert!(world.apply(by_root(Operation::RestrictKey(restrict(End::At(end))))).entries.is_empty());
    let etag = key(&world, KEY).etag();
    assert!(world.apply(by_replica(Operation::Settle)).entries.is_empty(), "it holds still");

    world.done(by_replica(readings(&[end; 3])));
    assert!(world.apply(by_root(resume())).entries.is_empty(), "nothing is left to lift");
    let told = told(&world.apply(by_replica(Operation::Settle)));
    assert!(told.contains("key.restriction_ended"), "{told}");
    assert!(world.apply(by_replica(Operation::Settle)).entries.is_empty());
    assert_eq!(key(&world, KEY).etag(), etag);
    assert!(key(&world, KEY).restriction(START).is_none());
}

#[test]
fn resuming_lifts_suspension_and_restriction_together() {
    let mut world = world();
    world.done(by_root(Operation::RestrictKey(restrict(End::After(DurationMillis::new(MINUTE))))));
    world.done(by_root(suspend()));
    assert!(world.apply(by_root(suspend())).entries.is_empty());
    let told = told(&world.apply(by_root(resume())));
    assert!(told.contains("restriction,suspension"), "{told}");
    let key = key(&world, KEY);
    assert!(key.suspension().is_none() && key.restriction(START).is_none());
}

#[test]
fn who_may_only_validate_changes_nothing() {
    let mut world = world();
    for operation in [
        update(KEY, KeyChanges::default()),
        suspend(),
        resume(),
        Operation::RestrictKey(restrict(End::After(DurationMillis::new(HOUR)))),
    ] {
        let refusal = world.refused(by("acme/validator", operation));
        assert!(matches!(refusal, Refusal::PermissionDenied { .. }), "{refusal:?}");
    }
}
