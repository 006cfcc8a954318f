//! What whoever drives rotations is told of the state.

use crate::support::{
    HOUR, START, World, by_root, create_keys, key_id, key_name, keyspace, later, new_key, slug, text, version_id,
};
use latchkey_crypto::Digest;
use latchkey_domain::{
    Delivery, DurationMillis, ReasonText, RiskClass, RotationId, RotationMode, RotationName, RotationPhase,
    RotationPolicy, RotationState, RotationTerms,
};
use latchkey_state::{
    Course, KeyspaceChanges, NewKey, NewVersion, Operation, PhaseTally, RotateKey, Rotation, Row, SurveyedKeyspace,
    UpdateKeyspace, bootstrap_ring,
};
use std::sync::Arc;

const DAY: u64 = 24 * HOUR;

fn policy(mode: RotationMode, phases: &[(&str, &str)]) -> RotationPolicy {
    RotationPolicy {
        risk: RiskClass::Custom,
        mode,
        interval: DurationMillis::from_days(10),
        terms: RotationTerms::of_overlap(DurationMillis::from_days(1)),
        notices: [DurationMillis::from_days(2)].into(),
        windows: [].into(),
        jitter: DurationMillis::ZERO,
        at_once_max: 5,
        phases: phases
            .iter()
            .map(|(name, filter)| RotationPhase { name: slug(name), filter: (*filter).into() })
            .collect(),
        maximum_lifetime: None,
        delivery: Some(Delivery::Store(slug("vault"))),
    }
}

/// A world whose keyspace `acme/live` has this policy and five keys.
fn world(policy: RotationPolicy) -> World {
    let mut world = World::furnished();
    let changes = KeyspaceChanges { rotation_policy: Some(Some(Box::new(policy))), ..KeyspaceChanges::default() };
    let update = UpdateKeyspace { name: keyspace("acme/live"), changes, etag: None };
    world.done(by_root(Operation::UpdateKeyspace(Box::new(update))));
    let keys = (21..=25).map(|number| NewKey { display_name: text(&format!("key {number}")), ..new_key(number) });
    world.done(by_root(create_keys("acme/live", keys.collect())));
    world
}

/// Rotates the first of the keys, with an overlap of a day and nobody to drive it.
fn rotate() -> Operation {
    let new = NewVersion {
        id: version_id(31),
        pepper: bootstrap_ring::PEPPER,
        digest: Digest::new([31; 32]),
        inner: [31; 101],
    };
    Operation::RotateKey(Box::new(RotateKey {
        key: key_name("acme/live", 21),
        rotation: RotationId::LOWEST,
        new,
        overlap: DurationMillis::from_days(1),
        text: ReasonText::default(),
        etag: None,
        replay: None,
        emergency: false,
        course: None,
    }))
}

/// What a survey in pages of `scan` tells of `acme/live`.
fn survey(world: &World, after_ms: u64, scan: usize) -> Vec<SurveyedKeyspace> {
    let (mut after, mut told) = (None, Vec::new());
    let now = later(START, after_ms);
    let number = world.state.keyspace(&keyspace("acme/live")).unwrap().number;
    loop {
        let page = world.state.rotation_survey(after, now, scan);
        told.extend(page.keyspaces.into_iter().filter(|told| told.keyspace == number));
        after = page.next;
        if after.is_none() {
            return told;
        }
    }
}

fn sum(told: &[SurveyedKeyspace], count: impl Fn(&SurveyedKeyspace) -> u64) -> u64 {
    told.iter().map(count).sum()
}

fn due_of(told: &[SurveyedKeyspace]) -> Vec<(String, u8)> {
    told.iter().flat_map(|told| &told.due).map(|due| (due.key.to_string(), due.phase)).collect()
}

#[test]
fn a_survey_tells_the_same_in_pages_of_every_size() {
    let world = world(policy(RotationMode::Automatic, &[]));
    for scan in [1, 2, 3, 100] {
        let young = survey(&world, 9 * DAY, scan);
        assert_eq!((due_of(&young), sum(&young, |told| told.overdue)), (Vec::new(), 0), "pages of {scan}");
        let due = survey(&world, 10 * DAY, scan);
        assert_eq!(due_of(&due), (21..=25).map(|number| (key_id(number).to_string(), 0)).collect::<Vec<_>>());
        assert_eq!(sum(&due, |told| told.overdue), 5);
        assert_eq!(due.iter().filter_map(|told| told.overdue_since).min(), Some(later(START, 10 * DAY)));
    }
}

#[test]
fn notice_is_owed_before_the_due_time_and_who_is_told_is_not_rotated() {
    for mode in RotationMode::ALL {
        let world = world(policy(mode, &[]));
        assert_eq!(sum(&survey(&world, 8 * DAY - 1, 2), |told| told.noticed.len() as u64), 0);
        assert_eq!(sum(&survey(&world, 8 * DAY, 2), |told| told.noticed.len() as u64), 5);
        let due = survey(&world, 10 * DAY, 2);
        let rotated = if mode == RotationMode::Automatic { 5 } else { 0 };
        assert_eq!((due_of(&due).len(), sum(&due, |told| told.overdue)), (rotated, 5));
    }
}

#[test]
fn a_key_is_in_the_first_phase_that_shows_it_and_else_in_the_last() {
    let phases = [("one", "display_name = \"key 22\""), ("two", "display_name = \"key 23\"")];
    let told = survey(&world(policy(RotationMode::Automatic, &phases)), 10 * DAY, 2);
    let phase_of = |number: u8| due_of(&told).iter().find(|(key, _)| *key == key_id(number).to_string()).unwrap().1;
    assert_eq!([21, 22, 23, 24, 25].map(phase_of), [2, 0, 1, 2, 2]);
    let due_in = |phase: usize| sum(&told, |told| told.phases[phase].due);
    assert_eq!([0, 1, 2, 3].map(due_in), [1, 1, 3, 0]);
    assert!(told.iter().all(|told| told.phases[3..].iter().all(|phase| *phase == PhaseTally::default())));
}

#[test]
fn versions_are_counted_by_state_and_the_active_ones_by_age() {
    let mut world = world(policy(RotationMode::Automatic, &[]));
    world.done(by_root(rotate()));
    // Pending, active, retiring, retired, revoked; and by age: younger than a day, than a week.
    for (after, versions, ages) in [(HOUR, [0, 5, 1, 0, 0], [5, 0]), (5 * DAY, [0, 5, 0, 1, 0], [0, 5])] {
        let told = survey(&world, after, 2);
        assert_eq!([0, 1, 2, 3, 4].map(|place| sum(&told, |told| told.versions[place])), versions);
        assert_eq!([0, 1].map(|place| sum(&told, |told| told.ages[place])), ages);
    }
}

#[test]
fn a_rotation_without_a_course_is_counted_and_left_to_the_clock() {
    let mut world = world(policy(RotationMode::Automatic, &[]));
    world.done(by_root(rotate()));
    let driven = world.state.driven_rotations(None, START, 10);
    assert_eq!((driven.rotations.len(), driven.next), (0, None));
    let overlaps = RotationState::ALL.iter().position(|state| *state == RotationState::Overlap).unwrap();
    assert_eq!(driven.states[overlaps], 1);
}

/// What is in the last part of its overlap is told of, though only the clock ends it.
#[test]
fn an_overlap_that_only_the_clock_ends_is_left_to_it_until_its_last_part() {
    for (silence, overlap_min) in [(None, 0), (Some(DurationMillis::new(HOUR)), DAY)] {
        let mut world = world(policy(RotationMode::Automatic, &[]));
        world.done(by_root(rotate()));
        let name = RotationName { key: key_name("acme/live", 21), rotation: RotationId::LOWEST };
        let rotation = world.state.rotation(&name).unwrap().clone();
        let terms = RotationTerms {
            silence,
            overlap_min: DurationMillis::new(overlap_min),
            ..RotationTerms::of_overlap(DurationMillis::from_days(1))
        };
        let course = Course { overlap_began_at: Some(rotation.changed.at), ..Course::new(terms, None) };
        let began = rotation.changed.at;
        world
            .state
            .install(Row::Rotation(Arc::new(Rotation { course: Some(Box::new(course)), ..(*rotation).clone() })));
        let driven = |after| world.state.driven_rotations(None, later(began, after), 10).rotations.len();
        assert_eq!([DAY - DAY / 10 - 1, DAY - DAY / 10, DAY - 1, DAY].map(driven), [0, 1, 1, 0], "{silence:?}");
    }
}
