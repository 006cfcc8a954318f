//! Pages of the access log against a plain list of all that was put in.

use super::search::{Named, Search, kind_word};
use super::{KEY_BYTES, Line, item};
use crate::collect::tests::{MINUTE, Ring, answer, open};
use crate::collect::{Batch, Observed, ObservedError, Options, Tier};
use crate::run::CLUSTER;
use latchkey_domain::{NodeId, TenantNumber, UnixMillis};
use latchkey_wire::pb::internal::v1 as pb;
use pb::access_record::Kind;
use proptest::prelude::*;
use std::sync::Arc;

const BEGAN_MS: u64 = MINUTE * 60_000;

fn record(tenant: Option<u32>, at: u64, kind: Kind) -> pb::AccessRecord {
    pb::AccessRecord {
        kind: kind.into(),
        tenant,
        keyspace: Some(1),
        outcome: 8,
        client: vec![10, 1, 2, 3, 32],
        count: 1,
        first_unix_ms: BEGAN_MS + at,
        last_unix_ms: BEGAN_MS + at,
        ..Default::default()
    }
}

fn batch(node: u64, number: u64, records: Vec<pb::AccessRecord>) -> Batch {
    let answer = pb::TakeObservationsResponse { records, ..answer(node, 1, number, Vec::new()) };
    Batch::read(NodeId(node), answer).unwrap().unwrap()
}

/// All lines, page by page.
fn walk(
    observed: &Observed,
    whose: &[TenantNumber],
    oldest_first: bool,
    page_size: usize,
) -> Vec<(TenantNumber, Line)> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = observed.list_lines(whose, &(0..u64::MAX), oldest_first, after, page_size, |_, _| Ok(true)).unwrap();
        assert!(page.lines.len() <= page_size);
        all.extend(page.lines);
        after = page.after;
        if after.is_none() {
            return all;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn pages_show_each_line_once_in_order(
        batches in prop::collection::vec((prop::collection::vec((prop::option::of(1..4_u32), 0..3_u64, 0..90_000_000_u64), 0..90), any::<bool>()), 1..5),
        page_size in 1..120_usize,
    ) {
        let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
        let observed = open(folder.path(), &ring);
        let mut naive = Vec::new();
        for ((lines, flush), number) in batches.into_iter().zip(1..) {
            // Many of the same moment, so that the rest of the key decides.
            let records = lines.into_iter().map(|(tenant, same, at)| record(tenant, if same == 0 { 7 } else { at }, Kind::Denied));
            let one = batch(1 + number % 2, number, records.collect());
            for (tenant, part) in &one.parts {
                naive.extend(part.lines.iter().enumerate().map(|(at, line)| (item(&one, at, line).0, *tenant)));
            }
            observed.take(&one).unwrap();
            if flush {
                observed.flush().unwrap();
            }
        }
        naive.sort();
        let whose: Vec<_> = (0..4).map(TenantNumber).collect();
        let keys = |lines: Vec<(TenantNumber, Line)>| lines.into_iter().map(|(tenant, line)| (line.key, tenant)).collect::<Vec<_>>();
        prop_assert_eq!(&keys(walk(&observed, &whose, true, page_size)), &naive);
        let mut newest = keys(walk(&observed, &whose, false, page_size));
        newest.reverse();
        prop_assert_eq!(&newest, &naive);
        let mine: Vec<_> = naive.into_iter().filter(|(_, tenant)| tenant.0 == 2).collect();
        prop_assert_eq!(keys(walk(&observed, &[TenantNumber(2)], true, page_size)), mine);
    }
}

#[test]
fn lines_are_told_apart_by_every_field() {
    let line = Line {
        key: vec![0; KEY_BYTES],
        region: "eu".to_owned(),
        record: pb::AccessRecord {
            caller: "tenants/a/identities/i".to_owned(),
            method: "GET".to_owned(),
            ..record(Some(1), 0, Kind::Denied)
        },
    };
    let named =
        Named { line: &line, keyspace: "tenants/a/keyspaces/k", key: "tenants/a/keyspaces/k/keys/0000000000000001" };
    let now = UnixMillis::new(BEGAN_MS + 600_000);
    let told = Search::read("outcome = EXPIRD", now).unwrap_err();
    assert_eq!(told, "`outcome` must be a word such as VALID");
    for (filter, expected) in [
        ("", true),
        ("kind = DENIED", true),
        ("kind != DENIED", false),
        ("outcome = EXPIRED", true),
        ("outcome = VALID", false),
        ("outcome != VALID", true),
        ("keyspace = tenants/a/keyspaces/k", true),
        ("key = tenants/a/keyspaces/k/keys/0000000000000002", false),
        ("caller = tenants/a/identities/i AND method = GET AND region = eu", true),
        ("network = 10.0.0.0/8", true),
        ("network = 10.1.2.3", true),
        ("network = 10.1.2.0/29", true),
        ("network = 10.1.3.0/24", false),
        ("network != 10.0.0.0/8", false),
        ("age < 601s", true),
        ("age < 600s", false),
    ] {
        let search = Search::read(filter, now).unwrap();
        assert_eq!(search.holds(&named), expected, "{filter}");
        if expected {
            assert!(search.times().contains(&BEGAN_MS), "{filter}");
        }
    }
    for filter in ["network = nowhere", "network = 10.1.2.3/8", "kind = OTHER", "owner = x"] {
        assert!(Search::read(filter, now).is_err(), "{filter}");
    }
    let times =
        Search::read("time >= \"2026-01-01T00:00:00Z\" AND time < \"2026-01-02T00:00:00Z\"", now).unwrap().times();
    assert!(times.start > 0 && times.end < u64::MAX && times.end - times.start >= 86_400_000);
    assert_eq!((kind_word(1), kind_word(99)), ("DENIED", ""));
}

#[test]
fn lines_beyond_the_bound_of_bytes_go_by_whole_days_the_oldest_first() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let options = Options { lines_bytes_max: 6_000, ..Options::default() };
    let observed = Observed::open(folder.path(), crate::collect::tests::CLUSTER, ring, options).unwrap();
    let day = 86_400_000;
    for number in 1..4 {
        let records = (0..60).map(|at| record(Some(1), number * day + at, Kind::NoIdentity)).collect();
        observed.take(&batch(1, number, records)).unwrap();
        observed.flush().unwrap();
    }
    observed.expire(BEGAN_MS + 3 * day).unwrap();
    let left = walk(&observed, &[TenantNumber(1), CLUSTER], true, 1_000);
    assert!(!left.is_empty() && left.len() < 180 && left.len().is_multiple_of(60), "{}", left.len());
    let first = left[0].1.record.last_unix_ms;
    assert!(observed.snapshot().lines_from_ms <= first && observed.snapshot().lines_from_ms > BEGAN_MS + day);
}

#[test]
fn one_day_beyond_the_bound_of_bytes_loses_its_oldest_lines_and_shows_all_that_comes() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let options = Options { lines_bytes_max: 1_000_000, ..Options::default() };
    let (cluster, bytes_max) = (crate::collect::tests::CLUSTER, options.lines_bytes_max);
    let observed = Observed::open(folder.path(), cluster, ring.clone(), options.clone()).unwrap();
    let (five_minutes, whose) = (300_000, [TenantNumber(1)]);
    // A stranger writes: twelve hours of it, twice as much as there is room for.
    for number in 1..=150 {
        let line = |at| record(Some(1), number * five_minutes + at, Kind::Denied);
        let records = (0..24).map(|at| pb::AccessRecord { user_agent: "x".repeat(512), ..line(at) }).collect();
        observed.take(&batch(1, number, records)).unwrap();
        observed.flush().unwrap();
        let now = BEGAN_MS + number * five_minutes + 1_000;
        observed.merge(now).unwrap();
        observed.expire(now).unwrap();
        let from = observed.snapshot().lines_from_ms;
        assert!(from <= now, "kept since {from}, and it is {now}");
        if number % 30 == 0 {
            let page = observed.list_lines(&whose, &(from..u64::MAX), false, None, 24, |_, _| Ok(true)).unwrap();
            assert_eq!(page.lines.len(), 24);
            assert!(page.lines.iter().all(|(_, line)| line.record.last_unix_ms >= now - 1_000), "{number}");
        }
    }
    let kept = |observed: &Observed| {
        let runs = observed.look(|_| {});
        runs.within(Tier::Lines, 0..u32::MAX).flat_map(|(_, runs)| runs).map(|run| run.reader.bytes()).sum::<u64>()
    };
    assert!((bytes_max / 2..=bytes_max).contains(&kept(&observed)), "{} bytes", kept(&observed));
    // Nothing that is told to be kept is missing.
    let from = observed.snapshot().lines_from_ms;
    let lines = walk(&observed, &whose, true, 1_000);
    let whole = lines.iter().filter(|(_, line)| line.record.last_unix_ms >= from).count() as u64;
    let (first, last) = (from.div_ceil(five_minutes), BEGAN_MS / five_minutes + 150);
    assert_eq!(whole, (last - first + 1) * 24);
    // Once the day is over, and by another process: as before.
    drop(observed);
    let observed = Observed::open(folder.path(), cluster, ring, options).unwrap();
    let tomorrow = BEGAN_MS + 2 * 86_400_000;
    observed.merge(tomorrow).unwrap();
    observed.take(&batch(1, 151, vec![record(Some(1), 2 * 86_400_000, Kind::Denied); 500])).unwrap();
    observed.flush().unwrap();
    observed.expire(tomorrow).unwrap();
    assert!(kept(&observed) >= bytes_max / 2, "{} bytes", kept(&observed));
}

#[test]
fn a_page_ends_with_its_callers_time_and_the_next_one_goes_on_there() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    let records = (0..3_000).map(|at| record(Some(1), at, Kind::Denied)).collect();
    observed.take(&batch(1, 1, records)).unwrap();
    observed.flush().unwrap();
    let whose = [TenantNumber(1)];
    // No time is left for a second look, and nothing is found in the first.
    let hurried = observed.within(tokio::time::Instant::now() + std::time::Duration::from_millis(190));
    let list =
        |observed: &Observed, after| observed.list_lines(&whose, &(0..u64::MAX), true, after, 50, |_, _| Ok(false));
    match list(&hurried, None) {
        Ok(page) => assert!(page.lines.is_empty() && page.after.is_some()),
        // A machine that took all of the time for the first look.
        Err(error) => assert!(matches!(error, ObservedError::Late), "{error}"),
    }
    let late = observed.within(tokio::time::Instant::now());
    assert!(matches!(list(&late, None), Err(ObservedError::Late)));
    let usage = late.scan(TenantNumber(1), b"T", Tier::Days, &(0..u32::MAX), |_, _, _| {});
    assert!(usage.is_ok(), "there is nothing to read");
    assert!(list(&observed, None).unwrap().after.is_none());
}
