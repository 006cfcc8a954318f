//! `CompleteRotation`, `CancelRotation`, `RollBackRotation`.

use crate::house::{House, REQUEST_ID, cancel, complete, is, prepare, revoke, roll_back, rotate, state_of, why};
use latchkey_domain::DurationMillis;
use latchkey_state::{By, Worth};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::region_status::Acceptance;
use latchkey_wire::pb::v1::rotation::State;
use latchkey_wire::time::write_time;
use prost_types::Duration;
use tonic::Code;

/// A key in its overlap: the name of its rotation, its old text and its new one.
async fn overlapping(house: &House) -> (String, String, String) {
    let (name, old) = house.key().await;
    let rotated = house.root().rotation.rotate_key(rotate(&name)).await.unwrap().into_inner();
    (rotated.rotation.unwrap().name, old, rotated.key_text)
}

/// A key with a standby: the name of its rotation, its old text and the standby's.
async fn prepared(house: &House) -> (String, String, String) {
    let (name, old) = house.key().await;
    let prepared = house.root().rotation.prepare_standby(prepare(&name)).await.unwrap().into_inner();
    (prepared.rotation.unwrap().name, old, prepared.key_text)
}

fn all_stopped(regions: &[v1::RegionStatus]) -> bool {
    !regions.is_empty() && regions.iter().all(|one| matches!(one.acceptance, Some(Acceptance::StopTime(_))))
}

#[tokio::test]
async fn completing_ends_the_old_version_now_and_each_region_says_when_it_stopped() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, old, new) = overlapping(&house).await;
    let completed = root.rotation.complete_rotation(complete(&name)).await.unwrap().into_inner();
    assert_eq!(completed.rotation.unwrap().state(), State::Completed);
    assert!(all_stopped(&completed.regions));
    assert_eq!((house.worth(&old), house.worth(&new)), (Worth::Expired(By::Version), Worth::Accepted));
    let key = completed.key.unwrap();
    assert_eq!((state_of(&key, &old), key.rotation.as_str()), (v1::version::State::Retired, ""));
    let again = root.rotation.complete_rotation(complete(&name)).await.unwrap().into_inner();
    assert_eq!((again.rotation.unwrap().state(), again.replayed), (State::Completed, false));
    for refused in [
        why(root.rotation.cancel_rotation(cancel(&name)).await),
        why(root.rotation.roll_back_rotation(roll_back(&name)).await),
    ] {
        assert_eq!(refused, is(Code::FailedPrecondition, "ROTATION_STATE"));
    }
}

#[tokio::test]
async fn cancelling_gives_up_a_standby_and_nothing_that_was_accepted() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, old, standby) = prepared(&house).await;
    for refused in [
        why(root.rotation.complete_rotation(complete(&name)).await),
        why(root.rotation.roll_back_rotation(roll_back(&name)).await),
    ] {
        assert_eq!(refused, is(Code::FailedPrecondition, "ROTATION_STATE"));
    }
    let cancelled = root.rotation.cancel_rotation(cancel(&name)).await.unwrap().into_inner();
    assert_eq!(cancelled.rotation.unwrap().state(), State::Cancelled);
    assert!(all_stopped(&cancelled.regions));
    assert_eq!((house.worth(&standby), house.worth(&old)), (Worth::Revoked(By::Version), Worth::Accepted));
    assert!(root.rotation.cancel_rotation(cancel(&name)).await.is_ok(), "once more changes nothing");

    let (name, old, new) = overlapping(&house).await;
    let refused = root.rotation.cancel_rotation(cancel(&name)).await;
    assert_eq!(why(refused), is(Code::FailedPrecondition, "ROTATION_STATE"));
    assert!(house.accepts(&old) && house.accepts(&new));
}

#[tokio::test]
async fn rolling_back_gives_the_old_version_its_whole_life_and_the_new_one_an_overlap_of_its_own() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, old, new) = overlapping(&house).await;
    house.advance(DurationMillis::from_secs(59));
    let back = root.rotation.roll_back_rotation(roll_back(&name)).await.unwrap().into_inner();
    assert_eq!(back.rotation.unwrap().state(), State::RolledBack);
    let ends = Acceptance::StopByTime(write_time(house.now().plus(DurationMillis::from_secs(60))));
    assert!(back.regions.iter().all(|one| one.acceptance == Some(ends)), "{:?}", back.regions);
    let key = back.key.unwrap();
    assert_eq!(state_of(&key, &old), v1::version::State::Active);
    assert_eq!(state_of(&key, &new), v1::version::State::Retiring);
    house.advance(DurationMillis::from_secs(59));
    assert!(house.accepts(&old) && house.accepts(&new));
    house.advance(DurationMillis::from_secs(1));
    assert!(house.accepts(&old) && house.worth(&new).is_dead());
    assert!(root.rotation.roll_back_rotation(roll_back(&name)).await.is_ok(), "once more changes nothing");
    assert!(house.accepts(&old) && house.worth(&new).is_dead());
}

#[tokio::test]
async fn rolling_back_may_end_the_new_version_at_once() {
    let house = House::new().await;
    let (name, old, new) = overlapping(&house).await;
    let request = v1::RollBackRotationRequest { overlap: Some(Duration::default()), ..roll_back(&name) };
    let back = house.root().rotation.roll_back_rotation(request).await.unwrap().into_inner();
    assert!(all_stopped(&back.regions));
    assert!(house.accepts(&old) && house.worth(&new).is_dead());
}

#[tokio::test]
async fn nothing_is_rolled_back_to_a_version_that_is_dead() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, old, new) = overlapping(&house).await;
    house.advance(DurationMillis::from_secs(60));
    let late = root.rotation.roll_back_rotation(roll_back(&name)).await;
    assert_eq!(why(late), is(Code::FailedPrecondition, "ROTATION_STATE"));
    assert!(house.worth(&old).is_dead() && house.accepts(&new));

    let (name, old, _) = overlapping(&house).await;
    let key = name.split("/rotations/").next().unwrap();
    root.keys.revoke_key(revoke(key)).await.unwrap();
    let dead = root.rotation.roll_back_rotation(roll_back(&name)).await;
    assert_eq!(dead.unwrap_err().code(), Code::FailedPrecondition);
    assert!(house.worth(&old).is_dead());
}

#[tokio::test]
async fn a_step_knows_its_repeat_and_the_etag_of_the_rotation() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, _, _) = overlapping(&house).await;
    let stale = v1::CompleteRotationRequest { etag: "0-0".to_owned(), ..complete(&name) };
    assert_eq!(why(root.rotation.complete_rotation(stale).await), is(Code::Aborted, "ETAG_MISMATCH"));
    let rotation =
        root.rotation.get_rotation(v1::GetRotationRequest { name: name.clone() }).await.unwrap().into_inner();
    let request =
        v1::CompleteRotationRequest { etag: rotation.etag, request_id: REQUEST_ID.to_owned(), ..complete(&name) };
    let first = root.rotation.complete_rotation(request.clone()).await.unwrap().into_inner();
    let again = root.rotation.complete_rotation(request).await.unwrap().into_inner();
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.revision, first.revision);
}

#[tokio::test]
async fn a_region_that_is_late_says_by_when_it_stops_and_the_step_holds() {
    let house = House::new().await;
    let (name, old, _) = overlapping(&house).await;
    house.registry.set_waiting(true);
    let completed = house.root().rotation.complete_rotation(complete(&name)).await.unwrap().into_inner();
    assert!(matches!(completed.regions[0].acceptance, Some(Acceptance::StopTime(_))));
    assert!(matches!(completed.regions[1].acceptance, Some(Acceptance::StopByTime(_))));
    assert!(house.worth(&old).is_dead());
}

#[tokio::test]
async fn what_is_no_rotation_is_not_found() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, _) = house.key().await;
    let name = format!("{key}/rotations/0000000000000000");
    for refused in [
        why(root.rotation.get_rotation(v1::GetRotationRequest { name: name.clone() }).await),
        why(root.rotation.complete_rotation(complete(&name)).await),
        why(root.rotation.cancel_rotation(cancel(&name)).await),
        why(root.rotation.roll_back_rotation(roll_back(&name)).await),
    ] {
        assert_eq!(refused, is(Code::NotFound, "NOT_FOUND"));
    }
    let wrong = v1::RollBackRotationRequest { overlap: Some(Duration { seconds: -1, nanos: 0 }), ..roll_back(&key) };
    assert_eq!(why(root.rotation.roll_back_rotation(wrong).await), is(Code::InvalidArgument, "FIELD_INVALID"));
}
