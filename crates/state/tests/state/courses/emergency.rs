//! A secret in the wrong hands: another takes its place, and all before it die with that record.

use super::*;
use latchkey_domain::HoldCause;
use latchkey_state::PrepareStandby;

fn all_dead_but(house: &House, survivor: u8) {
    let now = house.now();
    for version in &house.key().versions {
        let worth = house.world.state.version_worth(house.key(), version, now);
        assert_eq!(worth == Worth::Accepted, version.id == version_id(survivor), "{}", version.id);
        assert!(worth == Worth::Accepted || worth.is_dead());
    }
}

fn emergency(rotation: u8, version: u8) -> Command {
    let operation = RotateKey { rotation: rotation_id(rotation), new: new_version(version), ..rotating(true, None) };
    by_root(Operation::RotateKey(Box::new(operation)))
}

fn made(applied: &Applied) -> Option<VersionId> {
    let Ok(Answer::Rotation { made, rotation, .. }) = &applied.answer else { panic!("{:?}", applied.answer) };
    assert_eq!(rotation.state, RotationState::Completed);
    *made
}

#[test]
fn whatever_is_in_progress_every_other_version_dies_at_once() {
    use RotationState::{Delivered, Overlap, Planned, Prepared, Verified};
    for state in [Planned, Prepared, Delivered, Verified, Overlap] {
        let mut house = House::to(policy(), state);
        let applied = house.world.apply(emergency(70, 70));
        assert_eq!(made(&applied), Some(version_id(70)), "{state}: what was prepared is of no use to anybody");
        assert_eq!(house.rotation().state, RotationState::Cancelled, "{state}");
        assert_eq!(house.key().rotation(), None);
        all_dead_but(&house, 70);
    }
    let mut house = House::to(policy(), Verified);
    house.advance(DriverStep::Hold { cause: HoldCause::NeverSeen, text: because(), evidence: None });
    made(&house.world.apply(emergency(70, 70)));
    all_dead_but(&house, 70);
}

#[test]
fn a_standby_takes_the_place_and_what_was_minted_is_dropped() {
    let mut house = House::new(policy());
    let standby = PrepareStandby {
        key: key(),
        rotation: rotation_id(1),
        new: new_version(NEW),
        text: because(),
        etag: None,
        replay: None,
    };
    house.world.done(by_root(Operation::PrepareStandby(Box::new(standby))));
    let applied = house.world.apply(emergency(70, 70));
    assert_eq!(made(&applied), None);
    assert_eq!(actions(&applied), ["version.revoked", "rotation.started", "rotation.completed"]);
    assert_eq!(facts(&applied, "emergency"), ["true"]);
    all_dead_but(&house, NEW);
}

#[test]
fn what_waits_for_its_time_takes_the_place_at_once() {
    let mut house = House::new(policy());
    let activate_at = Some(later(house.now(), DAY));
    house.world.done(rotate(false, Some(NewCourse { terms: terms(), delivery: None, activate_at })));
    let applied = house.world.apply(emergency(70, 70));
    assert_eq!(made(&applied), None, "its text is where it belongs");
    all_dead_but(&house, NEW);
}

#[test]
fn what_waits_in_a_store_for_its_time_is_no_help_in_an_emergency() {
    let mut house = House::new(policy());
    let (activate_at, delivery) = (Some(later(house.now(), DAY)), policy().delivery);
    house.world.done(rotate(false, Some(NewCourse { terms: terms(), delivery, activate_at })));
    house.advance(DriverStep::Deliver { sealed: None });
    let applied = house.world.apply(emergency(70, 70));
    assert_eq!(made(&applied), Some(version_id(70)), "what is only staged goes with the end of its rotation");
    all_dead_but(&house, 70);
}

#[test]
fn an_emergency_is_never_refused_for_lack_of_room_among_versions() {
    let mut house = House::new(policy());
    for number in 20..35 {
        let rotation = RotateKey { rotation: rotation_id(number), new: new_version(number), ..rotating(false, None) };
        house.world.done(by_root(Operation::RotateKey(Box::new(rotation))));
        let name = RotationName { key: key(), rotation: rotation_id(number) };
        let back = StepRotation {
            rotation: name,
            step: RotationStep::RollBack { overlap: Some(span(80 * DAY)) },
            text: because(),
            etag: None,
        };
        house.world.done(by_root(Operation::StepRotation(back)));
    }
    assert_eq!(house.key().versions.len(), 16, "all alive");
    made(&house.world.apply(emergency(70, 70)));
    all_dead_but(&house, 70);
}

#[test]
fn an_emergency_waits_for_no_audit_and_a_plain_rotation_does() {
    let operation = |emergency| Operation::RotateKey(Box::new(rotating(emergency, None)));
    assert!(operation(true).is_emergency() && !operation(false).is_emergency());
    assert_eq!((operation(true).feature_level(), operation(false).feature_level()), (5, 2));
}
