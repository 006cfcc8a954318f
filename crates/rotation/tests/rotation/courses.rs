//! `RotateKey` with more than an overlap, `HoldRotation` and `ResumeRotation`.

use crate::house::{
    House, REQUEST_ID, cancel, fields, get, hold, is, prepare, resume, roll_back, rotate, state_of, why,
};
use latchkey_delivery::{RecipientSecret, open};
use latchkey_domain::{DurationMillis, RecipientKey, VersionName};
use latchkey_state::{By, Worth};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::recipient_key::Key;
use latchkey_wire::pb::v1::rotation::{HoldCause, State};
use latchkey_wire::pb::v1::rotation_delivery::Target;
use latchkey_wire::time::write_time;
use prost_types::Duration;
use tonic::Code;

#[expect(clippy::unnecessary_wraps, reason = "as messages hold it")]
fn seconds(seconds: i64) -> Option<Duration> {
    Some(Duration { seconds, nanos: 0 })
}

fn minute() -> DurationMillis {
    DurationMillis::from_secs(60)
}

fn emergency(name: &str) -> v1::RotateKeyRequest {
    v1::RotateKeyRequest { name: name.to_owned(), emergency: true, ..Default::default() }
}

fn to_store(name: &str) -> v1::RotateKeyRequest {
    let delivery = Some(v1::RotationDelivery { target: Some(Target::Store("vault".to_owned())) });
    v1::RotateKeyRequest { delivery, overlap: None, ..rotate(name) }
}

pub(crate) fn public(secret: &RecipientSecret) -> v1::RecipientKey {
    let Ok(RecipientKey::X25519(bytes)) = secret.public() else { panic!("a drawn key is X25519") };
    v1::RecipientKey { key: Some(Key::X25519(bytes.to_vec())) }
}

#[tokio::test]
async fn what_contradicts_itself_is_told_at_once_and_changes_nothing() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, old) = house.key().await;
    let everything = v1::RotateKeyRequest {
        terms: Some(v1::RotationTerms::default()),
        activate_time: Some(write_time(house.now())),
        overlap: seconds(1),
        emergency: true,
        ..to_store(&key)
    };
    let refused = fields(root.rotation.rotate_key(everything).await);
    assert_eq!(refused, ["overlap", "terms", "delivery", "activate_time"]);
    let two = v1::RotateKeyRequest {
        terms: Some(v1::RotationTerms { overlap: seconds(60), overlap_min: seconds(61), ..Default::default() }),
        overlap: seconds(1),
        recipient: Some(v1::RecipientKey { key: Some(Key::X25519(vec![7; 31])) }),
        ..to_store(&key)
    };
    let refused = fields(root.rotation.rotate_key(two).await);
    assert_eq!(refused, ["recipient.x25519", "terms.overlap_min", "overlap", "recipient"]);
    assert!(house.accepts(&old));
    assert!(root.keys.get_key(v1::GetKeyRequest { name: key }).await.unwrap().into_inner().versions.len() == 1);
}

#[tokio::test]
async fn in_an_emergency_every_other_version_dies_at_once_whatever_is_in_progress() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, first) = house.key().await;
    let second = root.rotation.rotate_key(rotate(&key)).await.unwrap().into_inner();
    assert!(house.accepts(&first) && house.accepts(&second.key_text));
    let third = root.rotation.rotate_key(emergency(&key)).await.unwrap().into_inner();
    assert!(!house.accepts(&first) && !house.accepts(&second.key_text) && house.accepts(&third.key_text));
    assert_eq!(third.rotation.unwrap().state(), State::Completed);
    let before = root.rotation.get_rotation(get(&second.rotation.unwrap().name)).await.unwrap().into_inner();
    assert_ne!(before.state(), State::Overlap);
}

#[tokio::test]
async fn in_an_emergency_a_standby_takes_the_place_and_its_text_is_not_shown_again() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, old) = house.key().await;
    let standby = root.rotation.prepare_standby(prepare(&key)).await.unwrap().into_inner();
    let rotated = root.rotation.rotate_key(emergency(&key)).await.unwrap().into_inner();
    assert_eq!((rotated.version.as_str(), rotated.key_text.as_str()), (standby.version.as_str(), ""));
    assert!(!house.accepts(&old) && house.accepts(&standby.key_text));
}

#[tokio::test]
async fn a_text_is_sealed_to_its_recipient_and_shown_to_nobody_else_also_in_a_repeat() {
    let house = House::new().await;
    let mut root = house.root();
    let secret = RecipientSecret::generate();
    let (key, _) = house.key().await;
    let sealed_to = Some(public(&secret));
    let request =
        v1::RotateKeyRequest { recipient: sealed_to.clone(), request_id: REQUEST_ID.to_owned(), ..rotate(&key) };
    let mut texts = Vec::new();
    for replayed in [false, true] {
        let answer = root.rotation.rotate_key(request.clone()).await.unwrap().into_inner();
        assert_eq!((answer.key_text.as_str(), answer.replayed), ("", replayed));
        let version = VersionName::parse(&answer.version).unwrap();
        texts.push(open(&secret, &version, &answer.sealed_key_text).unwrap().to_string());
    }
    assert!(texts[0] == texts[1] && house.accepts(&texts[0]));

    let (other, _) = house.key().await;
    let standby = v1::PrepareStandbyRequest { recipient: sealed_to, ..prepare(&other) };
    let answer = root.rotation.prepare_standby(standby).await.unwrap().into_inner();
    assert!(answer.key_text.is_empty());
    let version = VersionName::parse(&answer.version).unwrap();
    let text = open(&secret, &version, &answer.sealed_key_text).unwrap();
    assert_eq!(state_of(&answer.key.unwrap(), &text), v1::version::State::Pending);
    assert!(open(&RecipientSecret::generate(), &version, &answer.sealed_key_text).is_err());
}

#[tokio::test]
async fn what_goes_to_a_store_is_prepared_and_shown_to_nobody() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, old) = house.key().await;
    let request = v1::RotateKeyRequest { request_id: REQUEST_ID.to_owned(), ..to_store(&key) };
    for replayed in [false, true] {
        let answer = root.rotation.rotate_key(request.clone()).await.unwrap().into_inner();
        assert_eq!((answer.key_text.as_str(), answer.replayed), ("", replayed));
        assert!(answer.sealed_key_text.is_empty());
        let rotation = answer.rotation.unwrap();
        assert_eq!((rotation.state(), rotation.by_policy), (State::Prepared, false));
        assert_eq!(rotation.delivery, request.delivery);
        assert_eq!(rotation.terms.unwrap().overlap, seconds(24 * 3_600));
        let pending = |version: &v1::Version| version.state() == v1::version::State::Pending;
        assert_eq!(answer.key.unwrap().versions.iter().filter(|version| pending(version)).count(), 1);
    }
    assert!(house.accepts(&old));
    let listed = root.keys.get_key(v1::GetKeyRequest { name: key.clone() }).await.unwrap().into_inner();
    let cancelled = root.rotation.cancel_rotation(cancel(&listed.rotation)).await.unwrap().into_inner();
    assert_eq!(cancelled.rotation.unwrap().state(), State::Cancelled);
    assert!(house.accepts(&old));
}

#[tokio::test]
async fn a_new_version_is_not_accepted_before_its_time_and_the_old_one_has_no_end_until_then() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, old) = house.key().await;
    let activate_time = Some(write_time(house.now().plus(DurationMillis::from_secs(3_600))));
    let request = v1::RotateKeyRequest { activate_time, ..rotate(&key) };
    let answer = root.rotation.rotate_key(request).await.unwrap().into_inner();
    let rotation = answer.rotation.unwrap();
    assert_eq!((rotation.state(), rotation.activate_time), (State::Delivered, activate_time));
    assert!(rotation.activated_time.is_none() && rotation.delivered_time.is_some());
    assert!(house.accepts(&old) && !house.accepts(&answer.key_text));
}

#[tokio::test]
async fn terms_are_shown_and_the_overlap_begins_at_once_where_nothing_has_to_be_waited_for() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, old) = house.key().await;
    let terms = v1::RotationTerms {
        overlap: seconds(60),
        overlap_min: seconds(10),
        silence: seconds(20),
        overlap_start: v1::OverlapStart::AtOnce.into(),
        at_deadline: v1::AtDeadline::Hold.into(),
        hold_max: seconds(600),
    };
    let request = v1::RotateKeyRequest { terms: Some(terms), overlap: None, ..rotate(&key) };
    let answer = root.rotation.rotate_key(request).await.unwrap().into_inner();
    let rotation = answer.rotation.unwrap();
    assert_eq!((rotation.state(), rotation.terms), (State::Overlap, Some(terms)));
    assert_eq!(rotation.overlap_end_time, Some(write_time(house.now().plus(minute()))));
    // With nobody there to decide, the clock ends the old version late rather than early.
    house.advance(minute());
    assert!(house.accepts(&old));
    house.advance(DurationMillis::from_secs(600));
    assert_eq!(house.worth(&old), Worth::Expired(By::Version));
}

#[tokio::test]
async fn a_rotation_that_is_held_outlives_its_deadline_and_goes_on_where_it_stood() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, old) = house.key().await;
    let begun = root.rotation.rotate_key(rotate(&key)).await.unwrap().into_inner().rotation.unwrap();
    let held = v1::HoldRotationRequest { reason_text: "a batch still runs".to_owned(), ..hold(&begun.name) };
    let answer = root.rotation.hold_rotation(held.clone()).await.unwrap().into_inner();
    let rotation = answer.rotation.unwrap();
    let shown = rotation.hold.clone().unwrap();
    assert_eq!((rotation.state(), shown.from(), shown.cause()), (State::Held, State::Overlap, HoldCause::Asked));
    assert_eq!((shown.text.as_str(), shown.hold_time), ("a batch still runs", Some(write_time(house.now()))));
    assert!(!answer.regions.is_empty() && shown.end_time.is_some());
    house.advance(minute());
    assert!(house.accepts(&old));
    // Again, and nothing changes.
    let again = root.rotation.hold_rotation(held).await.unwrap().into_inner().rotation.unwrap();
    assert_eq!(again.etag, rotation.etag);

    let resumed = root.rotation.resume_rotation(resume(&begun.name)).await.unwrap().into_inner().rotation.unwrap();
    assert!(resumed.hold.is_none());
    assert_ne!(resumed.state(), State::Held);
    let stale = v1::HoldRotationRequest { etag: "0-0".to_owned(), ..hold(&begun.name) };
    assert_eq!(why(root.rotation.hold_rotation(stale).await), is(Code::Aborted, "ETAG_MISMATCH"));
}

#[tokio::test]
async fn a_hold_ends_by_the_clock_and_not_past_its_bound() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, old) = house.key().await;
    let begun = root.rotation.rotate_key(rotate(&key)).await.unwrap().into_inner().rotation.unwrap();
    root.rotation.hold_rotation(hold(&begun.name)).await.unwrap();
    house.advance(DurationMillis::from_days(31));
    assert_eq!(house.worth(&old), Worth::Expired(By::Version));
    for refused in [
        why(root.rotation.hold_rotation(hold(&begun.name)).await),
        why(root.rotation.resume_rotation(resume(&begun.name)).await),
        why(root.rotation.roll_back_rotation(roll_back(&begun.name)).await),
    ] {
        assert_eq!(refused, is(Code::FailedPrecondition, "ROTATION_STATE"));
    }
}

#[tokio::test]
async fn trying_a_hold_changes_nothing_and_a_standby_cannot_be_held() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, _) = house.key().await;
    let begun = root.rotation.rotate_key(rotate(&key)).await.unwrap().into_inner().rotation.unwrap();
    let tried = v1::HoldRotationRequest { validate_only: true, ..hold(&begun.name) };
    let tried = root.rotation.hold_rotation(tried).await.unwrap().into_inner();
    assert_eq!((tried.rotation.unwrap().state(), tried.regions.len()), (State::Held, 0));
    let still = root.rotation.get_rotation(get(&begun.name)).await.unwrap().into_inner();
    assert_eq!(still.state(), State::Overlap);

    let (other, _) = house.key().await;
    let standby = root.rotation.prepare_standby(prepare(&other)).await.unwrap().into_inner().rotation.unwrap();
    let refused = why(root.rotation.hold_rotation(hold(&standby.name)).await);
    assert_eq!(refused, is(Code::FailedPrecondition, "ROTATION_STATE"));
    let trying = v1::RotateKeyRequest { validate_only: true, ..to_store(&house.key().await.0) };
    let would = root.rotation.rotate_key(trying).await.unwrap().into_inner();
    assert_eq!(would.rotation.unwrap().state(), State::Prepared);
}
