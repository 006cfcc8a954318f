//! `GetRotation` and `ListRotations`.

use crate::house::{House, KEYSPACE, complete, hold, is, prepare, rotate, why};
use latchkey_domain::DurationMillis;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::rotation::State;
use prost_types::Duration;
use tonic::Code;

/// All of a listing, page by page.
async fn walk(house: &House, parent: &str, page_size: i32) -> Vec<v1::Rotation> {
    let (mut root, mut seen, mut page_token) = (house.root(), Vec::new(), String::new());
    loop {
        let request =
            v1::ListRotationsRequest { parent: parent.to_owned(), page_size, page_token, ..Default::default() };
        let page = root.rotation.list_rotations(request).await.unwrap().into_inner();
        assert!(page.rotations.len() <= usize::try_from(page_size).unwrap() && page.revision.is_some());
        seen.extend(page.rotations);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return seen;
        }
    }
}

#[tokio::test]
async fn the_rotations_of_a_key_are_listed_newest_first_and_at_most_16_of_them_stay() {
    let house = House::new().await;
    let mut root = house.root();
    let (key, _) = house.key().await;
    let mut made = Vec::new();
    for _ in 0..18 {
        let rotation = root.rotation.rotate_key(rotate(&key)).await.unwrap().into_inner().rotation.unwrap();
        root.rotation.complete_rotation(complete(&rotation.name)).await.unwrap();
        made.push(rotation.name);
        house.advance(DurationMillis::new(1));
    }
    let standby = root.rotation.prepare_standby(prepare(&key)).await.unwrap().into_inner().rotation.unwrap();
    let listed: Vec<_> = walk(&house, &key, 5).await.into_iter().map(|one| one.name).collect();
    let expected: Vec<_> = std::iter::once(standby.name).chain(made.into_iter().rev().take(16)).collect();
    assert_eq!(listed, expected);
    let (other, _) = house.key().await;
    assert!(walk(&house, &other, 5).await.is_empty());
}

#[tokio::test]
async fn those_in_progress_of_a_keyspace_are_listed_by_the_end_of_their_overlap() {
    let house = House::new().await;
    let mut root = house.root();
    let mut expected = Vec::new();
    for minutes in [5_i64, 1, 9, 3, 7] {
        let (key, _) = house.key().await;
        let request =
            v1::RotateKeyRequest { overlap: Some(Duration { seconds: minutes * 60, nanos: 0 }), ..rotate(&key) };
        let rotation = root.rotation.rotate_key(request).await.unwrap().into_inner().rotation.unwrap();
        expected.push((minutes, rotation.name));
    }
    expected.sort_unstable();
    let (_, done) = expected.remove(2);
    root.rotation.complete_rotation(complete(&done)).await.unwrap();
    let listed = walk(&house, KEYSPACE, 2).await;
    assert!(listed.iter().all(|one| one.state() == State::Overlap));
    let names: Vec<_> = listed.into_iter().map(|one| one.name).collect();
    assert_eq!(names, expected.into_iter().map(|(_, name)| name).collect::<Vec<_>>());
}

#[tokio::test]
async fn those_in_progress_of_a_tenant_are_listed_keyspace_by_keyspace_and_by_state() {
    let house = House::new().await;
    let mut root = house.root();
    let mut expected = Vec::new();
    for parent in [KEYSPACE, "tenants/acme/keyspaces/other"] {
        for _ in 0..3 {
            let request = v1::CreateKeyRequest { parent: parent.to_owned(), ..Default::default() };
            let (key, _) = house.key_of(request).await;
            let rotation = root.rotation.rotate_key(rotate(&key)).await.unwrap().into_inner().rotation.unwrap();
            expected.push(rotation.name);
            house.advance(DurationMillis::new(1));
        }
    }
    let held = expected.remove(4);
    root.rotation.hold_rotation(hold(&held)).await.unwrap();
    let listed = walk(&house, "tenants/acme", 2).await;
    assert_eq!(listed.len(), 6);
    let names = |state: State| -> Vec<_> {
        listed.iter().filter(|one| one.state() == state).map(|one| one.name.clone()).collect()
    };
    assert_eq!((names(State::Overlap), names(State::Held)), (expected, vec![held.clone()]));
    let of = async |parent: &str, filter: &str| {
        let request =
            v1::ListRotationsRequest { parent: parent.to_owned(), filter: filter.to_owned(), ..Default::default() };
        let page = house.root().rotation.list_rotations(request).await.unwrap().into_inner();
        assert!(page.next_page_token.is_empty());
        page.rotations.into_iter().map(|one| one.name).collect::<Vec<_>>()
    };
    assert_eq!(of("tenants/acme", "state = HELD").await, [held.as_str()]);
    assert_eq!(of("tenants/acme", "state != HELD").await.len(), 5);
    assert!(of(KEYSPACE, "state = HELD").await.is_empty());
    let key = held.split_once("/rotations/").unwrap().0;
    assert_eq!(of(key, "state = HELD").await, [held.as_str()]);
    assert!(of(key, "state = COMPLETED").await.is_empty());
}

#[tokio::test]
async fn a_listing_of_nothing_and_a_foreign_token_are_refused() {
    let house = House::new().await;
    let mut root = house.root();
    let list = |parent: &str, page_token: String| v1::ListRotationsRequest {
        parent: parent.to_owned(),
        page_size: 1,
        page_token,
        ..Default::default()
    };
    for parent in ["tenants/acme/keyspaces/none", "tenants/acme/keyspaces/live/keys/0000000000000000"] {
        let refused = root.rotation.list_rotations(list(parent, String::new())).await;
        assert_eq!(why(refused), is(Code::NotFound, "NOT_FOUND"), "{parent}");
    }
    let refused = root.rotation.list_rotations(list("acme", String::new())).await;
    assert_eq!(why(refused), is(Code::InvalidArgument, "FIELD_INVALID"));

    let (key, _) = house.key().await;
    for _ in 0..2 {
        let rotation = root.rotation.rotate_key(rotate(&key)).await.unwrap().into_inner().rotation.unwrap();
        root.rotation.complete_rotation(complete(&rotation.name)).await.unwrap();
    }
    let page = root.rotation.list_rotations(list(&key, String::new())).await.unwrap().into_inner();
    assert!(!page.next_page_token.is_empty());
    let foreign = root.rotation.list_rotations(list(KEYSPACE, page.next_page_token)).await;
    assert_eq!(why(foreign), is(Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
}
