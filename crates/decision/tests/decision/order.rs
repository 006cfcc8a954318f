//! Of two checks that fail, the earlier answers.

use crate::world::{
    BILLING, LIVE, LIVE_BOUND, World, after, before, cut, key_id, keyspace_name, permissions, restriction, revocation,
    roles, suspension, text, validator, version_id,
};
use latchkey_crypto::{Secret, compose};
use latchkey_decision::{Access, Question, Undecided};
use latchkey_domain::{
    BuiltInRole, DurationMillis, Grant, KeyspaceName, Method, MethodSet, Network, NetworkSet, Outcome, Prefix,
    ResourcePath, ResourcePattern, ResourceSet, Terms,
};
use latchkey_policy::{AccessContext, Query};
use latchkey_state::{Details, Key, Restriction, VersionDetails};
use std::sync::Arc;

/// One validation of key 1 of `acme/live` that is `VALID`, until faults are planted.
pub(crate) struct Case {
    pub(crate) world: World,
    pub(crate) text: String,
    pub(crate) grants: Vec<Grant>,
    pub(crate) asked: KeyspaceName,
    pub(crate) context: AccessContext,
    pub(crate) query: &'static str,
}

/// What the check that a fault trips answers.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Outcome(Outcome),
    Stale,
}

pub(crate) type Fault = (&'static str, Answer, fn(&mut Case));

fn outcome(outcome: Outcome) -> Answer {
    Answer::Outcome(outcome)
}

fn restrict(case: &mut Case, change: fn(&mut Terms)) {
    case.world.change_key(LIVE, 1, |key| change(Arc::make_mut(&mut key.terms)));
}

fn networks() -> NetworkSet {
    NetworkSet::from_values([Network::parse("10.0.0.0/8").unwrap()]).unwrap()
}

fn methods() -> MethodSet {
    MethodSet::from_values([Method::parse("PUT").unwrap()]).unwrap()
}

fn resources() -> ResourceSet {
    ResourceSet::from_values([ResourcePattern::parse("/users/**").unwrap()]).unwrap()
}

fn change(case: &mut Case, change: fn(&mut Details)) {
    case.world.change_key(LIVE, 1, |key| key.details.change(change));
}

/// Changes the restriction that runs, or begins one.
fn restrict_for_now(case: &mut Case, narrow: impl FnOnce(&mut Restriction)) {
    case.world.change_key(LIVE, 1, |key| {
        key.details.change(|details| {
            narrow(details.restriction.get_or_insert_with(|| restriction(None, after(1)).unwrap()));
        });
    });
}

/// Makes key 1 the child of key 2, which may do all that key 1 may, and plants the fault there.
fn plant_in_parent(case: &mut Case, plant: impl FnOnce(&mut Key)) {
    change(case, |details| details.parent = Some(key_id(2)));
    case.world.change_key(LIVE, 2, plant);
}

/// In the order of decision. Faults of one check stand together and answer alike.
pub(crate) fn faults() -> Vec<Fault> {
    vec![
        ("malformed", outcome(Outcome::Malformed), |case| case.text.push('x')),
        ("secret", outcome(Outcome::NotFound), |case| {
            let suffix = if case.text.len() > 65 { "x" } else { "" };
            let secret = Secret::from_chars(&[b'0'; 32]).unwrap();
            let other = compose(&Prefix::parse("acme_live").unwrap(), version_id(1), &secret);
            case.text = format!("{}{suffix}", other.expose());
        }),
        ("grant", outcome(Outcome::NotFound), |case| case.grants = validator("tenants/rival")),
        ("keyspace asked for", outcome(Outcome::WrongKeyspace), |case| {
            case.asked = keyspace_name("tenants/acme/keyspaces/test");
        }),
        ("freshness", Answer::Stale, |case| case.world.age = DurationMillis::new(LIVE_BOUND.millis() + 1)),
        ("version revoked", outcome(Outcome::Revoked), |case| {
            case.world.change_key(LIVE, 1, |key| {
                key.versions[0].details.change(|details| details.revocation = revocation(before(0)));
            });
        }),
        ("key revoked", outcome(Outcome::Revoked), |case| {
            change(case, |details| details.revocation = revocation(before(0)));
        }),
        ("owner cut", outcome(Outcome::Revoked), |case| case.world.change_owner(|owner| owner.cut = cut(10))),
        ("role cut", outcome(Outcome::Revoked), |case| {
            restrict(case, |terms| terms.roles = roles(&[BILLING]));
            case.world.change_role(|role| role.cut = cut(10));
        }),
        ("keyspace cut", outcome(Outcome::Revoked), |case| case.world.change_keyspace(LIVE, |one| one.cut = cut(10))),
        ("tenant cut", outcome(Outcome::Revoked), |case| case.world.change_tenant(|tenant| tenant.cut = cut(10))),
        ("parent revoked", outcome(Outcome::Revoked), |case| {
            plant_in_parent(case, |key| key.details.change(|details| details.revocation = revocation(before(0))));
        }),
        ("suspended", outcome(Outcome::Suspended), |case| {
            change(case, |details| details.suspension = suspension());
        }),
        ("parent suspended", outcome(Outcome::Suspended), |case| {
            plant_in_parent(case, |key| key.details.change(|details| details.suspension = suspension()));
        }),
        ("version retired", outcome(Outcome::Expired), |case| {
            case.world.change_key(LIVE, 1, |key| {
                key.versions[0].details.change(|details| details.retires_at = Some(before(0)));
            });
        }),
        ("expired", outcome(Outcome::Expired), |case| {
            case.world.change_key(LIVE, 1, |key| key.expires_at = Some(before(0)));
        }),
        ("parent expired", outcome(Outcome::Expired), |case| {
            plant_in_parent(case, |key| key.expires_at = Some(before(0)));
        }),
        ("standby", outcome(Outcome::NotYetValid), |case| {
            case.world.change_key(LIVE, 1, |key| key.versions[0].details.change(|details| details.pending = true));
        }),
        ("not yet valid", outcome(Outcome::NotYetValid), |case| {
            change(case, |details| details.not_before = Some(after(1)));
        }),
        ("parent not yet valid", outcome(Outcome::NotYetValid), |case| {
            plant_in_parent(case, |key| key.details.change(|details| details.not_before = Some(after(1))));
        }),
        ("network of the keyspace", outcome(Outcome::NetworkNotAllowed), |case| {
            case.world.change_keyspace(LIVE, |keyspace| keyspace.settings.networks = networks());
        }),
        ("network of the key", outcome(Outcome::NetworkNotAllowed), |case| {
            restrict(case, |terms| terms.networks = networks());
        }),
        ("network of a restriction", outcome(Outcome::NetworkNotAllowed), |case| {
            restrict_for_now(case, |restriction| restriction.networks = networks());
        }),
        ("network of the parent", outcome(Outcome::NetworkNotAllowed), |case| {
            plant_in_parent(case, |key| Arc::make_mut(&mut key.terms).networks = networks());
        }),
        ("method", outcome(Outcome::MethodNotAllowed), |case| restrict(case, |terms| terms.methods = methods())),
        ("method of the roles", outcome(Outcome::MethodNotAllowed), |case| {
            restrict(case, |terms| terms.roles = roles(&[BILLING]));
            case.world.change_role(|role| role.methods = methods());
        }),
        ("method of the parent", outcome(Outcome::MethodNotAllowed), |case| {
            plant_in_parent(case, |key| Arc::make_mut(&mut key.terms).methods = methods());
        }),
        ("resource", outcome(Outcome::ResourceNotAllowed), |case| {
            restrict(case, |terms| terms.resources = resources());
        }),
        ("resource of the parent", outcome(Outcome::ResourceNotAllowed), |case| {
            plant_in_parent(case, |key| Arc::make_mut(&mut key.terms).resources = resources());
        }),
        ("permissions", outcome(Outcome::InsufficientPermissions), |case| case.query = "orders:read and users:read"),
        ("permissions of a restriction", outcome(Outcome::InsufficientPermissions), |case| {
            restrict_for_now(case, |restriction| restriction.permissions = Some(permissions(&["users:*"])));
        }),
        ("permissions of the parent", outcome(Outcome::InsufficientPermissions), |case| {
            plant_in_parent(case, |key| Arc::make_mut(&mut key.terms).permissions = permissions(&["users:*"]));
        }),
    ]
}

pub(crate) fn case() -> Case {
    let mut world = World::new();
    world.change_key(LIVE, 1, |key| {
        key.terms = Arc::new(Terms { permissions: permissions(&["orders:*"]), ..Terms::default() });
    });
    Case {
        world,
        text: text("acme_live", 1).expose().to_owned(),
        grants: validator("tenants/acme"),
        asked: keyspace_name("tenants/acme/keyspaces/live"),
        context: AccessContext {
            client_address: Some("192.0.2.7".parse().unwrap()),
            method: Method::parse("GET").ok(),
            resource: ResourcePath::parse("/orders/7").ok(),
        },
        query: "orders:read",
    }
}

pub(crate) fn answer(case: &Case) -> Answer {
    let query = Query::parse(case.query).unwrap();
    let access = Access { query: Some(&query), context: &case.context };
    let decided = case.world.decide(&case.text, Question::new(&case.grants, Some(&case.asked)), access);
    match decided.and_then(|decision| Ok(decision.verdict(case.world.age)?)) {
        Ok(verdict) => Answer::Outcome(verdict.outcome()),
        Err(Undecided::Stale(_)) => Answer::Stale,
        Err(Undecided::PepperMissing(missing)) => panic!("{missing}"),
    }
}

#[test]
fn without_a_fault_the_key_is_valid() {
    assert_eq!(answer(&case()), Answer::Outcome(Outcome::Valid));
}

#[test]
fn each_fault_alone_has_its_own_answer() {
    for (name, expected, plant) in faults() {
        let mut case = case();
        plant(&mut case);
        assert_eq!(answer(&case), expected, "{name}");
    }
}

#[test]
fn of_any_two_faults_the_earlier_answers() {
    let mut pairs = 0;
    for (first, (earlier, expected, plant_earlier)) in faults().iter().enumerate() {
        for (later, _, plant_later) in &faults()[first + 1..] {
            // A key that was not found, on a state that is too old for what the caller may validate, is not known to be
            // unknown: `freshness` has these pairs.
            if *expected == Answer::Outcome(Outcome::NotFound) && *later == "freshness" {
                continue;
            }
            let mut case = case();
            plant_earlier(&mut case);
            plant_later(&mut case);
            assert_eq!(answer(&case), *expected, "{earlier} before {later}");
            pairs += 1;
        }
    }
    let count = faults().len();
    assert_eq!((count, pairs), (32, count * (count - 1) / 2 - 2));
}

#[test]
fn each_end_is_exact_to_the_millisecond() {
    let at = |change: fn(&mut Key)| {
        let mut case = case();
        case.world.change_key(LIVE, 1, change);
        answer(&case)
    };
    let valid = Answer::Outcome(Outcome::Valid);
    assert_eq!(at(|key| key.expires_at = Some(after(1))), valid);
    assert_eq!(at(|key| key.details.change(|details| details.not_before = Some(before(0)))), valid);
    assert_eq!(
        at(|key| key.details.change(|details| details.revocation = revocation(after(1)))),
        valid,
        "a grace runs"
    );
    let in_version = |change: fn(&mut VersionDetails)| {
        let mut case = case();
        case.world.change_key(LIVE, 1, |key| key.versions[0].details.change(change));
        answer(&case)
    };
    assert_eq!(in_version(|details| details.revocation = revocation(after(1))), valid, "a grace runs");
    assert_eq!(in_version(|details| details.retires_at = Some(after(1))), valid, "an overlap runs");
    let over = restriction(Some(&["users:*"]), before(0));
    let mut case = case();
    case.world.change_key(LIVE, 1, |key| key.details.change(|details| details.restriction = over));
    assert_eq!(answer(&case), valid, "a restriction is over");
}

#[test]
fn a_cut_leaves_keys_that_came_after_it() {
    let mut case = case();
    case.world.change_tenant(|tenant| tenant.cut = cut(9));
    case.world.change_keyspace(LIVE, |keyspace| keyspace.cut = cut(9));
    case.world.change_owner(|owner| owner.cut = cut(9));
    assert_eq!(answer(&case), Answer::Outcome(Outcome::Valid));
    case.world.change_owner(|owner| owner.cut = cut(11));
    assert_eq!(answer(&case), Answer::Outcome(Outcome::Revoked));
    change(&mut case, |details| details.placed = Some(latchkey_domain::Revision::new(1, 12)));
    assert_eq!(answer(&case), Answer::Outcome(Outcome::Valid), "it came to this owner after the cut");
}

/// What key 1 answers to a query after a change of it, of its role or of key 2.
fn asked(query: &'static str, method: &str, plant: fn(&mut Case)) -> Answer {
    let mut case = case();
    case.query = query;
    case.context.method = Method::parse(method).ok();
    plant(&mut case);
    answer(&case)
}

#[test]
fn two_layers_that_permit_one_word_each_permit_neither() {
    let plant = |case: &mut Case| {
        restrict(case, |terms| terms.permissions = permissions(&["orders:*", "users:read"]));
        plant_in_parent(case, |key| {
            Arc::make_mut(&mut key.terms).permissions = permissions(&["orders:read", "billing:*"]);
        });
    };
    for (query, expected) in [
        ("orders:read", Outcome::Valid),
        ("orders:write", Outcome::InsufficientPermissions),
        ("billing:read", Outcome::InsufficientPermissions),
        ("users:read", Outcome::InsufficientPermissions),
        ("users:read or billing:read", Outcome::InsufficientPermissions),
        ("users:read or orders:read", Outcome::Valid),
    ] {
        assert_eq!(asked(query, "GET", plant), outcome(expected), "{query}");
    }
}

#[test]
fn a_role_adds_its_permissions_within_what_the_keyspace_allows() {
    let with_role = |case: &mut Case| restrict(case, |terms| terms.roles = roles(&[BILLING]));
    assert_eq!(asked("orders:read and billing:write", "GET", with_role), outcome(Outcome::Valid));
    assert_eq!(asked("billing:write", "DELETE", with_role), outcome(Outcome::MethodNotAllowed));
    let narrowed = |case: &mut Case| {
        restrict(case, |terms| terms.roles = roles(&[BILLING]));
        let allowed = permissions(&["billing:read", "orders:*"]);
        case.world.change_keyspace(LIVE, |keyspace| keyspace.settings.allowed_permissions = allowed);
    };
    assert_eq!(asked("billing:read", "GET", narrowed), outcome(Outcome::Valid));
    assert_eq!(asked("billing:write", "GET", narrowed), outcome(Outcome::InsufficientPermissions));
}

#[test]
fn built_in_roles_permit_what_their_names_say() {
    let read_only = |case: &mut Case| restrict(case, |terms| terms.roles = roles(&[BuiltInRole::ReadOnly.number()]));
    let admin = |case: &mut Case| restrict(case, |terms| terms.roles = roles(&[BuiltInRole::Admin.number()]));
    assert_eq!(asked("orders:read", "HEAD", read_only), outcome(Outcome::Valid));
    assert_eq!(asked("orders:read", "POST", read_only), outcome(Outcome::MethodNotAllowed));
    assert_eq!(asked("users:read", "GET", read_only), outcome(Outcome::InsufficientPermissions));
    assert_eq!(asked("users:read and anything", "DELETE", admin), outcome(Outcome::Valid));
}
