//! What is sealed to a recipient stays until it is of no use: whoever fetches it late finds it.

use crate::courses::public;
use crate::driving::{Fleet, policy};
use crate::house::{get, revoke, rotate};
use latchkey_delivery::{RecipientSecret, open};
use latchkey_domain::{AtDeadline, Delivery, DurationMillis, RotationName, RotationPolicy, RotationState, VersionName};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::rotation_delivery::Target;

fn to(secret: &RecipientSecret) -> RotationPolicy {
    RotationPolicy { delivery: Some(Delivery::Recipient(secret.public().unwrap())), ..policy() }
}

/// Nothing is left of the old version once the new one is verified.
fn at_once(secret: &RecipientSecret) -> RotationPolicy {
    let mut policy = to(secret);
    policy.terms.overlap = DurationMillis::ZERO;
    policy.terms.overlap_min = DurationMillis::ZERO;
    policy.terms.silence = None;
    policy.terms.at_deadline = AtDeadline::Enforce;
    policy
}

/// The last rotation of the only key, as `GetRotation` shows it.
async fn shown(fleet: &Fleet) -> v1::Rotation {
    let rotation = RotationName { key: fleet.keys[0].0.clone(), rotation: fleet.rotation(0).unwrap().id };
    fleet.house.root().rotation.get_rotation(get(&rotation.to_string())).await.unwrap().into_inner()
}

async fn fetched(fleet: &Fleet, secret: &RecipientSecret) -> Option<String> {
    let shown = shown(fleet).await;
    let version = VersionName::parse(&shown.new_version).unwrap();
    open(secret, &version, &shown.sealed_key_text).ok().map(|text| text.to_string())
}

#[tokio::test]
async fn without_an_overlap_the_recipient_fetches_its_text_after_the_end() {
    let secret = RecipientSecret::generate();
    let fleet = Fleet::new(at_once(&secret), &["one"]).await;
    let driver = fleet.driver();
    fleet.house.advance(DurationMillis::from_days(10));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
    let text = fetched(&fleet, &secret).await.expect("it is still shown");
    assert!(fleet.house.accepts(&text) && !fleet.house.accepts(&fleet.keys[0].1));

    // Once another has taken its place it is of no use.
    let first = shown(&fleet).await.name;
    fleet.house.advance(DurationMillis::from_days(10));
    driver.turn().await.unwrap();
    let second = fetched(&fleet, &secret).await.expect("the second is shown");
    assert!(fleet.house.accepts(&second) && !fleet.house.accepts(&text));
    let before = fleet.house.root().rotation.get_rotation(get(&first)).await.unwrap().into_inner();
    assert!(before.sealed_key_text.is_empty());
}

#[tokio::test]
async fn of_a_key_without_a_version_the_recipient_fetches_the_new_text() {
    let secret = RecipientSecret::generate();
    let fleet = Fleet::new(to(&secret), &["one"]).await;
    let (key, old) = &fleet.keys[0];
    let mut root = fleet.house.root();
    let named = root.keys.get_key(v1::GetKeyRequest { name: key.to_string() }).await.unwrap().into_inner();
    root.keys.revoke_key(revoke(&named.versions[0].name)).await.unwrap();
    let delivery = v1::RotationDelivery { target: Some(Target::Recipient(public(&secret))) };
    let request = v1::RotateKeyRequest { delivery: Some(delivery), overlap: None, ..rotate(&key.to_string()) };
    root.rotation.rotate_key(request).await.unwrap();
    fleet.driver().turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
    let text = fetched(&fleet, &secret).await.expect("it is shown");
    assert!(fleet.house.accepts(&text) && !fleet.house.accepts(old));
}

#[tokio::test]
async fn a_text_that_nobody_could_fetch_outlives_the_version_before_it() {
    let secret = RecipientSecret::generate();
    let fleet = Fleet::new(to(&secret), &["one"]).await;
    let driver = fleet.driver();
    fleet.house.advance(DurationMillis::from_days(10));
    fleet.house.registry.set_waiting(true);
    driver.turn().await.unwrap();
    assert_eq!((fleet.state(0), fetched(&fleet, &secret).await.is_none()), (Some(RotationState::Delivered), true));
    let old = shown(&fleet).await.old_version;
    fleet.house.root().keys.revoke_key(revoke(&old)).await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Delivered), "it goes on until it can be fetched");
    fleet.house.registry.set_waiting(false);
    fleet.house.advance(DurationMillis::from_secs(60));
    driver.turn().await.unwrap();
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
    let text = fetched(&fleet, &secret).await.expect("it is shown");
    assert!(fleet.house.accepts(&text));
}

#[tokio::test]
async fn a_recipient_who_is_away_for_longer_than_the_overlap_finds_its_text() {
    let secret = RecipientSecret::generate();
    let fleet = Fleet::new(to(&secret), &["one"]).await;
    let driver = fleet.driver();
    fleet.house.advance(DurationMillis::from_days(10));
    driver.turn().await.unwrap();
    // The clock ends it, whether or not that is written down.
    fleet.house.advance(DurationMillis::from_days(3));
    assert_eq!(fleet.state(0), Some(RotationState::Completed));
    let text = fetched(&fleet, &secret).await.expect("it is shown");
    assert!(fleet.house.accepts(&text) && !fleet.house.accepts(&fleet.keys[0].1));
}
