//! What a search finds, page by page.

use crate::script::{CLUSTER, Script, usual};
use crate::setting::{Following, everything, options, soon};
use latchkey_audit::journal::{Frame, Journal, JournalOptions};
use latchkey_audit::{Cursor, Entries, Found, SCAN_ENTRIES_MAX, Search, Vault, Visible};
use latchkey_domain::{TenantNumber, UnixMillis};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::task::JoinHandle;
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
    for indexed in [false, true] {
        let indexing = indexed.then(|| following.index(folder.path()));
        if indexed {
            following.indexed(COUNT).await;
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
        indexing.inspect(JoinHandle::abort);
    }
    following.stop().await;
}

#[tokio::test]
async fn the_index_finds_what_a_walk_finds_over_runs_a_tail_and_what_comes_meanwhile() {
    let (folder, script) = (TempDir::new().unwrap(), Script::with(2_500));
    let following = filled(&script, &folder).await;
    let searches = || {
        [
            ("key = \"tenants/t3/keyspaces/live/keys/0000000000000007\"", Visible::All),
            ("action = key.revoked AND actor = \"tenants/t1/identities/a\"", Visible::Tenants(vec![TenantNumber(4)])),
            ("time >= \"2026-01-01T00:20:00Z\" AND time < \"2026-01-01T00:21:00Z\"", Visible::All),
            ("action != key.created", Visible::Tenants(vec![TenantNumber(2)])),
            ("actor = nobody", Visible::All),
        ]
    };
    let mut walked = Vec::new();
    for (filter, visible) in searches() {
        walked.push(sequences(&following.all(&search(filter, visible), Cursor::From(0), 1_000).await));
    }
    let indexing = following.index(folder.path());
    following.indexed(2_500).await;
    for ((filter, visible), walked) in searches().into_iter().zip(&walked) {
        let search = search(filter, visible);
        let found = following.all(&search, Cursor::From(0), 50).await;
        assert_eq!(&sequences(&found), walked, "{filter}");
        let mut found = sequences(&following.all(&search, Cursor::Below(u64::MAX), 50).await);
        found.reverse();
        assert_eq!(&found, walked, "{filter}, newest first");
    }
    // What comes is found whether it was indexed already or not, and once.
    script.happen((2_500..4_000).map(usual));
    following.stored(4_000).await;
    let (filter, visible) = searches()[0].clone();
    let found = following.all(&search(filter, visible), Cursor::Below(u64::MAX), 7).await;
    let expected = walked[0].len() + (2_500..4_000).filter(|number| number % 4 == 3 && number % 50 == 7).count();
    assert_eq!(found.len(), expected);
    indexing.abort();
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
            let page = following.entries.list(&everything(), cursor, 33, soon()).await.unwrap();
            down.extend(sequences(&page.found));
            below = page.next;
        }
        if let Some(cursor) = from {
            let page = following.entries.list(&everything(), cursor, 71, soon()).await.unwrap();
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
    let mut journal = Journal::open_or_create(folder.path(), CLUSTER, JournalOptions::default()).unwrap();
    // Of a tenant that is not seen, so that nothing is ever opened.
    let other = Frame::new([7; 57], Some(TenantNumber(2)), vec![0; 100]);
    journal.writer.append(&vec![other; usize::try_from(SCAN_ENTRIES_MAX).unwrap() + 1_000]).unwrap();
    let entries = Entries::new(journal.reader, Arc::new(Vault::new(Script::new())));

    let mine = search("", Visible::Tenants(vec![TenantNumber(9)]));
    let page = entries.list(&mine, Cursor::From(0), 10, soon()).await.unwrap();
    assert_eq!((page.found.len(), page.next), (0, Some(Cursor::From(SCAN_ENTRIES_MAX))));
    let page = entries.list(&mine, page.next.unwrap(), 10, soon()).await.unwrap();
    assert_eq!((page.found.len(), page.next), (0, None));
    let page = entries.list(&mine, Cursor::Below(u64::MAX), 10, soon()).await.unwrap();
    assert_eq!(page.next, Some(Cursor::Below(1_000)));

    // A caller in a hurry gets less, and never nothing for ever.
    let page = entries.list(&mine, Cursor::From(0), 10, Instant::now()).await.unwrap();
    let Some(Cursor::From(next)) = page.next else { panic!("{:?}", page.next) };
    assert!(0 < next && next < SCAN_ENTRIES_MAX, "{next}");
}
