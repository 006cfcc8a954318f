//! What a validation and its explanation answer, on the whole way from the key text.

use crate::fixtures::{keyspace_name, version_id};
use crate::life::{KEY, at, key, rotation, rotation_id, state, version};
use latchkey_crypto::{Inner, KeyText, Pepper, Secret, compose};
use latchkey_decision::{Access, Ground, Peppers, Question, Undecided, decide, explain};
use latchkey_domain::{
    DurationMillis, Duty, Grant, Method, Outcome, Prefix, RingNumber, RotationState, Scope, Terms, UnixMillis,
};
use latchkey_policy::AccessContext;
use latchkey_state::{Details, Key, Row, State, Version, VersionDetails};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::validation_check::Result as Finding;
use latchkey_wire::resource::View;
use latchkey_wire::time::{write_span, write_time};
use latchkey_wire::verdict::{write_explanation, write_verdict};
use std::sync::Arc;

const PEPPER: [u8; 32] = [0x22; 32];
const AGE: DurationMillis = DurationMillis::new(250);

fn secret() -> Secret {
    Secret::from_chars(&[b'a'; 32]).unwrap()
}

fn key_text() -> KeyText {
    compose(&Prefix::parse("acme_live").unwrap(), version_id(), &secret())
}

/// A state with one key whose version is retiring, in its overlap.
fn retiring() -> State {
    let digest = Pepper::new(&PEPPER).digest(&Inner::of(version_id(), &secret()));
    let retires_at = Some(at(65));
    let old = Version { digest, ..version(VersionDetails { retires_at, ..VersionDetails::default() }) };
    let key = key(Details { rotation: Some(rotation_id()), ..Details::default() }, old);
    let terms = Terms { networks: Default::default(), resources: Default::default(), ..(*key.terms).clone() };
    let key = Key { terms: Arc::new(terms), ..key };
    let mut record = rotation(RotationState::Overlap, Some(DurationMillis::from_secs(60)), None);
    record.old = Some(version_id());
    state([Row::Key(Arc::new(key)), Row::Rotation(Arc::new(record))])
}

/// Decides and explains, on the same ground.
fn answers(
    state: &State,
    now: UnixMillis,
    key_text: &KeyText,
) -> (v1::ValidateKeyResponse, v1::ExplainValidationResponse) {
    let peppers = Peppers::from([(RingNumber(2), Arc::new(Pepper::new(&PEPPER)))]);
    let ground = Ground { state, peppers: &peppers, now, denials: None };
    let grants = [Duty::Validator, Duty::Operator].map(|duty| Grant { duty, scope: Scope::Keyspace(keyspace_name()) });
    let context = AccessContext {
        client_address: Some("10.0.0.1".parse().unwrap()),
        method: Some(Method::parse("GET").unwrap()),
        resource: None,
    };
    let access = Access { query: None, context: &context };
    let view = View::new(state, now);
    let age = || Ok::<_, Undecided>(AGE);
    let decision = decide(key_text.expose(), ground, Question::new(&grants, None), access, age).unwrap();
    let verdict = decision.verdict(AGE).unwrap();
    let explained = explain(key_text.expose(), ground, Question::explaining(&grants, None), access, age).unwrap();
    let explanation = explained.explanation(AGE).unwrap();
    (write_verdict(&view, &verdict, AGE), write_explanation(&view, &explanation, AGE))
}

#[test]
fn a_key_that_is_valid_shows_what_it_permits_and_that_its_version_retires() {
    let (answer, _) = answers(&retiring(), at(64), &key_text());
    assert_eq!(answer.outcome(), v1::Outcome::Valid);
    assert_eq!(answer.version, format!("{KEY}/versions/0123456789abcdef"));
    assert_eq!(answer.roles, ["tenants/acme/roles/read-only", "tenants/acme/roles/support"]);
    assert_eq!(answer.permissions, ["billing:read", "orders:*"]);
    assert_eq!(answer.expire_time, Some(write_time(at(1_000))));
    let rotation = format!("{KEY}/rotations/0R0T0A0T0I0O0N00");
    assert_eq!(answer.rotation, Some(v1::RotationHint { rotation, retire_time: Some(write_time(at(65))) }));
}

#[test]
fn a_version_that_is_retired_is_refused_and_shows_nothing_but_names() {
    let (answer, explanation) = answers(&retiring(), at(65), &key_text());
    let names_only = v1::ValidateKeyResponse {
        outcome: v1::Outcome::Expired.into(),
        key: KEY.to_owned(),
        version: format!("{KEY}/versions/0123456789abcdef"),
        keyspace: keyspace_name().to_string(),
        checked_at: answer.checked_at,
        decision_basis: answer.decision_basis,
        ..Default::default()
    };
    assert_eq!(answer, names_only);
    assert_eq!(explanation.outcome(), v1::Outcome::Expired);
}

#[test]
fn an_explanation_tells_every_check_and_on_what_it_stands() {
    let (answer, explanation) = answers(&retiring(), at(65), &key_text());
    assert_eq!((&explanation.key, &explanation.version), (&answer.key, &answer.version));
    assert_eq!((explanation.checked_at, explanation.now), (answer.checked_at, Some(write_time(at(65)))));
    assert_eq!(explanation.decision_basis.unwrap().age, Some(write_span(AGE)));
    let first = explanation.checks.iter().find(|check| check.result() == Finding::Failed).unwrap();
    assert_eq!((first.outcome(), first.record.as_str()), (v1::Outcome::Expired, answer.version.as_str()));
    assert!(!first.detail.is_empty() && first.detail.len() <= 512);
    for outcome in Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Valid) {
        let outcome = v1::Outcome::from(outcome);
        assert!(explanation.checks.iter().any(|check| check.outcome() == outcome), "{outcome:?} is not told");
    }
}

#[test]
fn a_wrong_secret_is_explained_without_a_name() {
    let other = Secret::from_chars(&[b'b'; 32]).unwrap();
    let wrong = compose(&Prefix::parse("acme_live").unwrap(), version_id(), &other);
    let (answer, explanation) = answers(&retiring(), at(0), &wrong);
    assert_eq!((answer.outcome(), answer.key.as_str()), (v1::Outcome::NotFound, ""));
    assert_eq!((explanation.outcome(), explanation.key.as_str()), (v1::Outcome::NotFound, ""));
    assert!(explanation.checks.iter().all(|check| !check.record.contains("tenants/")), "{explanation:?}");
    let reached = explanation.checks.iter().filter(|check| check.result() != Finding::NotReached).count();
    assert_eq!(reached, 2, "its form, and that nothing was found");
}
