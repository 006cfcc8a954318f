//! Whoever proves a secret is taken note of, whatever becomes of his request; nobody else is.

use crate::order::{Answer, Case, case, faults};
use crate::world::{World, text, version_id};
use latchkey_crypto::{Secret, compose};
use latchkey_decision::{
    Access, Ground, NotIdentified, Question, Undecided, authenticate_noting, authenticate_validator, decide_noting,
};
use latchkey_domain::{DurationMillis, Outcome, Prefix, VersionId};
use latchkey_policy::Query;

fn noted(case: &Case) -> Vec<VersionId> {
    let query = Query::parse(case.query).unwrap();
    let access = Access { query: Some(&query), context: &case.context };
    let question = Question::new(&case.grants, Some(&case.asked));
    let mut noted = Vec::new();
    let age = || Ok::<_, Undecided>(case.world.age);
    let note = |found: latchkey_state::Found<'_>| noted.push(found.version.id);
    // Whatever is answered, a refusal to answer included.
    drop(decide_noting(&case.text, case.world.ground(), question, access, age, note));
    noted
}

#[test]
fn a_secret_that_matched_is_noted_once_whatever_the_outcome() {
    assert_eq!(noted(&case()), [version_id(1)]);
    for (name, answer, plant) in faults() {
        let mut case = case();
        plant(&mut case);
        let unproved = matches!(answer, Answer::Outcome(Outcome::Malformed | Outcome::NotFound));
        assert_eq!(noted(&case), if unproved { vec![] } else { vec![version_id(1)] }, "{name}");
    }
}

#[test]
fn who_is_not_known_to_hold_a_secret_is_never_noted() {
    for key_text in ["", "acme_live_", text("acme_live", 77).expose(), text("rival", 4).expose()] {
        assert_eq!(noted(&Case { text: key_text.to_owned(), ..case() }), [], "{key_text:?}");
    }
}

/// Notes who authenticates.
fn caller(world: &World, key_text: &str, age: DurationMillis) -> Vec<VersionId> {
    let ground: Ground<'_> = world.ground();
    let mut noted = Vec::new();
    let _whoever = authenticate_noting(key_text, None, ground, age, |found| noted.push(found.version.id));
    let mut again = Vec::new();
    let validator = authenticate_validator(key_text, None, ground, age, |found| again.push(found.version.id));
    assert!(noted == again, "{:?}", validator.err().map(|error: NotIdentified| error));
    noted
}

#[test]
fn a_management_key_is_used_by_whoever_calls_with_it() {
    let world = World::new();
    let (ages, own) = ([world.age, DurationMillis::new(u64::MAX)], text("lkm", 9));
    for age in ages {
        assert_eq!(caller(&world, own.expose(), age), [version_id(9)], "also where nobody can be answered");
        let wrong = compose(&Prefix::parse("lkm").unwrap(), version_id(9), &Secret::from_chars(&[b'0'; 32]).unwrap());
        assert_eq!(caller(&world, wrong.expose(), age), []);
        assert_eq!(caller(&world, text("acme_live", 1).expose(), age), []);
    }
}
