//! A repeat under the same `request_id` gets the first answer; another request under it gets none.

use latchkey_api::requests::{self, KEYSPACE, request_id};
use latchkey_api::{Furniture, Why, World, why};
use latchkey_wire::pb::v1;
use std::collections::BTreeSet;
use tonic::Code;

fn key(number: u32) -> v1::CreateKeyRequest {
    v1::CreateKeyRequest {
        request_id: request_id(number),
        metadata: [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())].into(),
        ..requests::key()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_tries_at_once_make_one_key_with_one_text() {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    let before = World::see(&mut root).await.count();
    let tries: Vec<_> = (0..100)
        .map(|_| {
            let mut clients = root.clone();
            tokio::spawn(async move { clients.keys.create_key(key(1)).await.unwrap().into_inner() })
        })
        .collect();
    let mut answers = Vec::new();
    for one in tries {
        answers.push(one.await.unwrap());
    }
    let texts: BTreeSet<_> = answers.iter().map(|answer| answer.key_text.as_str()).collect();
    assert_eq!((texts.len(), texts.contains("")), (1, false));
    // None is, where our own services lost the way to the leader and tried again.
    assert!(answers.iter().filter(|answer| !answer.replayed).count() <= 1, "one was the first");
    assert_eq!(World::see(&mut root).await.count(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_after_a_restart_shows_the_same_text() {
    let (mut house, _) = Furniture::house().await;
    let first = house.root().keys.create_key(key(1)).await.unwrap().into_inner();
    house.restart().await;
    let again = house.root().keys.create_key(key(1)).await.unwrap().into_inner();
    assert!(again.replayed);
    assert_eq!((again.key_text, again.version, again.revision), (first.key_text, first.version, first.revision));
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_a_call_waits_is_not_part_of_it_and_every_other_field_is() {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    let first = root.keys.create_key(key(1)).await.unwrap().into_inner();
    let world = World::see(&mut root).await;

    let committed = v1::WaitFor::Committed.into();
    for same in [
        v1::CreateKeyRequest { wait_for: committed, ..key(1) },
        v1::CreateKeyRequest { wait_timeout: requests::seconds(7), ..key(1) },
    ] {
        let again = root.keys.create_key(same).await.unwrap().into_inner();
        assert!(again.replayed && again.key_text == first.key_text);
    }
    let reused = Why::new(Code::AlreadyExists, "REQUEST_ID_REUSED", &[]);
    for other in [
        v1::CreateKeyRequest { display_name: "other".to_owned(), ..key(1) },
        v1::CreateKeyRequest { permissions: vec!["orders:write".to_owned()], ..key(1) },
        v1::CreateKeyRequest { metadata: [("a".to_owned(), "1".to_owned())].into(), ..key(1) },
        v1::CreateKeyRequest { owner: String::new(), ..key(1) },
        v1::CreateKeyRequest {
            expiry: Some(v1::create_key_request::Expiry::Lifetime(requests::seconds(60).unwrap())),
            ..key(1)
        },
    ] {
        assert_eq!(why(root.keys.create_key(other.clone()).await), reused, "{other:?}");
    }
    assert_eq!(World::see(&mut root).await, world);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_belongs_to_one_method_and_one_identity() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let first = root.keys.create_key(key(1)).await.unwrap().into_inner();
    let reused = Why::new(Code::AlreadyExists, "REQUEST_ID_REUSED", &[]);
    let batch = v1::BatchCreateKeysRequest { request_id: request_id(1), ..requests::keys(1) };
    assert_eq!(why(root.keys.batch_create_keys(batch).await), reused);
    let tenant = v1::CreateTenantRequest { request_id: request_id(1), ..requests::tenant("new") };
    assert_eq!(why(root.directory.create_tenant(tenant).await), reused);
    let revoke = v1::RevokeKeyRequest { request_id: request_id(1), ..requests::revoke(furniture.key_name()) };
    assert_eq!(why(root.keys.revoke_key(revoke).await), reused);

    let (_, mut deploy) = house.identity("acme", "deploy", &[(v1::Duty::Issuer, KEYSPACE)]).await;
    let theirs = deploy.keys.create_key(key(1)).await.unwrap().into_inner();
    assert!(theirs.key_text != first.key_text && theirs.version != first.version, "nobody is shown another's key text");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_leaves_its_id_free_and_a_revocation_is_repeated_at_either_service() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let refused = v1::CreateKeyRequest { permissions: vec!["billing:read".to_owned()], ..key(1) };
    assert_eq!(why(root.keys.create_key(refused).await).reason, "PERMISSION_NOT_ALLOWED");
    assert!(!root.keys.create_key(key(1)).await.unwrap().into_inner().key_text.is_empty());

    let revoke = v1::RevokeKeyRequest { request_id: request_id(2), ..requests::revoke(furniture.key_name()) };
    let first = root.keys.revoke_key(revoke.clone()).await.unwrap().into_inner();
    let again = root.revocation.revoke_key(revoke).await.unwrap().into_inner();
    assert!(again.replayed);
    assert_eq!((first.revision, first.revoke_time), (again.revision, again.revoke_time));
}
