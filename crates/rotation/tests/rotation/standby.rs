//! `PrepareStandby`.

use crate::house::{House, REQUEST_ID, cancel, is, prepare, revoke, rotate, state_of, why};
use latchkey_domain::DurationMillis;
use latchkey_state::{By, Worth};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::rotation::State;
use tonic::Code;

#[tokio::test]
async fn a_standby_is_shown_once_and_accepted_only_from_the_rotation_on() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, old) = house.key().await;
    let prepared = root.rotation.prepare_standby(prepare(&name)).await.unwrap().into_inner();
    let standby = prepared.key_text;
    let (rotation, key) = (prepared.rotation.unwrap(), prepared.key.unwrap());
    assert_eq!((rotation.state(), rotation.overlap, rotation.overlap_end_time), (State::Prepared, None, None));
    assert_eq!((&rotation.new_version, &key.rotation), (&prepared.version, &rotation.name));
    assert_eq!(state_of(&key, &standby), v1::version::State::Pending);
    assert_eq!((house.worth(&standby), house.worth(&old)), (Worth::NotYetValid(By::Version), Worth::Accepted));

    let rotated = root.rotation.rotate_key(rotate(&name)).await.unwrap().into_inner();
    assert!(rotated.key_text.is_empty(), "its text was shown when it was prepared");
    assert_eq!((rotated.version, rotated.rotation.unwrap().name), (prepared.version, rotation.name));
    assert!(house.accepts(&standby) && house.accepts(&old));
    assert_eq!(rotated.key.unwrap().versions.len(), 2, "what was minted beside it was dropped");
    house.advance(DurationMillis::from_secs(60));
    assert!(house.accepts(&standby) && house.worth(&old).is_dead());
}

#[tokio::test]
async fn a_repeat_shows_the_same_text_and_a_second_standby_is_refused() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, _) = house.key().await;
    let request = v1::PrepareStandbyRequest { request_id: REQUEST_ID.to_owned(), ..prepare(&name) };
    let first = root.rotation.prepare_standby(request.clone()).await.unwrap().into_inner();
    let again = house.elsewhere().await.rotation.prepare_standby(request.clone()).await.unwrap().into_inner();
    assert!(again.replayed && !first.replayed);
    assert_eq!((&again.key_text, &again.version), (&first.key_text, &first.version));
    let second = root.rotation.prepare_standby(prepare(&name)).await;
    assert_eq!(why(second), is(Code::FailedPrecondition, "ROTATION_IN_PROGRESS"));

    // The same id under another method is another request.
    let rotation = v1::RotateKeyRequest { request_id: REQUEST_ID.to_owned(), ..rotate(&name) };
    assert_eq!(why(root.rotation.rotate_key(rotation).await), is(Code::AlreadyExists, "REQUEST_ID_REUSED"));
    house.advance(DurationMillis::from_secs(3_600));
    house.key().await;
    let late = root.rotation.prepare_standby(request).await.unwrap().into_inner();
    assert!(late.replayed && late.key_text.is_empty() && late.version == first.version);
}

#[tokio::test]
async fn a_repeat_of_the_rotation_that_took_a_standby_shows_no_text_either() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, _) = house.key().await;
    root.rotation.prepare_standby(prepare(&name)).await.unwrap();
    let request = v1::RotateKeyRequest { request_id: REQUEST_ID.to_owned(), ..rotate(&name) };
    let first = root.rotation.rotate_key(request.clone()).await.unwrap().into_inner();
    let again = root.rotation.rotate_key(request).await.unwrap().into_inner();
    assert!(again.replayed && first.key_text.is_empty() && again.key_text.is_empty());
    assert_eq!(again.version, first.version);
}

#[tokio::test]
async fn dead_keys_and_stale_etags_get_no_standby() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, _) = house.key().await;
    let stale = v1::PrepareStandbyRequest { etag: "0-0".to_owned(), ..prepare(&name) };
    assert_eq!(why(root.rotation.prepare_standby(stale).await), is(Code::Aborted, "ETAG_MISMATCH"));
    let prepared = root.rotation.prepare_standby(prepare(&name)).await.unwrap().into_inner();
    root.keys.revoke_key(revoke(&name)).await.unwrap();
    assert_eq!(why(root.rotation.prepare_standby(prepare(&name)).await), is(Code::FailedPrecondition, "KEY_REVOKED"));
    // Its rotation ended with the key.
    let name = prepared.rotation.unwrap().name;
    let rotation =
        root.rotation.get_rotation(v1::GetRotationRequest { name: name.clone() }).await.unwrap().into_inner();
    assert_eq!(rotation.state(), State::Cancelled);
    assert!(root.rotation.cancel_rotation(cancel(&name)).await.is_ok());
}
