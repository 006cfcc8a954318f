//! What an answer carries of a key that may be used.

use crate::world::{
    BILLING, LIVE, NOW, World, after, key_id, permissions, restriction, roles, text, validator, version_id,
};
use latchkey_decision::{Content, RotationHint};
use latchkey_domain::{BuiltInRole, DurationMillis, ReasonText, Revision, RotationId, RotationState};
use latchkey_state::{Change, Key, Rotation, Row};
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

#[test]
fn only_a_version_that_retires_has_a_hint_and_it_names_the_rotation_that_retires_it() {
    let hint = |state: RotationState, old: u8, in_progress: bool| {
        let mut world = World::new();
        let rotation = Rotation {
            id: ROTATION,
            keyspace: LIVE,
            key: key_id(1),
            state,
            old: Some(version_id(old)),
            new: version_id(100),
            overlap: Some(DurationMillis::new(9)),
            overlap_ends_at: Some(after(9)),
            created_at: NOW,
            changed: Change { revision: Revision::new(1, 11), at: NOW },
            ended_at: None,
            text: ReasonText::default(),
        };
        world.state.install(Row::Rotation(Arc::new(rotation)));
        world.change_key(LIVE, 1, |key| {
            key.versions[0].details.change(|details| details.retires_at = Some(after(9)));
            key.details.change(|details| details.rotation = in_progress.then_some(ROTATION));
        });
        content(&world, |content| content.rotation())
    };
    let retiring = |rotation| Some(RotationHint { rotation, retires_at: after(9) });
    assert_eq!(hint(RotationState::Overlap, 1, true), retiring(Some(ROTATION)));
    assert_eq!(hint(RotationState::RolledBack, 100, false), retiring(None), "it has ended");
    assert_eq!(hint(RotationState::Prepared, 100, true), retiring(None), "that one replaces another version");
    assert_eq!(content(&World::new(), |content| content.rotation()), None);
}
