//! What retention took, as callers see it: they are told that it is gone and from where to go on, and never shown a hole as if
//! nothing had been there.

use crate::house::{Client, House, World, everything, in_thread, is, why};
use latchkey_audit::collect::{Batch, Observed};
use latchkey_domain::{Duty, NodeId, UnixMillis};
use latchkey_telemetry::{Clock as _, SystemClock};
use latchkey_wire::pb::internal::v1 as pb;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::watch_entries_response::Item;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;

/// A tenant with so many owners, an auditor of all and one of it alone.
async fn world(owners: u64) -> Arc<World> {
    let world = World::new().await;
    world.create_tenant("acme").await;
    for number in 0..owners {
        world.create_owner("acme", &format!("owner-{number}")).await;
    }
    world.knows("auditor", &[(Duty::Auditor, "")]);
    world.knows("acme", &[(Duty::Auditor, "tenants/acme")]);
    world
}

/// Takes the entries of all full bundles away, as if they were old; tells from where on there are some.
async fn retire(house: &House) -> u64 {
    house.caught_up().await;
    house.published().await;
    let archive = house.entries.log().archive().unwrap();
    assert!(archive.retire(Duration::ZERO, UnixMillis::LAST).await.unwrap() > 0);
    let kept_from = house.entries.log().kept_from();
    assert!((256..house.world.entries()).contains(&kept_from), "{kept_from}");
    kept_from
}

fn fact(status: &Status, key: &str) -> u64 {
    status.get_details_error_info().unwrap().metadata[key].parse().unwrap()
}

/// Watches from a sequence on; the entries up to the first mark, or how the stream ended.
async fn watch(client: &mut Client, from: u64) -> Result<Vec<u64>, Status> {
    let request = v1::WatchEntriesRequest { from_sequence: Some(from), ..Default::default() };
    let mut stream = client.watch_entries(request).await?.into_inner();
    let mut sequences = Vec::new();
    loop {
        match stream.message().await?.unwrap().item.unwrap() {
            Item::Entry(entry) => sequences.push(entry.sequence),
            Item::NextSequence(_) if sequences.is_empty() => {}
            Item::NextSequence(_) => return Ok(sequences),
        }
    }
}

#[tokio::test]
async fn a_watch_from_an_entry_that_is_gone_ends_and_says_from_where_to_go_on() {
    let (world, folder) = (world(600).await, TempDir::new().unwrap());
    let house = House::archived(&world, folder.path()).await;
    let kept_from = retire(&house).await;
    for word in ["auditor", "acme"] {
        let mut client = house.client(word);
        for from in [0, 100, kept_from - 1] {
            let status = watch(&mut client, from).await.unwrap_err();
            assert_eq!((fact(&status, "asked"), fact(&status, "kept_from")), (from, kept_from), "{status:?}");
            assert!(status.message().contains(&kept_from.to_string()), "{}", status.message());
            assert_eq!(why::<()>(Err(status)), is(Code::OutOfRange, "ENTRIES_NOT_KEPT"), "{word} from {from}");
        }
        // What it said leads on without a hole.
        let sequences = watch(&mut client, kept_from).await.unwrap();
        assert!((kept_from..).zip(&sequences).all(|(expected, found)| expected == *found), "{sequences:?}");
    }
    house.stop().await;
}

#[tokio::test]
async fn a_list_says_from_where_on_entries_are_kept() {
    let (world, folder) = (world(600).await, TempDir::new().unwrap());
    let house = House::archived(&world, folder.path()).await;
    house.caught_up().await;
    let mut auditor = house.client("auditor");
    let before = auditor.list_entries(everything()).await.unwrap().into_inner();
    assert_eq!((before.kept_from, before.entries[0].sequence), (0, 0));
    let kept_from = retire(&house).await;
    // From the oldest on, from the newest on, by a token of before, and where nothing matches any more.
    let token = v1::ListEntriesRequest { page_token: before.next_page_token.clone(), ..everything() };
    let newest = v1::ListEntriesRequest { order_by: "sequence desc".to_owned(), page_size: 1_000, ..everything() };
    let gone = v1::ListEntriesRequest { filter: "action = tenant.created".to_owned(), ..everything() };
    for (request, first, last) in [
        (everything(), Some(kept_from), None),
        (token, Some(kept_from), None),
        (newest, Some(world.entries() - 1), Some(kept_from)),
        (gone, None, None),
    ] {
        let page = auditor.list_entries(request.clone()).await.unwrap().into_inner();
        assert_eq!(page.kept_from, kept_from, "{request:?}");
        assert_eq!(page.entries.first().map(|entry| entry.sequence), first, "{request:?}");
        if let Some(last) = last {
            assert_eq!(page.entries.last().map(|entry| entry.sequence), Some(last), "{request:?}");
        }
    }
    house.stop().await;
}

/// What one replica saw at that time of a version of the tenant: three requests, and a line about each.
fn seen(tenant: u32, number: u64, at_ms: u64) -> Batch {
    let ids = || (vec![1; 12], vec![1; 12]);
    let ((key_id, version_id), minute) = (ids(), at_ms / MINUTE_MS);
    let cell = pb::UsageCell { tenant, key_id, version_id, minute, outcomes: vec![0, 3], ..Default::default() };
    let (key_id, version_id) = ids();
    let line = pb::AccessRecord {
        kind: pb::access_record::Kind::Denied.into(),
        tenant: Some(tenant),
        key_id,
        version_id,
        count: 1,
        first_unix_ms: at_ms,
        last_unix_ms: at_ms,
        ..Default::default()
    };
    let answer = pb::TakeObservationsResponse {
        node_id: 1,
        incarnation: 1,
        batch: number,
        cells: vec![cell],
        records: vec![line.clone(), line.clone(), line],
        ..Default::default()
    };
    Batch::read(NodeId(1), answer).unwrap().unwrap()
}

async fn observed_now_and_long_ago(house: &House, folder: &TempDir, now_ms: u64) -> Observed {
    let acme = house.world.memory.state().tenant(&crate::house::tenant("acme")).unwrap().number.0;
    let observed = house.observes(folder.path()).await;
    let (store, batches) = (observed.clone(), [(1, now_ms - 2_000 * DAY_MS), (2, now_ms)]);
    in_thread(move || {
        for (number, at_ms) in batches {
            store.take(&seen(acme, number, at_ms)).unwrap();
        }
        store.flush().unwrap();
        store.expire(now_ms).unwrap();
    })
    .await;
    observed
}

fn stamp(at_ms: u64) -> prost_types::Timestamp {
    prost_types::Timestamp { seconds: i64::try_from(at_ms / 1_000).unwrap(), nanos: 0 }
}

fn seconds(stamp: Option<prost_types::Timestamp>) -> u64 {
    u64::try_from(stamp.unwrap().seconds).unwrap()
}

#[tokio::test]
async fn usage_and_the_access_log_say_since_when_they_are_kept() {
    let (world, folder) = (world(1).await, TempDir::new().unwrap());
    let house = House::archived(&world, folder.path()).await;
    house.caught_up().await;
    let now_ms = SystemClock.unix_millis().millis();
    let observed = observed_now_and_long_ago(&house, &folder, now_ms).await;
    let (options, mut auditor) = (observed.options().clone(), house.client("auditor"));
    let long_ago = now_ms - 2_000 * DAY_MS;
    for (step, kept) in [
        (v1::query_usage_request::Step::Minute, options.minutes_kept),
        (v1::query_usage_request::Step::Hour, options.hours_kept),
        (v1::query_usage_request::Step::Day, options.days_kept),
    ] {
        let kept_since = (now_ms - u64::try_from(kept.as_millis()).unwrap()) / 1_000;
        for (at_ms, requests) in [(long_ago, 0), (now_ms, 3)] {
            let request = v1::QueryUsageRequest {
                parent: "tenants/acme".to_owned(),
                start_time: Some(stamp(at_ms - 10 * MINUTE_MS)),
                end_time: Some(stamp(at_ms + MINUTE_MS)),
                step: step.into(),
                ..Default::default()
            };
            let answer = auditor.query_usage(request).await.unwrap().into_inner();
            let found: u64 = answer.series.iter().map(|series| series.requests).sum();
            assert_eq!(found, requests, "{step:?} at {at_ms}: {answer:?}");
            // Whoever asked for what is gone can tell it from what never was.
            let told = seconds(answer.kept_since);
            assert!((kept_since..kept_since + 60).contains(&told), "{step:?}: since {told}, not {kept_since}");
        }
    }
    let kept_since = (now_ms - u64::try_from(options.lines_kept.as_millis()).unwrap()) / 1_000;
    let aged = v1::ListAccessRequest { filter: "age > 1000d".to_owned(), ..Default::default() };
    for (request, lines) in [(v1::ListAccessRequest::default(), 3), (aged, 0)] {
        for word in ["auditor", "acme"] {
            let answer = house.client(word).list_access(request.clone()).await.unwrap().into_inner();
            assert_eq!(answer.lines.len(), lines, "{word}: {request:?}");
            let told = seconds(answer.kept_since);
            assert!((kept_since..kept_since + 60).contains(&told), "since {told}, not {kept_since}");
        }
    }
    house.stop().await;
}
