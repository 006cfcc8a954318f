//! What is refused before a handler is reached, and what becomes of refusals.

use crate::house::{House, KEYSPACE, is, key, why};
use latchkey_domain::Slug;
use latchkey_link::testing::Seeded;
use latchkey_wire::pb::v1;
use std::time::Duration;
use tonic::Code;

#[tokio::test]
async fn only_a_batch_may_be_longer_than_64_kib() {
    let house = House::new().await;
    let mut root = house.root();
    let long = v1::CreateKeyRequest { display_name: "x".repeat(65 * 1024), ..key() };
    let refused = root.keys.create_key(long.clone()).await;
    assert_eq!(why(refused), is(Code::ResourceExhausted, "MESSAGE_TOO_LONG"));
    let batch = |requests| v1::BatchCreateKeysRequest { parent: KEYSPACE.to_owned(), requests, ..Default::default() };
    let read = root.keys.batch_create_keys(batch(vec![long])).await;
    assert_eq!(why(read), is(Code::InvalidArgument, "FIELD_INVALID"), "it is read, and then refused");
    let too_long = v1::CreateKeyRequest { display_name: "x".repeat(1025 * 1024), ..key() };
    let refused = root.keys.batch_create_keys(batch(vec![too_long])).await;
    assert_eq!(why(refused), is(Code::ResourceExhausted, "MESSAGE_TOO_LONG"));
}

#[tokio::test]
async fn a_key_is_shown_to_a_replica_and_not_to_issuance() {
    let house = House::new().await;
    let made = house.root().keys.create_key(key()).await.unwrap().into_inner();
    let by_text = v1::RevokeKeyRequest { key_text: made.key_text, ..Default::default() };
    for mut clients in [house.root(), house.with(None)] {
        let status = clients.keys.revoke_key(by_text.clone()).await.unwrap_err();
        assert!(!status.message().contains(&by_text.key_text));
        assert_eq!(why::<()>(Err(status)), is(Code::Unimplemented, "NOT_SERVED_HERE"));
    }
}

/// Writes what was gathered into the audit log: how many entries that makes.
async fn entries_of_refusals(house: &House) -> u64 {
    tokio::time::pause();
    let before = house.registry.state().progress().frontier.size();
    let (service, mut entropy) = (Slug::parse("issuance").unwrap(), Seeded(7));
    let writing = house.refusals.write_into(&*house.registry, &service, &mut entropy);
    assert!(tokio::time::timeout(Duration::from_secs(3), writing).await.is_err(), "it never ends by itself");
    tokio::time::resume();
    house.registry.state().progress().frontier.size() - before
}

#[tokio::test]
async fn whatever_a_known_identity_is_refused_is_an_entry_and_what_a_stranger_is_refused_is_none() {
    let house = House::new().await;
    let (_, mut auditor) = house.identity("auditor", &[(v1::Duty::Auditor, "tenants/acme")]).await;
    let name = house.root().keys.create_key(key()).await.unwrap().into_inner().key.unwrap().name;
    assert!(house.with(None).keys.create_key(key()).await.is_err());
    assert!(house.with(Some("lkm_0000000000000000_x")).keys.create_key(key()).await.is_err());
    assert!(auditor.keys.create_key(v1::CreateKeyRequest { parent: "x".to_owned(), ..key() }).await.is_err());
    assert_eq!(entries_of_refusals(&house).await, 0);

    let suspend = v1::SuspendKeyRequest { name: name.clone(), ..Default::default() };
    assert!(auditor.keys.suspend_key(suspend).await.is_err());
    assert!(auditor.keys.create_key(key()).await.is_err());
    assert!(auditor.keys.create_key(key()).await.is_err());
    let absent = format!("{KEYSPACE}/keys/0000000000000000");
    assert!(auditor.keys.get_key(v1::GetKeyRequest { name: absent }).await.is_err());
    assert!(auditor.keys.get_key(v1::GetKeyRequest { name }).await.is_ok());
    assert_eq!(entries_of_refusals(&house).await, 3, "the same ones are one entry");
}
