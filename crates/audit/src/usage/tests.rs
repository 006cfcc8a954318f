//! What is asked equals a plain sum over everything that was put in.

use super::counts::{COUNTRY_UNKNOWN, LAST_USED};
use super::query::{Found, Primary, Query, SERIES_MAX, Shown, Subject, Value};
use super::series;
use crate::collect::tests::{MINUTE, Ring, answer, batch, cell, id, open};
use crate::collect::{Batch, Observed, Tier};
use latchkey_domain::{KeyId, NodeId, TenantNumber};
use latchkey_wire::pb::internal::v1 as pb;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

const TENANT: TenantNumber = TenantNumber(1);

fn key(number: u64) -> KeyId {
    KeyId::from_bytes(id(number).try_into().unwrap()).unwrap()
}

fn query(subject: Subject, tier: Tier, minutes: std::ops::Range<u64>) -> Query {
    let step = |minute: u64| u32::try_from((MINUTE + minute) / u64::from(tier.step_minutes())).unwrap();
    Query {
        subject,
        tier,
        steps: step(minutes.start)..step(minutes.end - 1) + 1,
        primary: None,
        by_region: false,
        by_outcome: false,
        by_status_class: false,
        top_n: 10,
        keyspace: None,
        regions: None,
        outcomes: None,
    }
}

/// Series by what they differ by, with their points.
fn shown(found: &[Found]) -> BTreeMap<String, BTreeMap<u32, u64>> {
    let points = |found: &Found| found.points.iter().map(|(step, counts)| (*step, counts.requests())).collect();
    found.iter().map(|found| (format!("{:?}", found.label), points(found))).collect()
}

/// One cell, as the naive twin keeps it: node, tenant, keyspace, owner, key, minute, outcome, requests.
type Row = (u64, u32, u32, u32, u64, u64, u16, u64);

fn row() -> impl Strategy<Value = Row> {
    (1..4_u64, 1..3_u32, 1..4_u32, 1..4_u32, 0..8_u64, 0..4_000_u64, 1..9_u16, 1..100_u64)
}

/// A key has one owner here: what is told of a key is all that it was used for, whoever owned it when.
fn owned(row: Row) -> Row {
    let (node, tenant, keyspace, _, number, minute, outcome, requests) = row;
    (node, tenant, keyspace, 1 + u32::try_from(number % 3).unwrap(), number, minute, outcome, requests)
}

fn as_cell((_, tenant, keyspace, owner, number, minute, outcome, requests): Row) -> pb::UsageCell {
    let mut outcomes = vec![0; usize::from(outcome) + 1];
    outcomes[usize::from(outcome)] = requests;
    // A key lies in one keyspace.
    pb::UsageCell { owner: Some(owner), ..cell(tenant, keyspace, number * 4 + u64::from(keyspace), minute, &outcomes) }
}

/// How the rows are asked for.
#[derive(Clone, Debug)]
struct Asking {
    subject: u8,
    primary: Option<Primary>,
    by_region: bool,
    by_outcome: bool,
    tier: Tier,
    start: u64,
    minutes: u64,
    only_valid: bool,
    only_region: bool,
}

fn asking() -> impl Strategy<Value = Asking> {
    let primary = prop::option::of(prop::sample::select(vec![Primary::Key, Primary::Owner, Primary::Keyspace]));
    let tier = prop::sample::select(vec![Tier::Minutes, Tier::Hours, Tier::Days]);
    (0..5_u8, primary, any::<bool>(), any::<bool>(), tier, (0..4_000_u64, 1..4_000_u64), any::<bool>(), any::<bool>())
        .prop_map(|(subject, primary, by_region, by_outcome, tier, (start, minutes), only_valid, only_region)| Asking {
            subject,
            primary,
            by_region,
            by_outcome,
            tier,
            start,
            minutes,
            only_valid,
            only_region,
        })
}

fn naive(rows: &[Row], query: &Query, regions: &[String]) -> BTreeMap<String, BTreeMap<u32, u64>> {
    let mut series = BTreeMap::<String, BTreeMap<u32, u64>>::new();
    for (node, tenant, keyspace, owner, number, minute, outcome, requests) in rows {
        let number = key(number * 4 + u64::from(*keyspace));
        let step = u32::try_from((MINUTE + minute) / u64::from(query.tier.step_minutes())).unwrap();
        let region = regions.iter().position(|region| *region == format!("region-{}", node % 2)).unwrap();
        let region = u16::try_from(region).unwrap();
        let is_asked = match query.subject {
            Subject::All => true,
            Subject::Tenant(of) => of.0 == *tenant,
            Subject::Keyspace(of, one) => (of.0, one) == (*tenant, *keyspace),
            Subject::Owner(of, one) => (of.0, one) == (*tenant, *owner),
            Subject::Key(of, one, key) => (of.0, one, key) == (*tenant, *keyspace, number),
        };
        let counts = query.outcomes.as_ref().is_none_or(|outcomes| outcomes.contains(outcome))
            && query.regions.as_ref().is_none_or(|regions| regions.contains(&region));
        if !is_asked || !counts || !query.steps.contains(&step) {
            continue;
        }
        let tenant = TenantNumber(*tenant);
        let label = super::query::Label {
            primary: query.primary.map(|primary| match primary {
                Primary::Key => Value::Key(tenant, *keyspace, number),
                Primary::Owner => Value::Owner(tenant, *owner),
                _ => Value::Keyspace(tenant, *keyspace),
            }),
            region: query.by_region.then_some(region),
            outcome: query.by_outcome.then_some(*outcome),
            status_class: None,
        };
        *series.entry(format!("{label:?}")).or_default().entry(step).or_default() += requests;
    }
    series
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn what_is_asked_equals_a_plain_sum_over_everything_that_was_put_in(
        batches in prop::collection::vec((prop::collection::vec(row(), 0..20), 0..4_u8), 1..12),
        askings in prop::collection::vec(asking(), 12),
    ) {
        let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
        let mut observed = open(folder.path(), &ring);
        let mut rows = Vec::new();
        for ((number, (batch_rows, then)), node) in (1..).zip(batches).zip([1, 2, 3].into_iter().cycle()) {
            let mine = batch_rows.into_iter().map(|row| owned((node, row.1, row.2, row.3, row.4, row.5, row.6, row.7)));
            let mine: Vec<_> = mine.collect();
            observed.take(&batch(node, 1, number, mine.iter().copied().map(as_cell).collect())).unwrap();
            rows.extend(mine);
            match then {
                0 => observed.flush().unwrap(),
                1 => observed.merge(u64::MAX / 2).unwrap(),
                2 => {
                    drop(observed);
                    observed = open(folder.path(), &ring);
                }
                _ => {}
            }
        }
        let regions = observed.snapshot().regions;
        for one in askings {
            let subject = match one.subject {
                0 => Subject::Tenant(TENANT),
                1 => Subject::Keyspace(TENANT, 2),
                2 => Subject::Owner(TENANT, 2),
                3 => Subject::Key(TENANT, 2, key(4 + 2)),
                _ => Subject::All,
            };
            let fits = !matches!(
                (subject, one.primary),
                (Subject::Key(..), Some(Primary::Owner | Primary::Keyspace)) | (Subject::Owner(..), Some(Primary::Owner))
            );
            let query = Query {
                primary: one.primary.filter(|_| fits),
                by_region: one.by_region,
                by_outcome: one.by_outcome,
                top_n: 100,
                outcomes: one.only_valid.then(|| vec![1]),
                regions: one.only_region.then(|| vec![0]),
                ..query(subject, one.tier, one.start..one.start + one.minutes)
            };
            let answered = query.run(&observed).unwrap();
            let found = &answered.found;
            let (shown, mut all) = (shown(found), naive(&rows, &query, &regions));
            if all.len() > SERIES_MAX {
                // As many as an answer has, and none of the others has more than one of those.
                prop_assert_eq!(shown.len(), SERIES_MAX);
                let requests = |points: &BTreeMap<u32, u64>| points.values().sum::<u64>();
                let others: Vec<_> = all.extract_if(.., |label, _| !shown.contains_key(label)).collect();
                let others: Vec<_> = others.iter().map(|(_, points)| requests(points)).collect();
                prop_assert!(shown.values().map(requests).min() >= others.iter().copied().max());
                let left_out = (usize::try_from(answered.left_out_series).unwrap(), answered.left_out_requests);
                prop_assert_eq!(left_out, (others.len(), others.iter().sum()));
            } else {
                prop_assert_eq!((answered.left_out_series, answered.left_out_requests), (0, 0));
            }
            prop_assert_eq!(shown, all, "{:?}", &query);
            prop_assert!(found.iter().all(|found| !found.is_estimate));
            prop_assert!(found.is_sorted_by(|one, other| one.requests >= other.requests));
        }
    }
}

fn observed_with(cells: Vec<pb::UsageCell>) -> (tempfile::TempDir, Observed) {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    observed.take(&batch(1, 1, 1, cells)).unwrap();
    (folder, observed)
}

#[test]
fn the_top_keys_of_many_are_exact_and_say_how_much_another_may_have() {
    // Far more keys than a ranking keeps: three stand out.
    let many = u64::try_from(series::RANKED_MAX).unwrap() * 5;
    let cells =
        (0..many).map(|number| cell(1, 1, number, number % 60, &[0, if number < 3 { 50_000 - number } else { 1 }]));
    let (_folder, observed) = observed_with(cells.collect());
    let top =
        |top_n| Query { primary: Some(Primary::Key), top_n, ..query(Subject::Tenant(TENANT), Tier::Minutes, 0..1_440) };
    let found = top(3).run(&observed).unwrap().found;
    assert_eq!(found.iter().map(|found| found.requests).collect::<Vec<_>>(), [50_000, 49_999, 49_998]);
    assert!(found.iter().all(|found| !found.is_estimate), "{found:?}");
    let found = top(10).run(&observed).unwrap().found;
    assert_eq!((found.len(), found[9].requests), (10, 1));
    assert!(found[0].is_estimate && found[0].error >= 1 && found[0].error < 20, "{}", found[0].error);
    // Written and merged it reads the same.
    observed.flush().unwrap();
    observed.merge(u64::MAX / 2).unwrap();
    assert_eq!(top(3).run(&observed).unwrap().found.iter().map(|found| found.requests).sum::<u64>(), 149_997);
}

#[test]
fn what_an_answer_has_no_room_for_is_counted() {
    let (versions, more) = (SERIES_MAX as u64, 7);
    let cells = (0..versions + more).map(|number| {
        let requests = if number < more { 2 } else { 100 + number };
        pb::UsageCell { version_id: id(1_000 + number), ..cell(1, 1, 1, 0, &[0, requests]) }
    });
    let (_folder, observed) = observed_with(cells.collect());
    let of_key = query(Subject::Key(TENANT, 1, key(1)), Tier::Minutes, 0..60);
    let Shown { found, left_out_series, left_out_requests } =
        Query { primary: Some(Primary::Version), ..of_key }.run(&observed).unwrap();
    assert_eq!((found.len(), left_out_series, left_out_requests), (SERIES_MAX, 7, 14));
    assert!(found.iter().all(|found| found.requests > 2));
}

#[test]
fn networks_tell_what_they_may_miss_and_countries_where_none_are_known() {
    let network = |last: u8, count| pb::NetworkCount { network: vec![10, 0, last, 0, 24], count };
    let of = |number, minute, networks, other_networks| pb::UsageCell {
        networks,
        other_networks,
        ..cell(1, 1, number, minute, &[0, 20])
    };
    let (_folder, observed) = observed_with(vec![
        of(1, 0, vec![network(1, 12), network(2, 3)], 5),
        of(1, 61, vec![network(1, 4)], 0),
        of(2, 0, vec![network(3, 9)], 0),
    ]);
    let by = |subject, primary| Query { primary: Some(primary), ..query(subject, Tier::Hours, 0..120) };
    for again in 0..2 {
        let found = by(Subject::Tenant(TENANT), Primary::Network).run(&observed).unwrap().found;
        let told: Vec<_> = found.iter().map(|found| (found.requests, found.is_estimate, found.error)).collect();
        assert_eq!(told, [(16, true, 5), (9, true, 5), (3, true, 5)], "{again}");
        assert_eq!(found[0].points.len(), 2);
        let found = by(Subject::Key(TENANT, 1, key(2)), Primary::Network).run(&observed).unwrap().found;
        assert_eq!(found.iter().map(|found| (found.requests, found.is_estimate)).collect::<Vec<_>>(), [(9, false)]);
        assert!(by(Subject::Owner(TENANT, 1), Primary::Network).run(&observed).is_err());
        assert!(
            by(Subject::Tenant(TENANT), Primary::Country).run(&observed).unwrap().found.is_empty(),
            "there is no database"
        );
        observed.flush().unwrap();
    }
    assert_eq!(super::countries::code_of(COUNTRY_UNKNOWN), "");
}

#[test]
fn when_a_key_was_last_used_is_known_whatever_the_range_is() {
    let (_folder, observed) = observed_with(vec![cell(1, 1, 1, 0, &[0, 1]), cell(1, 1, 1, 3_000, &[0, 1])]);
    let early = || query(Subject::Key(TENANT, 1, key(1)), Tier::Minutes, 0..60);
    for _ in 0..2 {
        let found = early().run(&observed).unwrap().found;
        assert_eq!((found[0].requests, found[0].last_used_ms), (1, Some((MINUTE + 3_000) * 60_000 + 7)));
        let versions = Query { primary: Some(Primary::Version), ..early() }.run(&observed).unwrap().found;
        assert_eq!(versions[0].last_used_ms, found[0].last_used_ms);
        assert!(found[0].points.values().all(|counts| counts.of(LAST_USED) == 0));
        observed.flush().unwrap();
    }
}

#[test]
fn what_the_protected_api_reports_is_told_beside_validations_and_by_status_class() {
    let reported = pb::ReportedUsage {
        requests: 7,
        status_classes: vec![0, 4, 0, 2, 1],
        request_bytes: 100,
        response_bytes: 1_000,
        latency: vec![0, 7],
        load_milli: 3_500,
        ..Default::default()
    };
    let (_folder, observed) = observed_with(vec![pb::UsageCell { reported: Some(reported), ..cell(1, 1, 1, 0, &[]) }]);
    let by_class = Query { by_status_class: true, ..query(Subject::Keyspace(TENANT, 1), Tier::Hours, 0..60) };
    let found = by_class.run(&observed).unwrap().found;
    assert_eq!(found.iter().map(|found| found.requests).collect::<Vec<_>>(), [4, 2, 1]);
    let found = query(Subject::Keyspace(TENANT, 1), Tier::Days, 0..60).run(&observed).unwrap().found;
    assert_eq!((found.len(), found[0].requests), (1, 0));
}

#[test]
fn a_number_keeps_its_name_and_a_name_has_its_newest_number() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    let name = |number, name: &str| pb::ObservedName {
        kind: pb::observed_name::Kind::Keyspace.into(),
        number,
        tenant: 1,
        name: name.to_owned(),
    };
    for (batch, number) in [(1, 4), (2, 9)] {
        let names = vec![name(number, "tenants/a/keyspaces/k")];
        let answer = pb::TakeObservationsResponse { names, ..answer(1, 1, batch, Vec::new()) };
        observed.take(&Batch::read(NodeId(1), answer).unwrap().unwrap()).unwrap();
        observed.flush().unwrap();
    }
    observed.merge(u64::MAX / 2).unwrap();
    let kind = super::names::Kind::Keyspace;
    assert_eq!(observed.numbered(TENANT, kind, "tenants/a/keyspaces/k").unwrap(), Some(9));
    assert_eq!(observed.name(TENANT, kind, 4).unwrap().as_deref(), Some("tenants/a/keyspaces/k"));
    assert_eq!(observed.name(TENANT, kind, 5).unwrap(), None);
    assert_eq!(observed.numbered(TenantNumber(2), kind, "tenants/a/keyspaces/k").unwrap(), None);
}
