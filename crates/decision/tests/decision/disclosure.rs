//! What an answer may carry, outcome by outcome.

use crate::world::{LIVE, World, after, before, keyspace_name, revocation, suspension, text, validator};
use latchkey_decision::{Access, Disclosure, Question};
use latchkey_domain::{BoundedSet, Method, Network, Outcome, ResourcePattern, Terms};
use latchkey_policy::{AccessContext, Query};
use std::sync::Arc;

#[test]
fn the_table_of_outcomes_and_fields_is_this_one() {
    for (outcome, names, content) in [
        (Outcome::Valid, true, true),
        (Outcome::Malformed, false, false),
        (Outcome::NotFound, false, false),
        (Outcome::WrongKeyspace, true, false),
        (Outcome::Revoked, true, false),
        (Outcome::Suspended, true, false),
        (Outcome::NotYetValid, true, false),
        (Outcome::Expired, true, false),
        (Outcome::NetworkNotAllowed, true, false),
        (Outcome::MethodNotAllowed, true, false),
        (Outcome::ResourceNotAllowed, true, false),
        (Outcome::InsufficientPermissions, true, false),
    ] {
        assert_eq!(Disclosure::of(outcome), Disclosure { names, content }, "{outcome}");
    }
}

#[test]
fn a_verdict_carries_what_the_table_says_and_no_more() {
    let mut seen = Vec::new();
    let mut check = |change: fn(&mut World), key_text: &str, asked: &str, query: &str| {
        let mut world = World::new();
        change(&mut world);
        let (grants, asked) = (validator("tenants/acme"), keyspace_name(asked));
        let (query, context) = (Query::parse(query).unwrap(), AccessContext::default());
        let access = Access { query: Some(&query), context: &context };
        let decision = world.decide(key_text, Question::new(&grants, Some(&asked)), access).unwrap();
        let verdict = decision.verdict(world.age).unwrap();
        let carried = Disclosure { names: verdict.named().is_some(), content: verdict.content().is_some() };
        assert_eq!(carried, Disclosure::of(verdict.outcome()), "{}", verdict.outcome());
        seen.push(verdict.outcome());
    };
    fn one<T: Ord, const MAX: usize>(value: T) -> BoundedSet<T, MAX> {
        BoundedSet::from_values([value]).unwrap()
    }
    fn restrict(world: &mut World, change: fn(&mut Terms)) {
        world.change_key(LIVE, 1, |key| change(Arc::make_mut(&mut key.terms)));
    }
    let (live, test) = ("tenants/acme/keyspaces/live", "tenants/acme/keyspaces/test");
    let good = text("acme_live", 1);
    let good = good.expose();
    check(|_| (), good, live, "orders:read");
    check(|_| (), "nothing", live, "orders:read");
    check(|_| (), text("acme_live", 77).expose(), live, "orders:read");
    check(|_| (), good, test, "orders:read");
    check(
        |world| {
            world.change_key(LIVE, 1, |key| key.details.change(|details| details.revocation = revocation(before(1))));
        },
        good,
        live,
        "orders:read",
    );
    check(
        |world| world.change_key(LIVE, 1, |key| key.details.change(|details| details.suspension = suspension())),
        good,
        live,
        "orders:read",
    );
    check(
        |world| world.change_key(LIVE, 1, |key| key.details.change(|details| details.not_before = Some(after(9)))),
        good,
        live,
        "orders:read",
    );
    check(|world| world.change_key(LIVE, 1, |key| key.expires_at = Some(before(9))), good, live, "orders:read");
    check(
        |world| restrict(world, |terms| terms.networks = one(Network::parse("10.0.0.0/8").unwrap())),
        good,
        live,
        "orders:read",
    );
    check(
        |world| restrict(world, |terms| terms.methods = one(Method::parse("GET").unwrap())),
        good,
        live,
        "orders:read",
    );
    check(
        |world| restrict(world, |terms| terms.resources = one(ResourcePattern::parse("/a").unwrap())),
        good,
        live,
        "orders:read",
    );
    check(|_| (), good, live, "billing:read");
    assert_eq!(seen, Outcome::ALL);
}
