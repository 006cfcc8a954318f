//! Listings stay whole while others write.

use latchkey_api::requests::{self, KEYSPACE};
use latchkey_api::{Clients, Furniture, House};
use latchkey_wire::pb::v1;
use std::collections::BTreeSet;

/// Walks the keys of `acme` in pages of `page_size`; `between` runs between two pages.
async fn walk(
    clients: &mut Clients,
    page_size: i32,
    mut between: impl AsyncFnMut(&[String]),
) -> (Vec<String>, Vec<v1::Revision>) {
    let (mut seen, mut revisions, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request = v1::ListKeysRequest { page_size, page_token, ..requests::list_keys(KEYSPACE) };
        let page = clients.keys.list_keys(request).await.unwrap().into_inner();
        assert!(page.keys.len() <= usize::try_from(page_size).unwrap());
        seen.extend(page.keys.into_iter().map(|key| key.name));
        revisions.extend(page.revision);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return (seen, revisions);
        }
        between(&seen).await;
    }
}

async fn names(clients: &mut Clients) -> BTreeSet<String> {
    let request = v1::ListKeysRequest { page_size: 1_000, ..requests::list_keys(KEYSPACE) };
    let page = clients.keys.list_keys(request).await.unwrap().into_inner();
    page.keys.into_iter().map(|key| key.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_between_pages_neither_repeat_a_key_nor_hide_another() {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    root.keys.batch_create_keys(requests::keys(40)).await.unwrap();
    let at_first = names(&mut root).await;

    let mut writer = root.clone();
    let (seen, revisions) = walk(&mut root, 7, async |seen: &[String]| {
        // Revoke the last that was seen, which the page token names, and make more on either side of it.
        writer.keys.revoke_key(requests::revoke(seen.last().unwrap())).await.unwrap();
        writer.keys.batch_create_keys(requests::keys(2)).await.unwrap();
    })
    .await;

    assert!(seen.is_sorted(), "pages are ordered by name");
    let distinct: BTreeSet<_> = seen.iter().cloned().collect();
    assert_eq!(distinct.len(), seen.len(), "no key is shown twice");
    assert!(distinct.is_superset(&at_first), "no key that was there is hidden");
    assert!(distinct.is_subset(&names(&mut root).await));
    let order: Vec<_> = revisions.iter().map(|revision| (revision.epoch, revision.index)).collect();
    assert!(order.len() >= 6 && order.is_sorted(), "{order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_walk_goes_on_where_it_was_after_a_restart() {
    let (mut house, _) = Furniture::house().await;
    house.root().keys.batch_create_keys(requests::keys(5)).await.unwrap();
    let all: Vec<_> = names(&mut house.root()).await.into_iter().collect();
    let first = v1::ListKeysRequest { page_size: 3, ..requests::list_keys(KEYSPACE) };
    let first = house.root().keys.list_keys(first).await.unwrap().into_inner();
    house.restart().await;
    let rest = v1::ListKeysRequest { page_token: first.next_page_token, ..requests::list_keys(KEYSPACE) };
    let rest = house.root().keys.list_keys(rest).await.unwrap().into_inner();
    let walked: Vec<_> = first.keys.into_iter().chain(rest.keys).map(|key| key.name).collect();
    assert_eq!(walked, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_listing_of_the_directory_has_pages() {
    let house = House::empty().await;
    let mut root = house.root();
    for id in ["c", "a", "b"] {
        root.directory.create_tenant(requests::tenant(id)).await.unwrap();
    }
    for id in ["c", "a", "b"] {
        root.directory.create_keyspace(requests::keyspace("a", id, id)).await.unwrap();
    }
    for id in ["z", "x", "y"] {
        root.directory.create_owner(requests::owner("a", id)).await.unwrap();
        root.directory.create_identity(requests::identity("a", id, &[])).await.unwrap();
    }
    macro_rules! walked {
        ($method:ident, $request:ident, $field:ident $(, $parent:expr)?) => {{
            let (mut seen, mut page_token) = (Vec::new(), String::new());
            loop {
                let request = v1::$request { page_size: 2, page_token, $(parent: $parent.to_owned(),)? };
                let page = root.directory.$method(request).await.unwrap().into_inner();
                assert!(page.$field.len() <= 2 && page.revision.is_some());
                seen.extend(page.$field.into_iter().map(|one| one.name));
                page_token = page.next_page_token;
                if page_token.is_empty() {
                    break seen;
                }
            }
        }};
    }
    let tenants = walked!(list_tenants, ListTenantsRequest, tenants);
    assert_eq!(tenants, ["tenants/a", "tenants/b", "tenants/c", "tenants/system"]);
    let keyspaces = walked!(list_keyspaces, ListKeyspacesRequest, keyspaces, "tenants/a");
    assert_eq!(keyspaces, ["a", "b", "c"].map(|id| format!("tenants/a/keyspaces/{id}")));
    let owners = walked!(list_owners, ListOwnersRequest, owners, "tenants/a");
    assert_eq!(owners, ["x", "y", "z"].map(|id| format!("tenants/a/owners/{id}")));
    let identities = walked!(list_identities, ListIdentitiesRequest, identities, "tenants/a");
    assert_eq!(identities, ["x", "y", "z"].map(|id| format!("tenants/a/identities/{id}")));
}
