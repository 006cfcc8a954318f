//! Requests that come twice.

use crate::support::{
    HOUR, MINUTE, World, as_request, by, by_replica, by_root, create_identity, create_keys, create_keyspace,
    create_owner, create_tenant, grant, later, new_key, readings, revoke, settings,
};
use latchkey_domain::{Duty, Refusal};
use latchkey_state::{Answer, Command, CreateKeys, Operation};

const BOX: [u8; 40] = [9; 40];

/// A request for one key whose text can be given again.
fn request() -> Command {
    let operation = CreateKeys {
        keyspace: crate::support::keyspace("acme/live"),
        keys: vec![new_key(1)],
        replay: Some(Box::new(BOX)),
    };
    as_request(by_root(Operation::CreateKeys(operation)), 1, 0)
}

/// Moves the clock to so many minutes after the request was answered, without a record that would sweep before.
fn advance(world: &mut World, minutes: u64) {
    let time = later(crate::support::START, minutes * MINUTE);
    world.done(by_replica(readings(&[time; 3])));
}

fn replay_of(answer: &Answer) -> Option<&[u8]> {
    let Answer::Keys { replay, .. } = answer else { panic!("expected keys, found {answer:?}") };
    replay.as_deref()
}

fn keys_of(answer: &Answer) -> &[(std::sync::Arc<latchkey_state::Key>, latchkey_domain::VersionId)] {
    let Answer::Keys { keys, .. } = answer else { panic!("expected keys, found {answer:?}") };
    keys
}

#[test]
fn a_repeat_gets_the_keys_for_a_day_and_their_texts_for_an_hour() {
    for (minutes, has_text) in [(0, true), (59, true), (60, false), (61, false), (23 * 60 + 59, false)] {
        let mut world = World::furnished();
        let first = world.done(request());
        advance(&mut world, minutes);
        let again = world.apply(request());
        assert!(again.repeated);
        let answer = again.answer.unwrap();
        assert_eq!(keys_of(&answer), keys_of(&first));
        assert_eq!(replay_of(&answer), has_text.then_some(&BOX[..]), "after {minutes} min");
    }
}

#[test]
fn a_key_text_leaves_the_state_after_an_hour_and_the_request_after_a_day() {
    let mut world = World::furnished();
    world.done(request());
    let boxes = |world: &World| {
        let rows: Vec<_> = world.state.rows().collect();
        let requests = rows.iter().filter_map(|row| match row {
            latchkey_state::Row::Request(request) => Some(request.replay.is_some()),
            _ => None,
        });
        requests.collect::<Vec<_>>()
    };
    assert_eq!(boxes(&world), [true]);
    advance(&mut world, 61);
    assert_eq!(boxes(&world), [false]);
    advance(&mut world, 24 * 60);
    assert!(boxes(&world).is_empty());
}

#[test]
fn after_a_day_the_request_is_a_new_one() {
    let mut world = World::furnished();
    world.done(request());
    advance(&mut world, 24 * 60);
    // The same key cannot be made again, which shows that it was tried.
    assert!(matches!(world.refused(request()), Refusal::AlreadyExists { .. }));
}

#[test]
fn the_same_id_with_another_body_is_refused() {
    let mut world = World::furnished();
    world.done(request());
    for minutes in [0, 61, 24 * 60 - 1] {
        advance(&mut world, minutes);
        let other = as_request(by_root(create_keys("acme/live", vec![new_key(2)])), 1, 1);
        assert_eq!(world.refused(other), Refusal::RequestIdReused);
    }
}

#[test]
fn the_same_id_of_another_identity_is_another_request() {
    let mut world = World::furnished();
    world.done(request());
    let other = as_request(by("acme/issuer", create_keys("acme/live", vec![new_key(2)])), 1, 1);
    assert!(!world.apply(other).repeated);
    assert_eq!(world.state.request_count(), 2);
}

#[test]
fn a_request_that_was_refused_is_not_remembered() {
    let mut world = World::furnished();
    let request = as_request(by_root(create_keys("acme/none", vec![new_key(1)])), 1, 0);
    assert!(matches!(world.refused(request.clone()), Refusal::NotFound { .. }));
    world.done(by_root(create_keyspace("acme/none", settings("none"))));
    assert!(!world.apply(request).repeated);
}

#[test]
fn a_repeat_by_someone_who_lost_the_right_is_refused() {
    // Grants are checked before the memory: an answer is not given again to whoever may not ask for it.
    let mut world = World::furnished();
    world.done(request());
    let forged = Command { actor: by("acme/ghost", create_tenant("x")).actor, ..request() };
    assert!(matches!(world.refused(forged), Refusal::PermissionDenied { .. }));
}

#[test]
fn every_operation_of_an_identity_can_be_repeated() {
    let mut world = World::furnished();
    world.done(by_root(create_keys("acme/live", vec![new_key(1)])));
    let version = latchkey_state::RevokeKey { version: Some(crate::support::version_id(1)), ..revoke("acme/live", 1) };
    let operations = [
        create_tenant("initech"),
        create_keyspace("acme/new", settings("new")),
        create_owner("acme/new"),
        create_identity("acme/new", &[grant(Duty::Auditor, "acme")]),
        create_keys("acme/live", vec![new_key(5), new_key(6)]),
        create_keys("acme/live", Vec::new()),
        Operation::RevokeKey(version),
        Operation::RevokeKey(revoke("acme/live", 1)),
        crate::support::cut(latchkey_state::CutScope::Tenant(crate::support::tenant("acme"))),
    ];
    for (id, operation) in (0..).zip(operations) {
        let request = as_request(by_root(operation.clone()), id, 0);
        let first = world.apply(request.clone());
        let again = world.apply(request);
        assert_eq!(again.answer, first.answer);
        assert_eq!((again.repeated, again.revision), (true, first.revision), "{operation:?}");
        assert!(again.entries.is_empty());
    }
}

#[test]
fn a_request_is_remembered_through_a_restart() {
    let mut world = World::furnished();
    world.done(request());
    world.state = latchkey_state::State::load(world.state.rows()).unwrap();
    assert!(world.apply(request()).repeated);
    assert_eq!(HOUR, latchkey_state::REPLAY_WINDOW.millis());
}
