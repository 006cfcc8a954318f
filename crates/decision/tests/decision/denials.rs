//! What an operator denied on this replica.

use crate::world::{LIVE, World, key_id, text, validator, version_id};
use latchkey_decision::{Access, Denials, Finding, NotIdentified, Question, Undecided, authenticate, explain};
use latchkey_domain::{DurationMillis, KeyId, Outcome, ReasonText, RevocationReason, VersionId};
use latchkey_policy::AccessContext;
use latchkey_state::{Details, Rare, Revocation};

fn denying(key: KeyId, version: Option<VersionId>) -> World {
    let mut denials = Denials::default();
    assert!(denials.is_empty());
    denials.deny(key, version);
    World { denials: Some(denials), ..World::new() }
}

#[test]
fn a_key_that_is_denied_here_reads_as_suspended_and_no_other_does() {
    let grants = validator("tenants/acme");
    for world in [denying(key_id(1), None), denying(key_id(1), Some(version_id(1)))] {
        assert_eq!(world.outcome(text("acme_live", 1).expose(), &grants), Outcome::Suspended);
        assert_eq!(world.outcome(text("acme_live", 2).expose(), &grants), Outcome::Valid);
        assert_eq!(world.outcome(text("acme_live", 77).expose(), &grants), Outcome::NotFound);
    }
    // Another version of the key is none of it.
    let world = denying(key_id(1), Some(version_id(2)));
    assert_eq!(world.outcome(text("acme_live", 1).expose(), &grants), Outcome::Valid);
}

#[test]
fn a_revoked_key_stays_revoked_and_an_expired_one_reads_as_suspended() {
    let (grants, mut world) = (validator("tenants/acme"), denying(key_id(1), None));
    world.change_key(LIVE, 1, |key| key.expires_at = Some(crate::world::before(1)));
    assert_eq!(world.outcome(text("acme_live", 1).expose(), &grants), Outcome::Suspended);
    let at = crate::world::before(1);
    let (reason, text_of) = (RevocationReason::Compromised, ReasonText::default());
    let revocation = Revocation { effective_at: at, asked_at: at, reason, text: text_of };
    world.change_key(LIVE, 1, |key| {
        key.details = Rare::from(Details { revocation: Some(Box::new(revocation)), ..Details::default() });
    });
    assert_eq!(world.outcome(text("acme_live", 1).expose(), &grants), Outcome::Revoked);
}

#[test]
fn the_children_of_a_denied_key_are_denied() {
    let (grants, mut world) = (validator("tenants/acme"), denying(key_id(1), None));
    world.change_key(LIVE, 2, |key| {
        key.details = Rare::from(Details { parent: Some(key_id(1)), ..Details::default() });
    });
    assert_eq!(world.outcome(text("acme_live", 2).expose(), &grants), Outcome::Suspended);
}

#[test]
fn a_denied_management_key_proves_nobody() {
    let world = denying(key_id(9), None);
    let identified = authenticate(text("lkm", 9).expose(), None, world.ground(), DurationMillis::ZERO);
    assert_eq!(identified.unwrap_err(), NotIdentified::Unknown);
}

#[test]
fn an_explanation_names_what_was_denied_and_that_it_is_of_this_replica() {
    let (world, context) = (denying(key_id(1), None), AccessContext::default());
    let grants =
        [latchkey_domain::Grant { duty: latchkey_domain::Duty::Operator, ..validator("tenants/acme")[0].clone() }];
    let access = Access { query: None, context: &context };
    let asked =
        explain(text("acme_live", 1).expose(), world.ground(), Question::explaining(&grants, None), access, || {
            Ok::<_, Undecided>(DurationMillis::ZERO)
        });
    let explanation = asked.unwrap().explanation(DurationMillis::ZERO).unwrap();
    assert_eq!(explanation.verdict.outcome(), Outcome::Suspended);
    let failed: Vec<_> = explanation.checks.iter().filter(|check| check.finding == Finding::Failed).collect();
    let [denied] = failed[..] else { panic!("{failed:?}") };
    assert!(denied.record.ends_with(&format!("/keys/{}", key_id(1))) && denied.detail.contains("this replica"));
}
