//! Nothing that was acknowledged is lost, nothing is counted twice: over kills, cut files, repeated batches, flushes, merges.

mod formats;

use super::{Batch, Observed, Options, Taken, Tier};
use crate::run::{Keys, KeysAway, SealingKey};
use latchkey_crypto::DataKey;
use latchkey_domain::{ClusterId, NodeId, RingNumber, TenantNumber};
use latchkey_wire::pb::internal::v1 as pb;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

pub(crate) const CLUSTER: ClusterId = ClusterId([0xC1; 16]);
/// The minute in which the tests begin.
pub(crate) const MINUTE: u64 = 28_333_440;

/// Keys of any tenant, but for those that were destroyed.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    pub(crate) destroyed: Mutex<BTreeSet<TenantNumber>>,
}

impl Keys for Ring {
    fn key(&self, tenant: TenantNumber) -> Result<Option<SealingKey>, KeysAway> {
        if self.destroyed.lock().unwrap().contains(&tenant) {
            return Ok(None);
        }
        let mut key = [7; 32];
        key[..4].copy_from_slice(&tenant.0.to_be_bytes());
        Ok(Some(SealingKey { number: RingNumber(tenant.0 + 1), key: Arc::new(DataKey::new(key)) }))
    }
}

pub(crate) fn open(folder: &Path, ring: &Arc<Ring>) -> Observed {
    Observed::open(folder, CLUSTER, ring.clone(), Options::default()).unwrap()
}

pub(crate) fn id(number: u64) -> Vec<u8> {
    [&[0; 4][..], &number.to_be_bytes()].concat()
}

/// A cell with some requests of each outcome.
pub(crate) fn cell(tenant: u32, keyspace: u32, key: u64, minute: u64, outcomes: &[u64]) -> pb::UsageCell {
    pb::UsageCell {
        tenant,
        keyspace: Some(keyspace),
        key_id: id(key),
        version_id: id(key * 2),
        minute: MINUTE + minute,
        outcomes: outcomes.to_vec(),
        last_used_unix_ms: Some((MINUTE + minute) * 60_000 + 7),
        ..Default::default()
    }
}

pub(crate) fn answer(
    node: u64,
    incarnation: u64,
    batch: u64,
    cells: Vec<pb::UsageCell>,
) -> pb::TakeObservationsResponse {
    pb::TakeObservationsResponse {
        node_id: node,
        region: format!("region-{}", node % 2),
        incarnation,
        batch,
        cells,
        complete_until_unix_ms: (MINUTE + batch) * 60_000,
        ..Default::default()
    }
}

pub(crate) fn batch(node: u64, incarnation: u64, number: u64, cells: Vec<pb::UsageCell>) -> Batch {
    Batch::read(NodeId(node), answer(node, incarnation, number, cells)).unwrap().unwrap()
}

/// All that a tenant's totals say, by step.
fn totals(observed: &Observed, tenant: u32, tier: Tier) -> BTreeMap<u32, u64> {
    let mut totals = BTreeMap::new();
    let mut add = |_: &[u8], step: u32, counts: &crate::usage::counts::Counts| {
        *totals.entry(step).or_default() += counts.requests();
    };
    observed.scan(TenantNumber(tenant), b"T", tier, &(0..u32::MAX), &mut add).unwrap();
    totals
}

/// What may happen to a store.
#[derive(Clone, Debug)]
enum Step {
    /// A node hands over its next batch: cells of tenant, key, minute, requests.
    Take(u64, Vec<(u32, u64, u64, u64)>),
    /// The acknowledgement of a node's last batch was lost: it comes again.
    Repeat(u64),
    /// A node begins anew.
    Restart(u64),
    Flush,
    Merge,
    /// The process is killed, and so many bytes of a record that was not acknowledged are in the log.
    Kill(usize),
    /// It is killed while it writes.
    KillInFlush,
}

fn step() -> impl Strategy<Value = Step> {
    let cells = prop::collection::vec((1..3_u32, 0..6_u64, 0..3_000_u64, 1..9_u64), 0..6);
    prop_oneof![
        6 => (1..3_u64, cells).prop_map(|(node, cells)| Step::Take(node, cells)),
        1 => (1..3_u64).prop_map(Step::Repeat),
        1 => (1..3_u64).prop_map(Step::Restart),
        2 => Just(Step::Flush),
        1 => Just(Step::Merge),
        1 => (0..40_usize).prop_map(Step::Kill),
        1 => Just(Step::KillInFlush),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn what_was_acknowledged_is_counted_once_whatever_kills_cut_off(steps in prop::collection::vec(step(), 1..40)) {
        let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
        let mut observed = open(folder.path(), &ring);
        let mut naive = BTreeMap::<(u32, u32), u64>::new();
        let mut lives = BTreeMap::<u64, (u64, u64)>::new();
        let mut last = BTreeMap::<u64, Batch>::new();
        let mut all_days = u64::MAX;
        for step in steps {
            match step {
                Step::Take(node, cells) => {
                    let (life, number) = lives.entry(node).or_insert((1, 0));
                    *number += 1;
                    for (tenant, _, minute, requests) in &cells {
                        *naive.entry((*tenant, u32::try_from(MINUTE + minute).unwrap())).or_default() += requests;
                    }
                    let cells = cells.iter().map(|(tenant, key, minute, requests)| cell(*tenant, 1, *key, *minute, &[0, *requests]));
                    let one = batch(node, *life, *number, cells.collect());
                    prop_assert_eq!(observed.take(&one).unwrap(), Taken::New);
                    last.insert(node, one);
                }
                Step::Repeat(node) => {
                    if let Some(one) = last.get(&node) {
                        prop_assert_eq!(observed.take(one).unwrap(), Taken::Known);
                    }
                }
                Step::Restart(node) => {
                    let life = lives.entry(node).or_insert((1, 0));
                    *life = (life.0 + 1, 0);
                    last.remove(&node);
                }
                Step::Flush => observed.flush().unwrap(),
                Step::Merge => {
                    // Once as if these days were over, once as if they went on.
                    all_days = if all_days == 0 { u64::MAX / 2 } else { 0 };
                    observed.merge(all_days).unwrap();
                }
                Step::Kill(torn) => {
                    drop(observed);
                    tear(folder.path(), torn);
                    observed = open(folder.path(), &ring);
                }
                Step::KillInFlush => {
                    observed.flush_and_die();
                    drop(observed);
                    observed = open(folder.path(), &ring);
                }
            }
        }
        for tenant in 1..3 {
            let mine: BTreeMap<_, _> = naive.iter().filter(|((of, _), _)| *of == tenant).map(|((_, at), sum)| (*at, *sum)).collect();
            prop_assert_eq!(&totals(&observed, tenant, Tier::Minutes), &mine);
            for tier in [Tier::Hours, Tier::Days] {
                let mut rolled = BTreeMap::new();
                mine.iter().for_each(|(minute, sum)| *rolled.entry(minute / tier.step_minutes()).or_insert(0) += sum);
                prop_assert_eq!(totals(&observed, tenant, tier), rolled);
            }
        }
        for (node, (life, number)) in lives {
            let expected = if number == 0 { observed.position(NodeId(node)) } else { (life, number) };
            prop_assert_eq!(observed.position(NodeId(node)), expected);
        }
    }
}

/// Appends the beginning of a record to the newest segment of the log, as a kill in the middle of a write leaves it.
fn tear(folder: &Path, bytes: usize) {
    let logs = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let newest = logs.filter(|path| path.extension().is_some_and(|ending| ending == "log")).max().unwrap();
    let mut log = fs::read(&newest).unwrap();
    let record = [&1_000_u32.to_be_bytes()[..], &[9; 64]].concat();
    log.extend(&record[..bytes.min(record.len())]);
    fs::write(newest, log).unwrap();
}

#[test]
fn a_log_with_a_changed_byte_in_the_middle_is_refused_and_not_cut_off() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    for number in 1..4 {
        observed.take(&batch(1, 1, number, vec![cell(1, 1, 1, number, &[0, 1])])).unwrap();
    }
    drop(observed);
    let path = folder.path().join(format!("{:020}.log", 0));
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = Observed::open(folder.path(), CLUSTER, ring, Options::default()).unwrap_err();
    assert!(matches!(error, super::ObservedError::Damaged { .. }), "{error}");
}

#[test]
fn a_tenant_that_was_destroyed_has_no_usage_and_leaves_no_bytes() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    observed.take(&batch(1, 1, 1, vec![cell(1, 1, 1, 0, &[0, 5]), cell(2, 2, 2, 0, &[0, 7])])).unwrap();
    observed.flush().unwrap();
    observed.take(&batch(1, 1, 2, vec![cell(1, 1, 1, 1, &[0, 5]), cell(2, 2, 2, 1, &[0, 7])])).unwrap();
    ring.destroyed.lock().unwrap().insert(TenantNumber(1));
    drop(observed);
    // Neither what lies in a run nor what lies in the log opens.
    let observed = open(folder.path(), &ring);
    assert_eq!((totals(&observed, 1, Tier::Minutes).len(), totals(&observed, 2, Tier::Minutes).len()), (0, 2));
    observed.flush().unwrap();
    observed.merge(0).unwrap();
    let shelf = observed.look(|_| {});
    assert!(shelf.runs().all(|run| run.reader.tenants().all(|(tenant, _)| tenant != TenantNumber(1))));
    assert_eq!(totals(&observed, 2, Tier::Hours).values().sum::<u64>(), 14);
}

#[test]
fn a_damaged_run_is_left_out_of_merges_and_all_others_become_one() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    let write = |number| {
        observed.take(&batch(1, 1, number, vec![cell(1, 1, 1, number, &[0, 1])])).unwrap();
        observed.flush().unwrap();
    };
    (1..=8).for_each(write);
    let runs = |tier| observed.look(|_| {}).runs().filter(|run| run.entry.tier == tier).count();
    assert_eq!((runs(Tier::Minutes), runs(Tier::Hours), runs(Tier::Days)), (8, 8, 8));
    // A byte of the first block of one of them.
    let path =
        observed.look(|_| {}).runs().find(|run| run.entry.tier == Tier::Minutes).unwrap().reader.path().to_owned();
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let told = observed.merge(0).unwrap_err().to_string();
    assert!(told.contains(path.file_name().unwrap().to_str().unwrap()), "{told}");
    assert_eq!((runs(Tier::Minutes), runs(Tier::Hours), runs(Tier::Days)), (8, 1, 1));
    // It is told once, and those beside it are merged as soon as they are enough.
    observed.merge(0).unwrap();
    write(9);
    observed.merge(0).unwrap();
    assert_eq!((runs(Tier::Minutes), runs(Tier::Hours), runs(Tier::Days)), (2, 2, 2));
    // Nobody takes it away: it may be put back, and what in it is whole is read.
    assert!(path.exists());
    assert_eq!(totals(&observed, 1, Tier::Days).values().sum::<u64>(), 9);
}

#[test]
fn what_is_too_old_goes_and_the_rest_stays() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    let day = 24 * 60;
    observed.take(&batch(1, 1, 1, vec![cell(1, 1, 1, 0, &[0, 1]), cell(1, 1, 1, 4 * day, &[0, 2])])).unwrap();
    observed.flush().unwrap();
    observed.expire((MINUTE + 5 * day) * 60_000).unwrap();
    assert_eq!(totals(&observed, 1, Tier::Minutes).values().sum::<u64>(), 2);
    assert_eq!(totals(&observed, 1, Tier::Days).values().sum::<u64>(), 3);
    drop(observed);
    let files = fs::read_dir(folder.path())
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_str().unwrap().starts_with("minutes-"));
    assert_eq!(files.count(), 1);
}

#[test]
fn batches_that_never_came_and_restarts_are_told() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    let lost = |number, requests| {
        let mut answer = answer(1, 1, number, vec![cell(1, 1, 1, 0, &[0, 1])]);
        answer.lost_requests = requests;
        Batch::read(NodeId(1), answer).unwrap().unwrap()
    };
    observed.take(&lost(1, 3)).unwrap();
    observed.take(&lost(4, 5)).unwrap();
    observed.take(&batch(1, 2, 1, Vec::new())).unwrap();
    let told = |observed: &Observed| {
        let lost = observed.snapshot().lost;
        (lost.requests, lost.batches, lost.restarts)
    };
    assert_eq!(told(&observed), (8, 2, 1));
    drop(observed);
    let observed = open(folder.path(), &ring);
    assert_eq!(told(&observed), (8, 2, 1));
    observed.flush().unwrap();
    drop(observed);
    assert_eq!(told(&open(folder.path(), &ring)), (8, 2, 1));
}

#[test]
fn raw_batches_are_kept_for_who_follows_them_and_no_longer() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    observed.raw_hold("kafka", 0);
    for number in 1..5 {
        observed.take(&batch(1, 1, number, vec![cell(1, 1, number, 0, &[0, 1])])).unwrap();
        observed.flush().unwrap();
    }
    assert_eq!(*observed.raw_next().borrow(), 4);
    let page = observed.raw_read(0, 3).unwrap();
    assert_eq!((page.cells.len(), page.next, page.missed), (3, 3, 0));
    assert_eq!(page.cells[1].batch, (NodeId(1), 1, 2));
    observed.raw_hold("kafka", page.next);
    observed.take(&batch(1, 1, 5, Vec::new())).unwrap();
    observed.take(&batch(1, 1, 6, vec![cell(1, 1, 1, 0, &[0, 1])])).unwrap();
    observed.flush().unwrap();
    let late = observed.raw_read(0, 10).unwrap();
    assert_eq!((late.missed, late.cells.len(), late.next), (3, 2, 6));
}

#[test]
fn all_is_complete_before_what_the_slowest_member_has_handed_over() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    observed.take(&batch(1, 1, 3, Vec::new())).unwrap();
    observed.take(&batch(2, 1, 1, Vec::new())).unwrap();
    assert_eq!(observed.snapshot().complete_ms, None);
    observed.note_members([NodeId(1), NodeId(2)], []);
    assert_eq!(observed.snapshot().complete_ms, Some((MINUTE + 1) * 60_000));
    observed.complete(NodeId(2), 1, (MINUTE + 9) * 60_000);
    assert_eq!(observed.snapshot().complete_ms, Some((MINUTE + 3) * 60_000));
    observed.note_members([NodeId(1), NodeId(2), NodeId(3)], [NodeId(3)]);
    let snapshot = observed.snapshot();
    assert_eq!((snapshot.complete_ms, snapshot.missing), (Some(0), vec![3]));
}

#[test]
fn a_replica_that_began_anew_and_has_seen_nothing_holds_no_answer_back() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let observed = open(folder.path(), &ring);
    observed.note_members([NodeId(1)], []);
    observed.take(&batch(1, 1, 1, vec![cell(1, 1, 1, 0, &[0, 1])])).unwrap();
    let later = (MINUTE + 60) * 60_000;
    observed.complete(NodeId(1), 2, later);
    let snapshot = observed.snapshot();
    assert_eq!((snapshot.complete_ms, snapshot.lost.restarts), (Some(later), 1));
    assert_eq!(observed.position(NodeId(1)), (2, 0));
    assert_eq!(observed.take(&batch(1, 2, 1, vec![cell(1, 1, 1, 1, &[0, 1])])).unwrap(), Taken::New);
    assert_eq!(observed.snapshot().lost.restarts, 1, "it is told once");
}

#[test]
fn what_cannot_be_written_is_not_taken_once_memory_is_full() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let options = Options { memory_bytes_max: 100_000, ..Options::default() };
    let observed = Observed::open(folder.path(), CLUSTER, ring, options).unwrap();
    // Where the first run is to be written lies a folder.
    let in_the_way =
        folder.path().join(format!("minutes-{}-0-0.run", Tier::Minutes.part_of(u32::try_from(MINUTE).unwrap())));
    fs::create_dir(&in_the_way).unwrap();
    let of = |number| batch(1, 1, number, (0..100).map(|key| cell(1, 1, number * 100 + key, 0, &[0, 1])).collect());
    let mut next = 1;
    while observed.take(&of(next)).is_ok() {
        next += 1;
        assert!(next < 100, "{} bytes", observed.bytes().1);
    }
    assert!(observed.bytes().1 < 300_000, "{}", observed.bytes().1);
    assert_eq!(observed.position(NodeId(1)), (1, next - 1), "what was refused is not acknowledged");
    fs::remove_dir(&in_the_way).unwrap();
    assert_eq!(observed.take(&of(next)).unwrap(), Taken::New);
    assert_eq!(totals(&observed, 1, Tier::Days).values().sum::<u64>(), next * 100);
}
