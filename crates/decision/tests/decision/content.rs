//! What an answer carries of a key that may be used.

use crate::world::{
    BILLING, LIVE, NOW, World, after, key_id, permissions, restriction, roles, text, validator, version_id,
};
use latchkey_decision::{Content, RotationHint};
use latchkey_domain::{
    AtDeadline, BuiltInRole, DurationMillis, HoldCause, OverlapStart, ReasonText, Revision, RotationId, RotationState,
    RotationTerms, UnixMillis,
};
use latchkey_state::{Change, Course, Held, Key, Rotation, Row, Versions};
use std::sync::Arc;

const ROTATION: RotationId = RotationId::LOWEST;

fn content<T>(world: &World, tell: impl FnOnce(Content<'_>) -> T) -> T {
    let grants = validator("tenants/acme");
    let verdict = world.verdict(text("acme_live", 1).expose(), &grants).unwrap();
    tell(verdict.content().expect("the key is valid"))
}

fn permitted(change: impl FnOnce(&mut World)) -> Vec<String> {
    let mut world = World::new();
    change(&mut world);
    content(&world, |content| content.permissions().iter().map(|pattern| pattern.as_str().to_owned()).collect())
}

fn set_permissions(key: &mut Key, patterns: &[&str]) {
    Arc::make_mut(&mut key.terms).permissions = permissions(patterns);
}

#[test]
fn the_permissions_are_those_that_all_layers_permit() {
    assert_eq!(permitted(|_| ()), ["orders:*"]);
    let restricted = permitted(|world| {
        world.change_key(LIVE, 1, |key| {
            key.details
                .change(|details| details.restriction = restriction(Some(&["orders:read", "users:*"]), after(1)));
        });
    });
    assert_eq!(restricted, ["orders:read"]);
    let child = permitted(|world| {
        world.change_key(LIVE, 1, |key| key.details.change(|details| details.parent = Some(key_id(2))));
        world.change_key(LIVE, 2, |key| set_permissions(key, &["orders:read:*", "users:*"]));
    });
    assert_eq!(child, ["orders:read:*"]);
}

#[test]
fn roles_are_told_by_id_and_their_permissions_with_the_keys_own() {
    let mut world = World::new();
    world.change_key(LIVE, 1, |key| {
        Arc::make_mut(&mut key.terms).roles = roles(&[BILLING, BuiltInRole::Admin.number()]);
    });
    let (told, permitted) = content(&world, |content| {
        let roles: Vec<_> = content.roles().map(str::to_owned).collect();
        (roles, content.permissions().iter().any(|pattern| pattern.as_str() == "*"))
    });
    assert_eq!(told, ["admin", "billing"]);
    assert!(permitted);
}

#[test]
fn a_child_ends_with_its_parent_at_the_latest() {
    let mut world = World::new();
    world.change_key(LIVE, 1, |key| key.expires_at = Some(after(9)));
    assert_eq!(content(&world, |content| content.expires_at()), Some(after(9)));
    world.change_key(LIVE, 1, |key| key.details.change(|details| details.parent = Some(key_id(2))));
    assert_eq!(content(&world, |content| content.expires_at()), Some(after(9)), "the parent does not end");
    world.change_key(LIVE, 2, |key| key.expires_at = Some(after(5)));
    assert_eq!(content(&world, |content| content.expires_at()), Some(after(5)));
}

/// A rotation of key 1 in this state, held from another where one is given.
fn rotation(state: RotationState, held_from: Option<RotationState>, old: u8) -> Rotation {
    let hour = DurationMillis::from_secs(3_600);
    let terms = RotationTerms {
        overlap: hour,
        overlap_min: DurationMillis::ZERO,
        silence: None,
        overlap_start: OverlapStart::FirstUse,
        at_deadline: AtDeadline::Enforce,
    };
    let hold = held_from.map(|from| Held { from, at: NOW, cause: HoldCause::Asked, text: ReasonText::default() });
    Rotation {
        id: ROTATION,
        keyspace: LIVE,
        key: key_id(1),
        state,
        old: Some(version_id(old)),
        new: Some(version_id(100)),
        overlap: Some(DurationMillis::new(9)),
        overlap_ends_at: Some(after(9)),
        created_at: NOW,
        changed: Change { revision: Revision::new(1, 11), at: NOW },
        ended_at: None,
        text: ReasonText::default(),
        course: Some(Box::new(Course { hold, ..Course::new(terms, None) })),
    }
}

/// The hint on version 1, which has such an end, beside version 100, which is pending or not.
fn hint(rotation: Rotation, in_progress: bool, retires_at: Option<UnixMillis>, pending: bool) -> Option<RotationHint> {
    let mut world = World::new();
    world.state.install(Row::Rotation(Arc::new(rotation)));
    world.change_key(LIVE, 1, |key| {
        let mut new = key.versions[0].clone();
        new.id = version_id(100);
        new.details.change(|details| details.pending = pending);
        key.versions[0].details.change(|details| details.retires_at = retires_at);
        key.versions = Versions::of(vec![key.versions[0].clone(), new]).unwrap();
        key.details.change(|details| details.rotation = in_progress.then_some(ROTATION));
    });
    content(&world, |content| content.rotation())
}

#[test]
fn a_version_that_retires_has_a_hint_that_names_the_rotation_that_retires_it() {
    use RotationState::{Held, Overlap, Prepared, RolledBack};
    let retiring = |named: bool| Some(RotationHint { rotation: named.then_some(ROTATION), retires_at: Some(after(9)) });
    let ends = Some(after(9));
    assert_eq!(hint(rotation(Overlap, None, 1), true, ends, false), retiring(true));
    assert_eq!(hint(rotation(Held, Some(Overlap), 1), true, ends, false), retiring(true));
    assert_eq!(hint(rotation(RolledBack, None, 100), false, ends, false), retiring(false), "it has ended");
    assert_eq!(
        hint(rotation(Prepared, None, 100), true, ends, true),
        retiring(false),
        "that one replaces another version"
    );
    assert_eq!(content(&World::new(), |content| content.rotation()), None);
}

#[test]
fn clients_are_told_to_move_as_soon_as_there_is_something_to_move_to() {
    use RotationState::{Delivered, Held, Planned, Prepared, Verified};
    let moving = Some(RotationHint { rotation: Some(ROTATION), retires_at: None });
    for (state, held_from) in [(Delivered, None), (Verified, None), (Held, Some(Delivered)), (Held, Some(Verified))] {
        assert_eq!(hint(rotation(state, held_from, 1), true, None, false), moving, "{state}");
        assert_eq!(hint(rotation(state, held_from, 1), true, None, true), None, "the new one is not accepted yet");
        assert_eq!(hint(rotation(state, held_from, 100), true, None, false), None, "this one is the new one");
    }
    let planned = Rotation { new: None, ..rotation(Planned, None, 1) };
    assert_eq!(hint(planned, true, None, true), None);
    assert_eq!(hint(rotation(Prepared, None, 1), true, None, true), None);
}
