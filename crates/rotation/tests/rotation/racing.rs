//! Several processes at once on one key: each step is one write, so it does not matter who takes it.

use crate::house::{House, REQUEST_ID, complete, is, roll_back, rotate, why};
use latchkey_wire::pb::v1;
use tonic::Code;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_rotations_at_once_one_wins_and_the_other_is_told_so() {
    let house = House::new().await;
    for _ in 0..20 {
        let (key, _) = house.key().await;
        let (mut one, mut other) = (house.root(), house.elsewhere().await);
        let answers = tokio::join!(one.rotation.rotate_key(rotate(&key)), other.rotation.rotate_key(rotate(&key)));
        let (won, lost) = match answers {
            (Ok(won), lost) => (won, lost),
            (lost, Ok(won)) => (won, lost),
            (one, other) => panic!("nobody won: {one:?} {other:?}"),
        };
        assert_eq!(why(lost), is(Code::FailedPrecondition, "ROTATION_IN_PROGRESS"));
        assert!(house.accepts(&won.into_inner().key_text));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_tries_of_one_request_at_once_both_get_the_same_text() {
    let house = House::new().await;
    for try_of in 0..20 {
        let (key, _) = house.key().await;
        let request_id = format!("{}{try_of:02}", &REQUEST_ID[..34]);
        let request = v1::RotateKeyRequest { request_id, ..rotate(&key) };
        let (mut one, mut other) = (house.root(), house.elsewhere().await);
        let (one, other) =
            tokio::join!(one.rotation.rotate_key(request.clone()), other.rotation.rotate_key(request.clone()));
        let (one, other) = (one.unwrap().into_inner(), other.unwrap().into_inner());
        assert!(one.replayed != other.replayed && !one.key_text.is_empty());
        assert_eq!((one.key_text, one.version), (other.key_text, other.version));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_is_completed_or_rolled_back_and_never_both() {
    let house = House::new().await;
    for _ in 0..20 {
        let (key, old) = house.key().await;
        let (mut one, mut other) = (house.root(), house.elsewhere().await);
        let rotated = one.rotation.rotate_key(rotate(&key)).await.unwrap().into_inner();
        let name = rotated.rotation.unwrap().name;
        let answers = tokio::join!(
            one.rotation.complete_rotation(complete(&name)),
            other.rotation.roll_back_rotation(roll_back(&name)),
        );
        assert!(house.accepts(&rotated.key_text));
        match answers {
            (Ok(_), lost) => {
                assert_eq!(why(lost), is(Code::FailedPrecondition, "ROTATION_STATE"));
                assert!(!house.accepts(&old));
            }
            (lost, Ok(_)) => {
                assert_eq!(why(lost), is(Code::FailedPrecondition, "ROTATION_STATE"));
                assert!(house.accepts(&old));
            }
            (one, other) => panic!("nobody won: {one:?} {other:?}"),
        }
    }
}
