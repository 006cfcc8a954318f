//! How old the state may be, and that it is asked twice.

use crate::world::{FLOOR, LIVE_BOUND, OTHER_BOUND, TEST_BOUND, World, keyspace_name, text, validator};
use latchkey_crypto::KeyText;
use latchkey_decision::{Access, Question, Stale, Undecided};
use latchkey_domain::{DurationMillis, Outcome};
use latchkey_policy::AccessContext;

/// The bound at which a caller of this scope who asks for this keyspace gets an outcome, and beyond which none.
fn assert_bound(key_text: &KeyText, scope: &str, asked: Option<&str>, outcome: Outcome, bound: DurationMillis) {
    let mut world = World::new();
    let (grants, asked) = (validator(scope), asked.map(keyspace_name));
    let context = AccessContext::default();
    for (age, fresh) in [(bound, true), (DurationMillis::new(bound.millis() + 1), false)] {
        world.age = age;
        let access = Access { query: None, context: &context };
        let decided = world.decide(key_text.expose(), Question::new(&grants, asked.as_ref()), access);
        if fresh {
            assert_eq!(decided.unwrap().verdict(age).unwrap().outcome(), outcome);
        } else {
            assert_eq!(decided.unwrap_err(), Undecided::Stale(Stale { age, bound }));
        }
    }
}

#[test]
fn a_key_that_is_found_has_the_bound_of_its_keyspace() {
    assert_bound(&text("acme_live", 1), "", None, Outcome::Valid, LIVE_BOUND);
    assert_bound(&text("acme_test", 3), "tenants/acme", None, Outcome::Valid, TEST_BOUND);
}

#[test]
fn a_key_that_is_not_found_has_the_bound_asked_for_else_the_shortest_in_the_grant() {
    let unknown = text("acme_live", 77);
    let live = Some("tenants/acme/keyspaces/live");
    assert_bound(&unknown, "tenants/acme", live, Outcome::NotFound, LIVE_BOUND);
    assert_bound(&unknown, "tenants/acme", None, Outcome::NotFound, TEST_BOUND);
    assert_bound(&unknown, "tenants/acme/keyspaces/live", None, Outcome::NotFound, LIVE_BOUND);
    assert_bound(&unknown, "", None, Outcome::NotFound, OTHER_BOUND);
    assert_bound(&text("rival", 4), "tenants/acme", None, Outcome::NotFound, TEST_BOUND);
}

#[test]
fn a_keyspace_outside_the_grant_is_as_one_that_does_not_exist() {
    let unknown = text("acme_live", 77);
    for asked in ["tenants/rival/keyspaces/live", "tenants/rival/keyspaces/none", "tenants/none/keyspaces/none"] {
        assert_bound(&unknown, "tenants/acme", Some(asked), Outcome::NotFound, TEST_BOUND);
    }
}

#[test]
fn a_grant_without_keyspaces_has_the_floor() {
    assert_bound(&text("acme_live", 1), "tenants/empty", None, Outcome::NotFound, FLOOR);
}

#[test]
fn an_answer_that_leaves_too_late_is_none() {
    let (world, grants, context) = (World::new(), validator("tenants/acme"), AccessContext::default());
    for (key_text, bound) in [(text("acme_live", 1), LIVE_BOUND), (text("acme_live", 77), TEST_BOUND)] {
        let access = Access { query: None, context: &context };
        let decided = || world.decide(key_text.expose(), Question::new(&grants, None), access).unwrap();
        let age = DurationMillis::new(bound.millis() + 1);
        assert_eq!(decided().verdict(age).unwrap_err(), Stale { age, bound });
        assert!(decided().verdict(bound).is_ok());
    }
}
