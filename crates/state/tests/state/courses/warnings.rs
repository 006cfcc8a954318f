//! Who still uses an old version is told of before the clock ends it: once for each end, and no sooner than in its last part.

use super::ends::{ending, enforcing, hold, overlapping};
use super::*;
use crate::support::revoke;
use latchkey_domain::{HOLD_MAX, HoldCause, Refusal};
use latchkey_state::RevokeKey;

/// The step that tells of one who used the old version so long ago.
fn warn(house: &House, used_ago: u64) -> DriverStep {
    let last_used = UnixMillis::new(house.now().millis() - used_ago);
    DriverStep::Warn(Evidence { callers: vec![caller(last_used)], ..evidence(house.now(), Some(used_ago)) })
}

#[test]
fn before_the_clock_ends_a_used_version_an_entry_names_who_still_uses_it() {
    for (policy, life) in [(enforcing(), DAY), (policy(), 3 * DAY)] {
        let mut house = overlapping(policy);
        let ends_at = later(house.now(), life);
        house.pass(life - DAY / 10 - 1);
        let early = house.advancing(warn(&house, 0));
        assert!(matches!(house.world.refused(early), Refusal::RotationNotIn { .. }), "not the last part yet");
        house.pass(1);
        let unused = house.advancing(warn(&house, 2 * HOUR));
        assert!(matches!(house.world.refused(unused), Refusal::RotationNotIn { .. }), "silent for long enough");
        let (now, state) = (house.now().millis(), house.rotation().state);
        let applied = house.advance(warn(&house, 0));
        assert_eq!(actions(&applied), ["rotation.ends_in_use"]);
        assert_eq!(facts(&applied, "caller"), [format!("203.0.113.0/24 \"billing/2.4\" last_used_ms={now} count=17")]);
        assert_eq!(facts(&applied, "ends_at_ms"), [ends_at.millis().to_string()]);
        let again = house.advance(warn(&house, 0));
        assert!(is_unchanged(&again), "once is enough");
        assert_eq!((house.rotation().state, house.version(OLD).retires_at()), (state, Some(ends_at)), "nothing else");
        house.pass(DAY / 10);
        assert_eq!(house.accepted(), (false, true));
    }
}

#[test]
fn where_nothing_ends_early_whoever_used_it_in_the_last_part_uses_it_still() {
    let mut policy = enforcing();
    policy.terms.silence = None;
    let mut house = overlapping(policy);
    house.pass(DAY - DAY / 10);
    let unused = house.advancing(warn(&house, DAY / 10));
    assert!(matches!(house.world.refused(unused), Refusal::RotationNotIn { .. }));
    assert_eq!(actions(&house.advance(warn(&house, DAY / 10 - 1))), ["rotation.ends_in_use"]);
}

#[test]
fn of_another_end_it_is_told_anew() {
    let mut house = overlapping(enforcing());
    house.pass(DAY - HOUR);
    house.advance(warn(&house, 0));
    house.operator(RotationStep::Hold).answer.unwrap();
    assert_eq!(house.rotation().course.as_ref().unwrap().warned_at, None, "it ends in a month now");
    let early = house.advancing(warn(&house, 0));
    assert!(matches!(house.world.refused(early), Refusal::RotationNotIn { .. }));
    house.pass(HOLD_MAX.millis());
    assert_eq!(actions(&house.advance(warn(&house, 0))), ["rotation.ends_in_use"], "held by an operator as well");
    house.operator(RotationStep::Resume).answer.unwrap();
    assert_eq!(house.rotation().state_at(house.now()), RotationState::Completed);
}

#[test]
fn of_the_same_end_it_is_told_once_whoever_holds_or_resumes_it() {
    let mut policy = policy();
    policy.terms.at_deadline = AtDeadline::Hold { max: HOLD_MAX };
    let mut house = overlapping(policy);
    house.pass(DAY + HOLD_MAX.millis() - HOUR);
    house.advance(warn(&house, 0));
    for step in [RotationStep::Hold, RotationStep::Resume] {
        let end = house.rotation().clock_end();
        house.operator(step).answer.unwrap();
        assert_eq!(house.rotation().clock_end(), end, "the bound stays");
        assert!(is_unchanged(&house.advance(warn(&house, 0))), "{step:?}");
    }
}

#[test]
fn the_last_part_is_one_of_what_the_key_leaves_of_an_overlap() {
    let mut house = House::to(enforcing(), RotationState::Verified);
    let end = later(house.now(), 10 * HOUR);
    house.world.done(ending(end));
    house.advance(DriverStep::BeginOverlap);
    assert_eq!(house.rotation().warns_from(), Some(UnixMillis::new(end.millis() - HOUR)));
}

#[test]
fn nobody_is_warned_of_a_version_that_is_dead_and_one_that_dies_before_its_overlap_ends_then() {
    let mut house = overlapping(enforcing());
    house.pass(DAY - HOUR);
    let dies_at = later(house.now(), HOUR / 2);
    let old = RevokeKey { version: Some(version_id(OLD)), grace: span(HOUR / 2), ..revoke(KEY, OLD) };
    house.world.done(by_root(Operation::RevokeKey(old)));
    let mut dead = house.clone();
    assert_eq!(facts(&house.advance(warn(&house, 0)), "ends_at_ms"), [dies_at.millis().to_string()]);
    dead.pass(HOUR / 2);
    let late = dead.advancing(warn(&dead, 0));
    assert!(matches!(dead.world.refused(late), Refusal::RotationNotIn { .. }));
}

#[test]
fn below_level_6_nobody_is_warned_of() {
    let house = overlapping(enforcing());
    assert_eq!(house.advancing(warn(&house, 0)).feature_level, 6);
    assert_eq!(house.advancing(hold(HoldCause::StillUsed)).feature_level, 5);
}
