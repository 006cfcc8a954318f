//! What a search finds, page by page.

use crate::script::{CLUSTER, Script, usual};
use crate::setting::{Following, everything, options, soon};
use latchkey_audit::store::{Frame, Store, StoreOptions};
use latchkey_audit::{Archive, Cursor, Found, SCAN_ENTRIES_MAX, Search, Vault, Visible};
use latchkey_domain::{TenantNumber, UnixMillis};
use latchkey_transparency::Hash;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::time::Instant;

const COUNT: u64 = 400;

async fn filled(script: &Arc<Script>, folder: &TempDir) -> Following {
    let following = Following::begin(script, folder.path(), options());
    following.stored(script.len()).await;
    following
}

fn sequences(found: &[Found]) -> Vec<u64> {
    found.iter().map(|found| found.event.sequence.0).collect()
}

fn search(filter: &str, visible: Visible) -> Search {
    Search::of_list(filter, visible, UnixMillis::default()).unwrap()
}

#[tokio::test]
async fn every_page_size_and_both_orders_find_what_a_walk_over_all_finds() {
    let (folder, script) = (TempDir::new().unwrap(), Script::with(COUNT));
    let following = filled(&script, &folder).await;
    let all = following.all(&everything(), Cursor::From(0), 1_000).await;
    assert_eq!(sequences(&all), (0..COUNT).collect::<Vec<_>>());
    for summarised in [false, true] {
        if summarised {
            for segment in following.reader.closed() {
                following.archive.summarise(&segment, soon()).await.unwrap();
            }
            assert!(following.reader.closed().len() > 5);
        }
        for filter in [
            "action = key.revoked",
            "action = \"key.*\"",
            "actor = \"tenants/t2/identities/b\" AND keyspace = \"tenants/t1/keyspaces/live\"",
            "key = \"tenants/t3/keyspaces/live/keys/0000000000000007\"",
            "subject = cluster",
            "owner = \"tenants/t1/owners/nobody\"",
            "time >= \"2026-01-01T00:02:00Z\" AND time < \"2026-01-01T00:04:00Z\"",
        ] {
            for visible in [Visible::All, Visible::Tenants(vec![TenantNumber(2), TenantNumber(4)])] {
                let search = search(filter, visible);
                let expected: Vec<_> = sequences(&all)
                    .into_iter()
                    .filter(|at| search.holds(&all[usize::try_from(*at).unwrap()].told))
                    .collect();
                for page_size in [1, 7, 1_000] {
                    let found = following.all(&search, Cursor::From(0), page_size).await;
                    assert_eq!(sequences(&found), expected, "{filter} by {page_size}");
                    let mut found = sequences(&following.all(&search, Cursor::Below(u64::MAX), page_size).await);
                    found.reverse();
                    assert_eq!(found, expected, "{filter} by {page_size}, newest first");
                }
            }
        }
    }
    following.stop().await;
}

#[tokio::test]
async fn an_auditor_of_one_tenant_never_sees_another_ones_entries_nor_the_clusters() {
    let (folder, script) = (TempDir::new().unwrap(), Script::with(COUNT));
    let following = filled(&script, &folder).await;
    let mine = search("", Visible::Tenants(vec![TenantNumber(3)]));
    let found = following.all(&mine, Cursor::From(0), 100).await;
    assert_eq!(found.len() as u64, COUNT / 4);
    for one in &found {
        assert_eq!(one.tenant, "tenants/t2");
        assert!(one.told.subject.starts_with("tenants/t2/"));
    }
    // Not even by the name of what he looks for.
    let others = search("subject = tenants/t1", Visible::Tenants(vec![TenantNumber(3)]));
    assert!(following.all(&others, Cursor::From(0), 100).await.is_empty());
    following.stop().await;
}

#[tokio::test(start_paused = true)]
async fn pages_neither_repeat_nor_miss_an_entry_while_others_are_appended() {
    let (folder, script) = (TempDir::new().unwrap(), Script::with(500));
    let following = filled(&script, &folder).await;
    let (mut down, mut up) = (Vec::new(), Vec::new());
    let (mut below, mut from) = (Some(Cursor::Below(500)), Some(Cursor::From(0)));
    let mut next = 500;
    while below.is_some() || from.is_some() {
        if let Some(cursor) = below {
            let page = following.archive.list(&everything(), cursor, 33, soon()).await.unwrap();
            down.extend(sequences(&page.found));
            below = page.next;
        }
        if let Some(cursor) = from {
            let page = following.archive.list(&everything(), cursor, 71, soon()).await.unwrap();
            up.extend(sequences(&page.found));
            from = page.next;
        }
        if next < 800 {
            script.happen((next..next + 20).map(usual));
            next += 20;
            following.stored(next).await;
        }
    }
    down.reverse();
    assert_eq!(down, (0..500).collect::<Vec<_>>());
    assert_eq!(up, (0..up.len() as u64).collect::<Vec<_>>());
    assert!(up.len() >= 500);
    following.stop().await;
}

#[tokio::test]
async fn a_page_that_would_walk_too_far_is_short_and_says_where_to_go_on() {
    let folder = TempDir::new().unwrap();
    let mut store = Store::open_or_create(folder.path(), CLUSTER, StoreOptions::default()).unwrap();
    // Of a tenant that is not seen, so that nothing is ever opened.
    let other = Frame { leaf: Hash::new([7; 32]), tenant: Some(TenantNumber(2)), sealed: vec![0; 100] };
    store.writer.append(&vec![other; usize::try_from(SCAN_ENTRIES_MAX).unwrap() + 1_000]).unwrap();
    let archive = Archive::new(store.reader, Arc::new(Vault::new(Script::new())));

    let mine = search("", Visible::Tenants(vec![TenantNumber(9)]));
    let page = archive.list(&mine, Cursor::From(0), 10, soon()).await.unwrap();
    assert_eq!((page.found.len(), page.next), (0, Some(Cursor::From(SCAN_ENTRIES_MAX))));
    let page = archive.list(&mine, page.next.unwrap(), 10, soon()).await.unwrap();
    assert_eq!((page.found.len(), page.next), (0, None));
    let page = archive.list(&mine, Cursor::Below(u64::MAX), 10, soon()).await.unwrap();
    assert_eq!(page.next, Some(Cursor::Below(1_000)));

    // A caller in a hurry gets less, and never nothing for ever.
    let page = archive.list(&mine, Cursor::From(0), 10, Instant::now()).await.unwrap();
    let Some(Cursor::From(next)) = page.next else { panic!("{:?}", page.next) };
    assert!(0 < next && next < SCAN_ENTRIES_MAX, "{next}");
}
