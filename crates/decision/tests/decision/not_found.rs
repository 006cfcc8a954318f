//! What is not found is not found alike, whatever the reason.

use crate::world::{PEPPER, World, secret, text, validator, version_id};
use latchkey_crypto::{Secret, compose};
use latchkey_decision::{PepperMissing, Undecided, Verdict};
use latchkey_domain::{Duty, Grant, Outcome, Prefix, Scope};

/// Everything that an answer can be made of.
fn seen(verdict: &Verdict<'_>) -> (Outcome, bool, bool) {
    (verdict.outcome(), verdict.named().is_some(), verdict.content().is_some())
}

#[test]
fn an_unknown_id_a_wrong_secret_another_tenant_s_key_and_another_prefix_are_answered_alike() {
    let (world, grants) = (World::new(), validator("tenants/acme"));
    let live = Prefix::parse("acme_live").unwrap();
    let wrong = Secret::from_chars(&[b'0'; 32]).unwrap();
    for (what, key_text) in [
        ("unknown id", text("acme_live", 77)),
        ("wrong secret", compose(&live, version_id(1), &wrong)),
        ("secret of a sister key", compose(&live, version_id(1), &secret(2))),
        ("another tenant's key", text("rival", 4)),
        ("another tenant's key, wrong secret", compose(&Prefix::parse("rival").unwrap(), version_id(4), &wrong)),
        ("management key", text("lkm", 9)),
        ("prefix of a sister keyspace", text("acme_test", 1)),
        ("prefix of nobody", text("nobody", 1)),
    ] {
        let verdict = world.verdict(key_text.expose(), &grants).unwrap();
        assert_eq!(seen(&verdict), (Outcome::NotFound, false, false), "{what}");
    }
    assert_eq!(world.outcome(text("acme_live", 1).expose(), &grants), Outcome::Valid);
}

#[test]
fn only_the_duty_of_a_validator_finds_anything() {
    let (world, key_text) = (World::new(), text("acme_live", 1));
    for duty in Duty::ALL {
        let grants = [Grant { duty, scope: Scope::System }];
        let found = matches!(duty, Duty::Validator | Duty::Root);
        let expected = if found { Outcome::Valid } else { Outcome::NotFound };
        assert_eq!(world.outcome(key_text.expose(), &grants), expected, "{duty}");
    }
    assert_eq!(world.outcome(key_text.expose(), &[]), Outcome::NotFound);
}

#[test]
fn a_pepper_that_is_missing_is_never_guessed_about() {
    let (mut world, grants) = (World::new(), validator("tenants/acme"));
    world.peppers.clear();
    let none = Undecided::PepperMissing(PepperMissing { number: None });
    let its_own = Undecided::PepperMissing(PepperMissing { number: Some(PEPPER) });
    assert_eq!(world.verdict(text("acme_live", 77).expose(), &grants).unwrap_err(), none);
    assert_eq!(world.verdict(text("acme_live", 1).expose(), &grants).unwrap_err(), its_own);
    assert_eq!(world.verdict(text("rival", 4).expose(), &grants).unwrap_err(), none);
    assert_eq!(world.outcome("nothing", &grants), Outcome::Malformed);
}
