//! A batch is made whole or not at all.

use latchkey_api::requests::{self, request_id};
use latchkey_api::{Furniture, Why, World, why};
use latchkey_wire::pb::v1::validate_key_result::Result as ItemResult;
use latchkey_wire::pb::v1::{self, Outcome};
use std::collections::BTreeSet;
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn one_item_that_is_refused_refuses_them_all() {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    let (world, events) = (World::see(&mut root).await, house.change_count().await);

    let mut malformed = requests::keys(20);
    malformed.requests[19].permissions = vec!["or*ders".to_owned()];
    malformed.requests[3].networks = vec!["10.0.0.0/33".to_owned()];
    let both =
        Why::new(Code::InvalidArgument, "FIELD_INVALID", &["requests[3].networks[0]", "requests[19].permissions[0]"]);
    assert_eq!(why(root.keys.batch_create_keys(malformed).await), both);
    let mut refused = requests::keys(20);
    refused.requests[19].permissions = vec!["billing:read".to_owned()];
    assert_eq!(why(root.keys.batch_create_keys(refused).await).reason, "PERMISSION_NOT_ALLOWED");
    let mut nobody = requests::keys(20);
    nobody.requests[7].owner = "tenants/acme/owners/nobody".to_owned();
    assert_eq!(why(root.keys.batch_create_keys(nobody).await).code, Code::NotFound);

    assert_eq!(World::see(&mut root).await, world);
    assert_eq!(house.change_count().await, events);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_over_the_quota_makes_none() {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    let mut narrow = requests::keyspace("acme", "narrow", "narrow");
    narrow.keyspace.as_mut().unwrap().quotas = Some(v1::KeyspaceQuotas { keys: Some(5), ..Default::default() });
    let parent = root.directory.create_keyspace(narrow).await.unwrap().into_inner().name;
    let batch = |count| v1::BatchCreateKeysRequest { parent: parent.clone(), ..requests::keys(count) };

    let full = Why::new(Code::ResourceExhausted, "QUOTA_EXCEEDED", &[]);
    assert_eq!(why(root.keys.batch_create_keys(batch(6)).await), full);
    assert!(root.keys.list_keys(requests::list_keys(&parent)).await.unwrap().into_inner().keys.is_empty());
    assert!(root.keys.batch_create_keys(batch(5)).await.is_ok());
    assert_eq!(why(root.keys.batch_create_keys(batch(1)).await), full);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_made_at_one_revision_in_the_order_asked_and_each_key_is_valid() {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    let mut batch = requests::keys(1_000);
    for (at, item) in batch.requests.iter_mut().enumerate() {
        item.display_name = format!("number {at}");
    }
    batch.request_id = request_id(1);
    let made = root.keys.batch_create_keys(batch.clone()).await.unwrap().into_inner();
    let names: BTreeSet<_> = made.keys.iter().map(|one| one.key.clone().unwrap().name).collect();
    let texts: BTreeSet<_> = made.keys.iter().map(|one| one.key_text.clone()).collect();
    assert_eq!((names.len(), texts.len()), (1_000, 1_000));
    for (at, one) in made.keys.iter().enumerate() {
        assert_eq!(one.key.as_ref().unwrap().display_name, format!("number {at}"));
    }

    let again = root.keys.batch_create_keys(batch).await.unwrap().into_inner();
    assert!(again.replayed && again.keys.iter().map(|one| &one.key_text).eq(made.keys.iter().map(|one| &one.key_text)));

    for part in made.keys.chunks(200) {
        let items = part.iter().enumerate().map(|(at, one)| v1::BatchValidateKeysItem {
            id: at.to_string(),
            request: Some(requests::validate(&one.key_text)),
        });
        let request = v1::BatchValidateKeysRequest { items: items.collect() };
        let results = root.validation.batch_validate_keys(request).await.unwrap().into_inner().results;
        assert_eq!(results.len(), part.len());
        for (one, result) in part.iter().zip(results) {
            let Some(ItemResult::Response(answer)) = result.result else { panic!("{result:?}") };
            assert_eq!((answer.outcome(), &answer.version), (Outcome::Valid, &one.version));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_a_validation_that_is_wrong_spoils_no_other() {
    let (house, furniture) = Furniture::house().await;
    let item = |id: &str, request| v1::BatchValidateKeysItem { id: id.to_owned(), request: Some(request) };
    let good = requests::validate(&furniture.made.key_text);
    let wrong = v1::ValidateKeyRequest { permission_query: "orders:read and".to_owned(), ..good.clone() };
    let items = vec![item("good", good), item("wrong", wrong), item("none", requests::validate("none"))];
    let answer = house.root().validation.batch_validate_keys(v1::BatchValidateKeysRequest { items }).await.unwrap();
    let results = answer.into_inner().results;
    let ids: Vec<_> = results.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["good", "wrong", "none"]);
    let outcome = |at: usize| match results[at].result.as_ref() {
        Some(ItemResult::Response(answer)) => Ok(answer.outcome()),
        Some(ItemResult::Error(error)) => Err(Code::from(error.code)),
        None => panic!("an item has a result"),
    };
    assert_eq!(
        (outcome(0), outcome(1), outcome(2)),
        (Ok(Outcome::Valid), Err(Code::InvalidArgument), Ok(Outcome::Malformed))
    );
}
