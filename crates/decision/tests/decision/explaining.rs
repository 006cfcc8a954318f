//! An explanation agrees with the decision, goes on where that stops, and tells no more than that does.

use crate::order::{Answer, Case, answer, case, faults};
use crate::texts::Random;
use crate::world::{World, key_id, keyspace_name, text, version_id};
use latchkey_crypto::{Secret, compose};
use latchkey_decision::{Access, Check, Explanation, Finding, Question, Undecided, explain};
use latchkey_domain::{
    Duty, Grant, KeyName, KeyspaceName, Outcome, OwnerName, Prefix, RoleName, Scope, TenantName, VersionName,
};
use latchkey_policy::{AccessContext, Query};

/// Random worlds that are explained. A failure prints the number of its world, from which it is made again.
const WORLDS: u64 = 20_000;

/// The order in which an explanation tells its checks.
const ORDER: [Outcome; 11] = [
    Outcome::Malformed,
    Outcome::NotFound,
    Outcome::WrongKeyspace,
    Outcome::Revoked,
    Outcome::Suspended,
    Outcome::Expired,
    Outcome::NotYetValid,
    Outcome::NetworkNotAllowed,
    Outcome::MethodNotAllowed,
    Outcome::ResourceNotAllowed,
    Outcome::InsufficientPermissions,
];

/// The same grants, with the duty that explains.
fn operated(grants: &[Grant]) -> Vec<Grant> {
    grants.iter().map(|grant| Grant { duty: Duty::Operator, ..grant.clone() }).collect()
}

fn operator(scope: &str) -> Vec<Grant> {
    vec![Grant { duty: Duty::Operator, scope: Scope::parse(scope).unwrap() }]
}

/// Explains a case to whoever operates what its caller validates.
fn explained<T>(case: &Case, tell: impl FnOnce(Explanation<'_>) -> T) -> Result<T, Undecided> {
    let (grants, query) = (operated(&case.grants), Query::parse(case.query).unwrap());
    let access = Access { query: Some(&query), context: &case.context };
    let question = Question::explaining(&grants, Some(&case.asked));
    let explained = explain(&case.text, case.world.ground(), question, access, || Ok::<_, Undecided>(case.world.age))?;
    Ok(tell(explained.explanation(case.world.age)?))
}

/// What is told to an operator with these grants who asks for nothing in particular.
fn told(world: &World, key_text: &str, grants: &[Grant]) -> (Outcome, Vec<Check>) {
    let context = AccessContext::default();
    let access = Access { query: None, context: &context };
    let explained =
        explain(key_text, world.ground(), Question::explaining(grants, None), access, || Ok::<_, Undecided>(world.age));
    let explanation = explained.unwrap().explanation(world.age).unwrap();
    (explanation.verdict.outcome(), explanation.checks)
}

fn first_failed(checks: &[Check]) -> Outcome {
    let failed = checks.iter().find(|check| check.finding == Finding::Failed);
    failed.map_or(Outcome::Valid, |check| check.outcome)
}

fn is_name(text: &str) -> bool {
    VersionName::parse(text).is_ok()
        || KeyName::parse(text).is_ok()
        || KeyspaceName::parse(text).is_ok()
        || OwnerName::parse(text).is_ok()
        || RoleName::parse(text).is_ok()
        || TenantName::parse(text).is_ok()
}

fn assert_well_formed(case: &Case, checks: &[Check], what: &dyn std::fmt::Debug) {
    let mut told: Vec<_> = checks.iter().map(|check| check.outcome).collect();
    told.dedup();
    assert_eq!(told, ORDER, "{what:?}");
    let reached = checks.iter().take_while(|check| check.finding != Finding::NotReached).count();
    for (at, check) in checks.iter().enumerate() {
        assert_eq!(check.finding == Finding::NotReached, at >= reached, "{what:?}");
        assert_eq!(check.detail.is_empty(), check.finding == Finding::NotReached, "{what:?} {check:?}");
        assert!(check.detail.len() <= 512 && (check.record.is_empty() || is_name(&check.record)), "{what:?} {check:?}");
        let of_the_request = matches!(check.outcome, Outcome::Malformed | Outcome::NotFound);
        assert!(of_the_request || at >= reached || !check.record.is_empty(), "{what:?} {check:?}");
        // The secret is the last 38 characters, its checksum included.
        let secret = case.text.len().checked_sub(38).map(|start| &case.text[start..][..32]);
        assert!(secret.is_none_or(|secret| !check.detail.contains(secret)), "{what:?}");
    }
}

#[test]
fn in_any_world_the_first_check_that_fails_is_the_outcome() {
    let faults = faults();
    for number in 0..WORLDS {
        let (mut random, mut case) = (Random::seeded(number), case());
        let mut planted = Vec::new();
        for _ in 0..random.below(6) {
            let (name, _, plant) = &faults[random.below(faults.len())];
            if *name == "malformed" && random.below(4) > 0 {
                continue;
            }
            plant(&mut case);
            planted.push(*name);
        }
        let what = (number, &planted);
        let explained = explained(&case, |explanation| {
            assert_well_formed(&case, &explanation.checks, &what);
            assert_eq!(first_failed(&explanation.checks), explanation.verdict.outcome(), "{what:?}");
            explanation.verdict.outcome()
        });
        let expected = explained.map_or(Answer::Stale, Answer::Outcome);
        assert_eq!(answer(&case), expected, "{what:?}");
    }
}

#[test]
fn one_repair_does_not_uncover_the_next_refusal() {
    for (first, (earlier, _, plant_earlier)) in faults().iter().enumerate().skip(3) {
        for (later, expected, plant_later) in &faults()[first + 1..] {
            let Answer::Outcome(expected) = expected else { continue };
            if *earlier == "freshness" {
                continue;
            }
            let mut case = case();
            plant_earlier(&mut case);
            plant_later(&mut case);
            let seen = explained(&case, |explanation| {
                let failed = |check: &Check| check.finding == Finding::Failed && check.outcome == *expected;
                explanation.checks.iter().any(failed)
            });
            assert!(seen.unwrap(), "{later} after {earlier}");
        }
    }
}

#[test]
fn whatever_is_not_found_is_explained_alike() {
    let world = World::new();
    let live = Prefix::parse("acme_live").unwrap();
    let wrong = Secret::from_chars(&[b'0'; 32]).unwrap();
    let unknown = told(&world, text("acme_live", 77).expose(), &operator("tenants/acme"));
    assert_eq!(unknown.0, Outcome::NotFound);
    for (what, key_text) in [
        ("wrong secret", compose(&live, version_id(1), &wrong)),
        ("another tenant's key", text("rival", 4)),
        ("management key", text("lkm", 9)),
        ("prefix of a sister keyspace", text("acme_test", 1)),
    ] {
        assert_eq!(told(&world, key_text.expose(), &operator("tenants/acme")), unknown, "{what}");
    }
    let validator = Grant { duty: Duty::Validator, scope: Scope::System };
    assert_eq!(told(&world, text("acme_live", 1).expose(), &[validator]), unknown, "a validator explains nothing");
    let tenant = operator("tenants/system");
    assert_eq!(told(&world, text("lkm", 9).expose(), &tenant), unknown, "management keys are the system's");
    assert_eq!(told(&world, text("lkm", 9).expose(), &operator("")).0, Outcome::Valid);
    assert_eq!(told(&world, text("acme_live", 1).expose(), &operator("tenants/acme")).0, Outcome::Valid);
}

#[test]
fn each_fault_names_the_record_that_decided() {
    let key = |number| KeyName { keyspace: keyspace_name("tenants/acme/keyspaces/live"), key: key_id(number) };
    let version = VersionName { key: key(1), version: version_id(1) }.to_string();
    for (name, record) in [
        ("keyspace asked for", "tenants/acme/keyspaces/live".to_owned()),
        ("version revoked", version.clone()),
        ("key revoked", key(1).to_string()),
        ("owner cut", "tenants/acme/owners/shop".to_owned()),
        ("role cut", "tenants/acme/roles/billing".to_owned()),
        ("keyspace cut", "tenants/acme/keyspaces/live".to_owned()),
        ("tenant cut", "tenants/acme".to_owned()),
        ("parent revoked", key(2).to_string()),
        ("suspended", key(1).to_string()),
        ("parent suspended", key(2).to_string()),
        ("version retired", version.clone()),
        ("expired", key(1).to_string()),
        ("parent expired", key(2).to_string()),
        ("standby", version),
        ("not yet valid", key(1).to_string()),
        ("parent not yet valid", key(2).to_string()),
        ("network of the keyspace", "tenants/acme/keyspaces/live".to_owned()),
        ("network of the key", key(1).to_string()),
        ("network of the parent", key(2).to_string()),
        ("method", key(1).to_string()),
        ("method of the parent", key(2).to_string()),
        ("resource", key(1).to_string()),
        ("resource of the parent", key(2).to_string()),
        ("permissions", key(1).to_string()),
        ("permissions of a restriction", key(1).to_string()),
        ("permissions of the parent", key(2).to_string()),
    ] {
        let mut case = case();
        faults().iter().find(|(fault, ..)| *fault == name).unwrap().2(&mut case);
        let decided = explained(&case, |explanation| {
            explanation.checks.into_iter().find(|check| check.finding == Finding::Failed).unwrap()
        });
        assert_eq!(decided.unwrap().record, record, "{name}");
    }
}

#[test]
fn a_detail_says_what_was_expected_and_what_was_found() {
    let detail = |name: &str| {
        let mut case = case();
        faults().iter().find(|(fault, ..)| *fault == name).unwrap().2(&mut case);
        let failed = explained(&case, |explanation| {
            explanation.checks.into_iter().find(|check| check.finding == Finding::Failed).unwrap().detail
        });
        failed.unwrap()
    };
    for (fault, expected) in [
        ("key revoked", "it is revoked since 2027-01-15T08:00:00Z: COMPROMISED"),
        (
            "owner cut",
            "all keys that belonged to it at revision 1:10 are revoked since 2027-01-15T08:00:00Z: OWNER_LEFT",
        ),
        ("version retired", "another version took its place, and it retired at 2027-01-15T08:00:00Z"),
        ("network of the key", "the address 192.0.2.7 is not of 10.0.0.0/8"),
        ("method", "the method GET is not of PUT"),
        ("resource", "the path is not of /users/**"),
        ("permissions", "its permissions and roles do not permit users:read"),
        (
            "permissions of a restriction",
            "restricted until 2027-01-15T08:00:00.001Z, its permissions and roles do not permit orders:read",
        ),
    ] {
        assert_eq!(detail(fault), expected, "{fault}");
    }
}

#[test]
fn a_malformed_text_is_explained_without_a_lookup() {
    let (world, grants, context) = (World::new(), operator(""), AccessContext::default());
    let access = Access { query: None, context: &context };
    let age = || -> Result<_, Undecided> { panic!("nothing was looked up, so nothing can be stale") };
    let explained = explain("acme_live_", world.ground(), Question::explaining(&grants, None), access, age).unwrap();
    let explanation = explained.explanation(world.age).unwrap();
    assert_eq!(explanation.verdict.outcome(), Outcome::Malformed);
    assert!(explanation.checks[1..].iter().all(|check| check.finding == Finding::NotReached));
}
