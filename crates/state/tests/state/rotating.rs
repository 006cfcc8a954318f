//! Rotating a key: what is minted and dropped, repeats, bounds, and what a revocation does to a rotation.

use crate::support::{
    HOUR, MINUTE, START, World, as_request, by_replica, by_root, command, create_keys, key_name, keyspace, later,
    new_key, readings, revoke, settings, version_id,
};
use latchkey_crypto::Digest;
use latchkey_domain::{
    DurationMillis, Quota, ReasonText, Refusal, ResourceKind, RevocationReason, RingNumber, RotationId, RotationName,
    RotationState,
};
use latchkey_state::{
    Actor, Answer, Applied, Key, KeyspaceSettings, NewVersion, OVERLAP_MAX, Operation, PrepareStandby, RevokeKey,
    RevokeKeys, RotateKey, Rotation, RotationStep, StepRotation, bootstrap_ring,
};
use std::sync::Arc;

const KEY: &str = "acme/live";

fn world() -> World {
    let mut world = World::furnished();
    world.done(by_root(create_keys(KEY, vec![new_key(1)])));
    world
}

fn rotation_id(number: u8) -> RotationId {
    RotationId::from_random([number; 12])
}

fn new_version(number: u8) -> NewVersion {
    NewVersion {
        id: version_id(number),
        pepper: bootstrap_ring::PEPPER,
        digest: Digest::new([number; 32]),
        inner: [number; 101],
    }
}

fn rotate(number: u8, overlap: u64) -> RotateKey {
    RotateKey {
        key: key_name(KEY, 1),
        rotation: rotation_id(number),
        new: new_version(number),
        overlap: DurationMillis::new(overlap),
        text: ReasonText::parse("every quarter").unwrap(),
        etag: None,
        replay: Some(Box::new([number; 40])),
        emergency: false,
        course: None,
    }
}

fn rotating(number: u8, overlap: u64) -> Operation {
    Operation::RotateKey(Box::new(rotate(number, overlap)))
}

fn preparing(number: u8) -> Operation {
    Operation::PrepareStandby(Box::new(PrepareStandby {
        key: key_name(KEY, 1),
        rotation: rotation_id(number),
        new: new_version(number),
        text: ReasonText::default(),
        etag: None,
        replay: Some(Box::new([number; 40])),
    }))
}

fn step(number: u8, step: RotationStep) -> StepRotation {
    let rotation = RotationName { key: key_name(KEY, 1), rotation: rotation_id(number) };
    StepRotation { rotation, step, text: ReasonText::default(), etag: None }
}

fn stepping(number: u8, what: RotationStep) -> Operation {
    Operation::StepRotation(step(number, what))
}

fn key(world: &World) -> &Arc<Key> {
    world.state.key(&key_name(KEY, 1)).unwrap()
}

fn rotation(world: &World, number: u8) -> &Arc<Rotation> {
    let name = RotationName { key: key_name(KEY, 1), rotation: rotation_id(number) };
    world.state.rotation(&name).unwrap()
}

/// The version that an answer says was made, and the sealed text that it shows again.
fn made(answer: Answer) -> (Option<latchkey_domain::VersionId>, Option<Box<[u8]>>) {
    let Answer::Rotation { made, replay, .. } = answer else { panic!("{answer:?}") };
    (made, replay)
}

fn actions(applied: &Applied) -> Vec<&'static str> {
    let action = |entry: &latchkey_state::Entry| {
        let text = String::from_utf8_lossy(&entry.event).into_owned();
        latchkey_state::Action::ALL.into_iter().map(latchkey_state::Action::as_str).find(|word| text.contains(word))
    };
    applied.entries.iter().map(|entry| action(entry).unwrap()).collect()
}

#[test]
fn a_repeat_shows_the_text_again_and_never_that_of_a_version_that_was_dropped() {
    let mut world = world();
    let first = as_request(by_root(preparing(2)), 1, 0);
    assert_eq!(made(world.done(first.clone())), (Some(version_id(2)), None));
    assert_eq!(made(world.done(first)), (Some(version_id(2)), Some(Box::from([2; 40]))));

    // Only here it shows that a standby is there: what was minted meanwhile is dropped.
    let second = as_request(by_root(rotating(3, HOUR)), 2, 0);
    assert_eq!(made(world.done(second.clone())), (None, None));
    assert_eq!(made(world.done(second)), (None, None));
    assert!(world.state.version(version_id(3)).is_none());
    assert_eq!(key(&world).rotation(), Some(rotation_id(2)), "the rotation is the one that was prepared");
}

#[test]
fn a_rotation_tells_its_versions_and_leaves_the_etag_of_the_key() {
    let mut world = world();
    let etag = key(&world).etag();
    let applied = world.apply(by_root(rotating(2, HOUR)));
    assert_eq!(actions(&applied), ["rotation.started"]);
    let text = String::from_utf8_lossy(&applied.entries[0].event).into_owned();
    for part in [version_id(1).to_string(), version_id(2).to_string(), "every quarter".to_owned()] {
        assert!(text.contains(&part), "{part} in {text}");
    }
    let of_rotation = rotation(&world, 2).etag();
    assert_eq!(actions(&world.apply(by_root(stepping(2, RotationStep::Complete)))), ["rotation.completed"]);
    assert_eq!(key(&world).etag(), etag);
    assert_ne!(rotation(&world, 2).etag(), of_rotation);

    let stale = StepRotation { etag: Some(of_rotation.into()), ..step(2, RotationStep::Complete) };
    let current = rotation(&world, 2).etag();
    assert_eq!(world.refused(by_root(Operation::StepRotation(stale))), Refusal::EtagMismatch { current });
    assert_eq!(actions(&world.apply(by_root(rotating(3, 0)))), ["rotation.started", "rotation.completed"]);
}

#[test]
fn what_the_clock_completed_is_refused_as_completed_and_written_down_by_the_next_rotation() {
    let mut world = world();
    world.done(by_root(rotating(2, HOUR)));
    let name = format!("{}/rotations/{}", key_name(KEY, 1), rotation_id(2));
    assert_eq!(world.refused(by_root(rotating(3, 0))), Refusal::RotationInProgress { rotation: name.clone() });
    world.done(by_replica(readings(&[later(START, HOUR); 3])));

    let refusal = world.refused(by_root(stepping(2, RotationStep::RollBack { overlap: None })));
    let (state, expected) = (RotationState::Completed, "OVERLAP");
    assert_eq!(refusal, Refusal::RotationNotIn { rotation: name, state, expected });
    world.done(by_replica(readings(&[later(START, HOUR + MINUTE); 3])));
    assert_eq!(actions(&world.apply(by_root(rotating(3, HOUR)))), ["rotation.completed", "rotation.started"]);
    assert_eq!(rotation(&world, 2).ended_at, Some(later(START, HOUR)), "it ended when its overlap did");
}

#[test]
fn a_rotation_needs_an_unused_version_a_pepper_and_a_bounded_overlap() {
    let mut world = world();
    let refused =
        |world: &mut World, operation: RotateKey| world.refused(by_root(Operation::RotateKey(operation.into())));
    let taken = RotateKey { new: new_version(1), ..rotate(2, 0) };
    assert!(matches!(refused(&mut world, taken), Refusal::AlreadyExists { kind: ResourceKind::Version, .. }));
    let without_pepper = RotateKey { new: NewVersion { pepper: RingNumber(99), ..new_version(2) }, ..rotate(2, 0) };
    assert_eq!(refused(&mut world, without_pepper), Refusal::RingKeyGone { number: 99 });
    let asked = DurationMillis::new(OVERLAP_MAX.millis() + 1);
    let expected = Refusal::LifetimeTooLong { asked, maximum: OVERLAP_MAX };
    assert_eq!(refused(&mut world, RotateKey { overlap: asked, ..rotate(2, 0) }), expected);
    let stale = RotateKey { etag: Some("1-1".into()), ..rotate(2, 0) };
    assert!(matches!(refused(&mut world, stale), Refusal::EtagMismatch { .. }));
    let other = RotateKey { key: key_name(KEY, 9), ..rotate(2, 0) };
    assert!(matches!(refused(&mut world, other), Refusal::NotFound { kind: ResourceKind::Key, .. }));
    world.done(by_root(rotating(2, 0)));
    let same_rotation = RotateKey { new: new_version(3), ..rotate(2, 0) };
    assert!(matches!(refused(&mut world, same_rotation), Refusal::AlreadyExists { kind: ResourceKind::Rotation, .. }));
    let refusal = world.refused(by_root(stepping(9, RotationStep::Cancel)));
    assert!(matches!(refusal, Refusal::NotFound { kind: ResourceKind::Rotation, .. }));
}

#[test]
fn a_key_keeps_its_last_sixteen_versions_and_ended_rotations() {
    let mut world = world();
    for number in 2..=16 {
        world.done(by_root(rotating(number, 0)));
    }
    assert_eq!(key(&world).versions.len(), 16);
    let applied = world.apply(by_root(rotating(17, 0)));
    assert_eq!(actions(&applied), ["version.removed", "rotation.started", "rotation.completed"]);
    assert_eq!((key(&world).versions.len(), key(&world).versions[0].id), (16, version_id(2)));
    world.done(by_root(rotating(18, 0)));
    let key = key(&world);
    let mut kept: Vec<_> = world.state.rotations_of(key.keyspace, key.id).map(|rotation| rotation.id).collect();
    kept.sort();
    assert_eq!(kept.len(), 16);
    assert!(!kept.contains(&rotation_id(2)) && kept.contains(&rotation_id(3)) && kept.contains(&rotation_id(18)));
}

#[test]
fn no_living_version_makes_room_for_another() {
    let mut world = world();
    // Each roll back leaves a version that retires much later.
    let overlap = OVERLAP_MAX.millis();
    for number in 2..=16 {
        world.done(by_root(rotating(number, overlap)));
        world.done(by_root(stepping(number, RotationStep::RollBack { overlap: None })));
    }
    let refusal = world.refused(by_root(rotating(17, overlap)));
    assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::VersionsOfKey, limit: 16 });
}

#[test]
fn a_rotation_counts_as_a_version_more_unless_one_leaves() {
    let mut world = World::furnished();
    let settings = KeyspaceSettings { versions_max: 1, ..settings("bounded") };
    world.done(by_root(crate::support::create_keyspace("acme/bounded", settings)));
    world.done(by_root(create_keys("acme/bounded", vec![new_key(1)])));
    let beyond = RotateKey { key: key_name("acme/bounded", 1), ..rotate(2, 0) };
    let refusal = world.refused(by_root(Operation::RotateKey(Box::new(beyond))));
    assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::VersionsOfKeyspace, limit: 1 });
}

#[test]
fn a_revoked_key_takes_its_rotation_along() {
    for (begin, expected) in [
        (preparing(2), &["key.revoked", "version.revoked", "rotation.cancelled"][..]),
        (rotating(2, HOUR), &["key.revoked", "rotation.cancelled"]),
    ] {
        let mut world = world();
        world.done(by_root(begin));
        let applied = world.apply(by_root(Operation::RevokeKey(revoke(KEY, 1))));
        assert_eq!(actions(&applied), expected);
        assert_eq!((rotation(&world, 2).state, key(&world).rotation()), (RotationState::Cancelled, None));
        let refusal = world.refused(by_root(rotating(3, 0)));
        assert_eq!(refusal, Refusal::KeyRevoked { name: key_name(KEY, 1).to_string() });
    }
}

#[test]
fn a_revoked_version_ends_the_rotation_that_has_no_use_without_it() {
    let version =
        |number| by_root(Operation::RevokeKey(RevokeKey { version: Some(version_id(number)), ..revoke(KEY, 1) }));
    let mut world = world();
    world.done(by_root(preparing(2)));
    assert_eq!(actions(&world.apply(version(2))), ["version.revoked", "rotation.cancelled"]);
    world.done(by_root(rotating(3, HOUR)));
    assert_eq!(actions(&world.apply(version(1))), ["version.revoked", "rotation.completed"]);

    // Where the new version has leaked, the old one is what one goes back to.
    world.done(by_root(rotating(4, HOUR)));
    assert_eq!(actions(&world.apply(version(4))), ["version.revoked"]);
    world.done(by_root(stepping(4, RotationStep::RollBack { overlap: None })));
    assert_eq!(world.state.key(&key_name(KEY, 1)).unwrap().version(version_id(3)).unwrap().retires_at(), None);
}

#[test]
fn keys_are_revoked_by_name_and_the_others_passed_over() {
    let mut world = world();
    world.done(by_root(create_keys(KEY, vec![new_key(2), new_key(3)])));
    world.done(by_root(Operation::RevokeKey(revoke(KEY, 2))));
    let ids = [1, 2, 3, 1, 9].map(|number| key_name(KEY, number).key);
    let revoke_keys = |keys: &[latchkey_domain::KeyId]| {
        by_root(Operation::RevokeKeys(RevokeKeys {
            keyspace: keyspace(KEY),
            keys: keys.to_vec(),
            reason: RevocationReason::Unused,
            text: ReasonText::default(),
            operation: [0xAB; 16],
        }))
    };
    let first = as_request(revoke_keys(&ids), 1, 0);
    let applied = world.apply(first.clone());
    assert_eq!((applied.answer, applied.entries.len()), (Ok(Answer::Counted(2)), 2));
    let text = String::from_utf8_lossy(&applied.entries[0].event).into_owned();
    assert!(text.contains("abababab-abab-abab-abab-abababababab"), "{text}");
    assert_eq!(world.done(first), Answer::Counted(2), "a repeat gets the first answer");
    assert_eq!(world.done(revoke_keys(&ids)), Answer::Counted(0));
    let refusal = world.refused(revoke_keys(&[ids[0]; latchkey_state::KEYS_PER_COMMAND_MAX + 1]));
    assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit: 1_000 });
}

#[test]
fn whoever_holds_a_key_may_revoke_it_at_once_and_do_nothing_else() {
    let by_holder = |operation| command(Actor::Key(key_name(KEY, 1)), operation);
    let mut world = world();
    world.done(by_root(create_keys(KEY, vec![new_key(2)])));
    let later = RevokeKey { grace: DurationMillis::new(1), ..revoke(KEY, 1) };
    for operation in [Operation::RevokeKey(later), Operation::RevokeKey(revoke(KEY, 2)), rotating(2, 0)] {
        assert!(matches!(world.refused(by_holder(operation)), Refusal::PermissionDenied { .. }));
    }
    let applied = world.apply(by_holder(Operation::RevokeKey(revoke(KEY, 1))));
    assert_eq!(actions(&applied), ["key.revoked"]);

    let mut world = World::furnished();
    let off = KeyspaceSettings { self_revocation_off: true, ..settings("bounded") };
    world.done(by_root(crate::support::create_keyspace("acme/bounded", off)));
    world.done(by_root(create_keys("acme/bounded", vec![new_key(1)])));
    let by_holder = command(Actor::Key(key_name("acme/bounded", 1)), Operation::RevokeKey(revoke("acme/bounded", 1)));
    assert_eq!(world.refused(by_holder), Refusal::SelfRevocationOff);
}
