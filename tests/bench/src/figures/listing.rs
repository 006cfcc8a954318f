//! Pages of a listing over all keys, through issuance, while keys are made.

use crate::clock;
use crate::cluster::Cluster;
use crate::table::{Table, most, say};
use latchkey_wire::pb::v1;
use std::error::Error;
use std::time::Duration;

/// What a page may take at most. Milliseconds.
const PAGE_MS_AIM: f64 = 50.0;

/// Pages of each walk. A walk with few matches passes over the whole keyspace and ends before.
const PAGES: usize = 60;

/// Keys in a page, unless a walk says otherwise.
const PAGE_SIZE: i32 = 100;

/// A walk: what it is called, its filter, its order and its page size.
const WALKS: [(&str, &str, &str, i32); 9] = [
    ("by name", "", "", PAGE_SIZE),
    ("by name, 1,000 a page", "", "", 1_000),
    ("the newest first", "", "create_time desc", PAGE_SIZE),
    ("the oldest change first", "", "update_time", PAGE_SIZE),
    ("the first to expire first", "", "expire_time", PAGE_SIZE),
    ("of an owner of few", "owner = \"tenants/acme/owners/kiosk\"", "", PAGE_SIZE),
    ("of an owner of most, newest first", "owner = \"tenants/acme/owners/checkout\"", "create_time desc", PAGE_SIZE),
    ("one name of all", "display_name = \"till 77777\"", "", PAGE_SIZE),
    ("of a state that none has", "state = SUSPENDED", "create_time", PAGE_SIZE),
];

/// Walks each listing and adds a line for its slowest page and its median one.
pub(crate) async fn measure(cluster: &Cluster, keys: usize, table: &mut Table) -> Result<(), Box<dyn Error>> {
    cluster.add_owner_of_few().await?;
    table.section(format!("Pages over {keys} keys while keys are made"), "");
    for (name, filter, order_by, page_size) in WALKS {
        // What is made meanwhile moves the state under the walk: that must not slow it down.
        let (pages, _) = tokio::join!(walk(cluster, filter, order_by, page_size), cluster.fill(2_000, usize::MAX));
        let mut pages = pages?;
        pages.sort_unstable();
        let ms = |took: Duration| took.as_secs_f64() * 1_000.0;
        say(&format!("{name}: {} pages", pages.len()));
        table.single(format!("{name}: median, ms"), ms(pages[pages.len() / 2]), None);
        table.single(format!("{name}: slowest, ms"), ms(pages[pages.len() - 1]), most(PAGE_MS_AIM));
    }
    Ok(())
}

async fn walk(
    cluster: &Cluster,
    filter: &str,
    order_by: &str,
    page_size: i32,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut client = cluster.issuer().max_decoding_message_size(16 * 1_024 * 1_024);
    let (mut pages, mut page_token) = (Vec::new(), String::new());
    while pages.len() < PAGES {
        let asked = v1::ListKeysRequest {
            parent: crate::cluster::KEYSPACE.to_owned(),
            page_size,
            page_token,
            filter: filter.to_owned(),
            order_by: order_by.to_owned(),
        };
        let since = clock::now();
        let page = client.list_keys(cluster.signed(asked)).await?.into_inner();
        pages.push(clock::now() - since);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(pages)
}
