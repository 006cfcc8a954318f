//! The replicated clock: what moves it, and what does not.

use crate::support::{
    HOUR, MINUTE, START, World, bootstrap, by, by_replica, by_root, create_tenant, later, readings, stamped,
};
use latchkey_domain::{DurationMillis, NodeId, Refusal, UnixMillis};
use latchkey_state::{Command, FEATURE_LEVEL_NEWEST, Operation};

const YEAR: u64 = 365 * 24 * HOUR;

#[test]
fn one_reading_a_year_ahead_among_three_does_not_move_the_clock() {
    let mut world = World::bootstrapped();
    world.done(by_replica(readings(&[START, later(START, YEAR), START])));
    assert_eq!(world.state.clock(), START);
    world.done(by_replica(readings(&[later(START, 2), later(START, YEAR), later(START, 5)])));
    assert_eq!(world.state.clock(), later(START, 5));
}

#[test]
fn with_two_readings_the_earlier_one_counts() {
    let mut world = World::bootstrapped();
    world.done(by_replica(readings(&[later(START, YEAR), later(START, MINUTE)])));
    assert_eq!(world.state.clock(), later(START, MINUTE));
}

#[test]
fn one_node_that_reads_its_clock_thrice_has_one_reading() {
    let mut world = World::bootstrapped();
    let ahead = (NodeId(3), later(START, YEAR));
    let readings = vec![(NodeId(1), START), ahead, ahead, ahead, (NodeId(2), later(START, 1))];
    world.done(by_replica(Operation::AdvanceClock { readings }));
    assert_eq!(world.state.clock(), later(START, 1));
}

#[test]
fn a_leader_who_stamps_more_than_an_hour_ahead_is_refused_and_the_clock_stays() {
    let mut world = World::bootstrapped();
    let at = later(START, HOUR + 1);
    let refusal = world.refused(stamped(by_root(create_tenant("acme")), at));
    assert_eq!(refusal, Refusal::ClockJump { at, clock: START });
    assert_eq!(world.state.clock(), START);
    world.done(stamped(by_root(create_tenant("acme")), later(START, HOUR)));
    assert_eq!(world.state.clock(), later(START, HOUR));
}

#[test]
fn readings_move_the_clock_by_more_than_an_hour_after_a_long_silence() {
    let mut world = World::bootstrapped();
    let monday = later(START, 60 * HOUR);
    world.done(by_replica(readings(&[monday, later(monday, 3), later(monday, 9)])));
    assert_eq!(world.state.clock(), later(monday, 3));
}

#[test]
fn an_identity_that_sends_readings_moves_nothing() {
    let mut world = World::bootstrapped();
    let refusal = world.refused(by("system/root", readings(&[UnixMillis::LAST; 3])));
    assert!(matches!(refusal, Refusal::PermissionDenied { .. }));
    assert_eq!(world.state.clock(), START);
}

#[test]
fn readings_of_a_newer_feature_level_move_nothing() {
    let mut world = World::bootstrapped();
    let newer = Command { feature_level: 9, ..by_replica(readings(&[UnixMillis::LAST; 3])) };
    assert_eq!(world.refused(newer), Refusal::FeatureLevel { needed: 9, current: FEATURE_LEVEL_NEWEST });
    assert_eq!(world.state.clock(), START);
}

#[test]
fn a_first_command_that_is_refused_leaves_the_clock_at_zero() {
    let mut world = World::default();
    let mut too_short = bootstrap();
    too_short.management.staleness_max = Some(DurationMillis::ZERO);
    let command = stamped(by_replica(Operation::Bootstrap(Box::new(too_short))), UnixMillis::LAST);
    assert!(matches!(world.refused(command), Refusal::StalenessTooShort { .. }));
    assert_eq!(world.state.clock(), UnixMillis::new(0));

    let by_stranger = by("system/root", Operation::Bootstrap(Box::new(bootstrap())));
    assert!(matches!(world.refused(stamped(by_stranger, START)), Refusal::PermissionDenied { .. }));
    assert_eq!(world.state.clock(), UnixMillis::new(0));
}

#[test]
fn a_refused_command_still_tells_the_time() {
    // Else an hour of refusals would leave the clock so far behind that every stamp is a jump.
    let mut world = World::bootstrapped();
    world.refused(stamped(by("acme/nobody", create_tenant("acme")), later(START, MINUTE)));
    assert_eq!(world.state.clock(), later(START, MINUTE));
}
