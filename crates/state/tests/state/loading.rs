//! Rows that make up a state, and rows that do not.

use crate::support::{World, by_root, create_keys, new_key, owned_key, settings, terms, version_id};
use latchkey_domain::{KeyspaceNumber, OwnerNumber, Prefix, RoleNumber, RoleSet, RotationId, TenantNumber, Terms};
use latchkey_state::{Holder, Key, Keyspace, KeyspaceSettings, LoadError, Progress, Row, RowId, State, Tenant};
use std::sync::Arc;

fn world() -> World {
    let mut world = World::furnished();
    world.done(by_root(create_keys("acme/live", vec![new_key(1), owned_key(2, "acme/shop")])));
    world
}

/// Loads the world's rows after one of them was changed, and returns which row is complained of.
fn complaint(change: impl Fn(&mut Row)) -> Option<LoadError> {
    let world = world();
    let rows = world.state.rows().map(|mut row| {
        change(&mut row);
        row
    });
    State::load(rows).err()
}

fn with_key(row: &mut Row, number: u8, change: impl Fn(&mut Key)) {
    if let Row::Key(key) = row
        && key.versions[0].id == version_id(number)
    {
        change(Arc::make_mut(key));
    }
}

fn with_keyspace(row: &mut Row, prefix: &str, change: impl Fn(&mut Keyspace)) {
    if let Row::Keyspace(keyspace) = row
        && keyspace.settings.prefix.as_str() == prefix
    {
        change(Arc::make_mut(keyspace));
    }
}

#[test]
fn rows_that_refer_to_nothing_are_no_state() {
    assert_eq!(complaint(|_| ()), None);
    let expected = "is missing";
    for problem in [
        complaint(|row| with_keyspace(row, "acme_live", |keyspace| keyspace.tenant = TenantNumber(99))),
        complaint(|row| with_key(row, 1, |key| key.keyspace = KeyspaceNumber(99))),
        complaint(|row| with_key(row, 2, |key| key.holder = Holder::Owner(OwnerNumber(99)))),
        complaint(|row| {
            with_key(row, 1, |key| {
                let roles = RoleSet::from_values([RoleNumber(99)]).unwrap();
                key.terms = Arc::new(Terms { roles, ..(*key.terms).clone() });
            });
        }),
        complaint(|row| {
            let rotation = Some(RotationId::from_random([1; 12]));
            with_key(row, 1, |key| key.details.change(|details| details.rotation = rotation));
        }),
    ] {
        let problem = problem.unwrap();
        assert!(problem.problem.ends_with(expected), "{problem:?}");
    }
}

#[test]
fn rows_that_claim_the_same_are_no_state() {
    let same_prefix = |keyspace: &mut Keyspace| keyspace.settings.prefix = Prefix::parse("acme_live").unwrap();
    for problem in [
        complaint(|row| with_keyspace(row, "acme_test", same_prefix)),
        complaint(|row| with_key(row, 2, |key| key.versions[0].id = version_id(1))),
        complaint(|row| with_keyspace(row, "acme_test", |keyspace| keyspace.id = crate::support::slug("live"))),
        complaint(|row| {
            let Row::Tenant(tenant) = row else { return };
            let tenant: &mut Tenant = Arc::make_mut(tenant);
            if tenant.id.as_str() == "globex" {
                tenant.id = crate::support::slug("acme");
            }
        }),
    ] {
        let problem = problem.unwrap();
        assert!(problem.problem.contains("another"), "{problem:?}");
    }
}

#[test]
fn progress_that_says_nothing_is_no_row() {
    let mut state = State::default();
    state.install(Row::Progress(Progress::default()));
    assert_eq!(state, State::default());
    state.check_invariants().unwrap();
    assert_eq!(state.row(RowId::Progress), None);
}

#[test]
fn keys_that_may_the_same_share_it_in_memory() {
    let mut world = World::furnished();
    for number in 1..=4 {
        world.done(by_root(create_keys("acme/live", vec![new_key(number)])));
    }
    world.done(by_root(create_keys("acme/live", vec![latchkey_state::NewKey { terms: terms(&["x"]), ..new_key(9) }])));
    let terms_of = |state: &State, number: u8| state.version(version_id(number)).unwrap().key.terms.clone();
    // As a store would give them: each row by itself.
    let rows = world.state.rows().map(|mut row| {
        if let Row::Key(key) = &mut row {
            let terms = Arc::new((*key.terms).clone());
            *key = Arc::new(Key { terms, ..(**key).clone() });
        }
        row
    });
    let loaded = State::load(rows).unwrap();
    for state in [&world.state, &loaded] {
        assert!((2..=4).all(|number| Arc::ptr_eq(&terms_of(state, 1), &terms_of(state, number))));
        assert!(!Arc::ptr_eq(&terms_of(state, 1), &terms_of(state, 9)));
    }
}

#[test]
fn a_default_life_beyond_the_longest_is_refused_with_the_keyspace() {
    let days = latchkey_domain::DurationMillis::from_days;
    let (asked, maximum) = (days(31), days(30));
    let settings =
        KeyspaceSettings { default_lifetime: Some(asked), maximum_lifetime: Some(maximum), ..settings("new") };
    let refusal = World::furnished().refused(by_root(crate::support::create_keyspace("acme/new", settings)));
    assert_eq!(refusal, latchkey_domain::Refusal::LifetimeTooLong { asked, maximum });
}
