//! When an old version ends: by evidence, at its deadline, at the bound of a hold; and never later than anything allows.

use super::*;
use crate::support::{as_request, revoke};
use latchkey_domain::{HOLD_MAX, HoldCause, Refusal};
use latchkey_state::{ExpiryChange, HOLD_BEFORE_OVERLAP_MAX, KeyChanges, PrepareStandby, RevokeKey, Row, UpdateKey};

pub(super) fn hold(cause: HoldCause) -> DriverStep {
    DriverStep::Hold { cause, text: because(), evidence: None }
}

pub(super) fn overlapping(policy: RotationPolicy) -> House {
    House::to(policy, RotationState::Overlap)
}

pub(super) fn enforcing() -> RotationPolicy {
    RotationPolicy { terms: RotationTerms { at_deadline: AtDeadline::Enforce, ..terms() }, ..policy() }
}

/// Lets the key end at this time.
pub(super) fn ending(at: UnixMillis) -> Command {
    let changes = KeyChanges { expiry: Some(ExpiryChange::At(at)), ..KeyChanges::default() };
    by_root(Operation::UpdateKey(Box::new(UpdateKey { key: key(), changes, etag: None })))
}

#[test]
fn a_silent_old_version_ends_early_but_not_before_the_minimum() {
    let mut house = overlapping(policy());
    let began = house.now();
    house.pass(HOUR - 1);
    let early = house.advancing(DriverStep::Retire(evidence(house.now(), None)));
    assert!(matches!(house.world.refused(early), Refusal::RotationNotIn { .. }));
    house.pass(1);
    let applied = house.advance(DriverStep::Retire(evidence(house.now(), None)));
    assert_eq!(actions(&applied), ["rotation.completed"]);
    assert_eq!(house.accepted(), (false, true));
    assert_eq!(house.rotation().ended_at, Some(later(began, HOUR)));
}

#[test]
fn with_nobody_to_drive_it_the_clock_ends_it_late_rather_than_early() {
    let (mut held, mut enforced) = (overlapping(policy()), overlapping(enforcing()));
    for (house, life) in [(&mut held, 3 * DAY), (&mut enforced, DAY)] {
        let ends_at = later(house.now(), life);
        assert_eq!(house.version(OLD).retires_at(), Some(ends_at));
        assert_eq!(house.worth(OLD, later(house.now(), life - 1)), Worth::Accepted);
        assert!(matches!(house.worth(OLD, ends_at), Worth::Expired(_)));
        house.pass(life);
        assert_eq!(house.rotation().state_at(house.now()), RotationState::Completed);
        house.world.done(by_replica(Operation::Settle));
        assert_eq!((house.rotation().state, house.rotation().ended_at), (RotationState::Completed, Some(ends_at)));
    }
}

#[test]
fn at_the_deadline_a_used_version_is_held_and_the_entry_names_who_uses_it() {
    let mut house = overlapping(policy());
    house.pass(DAY);
    let evidence = Evidence { callers: vec![caller(house.now())], ..evidence(house.now(), Some(0)) };
    let cause = HoldCause::StillUsed;
    let applied = house.advance(DriverStep::Hold { cause, text: because(), evidence: Some(evidence) });
    assert_eq!(actions(&applied), ["rotation.held"]);
    let now = house.now().millis();
    assert_eq!(facts(&applied, "caller"), [format!("203.0.113.0/24 \"billing/2.4\" last_used_ms={now} count=17")]);
    assert_eq!(facts(&applied, "cause"), ["STILL_USED"]);
    assert_eq!(house.accepted(), (true, true));
    house.pass(2 * DAY);
    assert_eq!(house.accepted(), (false, true), "the bound is over");
}

#[test]
fn a_policy_that_enforces_is_held_by_nobody_but_an_operator() {
    let mut house = overlapping(enforcing());
    let still_used = house.advancing(hold(HoldCause::StillUsed));
    house.pass(DAY - 1);
    assert!(matches!(house.world.refused(still_used.clone()), Refusal::RotationNotIn { .. }));
    house.pass(1);
    assert!(matches!(house.world.refused(still_used), Refusal::RotationNotIn { .. }), "it is over");
}

#[test]
fn an_operator_holds_an_overlap_for_thirty_days_beyond_its_deadline_at_most() {
    let mut house = overlapping(enforcing());
    let deadline = house.rotation().overlap_ends_at.unwrap();
    house.operator(RotationStep::Hold).answer.unwrap();
    let bound = deadline.plus(HOLD_MAX);
    assert_eq!(house.version(OLD).retires_at(), Some(bound));
    // Holding again and again does not move the bound, since it counts from the deadline.
    house.operator(RotationStep::Resume).answer.unwrap();
    assert_eq!(house.version(OLD).retires_at(), Some(deadline));
    house.pass(HOUR);
    house.operator(RotationStep::Hold).answer.unwrap();
    assert_eq!(house.version(OLD).retires_at(), Some(bound));
    house.pass(31 * DAY);
    assert_eq!(house.rotation().state_at(house.now()), RotationState::Completed);
    assert_eq!(house.accepted(), (false, true));
}

#[test]
fn whoever_holds_what_is_held_for_its_traffic_keeps_the_old_version_for_as_long_as_any_hold() {
    let mut house = overlapping(policy());
    let deadline = later(house.now(), DAY);
    house.pass(DAY);
    house.advance(hold(HoldCause::StillUsed));
    assert_eq!(house.version(OLD).retires_at(), Some(deadline.plus(span(2 * DAY))));
    house.operator(RotationStep::Hold).answer.unwrap();
    assert_eq!(house.version(OLD).retires_at(), Some(deadline.plus(HOLD_MAX)));
    house.pass(3 * DAY);
    let retire = house.advancing(DriverStep::Retire(evidence(house.now(), None)));
    assert!(matches!(house.world.refused(retire), Refusal::RotationNotIn { .. }), "until he says otherwise");
    assert!(is_unchanged(&house.operator(RotationStep::Hold)));
    assert_eq!(house.accepted(), (true, true));
    house.operator(RotationStep::Resume).answer.unwrap();
    assert_eq!(house.accepted(), (false, true), "the bound of its terms is over");
}

#[test]
fn an_overlap_that_is_resumed_after_its_deadline_ends_then_and_not_before() {
    let mut house = overlapping(enforcing());
    house.operator(RotationStep::Hold).answer.unwrap();
    house.pass(2 * DAY);
    assert_eq!(house.accepted(), (true, true));
    let applied = house.operator(RotationStep::Resume);
    assert_eq!(actions(&applied), ["rotation.resumed", "rotation.completed"]);
    assert_eq!(house.version(OLD).retires_at(), Some(house.now()), "what was accepted until now did not end before");
    assert_eq!(house.accepted(), (false, true));
}

#[test]
fn no_overlap_and_no_hold_outlives_the_key() {
    let mut house = House::to(policy(), RotationState::Verified);
    let end = later(house.now(), DAY + HOUR);
    house.world.done(ending(end));
    house.advance(DriverStep::BeginOverlap);
    assert_eq!(house.version(OLD).retires_at(), Some(end));
    house.operator(RotationStep::Hold).answer.unwrap();
    assert_eq!(house.version(OLD).retires_at(), Some(end));
}

#[test]
fn no_hold_passes_the_expiry_of_the_version_itself() {
    let lifetime = span(INTERVAL + 3 * DAY);
    let mut house = overlapping(RotationPolicy { maximum_lifetime: Some(lifetime), ..policy() });
    let born = house.version(OLD).created_at;
    let end = born.plus(lifetime);
    house.operator(RotationStep::Hold).answer.unwrap();
    assert_eq!(house.version(OLD).retires_at(), Some(end), "30 days would be beyond it");
    assert_eq!(house.rotation().clock_end(), Some(end));
    let ahead = end.since(house.now()).millis();
    house.pass(ahead);
    assert_eq!(house.accepted(), (false, true), "refused also while it is held");
    assert_eq!(house.rotation().state, RotationState::Held);
    assert_eq!(house.rotation().state_at(house.now()), RotationState::Completed);
}

#[test]
fn an_overlap_never_lengthens_a_life() {
    for place in [RotationState::Verified, RotationState::Overlap] {
        let mut house = House::to(policy(), place);
        let grace = RevokeKey { grace: span(2 * HOUR), ..revoke(KEY, OLD) };
        house.world.done(by_root(Operation::RevokeKey(grace)));
        let end = later(house.now(), 2 * HOUR);
        assert!(matches!(house.worth(OLD, end), Worth::Revoked(_)), "{place}");
        assert_eq!(
            house.rotation().state,
            RotationState::Cancelled,
            "a key that is revoked takes its rotation with it"
        );
        assert_eq!(house.accepted(), (true, true), "{place}: both live for as long as the key does");
    }
}

#[test]
fn a_rotation_that_waits_before_its_overlap_fails_after_a_week_and_the_old_version_stays() {
    let mut house = House::to(policy(), RotationState::Verified);
    house.advance(hold(HoldCause::NeverSeen));
    let fail = house.advancing(DriverStep::Fail { text: because() });
    house.pass(HOLD_BEFORE_OVERLAP_MAX.millis() - 1);
    assert!(matches!(house.world.refused(fail.clone()), Refusal::RotationNotIn { .. }));
    house.pass(1);
    let applied = house.world.apply(fail);
    assert_eq!(actions(&applied), ["rotation.failed"]);
    assert_eq!(house.version(OLD).retires_at(), None);
    assert_eq!(house.version(NEW).retires_at(), Some(later(house.now(), DAY)), "whoever took it goes on for a day");
    assert_eq!(house.key().rotation(), None);
}

#[test]
fn a_rotation_without_an_old_version_does_not_come_to_nothing_while_its_new_one_is_accepted() {
    let mut house = House::to(policy(), RotationState::Delivered);
    house.advance(hold(HoldCause::Check));
    let revoke = RevokeKey { version: Some(version_id(OLD)), ..revoke(KEY, OLD) };
    house.world.done(by_root(Operation::RevokeKey(revoke)));
    let fail = house.advancing(DriverStep::Fail { text: because() });
    house.pass(HOLD_BEFORE_OVERLAP_MAX.millis());
    // Its store would destroy the only secret that is accepted.
    for command in [fail, by_operator(RotationStep::Cancel), house.advancing(DriverStep::BeginOverlap)] {
        assert!(matches!(house.world.refused(command), Refusal::RotationNotIn { .. }));
    }
    house.operator(RotationStep::Resume).answer.unwrap();
    house.advance(DriverStep::Verify);
    house.advance(DriverStep::BeginOverlap);
    assert_eq!(house.rotation().state, RotationState::Completed);
    assert_eq!(house.version(NEW).ends_at(), None, "the key has no other");
}

#[test]
fn what_was_held_for_too_long_is_completed_where_its_old_version_is_dead() {
    let lifetime = span(INTERVAL + 3 * DAY);
    let mut house = House::to(RotationPolicy { maximum_lifetime: Some(lifetime), ..policy() }, RotationState::Verified);
    house.operator(RotationStep::Hold).answer.unwrap();
    let begin = house.advancing(DriverStep::BeginOverlap);
    house.pass(3 * DAY);
    assert_eq!(house.accepted(), (false, true), "the old one is too old");
    assert!(matches!(house.world.refused(begin.clone()), Refusal::RotationNotIn { .. }), "somebody asked for it");
    house.pass(4 * DAY);
    let fail = house.advancing(DriverStep::Fail { text: because() });
    assert!(matches!(house.world.refused(fail), Refusal::RotationNotIn { .. }));
    house.world.done(begin);
    assert_eq!((house.rotation().state, house.accepted()), (RotationState::Completed, (false, true)));
}

#[test]
fn what_was_held_as_never_used_goes_on_when_it_is() {
    let mut house = House::to(policy(), RotationState::Verified);
    house.advance(hold(HoldCause::NeverSeen));
    house.advance(DriverStep::BeginOverlap);
    let ends_at = later(house.now(), DAY);
    assert_eq!((house.rotation().state, house.rotation().overlap_ends_at), (RotationState::Overlap, Some(ends_at)));
    assert_eq!(house.rotation().course.as_ref().unwrap().hold, None);
}

#[test]
fn whoever_cancels_what_consumers_may_use_already_ends_it_after_an_overlap_and_not_at_once() {
    for state in [RotationState::Delivered, RotationState::Verified] {
        let mut house = House::to(policy(), state);
        house.operator(RotationStep::Cancel).answer.unwrap();
        assert_eq!((house.rotation().state, house.accepted()), (RotationState::Cancelled, (true, true)), "{state}");
        assert_eq!(house.version(OLD).retires_at(), None);
        assert_eq!(house.version(NEW).retires_at(), Some(later(house.now(), DAY)));
    }
    let mut house = House::to(policy(), RotationState::Prepared);
    house.operator(RotationStep::Cancel).answer.unwrap();
    assert_eq!(house.accepted(), (true, false), "nobody can have used it");
}

#[test]
fn what_is_to_be_delivered_does_not_take_the_place_of_a_standby() {
    let mut house = House::new(policy());
    let terms = terms();
    let RotateKey { key, new, text, .. } = rotating(false, None);
    let prepare = PrepareStandby { key, rotation: rotation_id(3), new, text, etag: None, replay: None };
    house.world.done(by_root(Operation::PrepareStandby(Box::new(prepare))));
    let course = |delivery| Some(NewCourse { terms, delivery, activate_at: None });
    let rotate = |delivery| {
        let new = new_version(3);
        by_root(Operation::RotateKey(Box::new(RotateKey { new, ..rotating(false, course(delivery)) })))
    };
    let refused = house.world.refused(rotate(Some(Delivery::Store(slug("vault")))));
    assert!(matches!(refused, Refusal::RotationInProgress { .. }), "{refused:?}");
    assert_eq!(house.accepted(), (true, false));
    house.world.done(rotate(None));
    assert_eq!(house.accepted(), (true, true), "whoever made the standby has its text");
}

/// Lets the keyspace have this policy from now on.
fn governed(house: &mut House, policy: Option<RotationPolicy>) {
    let rotation_policy = Some(policy.map(Box::new));
    let changes = KeyspaceChanges { rotation_policy, ..KeyspaceChanges::default() };
    let update = UpdateKeyspace { name: keyspace(KEY), changes, etag: None };
    house.world.done(by_root(Operation::UpdateKeyspace(Box::new(update))));
}

#[test]
fn what_a_policy_planned_does_not_begin_once_that_is_gone_or_tells_alone() {
    for brake in [None, Some(RotationPolicy { mode: RotationMode::Notify, ..policy() })] {
        let mut house = House::planned(policy());
        governed(&mut house, brake);
        let prepare = house.preparing(NEW, None);
        assert!(matches!(house.world.refused(prepare), Refusal::RotationNotIn { .. }));
        let applied = house.advance(DriverStep::Fail { text: because() });
        assert_eq!(actions(&applied), ["rotation.cancelled"]);
        let again = house.advance(DriverStep::Fail { text: because() });
        assert!(is_unchanged(&again));
        assert_eq!((house.rotation().state, house.key().versions.len()), (RotationState::Cancelled, 1));
    }
}

#[test]
fn what_a_policy_planned_begins_as_that_says_by_then() {
    let mut house = House::planned(policy());
    let terms = RotationTerms { overlap: span(2 * DAY), ..terms() };
    governed(&mut house, Some(RotationPolicy { terms, delivery: Some(Delivery::Store(slug("other"))), ..policy() }));
    house.prepare();
    let course = house.rotation().course.as_ref().unwrap();
    assert_eq!((course.terms, &course.delivery), (terms, &Some(Delivery::Store(slug("other")))));
}

#[test]
fn a_roll_back_before_the_overlap_gives_the_old_version_its_place_and_the_new_one_an_end() {
    for state in [RotationState::Delivered, RotationState::Verified, RotationState::Overlap] {
        let mut house = House::to(policy(), state);
        house.operator(RotationStep::RollBack { overlap: Some(span(HOUR)) }).answer.unwrap();
        assert_eq!(house.version(OLD).retires_at(), None, "{state}");
        assert_eq!(house.version(NEW).retires_at(), Some(later(house.now(), HOUR)), "{state}");
        assert_eq!(house.key().active_version(house.now()).unwrap().id, version_id(OLD));
    }
}

#[test]
fn a_version_that_is_revoked_takes_its_rotation_with_it() {
    let revoked = |state, version| {
        let mut house = House::to(policy(), state);
        let revoke = RevokeKey { version: Some(version_id(version)), ..revoke(KEY, OLD) };
        house.world.done(by_root(Operation::RevokeKey(revoke)));
        (house.rotation().state, house.accepted())
    };
    use RotationState::{Cancelled, Completed, Delivered, Overlap, Prepared, Verified};
    for state in [Prepared, Delivered, Verified] {
        assert_eq!(revoked(state, NEW), (Cancelled, (true, false)), "{state}: there is nothing to begin");
    }
    for state in [Verified, Overlap] {
        assert_eq!(revoked(state, OLD), (Completed, (false, true)), "{state}: there is nothing to overlap with");
    }
    assert_eq!(revoked(Prepared, OLD), (Prepared, (false, false)), "the new one is on its way");
    assert_eq!(revoked(Delivered, OLD), (Delivered, (false, true)), "its consumers do not find it yet");
    assert_eq!(revoked(Overlap, NEW), (Overlap, (true, false)), "it can still be rolled back");
}

#[test]
fn a_rotation_ends_by_no_hand_while_the_only_copy_of_its_secret_is_staged() {
    let mut house = House::to(policy(), RotationState::Delivered);
    house.advance(hold(HoldCause::Check));
    let refused = house.world.refused(by_operator(RotationStep::Complete));
    assert!(matches!(refused, Refusal::RotationNotIn { .. }), "{refused:?}");
    assert_eq!(house.accepted(), (true, true));
    house.operator(RotationStep::Resume).answer.unwrap();
    house.advance(DriverStep::Verify);
    house.advance(hold(HoldCause::NeverSeen));
    house.operator(RotationStep::Complete).answer.unwrap();
    assert_eq!(house.accepted(), (false, true));
}

#[test]
fn whoever_resumes_a_rotation_gives_it_as_many_tries_as_the_first_time() {
    let mut house = House::to(policy(), RotationState::Prepared);
    let attempts = |house: &House| house.rotation().course.as_ref().unwrap().attempts;
    house.advance(hold(HoldCause::Delivery));
    assert_eq!(attempts(&house), 1);
    house.operator(RotationStep::Resume).answer.unwrap();
    assert_eq!(attempts(&house), 0);
}

#[test]
fn an_overlap_of_no_length_is_over_when_it_begins() {
    let terms = RotationTerms::of_overlap(DurationMillis::ZERO);
    let mut house = House::to(RotationPolicy { terms, ..policy() }, RotationState::Verified);
    let applied = house.advance(DriverStep::BeginOverlap);
    assert_eq!(actions(&applied), ["rotation.overlap_began", "rotation.completed"]);
    assert_eq!(house.accepted(), (false, true));
    let again = house.advance(DriverStep::BeginOverlap);
    assert!(is_unchanged(&again));
}

#[test]
fn a_rotation_by_hand_goes_as_far_as_it_can_at_once() {
    let course = |delivery: bool, start, ahead: Option<u64>| NewCourse {
        terms: RotationTerms { overlap_start: start, ..terms() },
        delivery: delivery.then(|| Delivery::Store(slug("vault"))),
        activate_at: ahead.map(|millis| later(START, millis)),
    };
    use OverlapStart::{AtOnce, FirstUse};
    for (course, state, accepted) in [
        (course(false, AtOnce, None), RotationState::Overlap, (true, true)),
        (course(false, AtOnce, Some(0)), RotationState::Overlap, (true, true)),
        (course(false, FirstUse, None), RotationState::Delivered, (true, true)),
        (course(false, AtOnce, Some(90 * DAY)), RotationState::Delivered, (true, false)),
        (course(true, AtOnce, None), RotationState::Prepared, (true, false)),
    ] {
        let mut house = House::new(policy());
        let is_delivered = course.delivery.is_some();
        house.world.done(rotate(false, Some(course)));
        assert_eq!((house.rotation().state, house.accepted()), (state, accepted));
        assert_eq!(house.rotation().course.as_ref().unwrap().replay.is_some(), is_delivered);
        if state == RotationState::Overlap {
            assert_eq!(house.version(OLD).retires_at(), Some(later(house.now(), 3 * DAY)));
        }
    }
}

#[test]
fn the_box_of_a_text_that_is_delivered_lies_in_its_rotation_alone() {
    for is_delivered in [false, true] {
        let mut house = House::new(policy());
        let delivery = is_delivered.then(|| Delivery::Store(slug("vault")));
        let course = NewCourse { terms: terms(), delivery, activate_at: None };
        house.world.done(as_request(rotate(false, Some(course)), 1, 1));
        let remembered = house.world.state.rows().find_map(|row| match row {
            Row::Request(request) => Some(request.replay.is_some()),
            _ => None,
        });
        assert_eq!(remembered, Some(!is_delivered), "a repeat gets the text again where it was answered");
    }
}

#[test]
fn an_overlap_of_the_clock_alone_can_be_held_and_goes_on_as_it_was() {
    let mut house = House::new(policy());
    house.world.done(rotate(false, None));
    let deadline = later(house.now(), HOUR);
    assert_eq!(house.version(OLD).retires_at(), Some(deadline));
    house.operator(RotationStep::Hold).answer.unwrap();
    assert_eq!(house.version(OLD).retires_at(), Some(deadline.plus(HOLD_MAX)));
    house.operator(RotationStep::Resume).answer.unwrap();
    assert_eq!(house.version(OLD).retires_at(), Some(deadline));
    house.pass(HOUR);
    assert_eq!(house.accepted(), (false, true));
}
