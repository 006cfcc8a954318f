//! `ListKeys` by filter and order.

use crate::house::{House, KEYSPACE, is, key, owner, why};
use latchkey_domain::DurationMillis;
use latchkey_wire::pb::v1;
use tonic::Code;

/// The display names of a listing, page by page.
async fn listed(house: &House, filter: &str, order_by: &str) -> Vec<String> {
    let (mut root, mut seen, mut page_token) = (house.root(), Vec::new(), String::new());
    loop {
        let request = v1::ListKeysRequest {
            parent: KEYSPACE.to_owned(),
            page_size: 2,
            page_token,
            filter: filter.to_owned(),
            order_by: order_by.to_owned(),
        };
        let page = root.keys.list_keys(request).await.unwrap().into_inner();
        seen.extend(page.keys.into_iter().map(|key| key.display_name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return seen;
        }
    }
}

/// Five keys `k0` to `k4`, a second apart, the even ones of another owner.
async fn with_keys() -> House {
    let house = House::new().await;
    let mut root = house.root();
    root.directory.create_owner(owner("acme", "even")).await.unwrap();
    for number in 0..5 {
        let mut request = v1::CreateKeyRequest { display_name: format!("k{number}"), ..key() };
        if number % 2 == 0 {
            request.owner = "tenants/acme/owners/even".to_owned();
        }
        root.keys.create_key(request).await.unwrap();
        house.registry.advance(DurationMillis::from_secs(1));
    }
    house
}

#[tokio::test]
async fn keys_are_listed_in_the_order_asked_for() {
    let house = with_keys().await;
    assert_eq!(listed(&house, "", "create_time").await, ["k0", "k1", "k2", "k3", "k4"]);
    assert_eq!(listed(&house, "", "create_time desc").await, ["k4", "k3", "k2", "k1", "k0"]);
    let mut by_name = listed(&house, "", "").await;
    by_name.sort_unstable();
    assert_eq!(by_name, ["k0", "k1", "k2", "k3", "k4"]);
}

#[tokio::test]
async fn a_filter_shows_what_matches_and_nothing_else() {
    let house = with_keys().await;
    let even = r#"owner = "tenants/acme/owners/even""#;
    assert_eq!(listed(&house, even, "create_time").await, ["k0", "k2", "k4"]);
    let both = format!(r#"{even} AND display_name = "k2""#);
    assert_eq!(listed(&house, &both, "").await, ["k2"]);
    assert_eq!(listed(&house, "age > 3s", "create_time").await, ["k0", "k1"]);
    assert!(listed(&house, "state = SUSPENDED", "").await.is_empty());
}

#[tokio::test]
async fn a_filter_or_an_order_that_is_none_and_a_token_of_another_filter_are_refused() {
    let house = with_keys().await;
    let mut root = house.root();
    let list = |filter: &str, order_by: &str, page_token: String| v1::ListKeysRequest {
        parent: KEYSPACE.to_owned(),
        page_size: 1,
        page_token,
        filter: filter.to_owned(),
        order_by: order_by.to_owned(),
    };
    let invalid = is(Code::InvalidArgument, "FIELD_INVALID");
    for (filter, order_by) in [("owner", ""), ("colour = red", ""), ("", "colour"), ("", "name asc")] {
        assert_eq!(
            why(root.keys.list_keys(list(filter, order_by, String::new())).await),
            invalid,
            "{filter} {order_by}"
        );
    }
    let page = root.keys.list_keys(list("", "create_time", String::new())).await.unwrap().into_inner();
    let token_invalid = is(Code::InvalidArgument, "PAGE_TOKEN_INVALID");
    let token = page.next_page_token;
    assert_eq!(why(root.keys.list_keys(list("age > 1s", "create_time", token.clone())).await), token_invalid);
    assert_eq!(why(root.keys.list_keys(list("", "", token)).await), token_invalid);
}
