//! `RotateKey`.

use crate::house::{House, KEYSPACE, REQUEST_ID, is, revoke, rotate, state_of, why};
use latchkey_crypto::parse;
use latchkey_domain::{DurationMillis, VersionName};
use latchkey_kms::testing::Switch;
use latchkey_state::{By, OVERLAP_DEFAULT, Worth};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::create_key_request::Expiry;
use latchkey_wire::pb::v1::rotation::State;
use latchkey_wire::time::read_time;
use prost_types::Duration;
use tonic::Code;
use tonic_types::StatusExt as _;

#[tokio::test]
async fn a_stranger_is_told_nothing_not_even_what_is_wrong_with_his_request() {
    let house = House::new().await;
    let wrong = rotate("nonsense");
    let nobody = house.with(None).rotation.rotate_key(wrong.clone()).await;
    assert_eq!(why(nobody), is(Code::Unauthenticated, "IDENTITY_MISSING"));
    let invented = house.with(Some("lkm_0000000000000000_x")).rotation.rotate_key(wrong).await;
    assert_eq!(why(invented), is(Code::Unauthenticated, "IDENTITY_UNKNOWN"));
}

#[tokio::test]
async fn all_fields_that_are_wrong_are_told_at_once() {
    let house = House::new().await;
    let wrong = v1::RotateKeyRequest {
        overlap: Some(Duration { seconds: 91 * 86_400, nanos: 0 }),
        reason_text: "x".repeat(513),
        request_id: "1".to_owned(),
        ..rotate("tenants/acme")
    };
    let status = house.root().rotation.rotate_key(wrong).await.unwrap_err();
    let fields = status.get_details_bad_request().unwrap().field_violations;
    let mut named: Vec<_> = fields.iter().map(|one| one.field.as_str()).collect();
    named.sort_unstable();
    assert_eq!(named, ["name", "overlap", "reason_text", "request_id"]);
}

#[tokio::test]
async fn both_texts_are_accepted_during_the_overlap_and_then_the_new_one_only() {
    let house = House::new().await;
    let (name, old) = house.key().await;
    let mut root = house.root();
    let rotated = root.rotation.rotate_key(rotate(&name)).await.unwrap().into_inner();
    let new = rotated.key_text;
    let presented = parse(&new).expect("it is a key text");
    assert_eq!(presented.prefix, "acme_live");
    assert_eq!(VersionName::parse(&rotated.version).unwrap().version, presented.version);
    let visible: Vec<_> = rotated.regions.iter().map(|one| (one.region.as_str(), one.visible)).collect();
    assert_eq!(visible, [("eu", true), ("us", true)]);
    let (rotation, key) = (rotated.rotation.unwrap(), rotated.key.unwrap());
    assert_eq!((rotation.state(), &rotation.new_version), (State::Overlap, &rotated.version));
    assert_eq!(
        (key.rotation.as_str(), key.permissions.as_slice()),
        (rotation.name.as_str(), &["orders:read".into()][..])
    );
    assert_eq!(state_of(&key, &old), v1::version::State::Retiring);
    assert_eq!(state_of(&key, &new), v1::version::State::Active);
    assert!(house.accepts(&old) && house.accepts(&new));

    house.advance(DurationMillis::new(59_999));
    assert!(house.accepts(&old));
    house.advance(DurationMillis::new(1));
    assert_eq!(house.worth(&old), Worth::Expired(By::Version));
    assert!(house.accepts(&new));
    let read = root.rotation.get_rotation(v1::GetRotationRequest { name: rotation.name }).await.unwrap().into_inner();
    assert_eq!((read.state(), read.end_time), (State::Completed, rotation.overlap_end_time));
    let nothing_secret = format!("{:?}", house.registry.state());
    assert!(!nothing_secret.contains(&new[new.len() - 38..]));
}

#[tokio::test]
async fn an_overlap_has_a_default_and_may_be_nothing_at_all() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, old) = house.key().await;
    let request = v1::RotateKeyRequest { overlap: None, ..rotate(&name) };
    let rotation = root.rotation.rotate_key(request).await.unwrap().into_inner().rotation.unwrap();
    let ends = read_time(&rotation.overlap_end_time.unwrap()).unwrap();
    assert_eq!(ends, house.now().plus(OVERLAP_DEFAULT));
    assert!(house.accepts(&old));

    let (name, old) = house.key().await;
    let request = v1::RotateKeyRequest { overlap: Some(Duration::default()), ..rotate(&name) };
    let rotated = root.rotation.rotate_key(request).await.unwrap().into_inner();
    assert_eq!(rotated.rotation.unwrap().state(), State::Completed);
    assert!(house.worth(&old).is_dead() && house.accepts(&rotated.key_text));
    assert!(rotated.key.unwrap().rotation.is_empty());
}

#[tokio::test]
async fn an_overlap_never_lengthens_a_life() {
    let house = House::new().await;
    let request = v1::CreateKeyRequest {
        parent: KEYSPACE.to_owned(),
        expiry: Some(Expiry::Lifetime(Duration { seconds: 30, nanos: 0 })),
        ..Default::default()
    };
    let (name, old) = house.key_of(request).await;
    let rotated = house.root().rotation.rotate_key(rotate(&name)).await.unwrap().into_inner();
    let rotation = rotated.rotation.unwrap();
    let ends = read_time(&rotation.overlap_end_time.unwrap()).unwrap();
    assert_eq!(ends, house.now().plus(DurationMillis::from_secs(30)));
    assert_eq!(rotation.overlap, crate::house::OVERLAP, "as asked");
    house.advance(DurationMillis::from_secs(30));
    assert!(house.worth(&old).is_dead() && house.worth(&rotated.key_text).is_dead());
}

#[tokio::test]
async fn a_repeat_shows_the_same_text_for_an_hour_and_then_none_whichever_process_is_asked() {
    let house = House::new().await;
    let (name, _) = house.key().await;
    let request = v1::RotateKeyRequest { request_id: REQUEST_ID.to_owned(), ..rotate(&name) };
    let first = house.root().rotation.rotate_key(request.clone()).await.unwrap().into_inner();
    assert!(!first.replayed);
    // A process that was started since has seen nothing of the first call.
    for clients in [&mut house.root(), &mut house.elsewhere().await] {
        let again = clients.rotation.rotate_key(request.clone()).await.unwrap().into_inner();
        assert!(again.replayed);
        assert_eq!(
            (again.key_text, again.version, again.revision),
            (first.key_text.clone(), first.version.clone(), first.revision)
        );
    }
    let mut root = house.root();
    let other = v1::RotateKeyRequest { overlap: None, ..request.clone() };
    assert_eq!(why(root.rotation.rotate_key(other).await), is(Code::AlreadyExists, "REQUEST_ID_REUSED"));

    house.advance(DurationMillis::from_secs(3_600));
    // The clock of the cluster moves with its records.
    house.key().await;
    let late = root.rotation.rotate_key(request).await.unwrap().into_inner();
    assert!(late.replayed && late.key_text.is_empty());
    assert_eq!((late.version, late.key.unwrap().versions.len()), (first.version, 2));
}

#[tokio::test]
async fn another_identity_s_request_id_is_another_request() {
    let house = House::new().await;
    let (name, _) = house.key().await;
    let (_, mut deploy) = house.identity("deploy", &[(v1::Duty::Issuer, KEYSPACE)]).await;
    let request = v1::RotateKeyRequest { request_id: REQUEST_ID.to_owned(), ..rotate(&name) };
    house.root().rotation.rotate_key(request.clone()).await.unwrap();
    assert_eq!(why(deploy.rotation.rotate_key(request).await), is(Code::FailedPrecondition, "ROTATION_IN_PROGRESS"));
}

#[tokio::test]
async fn what_cannot_be_rotated_is_refused_and_stays_as_it_is() {
    let house = House::new().await;
    let mut root = house.root();
    let absent = rotate("tenants/acme/keyspaces/live/keys/0000000000000000");
    assert_eq!(why(root.rotation.rotate_key(absent).await), is(Code::NotFound, "NOT_FOUND"));
    let nowhere = rotate("tenants/acme/keyspaces/none/keys/0000000000000000");
    assert_eq!(why(root.rotation.rotate_key(nowhere).await), is(Code::NotFound, "NOT_FOUND"));

    let (name, _) = house.key().await;
    let stale = v1::RotateKeyRequest { etag: "0-0".to_owned(), ..rotate(&name) };
    assert_eq!(why(root.rotation.rotate_key(stale).await), is(Code::Aborted, "ETAG_MISMATCH"));
    let key = root.keys.get_key(v1::GetKeyRequest { name: name.clone() }).await.unwrap().into_inner();
    let current = v1::RotateKeyRequest { etag: key.etag.clone(), ..rotate(&name) };
    let rotated = root.rotation.rotate_key(current.clone()).await.unwrap().into_inner();
    assert_eq!(rotated.key.unwrap().etag, key.etag, "it covers the key and not its versions");
    assert_eq!(why(root.rotation.rotate_key(current).await), is(Code::FailedPrecondition, "ROTATION_IN_PROGRESS"));

    root.keys.revoke_key(revoke(&name)).await.unwrap();
    assert_eq!(why(root.rotation.rotate_key(rotate(&name)).await), is(Code::FailedPrecondition, "KEY_REVOKED"));
    assert!(house.worth(&rotated.key_text).is_dead());

    let request = v1::CreateKeyRequest {
        parent: KEYSPACE.to_owned(),
        expiry: Some(Expiry::Lifetime(Duration { seconds: 30, nanos: 0 })),
        ..Default::default()
    };
    let (name, _) = house.key_of(request).await;
    house.advance(DurationMillis::from_secs(30));
    assert_eq!(why(root.rotation.rotate_key(rotate(&name)).await), is(Code::FailedPrecondition, "KEY_EXPIRED"));
}

#[tokio::test]
async fn an_overlap_that_is_over_by_the_clock_does_not_stand_in_the_way() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, first) = house.key().await;
    let second = root.rotation.rotate_key(rotate(&name)).await.unwrap().into_inner().key_text;
    house.advance(DurationMillis::from_secs(60));
    let third = root.rotation.rotate_key(rotate(&name)).await.unwrap().into_inner();
    assert!(house.worth(&first).is_dead() && house.accepts(&second) && house.accepts(&third.key_text));
}

#[tokio::test]
async fn a_suspended_key_is_rotated_and_stays_suspended() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, old) = house.key().await;
    root.keys.suspend_key(v1::SuspendKeyRequest { name: name.clone(), ..Default::default() }).await.unwrap();
    let rotated = root.rotation.rotate_key(rotate(&name)).await.unwrap().into_inner();
    for text in [&old, &rotated.key_text] {
        assert_eq!(house.worth(text), Worth::Suspended(By::Key));
    }
    root.keys.resume_key(v1::ResumeKeyRequest { name, ..Default::default() }).await.unwrap();
    assert!(house.accepts(&old) && house.accepts(&rotated.key_text));
}

#[tokio::test]
async fn without_the_key_encryption_key_nothing_is_rotated() {
    let house = House::new().await;
    let (name, old) = house.key().await;
    house.kms.set(Switch::Unavailable);
    let locked = house.root().rotation.rotate_key(rotate(&name)).await;
    assert_eq!(why(locked), is(Code::Unavailable, "LOCKED"));
    house.kms.set(Switch::Available);
    assert!(house.accepts(&old));
    assert!(house.root().rotation.rotate_key(rotate(&name)).await.is_ok());
}

#[tokio::test]
async fn a_replica_that_is_late_is_told_with_the_moment_from_which_it_knows_the_version() {
    let house = House::new().await;
    let (name, _) = house.key().await;
    house.registry.set_waiting(true);
    let rotated = house.root().rotation.rotate_key(rotate(&name)).await.unwrap().into_inner();
    let told: Vec<_> = rotated.regions.iter().map(|one| (one.visible, one.visible_by_time.is_some())).collect();
    assert_eq!(told, [(true, false), (false, true)]);
}
