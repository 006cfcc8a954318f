//! The maximum lifetime of a version: of the policy that was in force when it was made, and moved by nothing.

use super::*;
use latchkey_state::By;

const LIFETIME: u64 = INTERVAL + 3 * DAY;

fn mortal() -> RotationPolicy {
    let policy = RotationPolicy { maximum_lifetime: Some(span(LIFETIME)), ..policy() };
    policy.check().unwrap();
    policy
}

fn set_policy(house: &mut House, policy: Option<RotationPolicy>) {
    let changes = KeyspaceChanges { rotation_policy: Some(policy.map(Box::new)), ..KeyspaceChanges::default() };
    let update = UpdateKeyspace { name: keyspace(KEY), changes, etag: None };
    house.world.done(by_root(Operation::UpdateKeyspace(Box::new(update))));
}

#[test]
fn each_version_is_refused_when_its_maximum_lifetime_is_over_whatever_is_in_progress() {
    use RotationState::{Delivered, Overlap, Planned, Prepared, Verified};
    for state in [Planned, Prepared, Delivered, Verified, Overlap] {
        for held in [false, true] {
            let mut house = House::to(mortal(), state);
            if held {
                house.operator(RotationStep::Hold).answer.unwrap();
            }
            let end = later(START, LIFETIME);
            assert_eq!(house.version(OLD).expires_at(), Some(end));
            let before = UnixMillis::new(end.millis() - 1);
            assert_eq!(house.worth(OLD, before), Worth::Accepted, "{state}, held: {held}");
            assert_eq!(house.worth(OLD, end), Worth::Expired(By::Version), "{state}, held: {held}");
        }
    }
}

#[test]
fn a_new_version_has_a_lifetime_of_its_own_from_when_it_was_made() {
    let house = House::to(mortal(), RotationState::Prepared);
    assert_eq!(house.version(NEW).expires_at(), Some(later(house.now(), LIFETIME)));
    let mut by_hand = House::new(mortal());
    by_hand.world.done(rotate(false, None));
    assert_eq!(by_hand.version(NEW).expires_at(), Some(later(by_hand.now(), LIFETIME)));
}

#[test]
fn no_later_policy_moves_the_end_of_a_version() {
    let mut house = House::new(mortal());
    let end = house.version(OLD).expires_at();
    let longer = RotationPolicy { maximum_lifetime: Some(span(2 * LIFETIME)), ..mortal() };
    for policy in [Some(longer), None, Some(policy())] {
        set_policy(&mut house, policy);
        assert_eq!(house.version(OLD).expires_at(), end);
    }
    let mut house = House::new(policy());
    set_policy(&mut house, Some(mortal()));
    assert_eq!(house.version(OLD).expires_at(), None, "it was made without a bound, and only its rotation ends it");
}

#[test]
fn neither_a_roll_back_nor_a_hold_nor_a_longer_key_moves_the_end_of_a_version() {
    let mut house = House::to(mortal(), RotationState::Overlap);
    let end = house.version(OLD).expires_at();
    house.operator(RotationStep::Hold).answer.unwrap();
    house.operator(RotationStep::RollBack { overlap: None }).answer.unwrap();
    assert_eq!((house.version(OLD).expires_at(), house.version(OLD).retires_at()), (end, None));
    assert!(matches!(house.worth(OLD, end.unwrap()), Worth::Expired(By::Version)));
}

#[test]
fn a_version_that_is_too_old_is_active_no_more_and_its_rotation_goes_on_without_it() {
    let mut house = House::to(mortal(), RotationState::Verified);
    house.pass(LIFETIME - INTERVAL);
    assert!(matches!(house.worth(OLD, house.now()), Worth::Expired(By::Version)));
    let applied = house.advance(DriverStep::BeginOverlap);
    assert_eq!(actions(&applied), ["rotation.overlap_began", "rotation.completed"]);
    assert_eq!(house.accepted(), (false, true));
    assert_eq!(house.key().active_version(house.now()).map(|version| version.id), Some(version_id(NEW)));
}

#[test]
fn a_version_that_is_too_old_leaves_with_its_retention() {
    let mut house = House::to(mortal(), RotationState::Overlap);
    house.operator(RotationStep::RollBack { overlap: Some(DurationMillis::ZERO) }).answer.unwrap();
    let retention = house.world.state.keyspace(&keyspace(KEY)).unwrap().settings.dead_retention;
    house.pass(LIFETIME + retention.millis());
    let (found, _) = house.world.state.dead_keys(None, house.now(), 100);
    assert!(found.contains(&(house.key().keyspace, house.key().id)));
    house.world.done(by_replica(Operation::RemoveDead(found)));
    assert_eq!(house.key().versions.len(), 1, "the last one always stays");
}
