//! Answering from what was known last: for whom, for how long, and what is said of it.

use crate::world::{LIVE, LIVE_BOUND, OTHER_BOUND, World, keyspace_name, text, validator};
use latchkey_decision::{
    Access, Freshness, NotIdentified, Question, Stale, Undecided, authenticate, authenticate_validator, recognise,
};
use latchkey_domain::{DurationMillis, Grant, LastKnownMax, Outcome};
use latchkey_policy::AccessContext;
use latchkey_state::StalenessPolicy;

const BEYOND: DurationMillis = DurationMillis::from_secs(60);

/// `acme/live` answers from what was known last.
fn lenient() -> World {
    let mut world = World::new();
    let policy = StalenessPolicy::LastKnown(LastKnownMax::new(BEYOND).unwrap());
    world.change_keyspace(LIVE, |keyspace| keyspace.settings.staleness_policy = policy);
    world
}

fn answer(world: &World, key_text: &str, grants: &[Grant]) -> Result<(Outcome, Freshness), Undecided> {
    world.verdict(key_text, grants).map(|verdict| (verdict.outcome(), verdict.freshness()))
}

fn plus(span: DurationMillis, millis: u64) -> DurationMillis {
    DurationMillis::new(span.millis() + millis)
}

#[test]
fn an_answer_is_current_then_last_known_then_none() {
    let (mut world, grants) = (lenient(), validator("tenants/acme"));
    let (live, bound) = (text("acme_live", 1), LIVE_BOUND.plus(BEYOND));
    for (age, freshness) in
        [(LIVE_BOUND, Freshness::Current), (plus(LIVE_BOUND, 1), Freshness::LastKnown), (bound, Freshness::LastKnown)]
    {
        world.age = age;
        assert_eq!(answer(&world, live.expose(), &grants), Ok((Outcome::Valid, freshness)), "{age}");
    }
    world.age = plus(bound, 1);
    assert_eq!(answer(&world, live.expose(), &grants), Err(Undecided::Stale(Stale { age: world.age, bound })));
}

#[test]
fn a_keyspace_that_refuses_is_not_answered_for_since_another_is() {
    let (mut world, grants) = (lenient(), validator("tenants/acme"));
    world.age = plus(LIVE_BOUND, 1);
    assert!(answer(&world, text("acme_test", 3).expose(), &grants).is_err());
    // Whose a key is that is not there nobody can say, so all must be of one mind.
    assert!(answer(&world, text("acme_live", 77).expose(), &grants).is_err());
    let only_live = validator("tenants/acme/keyspaces/live");
    let unknown = answer(&world, text("acme_live", 77).expose(), &only_live);
    assert_eq!(unknown, Ok((Outcome::NotFound, Freshness::LastKnown)));
}

#[test]
fn an_answer_that_grows_old_while_it_is_made_says_so_or_is_none() {
    let (world, grants, context) = (lenient(), validator("tenants/acme"), AccessContext::default());
    let (live, access) = (text("acme_live", 1), Access { query: None, context: &context });
    let decided = || world.decide(live.expose(), Question::new(&grants, None), access).unwrap();
    assert_eq!(decided().verdict(LIVE_BOUND).unwrap().freshness(), Freshness::Current);
    assert_eq!(decided().verdict(plus(LIVE_BOUND, 1)).unwrap().freshness(), Freshness::LastKnown);
    assert!(decided().verdict(plus(LIVE_BOUND.plus(BEYOND), 1)).is_err());
}

#[test]
fn a_validator_is_who_he_was_known_to_be_where_a_keyspace_of_his_says_so() {
    let (world, management) = (lenient(), text("lkm", 9));
    let stale = plus(OTHER_BOUND, 1).max(plus(LIVE_BOUND, 1));
    assert!(authenticate(management.expose(), None, world.ground(), stale).is_err());
    let identified = authenticate_validator(management.expose(), None, world.ground(), stale, |_| {}).unwrap();

    // Only such keyspaces are answered for, however long the bound of another may be.
    let mut world = lenient();
    world.age = stale;
    let context = AccessContext::default();
    let access = Access { query: None, context: &context };
    let outcome = |key_text: &str, asked: Option<&str>| {
        let asked = asked.map(keyspace_name);
        let decided = world.decide(key_text, Question::by(&identified, asked.as_ref()), access)?;
        Ok::<_, Undecided>(decided.verdict(stale)?.outcome())
    };
    assert_eq!(outcome(text("acme_live", 1).expose(), None), Ok(Outcome::Valid));
    let live = Some("tenants/acme/keyspaces/live");
    assert_eq!(outcome(text("acme_live", 77).expose(), live), Ok(Outcome::NotFound));
    let unknown_caller = Undecided::Stale(Stale { age: stale, bound: OTHER_BOUND });
    for key_text in ["acme_live_", text("acme_test", 3).expose()] {
        assert_eq!(outcome(key_text, None), Err(unknown_caller));
    }
    assert_eq!(outcome(text("acme_test", 3).expose(), live), Err(unknown_caller), "of another keyspace");
}

#[test]
fn a_validator_is_nobody_where_every_keyspace_refuses() {
    let (world, management) = (World::new(), text("lkm", 9));
    let age = plus(OTHER_BOUND, 1);
    let stale = NotIdentified::Undecided(Undecided::Stale(Stale { age, bound: OTHER_BOUND }));
    assert_eq!(authenticate_validator(management.expose(), None, world.ground(), age, |_| {}).unwrap_err(), stale);
    // Nor where it answers no more, and who is not known may have come since.
    let (world, late) = (lenient(), plus(LIVE_BOUND.plus(BEYOND), 1));
    let stale = NotIdentified::Undecided(Undecided::Stale(Stale { age: late, bound: OTHER_BOUND }));
    assert_eq!(authenticate_validator(management.expose(), None, world.ground(), late, |_| {}).unwrap_err(), stale);
    let stale = NotIdentified::Undecided(Undecided::Stale(Stale { age, bound: OTHER_BOUND }));
    assert_eq!(authenticate_validator(text("lkm", 88).expose(), None, world.ground(), age, |_| {}).unwrap_err(), stale);
}

#[test]
fn whoever_can_only_take_away_is_known_by_a_state_of_any_age() {
    let world = World::new();
    let identified = recognise(text("lkm", 9).expose(), None, world.ground()).unwrap();
    assert_eq!(identified.name().to_string(), "tenants/acme/identities/gateway");
    assert_eq!(recognise(text("lkm", 88).expose(), None, world.ground()).unwrap_err(), NotIdentified::Unknown);
}
