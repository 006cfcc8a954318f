//! A key that nobody replaces: whoever is to know is told before it ends, in one entry and by one call of their webhook,
//! also where whoever drives is stopped and another comes.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod cluster;
mod hook;

use cluster::Cluster;
use hook::Hook;
use latchkey_wire::pb::v1;
use prost_types::{Duration, FieldMask};
use std::time::Duration as StdDuration;

const KEYSPACE: &str = "tenants/acme/keyspaces/live";

/// Longer than anything here takes.
const WITHIN: StdDuration = StdDuration::from_secs(120);

/// Notice is given so long before, of a key that lives somewhat longer.
const NOTICE: Duration = Duration { seconds: 3_600, nanos: 0 };
const LIFE: Duration = Duration { seconds: 3_602, nanos: 0 };

/// A keyspace whose contacts have a webhook, with one notice.
async fn furnish(root: &mut latchkey_api::Clients, hook: &Hook) {
    let contacts = vec![hook.url()];
    let tenant = Some(v1::Tenant { contacts, ..Default::default() });
    let tenant = v1::CreateTenantRequest { tenant_id: "acme".to_owned(), tenant, ..Default::default() };
    root.directory.create_tenant(tenant).await.unwrap();
    let keyspace = v1::Keyspace {
        prefix: "acme_live".to_owned(),
        environment: "production".to_owned(),
        expiry_notices: Some(v1::ExpiryNotices { before: vec![NOTICE] }),
        ..Default::default()
    };
    let keyspace = v1::CreateKeyspaceRequest {
        parent: "tenants/acme".to_owned(),
        keyspace_id: "live".to_owned(),
        keyspace: Some(keyspace),
        ..Default::default()
    };
    root.directory.create_keyspace(keyspace).await.unwrap();
}

async fn make_key(root: &mut latchkey_api::Clients, lifetime: Duration) -> String {
    let expiry = Some(v1::create_key_request::Expiry::Lifetime(lifetime));
    let request = v1::CreateKeyRequest { parent: KEYSPACE.to_owned(), expiry, ..Default::default() };
    root.keys.create_key(request).await.unwrap().into_inner().key.unwrap().name
}

/// The entries on keys that soon end, each by its key.
async fn notices(root: &mut latchkey_api::Clients) -> Vec<String> {
    let request = v1::ListEntriesRequest { filter: "action = key.expires_soon".to_owned(), ..Default::default() };
    let Ok(listed) = root.audit.list_entries(request).await else { return Vec::new() };
    listed.into_inner().entries.into_iter().map(|entry| entry.subject).collect()
}

/// Waits until a key is among them.
async fn until_told(root: &mut latchkey_api::Clients, key: &str) {
    let told = async {
        while !notices(root).await.iter().any(|told| told == key) {
            tokio::time::sleep(StdDuration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WITHIN, told).await.expect("whoever drives tells");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_soon_ends_is_told_of_by_one_entry_and_one_webhook_whoever_drives() {
    let hook = Hook::start().await;
    let mut cluster = Cluster::found(&hook).await;
    let mut root = cluster.root();
    furnish(&mut root, &hook).await;
    let short = make_key(&mut root, NOTICE).await;
    let key = make_key(&mut root, LIFE).await;
    until_told(&mut root, &key).await;
    let call = hook.next(WITHIN).await;
    assert!(call.contains("\"type\":\"key.expires_soon\"") && call.contains(&key), "{call}");
    assert!(call.contains("expires_at: 20"), "it says when: {call}");

    // Another process drives, and has a key of its own to tell of: by then it has looked at the first as well.
    cluster.replace_driver().await;
    let second = make_key(&mut root, LIFE).await;
    until_told(&mut root, &second).await;
    let call = hook.next(WITHIN).await;
    assert!(call.contains(&second), "{call}");

    // The first is moved: its new end is told of anew, to its contacts as well, whatever they were told today.
    let moved = v1::Key { name: key.clone(), expire_time: Some(cluster.after(LIFE)), ..Default::default() };
    let request = v1::UpdateKeyRequest {
        key: Some(moved),
        update_mask: Some(FieldMask { paths: vec!["expire_time".to_owned()] }),
        ..Default::default()
    };
    root.keys.update_key(request).await.unwrap();
    let told_again = async {
        while notices(&mut root).await.iter().filter(|told| **told == key).count() < 2 {
            tokio::time::sleep(StdDuration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WITHIN, told_again).await.expect("a new end is told of anew");
    let mut told = notices(&mut root).await;
    told.sort_unstable();
    let mut expected = vec![key.clone(), key.clone(), second];
    expected.sort_unstable();
    assert_eq!(told, expected, "and nobody of {short}, which lives no longer than its notice");
    let call = hook.next(WITHIN).await;
    assert!(call.contains(&key), "{call}");
    assert_eq!(hook.count(), 3);
    cluster.stop().await;
}
