//! Whoever shows the text of a key that is in use, or may come into use, holds it. Nobody else does.

use crate::order::{Answer, case, faults};
use crate::world::{FLOOR, OTHER_BOUND, World, keyspace_name, text};
use latchkey_decision::{NotHeld, Stale, Undecided, hold};
use latchkey_domain::{DurationMillis, Outcome};

#[test]
fn of_all_that_can_be_wrong_only_what_has_an_end_lets_the_key_be_held() {
    for (name, answer, plant) in faults() {
        // Who asks, for what and from where is no question: there is only the text.
        if ["grant", "keyspace asked for", "freshness"].contains(&name) {
            continue;
        }
        let mut case = case();
        plant(&mut case);
        let held = hold(&case.text, case.world.ground(), case.world.age);
        let lost = [Outcome::Malformed, Outcome::NotFound, Outcome::Revoked, Outcome::Expired].map(Answer::Outcome);
        assert_eq!(held.is_err(), lost.contains(&answer), "{name}");
        assert!(held.is_ok_and(|held| held.keyspace().id.as_str() == "live") || lost.contains(&answer), "{name}");
    }
}

#[test]
fn a_suspended_key_that_has_ended_is_no_longer_held() {
    let mut case = case();
    for wanted in ["suspended", "expired"] {
        faults().iter().find(|(name, ..)| *name == wanted).unwrap().2(&mut case);
    }
    assert_eq!(hold(&case.text, case.world.ground(), case.world.age).unwrap_err(), NotHeld::Unknown);
}

#[test]
fn a_key_is_held_in_whatever_keyspace_it_is() {
    let world = World::new();
    for (prefix, number, keyspace) in [
        ("acme_live", 1, "tenants/acme/keyspaces/live"),
        ("rival", 4, "tenants/rival/keyspaces/live"),
        ("lkm", 9, "tenants/system/keyspaces/management"),
    ] {
        let held = hold(text(prefix, number).expose(), world.ground(), world.age).unwrap();
        assert_eq!(held.key_name().keyspace, keyspace_name(keyspace));
    }
    for key_text in ["", "acme_live_", text("acme_live", 77).expose(), text("rival", 1).expose()] {
        assert_eq!(hold(key_text, world.ground(), world.age).unwrap_err(), NotHeld::Unknown);
    }
}

#[test]
fn on_an_old_state_nothing_is_known_to_be_held_and_nothing_not_to_be() {
    let mut world = World::new();
    world.age = DurationMillis::new(OTHER_BOUND.millis() + 1);
    let bound = OTHER_BOUND;
    assert!(FLOOR < bound);
    for key_text in [text("rival", 4), text("acme_live", 77)] {
        let stale = NotHeld::Undecided(Undecided::Stale(Stale { age: world.age, bound }));
        assert_eq!(hold(key_text.expose(), world.ground(), world.age).unwrap_err(), stale);
    }
}
