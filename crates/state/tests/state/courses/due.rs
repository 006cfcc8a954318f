//! What is due, what is planned of it, and what notice is given.

use super::*;
use latchkey_domain::{Quota, Refusal};
use latchkey_state::{
    GiveNotices, KeyChanges, PLANS_PER_COMMAND_MAX, ROTATION_RETRY, ResumeKey, State, SuspendKey, UpdateKey,
};

fn due(state: &State, now: UnixMillis) -> Vec<(u64, bool)> {
    let keyspace = state.keyspace(&keyspace(KEY)).unwrap();
    let due = |key: &Arc<Key>| {
        let due_at = state.rotation_due_at(keyspace, key, now).filter(|due_at| *due_at <= now)?;
        Some((due_at.since(START).millis(), key.rotation().is_some()))
    };
    state.keys_of(keyspace.number, None).filter_map(due).collect()
}

/// After how long the key is due, as all stands now.
fn due_after(house: &House) -> Option<u64> {
    let keyspace = house.world.state.keyspace(&keyspace(KEY)).unwrap();
    let due_at = house.world.state.rotation_due_at(keyspace, house.key(), house.now());
    due_at.map(|due_at| due_at.since(START).millis())
}

fn notices(house: &mut House, keys: &[u8]) -> Applied {
    let keys = keys.iter().map(|number| key_name(KEY, *number)).collect();
    house.world.apply(by_driver(Operation::GiveNotices(GiveNotices { fence: house.fence, keys })))
}

fn own_policy(policy: Option<RotationPolicy>) -> Command {
    let changes = KeyChanges { rotation_policy: Some(policy.map(Box::new)), ..KeyChanges::default() };
    by_root(Operation::UpdateKey(Box::new(UpdateKey { key: key(), changes, etag: None })))
}

#[test]
fn keys_are_due_by_the_age_of_their_version() {
    let house = House::new(policy());
    let state = &house.world.state;
    assert_eq!(due(state, later(START, INTERVAL - 1)), []);
    assert_eq!(due(state, later(START, INTERVAL)), [(INTERVAL, false); 3]);
}

#[test]
fn the_policy_of_a_key_takes_the_place_of_that_of_its_keyspace() {
    let mut house = House::new(policy());
    let etag = house.key().etag();
    house.world.done(own_policy(Some(RotationPolicy { interval: span(20 * DAY), ..policy() })));
    assert_ne!(house.key().etag(), etag, "it is a change of the key like any other");
    let at = later(START, 10 * DAY);
    assert_eq!(due(&house.world.state, at).len(), 2);
    assert_eq!(due(&house.world.state, later(START, 20 * DAY)).len(), 3);
    house.world.done(own_policy(None));
    assert_eq!(due(&house.world.state, at).len(), 3);
}

#[test]
fn what_is_suspended_dead_or_without_an_active_version_is_not_due() {
    let mut house = House::new(policy());
    house.pass(INTERVAL);
    let text = because();
    house.world.done(by_root(Operation::SuspendKey(SuspendKey { key: key(), text: text.clone(), etag: None })));
    house.world.done(by_root(Operation::RevokeKey(crate::support::revoke(KEY, 11))));
    let gone = latchkey_state::RevokeKey { version: Some(version_id(12)), ..crate::support::revoke(KEY, 12) };
    house.world.done(by_root(Operation::RevokeKey(gone)));
    assert_eq!(due(&house.world.state, house.now()), []);
    assert_eq!(house.plan(&[1, 11, 12]), 0);
    house.world.done(by_root(Operation::ResumeKey(ResumeKey { key: key(), text, etag: None })));
    assert_eq!(due(&house.world.state, house.now()).len(), 1);
}

#[test]
fn only_what_is_due_is_planned_once_and_within_the_cap() {
    let mut house = House::new(policy());
    assert_eq!(house.plan(&[1, 11, 12]), 0, "nothing is due");
    house.pass(INTERVAL);
    assert_eq!(house.plan(&[1, 11, 12, 200]), 2, "two at once, and one that is not there");
    assert_eq!(house.plan(&[1, 11, 12]), 0, "the same again plans nothing");
    let number = house.key().keyspace;
    assert_eq!(house.world.state.unsettled_rotations(number), 2);
    assert_eq!(due(&house.world.state, house.now()), [(INTERVAL, true), (INTERVAL, true), (INTERVAL, false)]);

    // What is in its overlap is settled, and makes room.
    house.prepare();
    for step in [DriverStep::Deliver { sealed: None }, DriverStep::Verify, DriverStep::BeginOverlap] {
        house.advance(step);
    }
    assert_eq!(house.world.state.unsettled_rotations(number), 1);
    assert_eq!(house.plan(&[12]), 1);
    house.operator(RotationStep::Hold).answer.unwrap();
    assert_eq!(house.world.state.unsettled_rotations(number), 3, "what is held counts, and nothing is undone by it");
}

#[test]
fn who_is_only_to_be_told_is_not_rotated() {
    let mut house = House::new(RotationPolicy { mode: RotationMode::Notify, ..policy() });
    house.pass(INTERVAL);
    assert_eq!(due(&house.world.state, house.now()).len(), 3);
    assert_eq!(house.plan(&[1, 11, 12]), 0);
}

#[test]
fn a_rotated_key_is_due_an_interval_after_its_new_version_was_made() {
    let mut house = House::to(policy(), RotationState::Overlap);
    let made = house.now();
    house.pass(5 * HOUR);
    house.advance(DriverStep::Retire(evidence(house.now(), None)));
    let name = keyspace(KEY);
    let keyspace = house.world.state.keyspace(&name).unwrap();
    let due_at = house.world.state.rotation_due_at(keyspace, house.key(), house.now());
    assert_eq!(due_at, Some(later(made, INTERVAL)));
}

#[test]
fn a_standby_is_as_old_as_it_has_been_accepted() {
    let mut house = House::new(policy());
    let standby = latchkey_state::PrepareStandby {
        key: key(),
        rotation: rotation_id(1),
        new: new_version(NEW),
        text: because(),
        etag: None,
        replay: None,
    };
    house.world.done(by_root(Operation::PrepareStandby(Box::new(standby))));
    house.pass(INTERVAL);
    assert_eq!(house.plan(&[1]), 0, "the key has a rotation already");
    house.world.done(rotate(false, None));
    assert_eq!(house.version(NEW).active_since(), house.now());
    house.pass(HOUR);
    house.world.done(by_replica(Operation::Settle));
    assert_eq!(due(&house.world.state, house.now()).len(), 2, "the standby is young although its text is old");
}

/// Makes a standby of a key.
fn with_standby(house: &mut House, number: u8) {
    let standby = latchkey_state::PrepareStandby {
        key: key_name(KEY, number),
        rotation: rotation_id(number + 100),
        new: new_version(number + 100),
        text: because(),
        etag: None,
        replay: None,
    };
    house.world.done(by_root(Operation::PrepareStandby(Box::new(standby))));
}

#[test]
fn standbys_of_other_keys_take_no_place_of_what_may_rotate_at_once() {
    let mut house = House::new(policy());
    for number in [11, 12] {
        with_standby(&mut house, number);
    }
    house.pass(INTERVAL);
    assert_eq!(house.plan(&[1]), 1, "two may rotate at once");
}

/// Versions live for their interval, the overlap and the hold, and no longer.
const LIFETIME: u64 = INTERVAL + 3 * DAY;

fn mortal() -> RotationPolicy {
    let policy = RotationPolicy { maximum_lifetime: Some(span(LIFETIME)), ..policy() };
    policy.check().unwrap();
    policy
}

#[test]
fn a_standby_that_waited_is_due_before_its_lifetime_ends_it() {
    let mut house = House::new(mortal());
    with_standby(&mut house, 1);
    house.pass(5 * DAY);
    let rotate = RotateKey { rotation: rotation_id(1), ..rotating(false, None) };
    house.world.done(by_root(Operation::RotateKey(Box::new(rotate))));
    house.pass(HOUR);
    house.world.done(by_replica(Operation::Settle));
    assert_eq!(house.key().active_version(house.now()).map(|version| version.id), Some(version_id(101)));
    assert_eq!(due_after(&house), Some(INTERVAL));
}

#[test]
fn a_version_that_was_held_before_its_delivery_is_due_before_its_lifetime_ends_it() {
    let mut house = House::to(mortal(), RotationState::Prepared);
    house.operator(RotationStep::Hold).answer.unwrap();
    house.pass(2 * DAY);
    house.operator(RotationStep::Resume).answer.unwrap();
    for step in [DriverStep::Deliver { sealed: None }, DriverStep::Verify, DriverStep::BeginOverlap] {
        house.advance(step);
    }
    house.pass(5 * HOUR);
    house.advance(DriverStep::Retire(evidence(house.now(), None)));
    assert_eq!(due_after(&house), Some(2 * INTERVAL));
}

#[test]
fn a_key_that_begins_late_is_due_before_the_lifetime_of_its_version_is_over() {
    let mut house = House::new(mortal());
    let late = latchkey_state::NewKey { not_before: Some(later(START, 20 * DAY)), ..new_key(13) };
    house.world.done(by_root(create_keys(KEY, vec![late])));
    let keyspace = house.world.state.keyspace(&keyspace(KEY)).unwrap();
    let key = house.world.state.key(&key_name(KEY, 13)).unwrap();
    let due_at = house.world.state.rotation_due_at(keyspace, key, house.now());
    assert_eq!(due_at, Some(later(house.now(), INTERVAL)));
}

#[test]
fn a_rotation_that_came_to_nothing_is_tried_again_before_the_lifetime_is_over() {
    let terms = RotationTerms { at_deadline: AtDeadline::Enforce, ..terms() };
    let lifetime = INTERVAL + DAY;
    let policy = RotationPolicy { terms, maximum_lifetime: Some(span(lifetime)), ..policy() };
    let mut house = House::planned(policy);
    house.operator(RotationStep::Cancel).answer.unwrap();
    assert_eq!(due_after(&house), Some(INTERVAL + DAY / 2));
    house.pass(DAY - 2);
    assert_eq!(house.plan(&[2]), 0, "nobody has such a key");
    let plan =
        PlannedRotation { key: key(), rotation: rotation_id(50), phase: 0, starts_at: Some(later(START, 90 * DAY)) };
    let operation = Operation::PlanRotations(PlanRotations { fence: house.fence, plans: vec![plan] });
    assert_eq!(house.world.done(by_driver(operation)), Answer::Counted(1));
    let again = RotationName { key: key(), rotation: rotation_id(50) };
    let cancel = StepRotation { rotation: again, step: RotationStep::Cancel, text: because(), etag: None };
    house.world.done(by_root(Operation::StepRotation(cancel)));
    assert_eq!(due_after(&house), Some(lifetime - 2 + HOUR), "an hour is the least that it is left alone");
}

#[test]
fn a_living_key_whose_last_version_has_ended_by_its_lifetime_is_due_since_then() {
    let mut house = House::new(mortal());
    house.pass(LIFETIME);
    assert_eq!(house.key().active_version(house.now()), None);
    assert_eq!(due_after(&house), Some(LIFETIME));
    assert_eq!(actions(&notices(&mut house, &[1])), ["key.rotation_due"]);
    let survey = house.world.state.rotation_survey(None, house.now(), 100);
    let told = survey.keyspaces.iter().find(|told| told.overdue > 0).unwrap();
    assert_eq!((told.overdue, told.due.len()), (3, 3));
    assert_eq!(house.plan(&[1]), 1);
}

#[test]
fn a_key_with_a_standby_is_overdue_and_its_people_are_told() {
    let mut house = House::new(policy());
    with_standby(&mut house, 1);
    house.pass(INTERVAL);
    let survey = house.world.state.rotation_survey(None, house.now(), 100);
    let told = survey.keyspaces.iter().find(|told| told.overdue > 0).unwrap();
    assert_eq!((told.overdue, told.due.len()), (3, 2), "nobody can rotate it but whoever has the standby");
    assert_eq!(actions(&notices(&mut house, &[1])), ["key.rotation_due"]);
}

#[test]
fn a_standby_that_has_died_keeps_its_key_from_nothing() {
    let mut house = House::new(policy());
    // The version that the key began with has no such end.
    let lifetime = INTERVAL + 9 * DAY;
    house.world.done(own_policy(Some(RotationPolicy { maximum_lifetime: Some(span(lifetime)), ..policy() })));
    with_standby(&mut house, 1);
    house.pass(lifetime - 1);
    assert_eq!(house.plan(&[1]), 0, "it could still take over");
    house.pass(1);
    assert_eq!(house.plan(&[1]), 1);
    let standby = RotationName { key: key(), rotation: rotation_id(101) };
    assert_eq!(house.world.state.rotation(&standby).unwrap().state, RotationState::Cancelled);
}

#[test]
fn a_key_whose_rotation_came_to_nothing_is_left_alone_for_a_day() {
    let mut house = House::planned(policy());
    house.operator(RotationStep::Cancel).answer.unwrap();
    let ended = house.now();
    let plan = |house: &mut House| {
        let plan =
            PlannedRotation { key: key(), rotation: rotation_id(50), phase: 0, starts_at: Some(later(ended, 9 * DAY)) };
        let operation = Operation::PlanRotations(PlanRotations { fence: house.fence, plans: vec![plan] });
        house.world.done(by_driver(operation))
    };
    house.pass(ROTATION_RETRY.millis() - 1);
    assert_eq!(plan(&mut house), Answer::Counted(0));
    house.pass(1);
    assert_eq!(plan(&mut house), Answer::Counted(1));
}

#[test]
fn what_is_planned_starts_no_earlier_than_it_was_to() {
    let mut house = House::new(policy());
    house.pass(INTERVAL);
    let starts_at = Some(later(house.now(), HOUR));
    let plan = PlannedRotation { key: key(), rotation: rotation_id(1), phase: 3, starts_at };
    let operation = Operation::PlanRotations(PlanRotations { fence: house.fence, plans: vec![plan] });
    let applied = house.world.apply(by_driver(operation));
    assert_eq!((actions(&applied), facts(&applied, "phase")), (vec!["rotation.planned"], vec!["3".to_owned()]));
    let early = house.preparing(NEW, None);
    assert!(matches!(house.world.refused(early.clone()), Refusal::RotationNotIn { .. }));
    house.pass(HOUR);
    house.world.done(early);
}

#[test]
fn whoever_rotates_by_hand_takes_the_place_of_what_is_planned() {
    let mut house = House::planned(policy());
    let operation = RotateKey { rotation: rotation_id(60), ..rotating(false, None) };
    let applied = house.world.apply(by_root(Operation::RotateKey(Box::new(operation))));
    assert_eq!(actions(&applied), ["rotation.cancelled", "rotation.started"]);
    assert_eq!(house.accepted(), (true, true));
}

#[test]
fn each_notice_is_given_once_and_the_latest_speaks_for_those_that_were_missed() {
    let mut house = House::new(policy());
    assert!(is_unchanged(&notices(&mut house, &[1])), "none is owed");
    house.pass(INTERVAL - 2 * DAY);
    let applied = notices(&mut house, &[1, 200]);
    assert_eq!((actions(&applied), applied.answer.clone()), (vec!["key.rotation_due"], Ok(Answer::Counted(1))));
    assert_eq!(facts(&applied, "due_at_ms"), [later(START, INTERVAL).millis().to_string()]);
    assert!(is_unchanged(&notices(&mut house, &[1])), "the same again is told to nobody");
    house.pass(2 * DAY);
    let applied = notices(&mut house, &[1, 11]);
    assert_eq!(actions(&applied), ["key.rotation_due"; 2], "one day before; and of the other key both at once");
    assert!(is_unchanged(&notices(&mut house, &[1, 11])), "automatic: the plan is the next that is heard of it");
}

#[test]
fn where_nobody_rotates_but_people_the_due_time_itself_is_a_notice() {
    let mut house = House::new(RotationPolicy { mode: RotationMode::Notify, notices: [].into(), ..policy() });
    house.pass(INTERVAL - 1);
    assert!(is_unchanged(&notices(&mut house, &[1])));
    house.pass(1);
    let etag = house.key().etag();
    assert_eq!(actions(&notices(&mut house, &[1])), ["key.rotation_due"]);
    assert_eq!(house.key().etag(), etag, "nothing that anybody could change has changed");
    assert!(is_unchanged(&notices(&mut house, &[1])));
}

#[test]
fn what_names_too_many_keys_is_refused() {
    let mut house = House::new(policy());
    let keys = vec![key(); PLANS_PER_COMMAND_MAX + 1];
    let plan =
        |key: &KeyName| PlannedRotation { key: key.clone(), rotation: rotation_id(1), phase: 0, starts_at: None };
    let plans = keys.iter().map(plan).collect();
    let fence = house.fence;
    let limit = PLANS_PER_COMMAND_MAX as u64;
    for operation in
        [Operation::PlanRotations(PlanRotations { fence, plans }), Operation::GiveNotices(GiveNotices { fence, keys })]
    {
        let refusal = house.world.refused(by_driver(operation));
        assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit });
    }
}
