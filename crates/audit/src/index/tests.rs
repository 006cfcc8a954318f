//! The index names what a walk would, whatever was merged, cut or destroyed before.

use super::shelf::IndexOptions;
use super::tail::Indexed;
use super::times::Span;
use super::*;
use crate::LogName;
use crate::run::{CLUSTER, Keys, KeysAway, Options, Reader, SealingKey};
use latchkey_crypto::DataKey;
use latchkey_domain::{ClusterId, RingNumber, TenantNumber, UnixMillis};
use latchkey_transparency::Hash;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use tempfile::TempDir;

const OF: ClusterId = ClusterId([0xC1; 16]);
/// The leaf of the first entry.
const LOG: u8 = 0xA1;
const COUNT: u64 = 7_000;
/// The tenant that tests destroy.
const FALLEN: TenantNumber = TenantNumber(3);

#[derive(Debug, Default)]
struct Ring {
    destroyed: AtomicU32,
}

impl Keys for Ring {
    fn key(&self, tenant: TenantNumber) -> Result<Option<SealingKey>, KeysAway> {
        let byte = u8::try_from(tenant.0).unwrap();
        let key = || SealingKey { number: RingNumber(tenant.0), key: Arc::new(DataKey::new([byte; 32])) };
        let is_gone = tenant != CLUSTER && self.destroyed.load(Ordering::Relaxed) == tenant.0;
        Ok((!is_gone).then(key))
    }
}

fn options() -> IndexOptions {
    let run = Options { block_bytes_max: 700, prefix_bytes: 8 };
    IndexOptions { run_entries: 1_024, runs_per_level: 2, run }
}

/// One entry of a log in which few words are found often and many seldom; every 97th cannot be read.
fn entry(sequence: u64) -> Option<Indexed> {
    let random = (sequence.wrapping_mul(0x9E37_79B9_7F4A_7C15)) >> 20;
    let tenant = TenantNumber(u32::try_from(random % 5).unwrap());
    let mut words = BTreeSet::from([Word::any(), Word::actor(["a", "b", "c"][usize::try_from(random % 3).unwrap()])]);
    words.insert(Word::action(if random % 100 < 3 { "key.revoked" } else { "key.created" }));
    words.insert(Word::within(&format!("keys/{}", random % 700)));
    // Time stands still for a while, now and then, and does not always go forward by much.
    let at = UnixMillis::new(1_000_000 + sequence / 50 * 50 + sequence % 7);
    (sequence % 97 != 13).then_some(Indexed { tenant, at, words })
}

fn add(index: &Index, from: u64, to: u64) {
    let entries: Vec<_> = (from..to).map(entry).collect();
    for (at, batch) in (from..).step_by(300).zip(entries.chunks(300)) {
        index.add(at, batch).unwrap();
    }
}

fn opened(folder: &Path, ring: &Arc<Ring>) -> Index {
    opened_over(folder, ring, LOG, u64::MAX)
}

/// As [`opened`], over a log of so many entries whose first has this leaf.
fn opened_over(folder: &Path, ring: &Arc<Ring>, leaf: u8, next: u64) -> Index {
    let log = LogName::of(&Hash::new([leaf; 32]));
    Index::open(folder, (OF, log), ring.clone(), 0..next, options()).unwrap()
}

/// An index of all entries, of whose runs some were merged.
fn made(folder: &Path, ring: &Arc<Ring>) -> Index {
    let index = opened(folder, ring);
    add(&index, 0, 3_500);
    while index.merge_one().unwrap() {}
    add(&index, 3_500, COUNT);
    index
}

fn upwards(index: &Index, plan: &Plan, from: u64, max: usize) -> Vec<u64> {
    let (mut at, mut found) = (from, Vec::new());
    while let Some(batch) = index.upwards(plan, at, max).unwrap() {
        assert!(batch.through > at && batch.sequences.len() <= max);
        found.extend(batch.sequences);
        at = batch.through;
    }
    assert_eq!(at, index.next().max(from));
    found
}

fn downwards(index: &Index, plan: &Plan, below: u64, max: usize) -> Vec<u64> {
    let (mut at, mut found) = (below, Vec::new());
    while let Some(batch) = index.downwards(plan, at, max).unwrap() {
        assert!(batch.through < at && batch.sequences.len() <= max);
        found.extend(batch.sequences);
        at = batch.through;
    }
    assert_eq!(at, 0);
    found
}

/// All entries.
fn all() -> &'static [Option<Indexed>] {
    static ALL: OnceLock<Vec<Option<Indexed>>> = OnceLock::new();
    ALL.get_or_init(|| (0..COUNT).map(entry).collect())
}

/// What a walk finds; `coarsely`: with all whose time the index cannot tell from those asked for.
fn walked(plan: &Plan, coarsely: bool) -> Vec<u64> {
    let entries = usize::try_from(times::SPAN_ENTRIES).unwrap();
    let may_be = |span: &[Option<Indexed>]| {
        let times = || span.iter().flatten().map(|one| one.at);
        times().any(|at| at <= plan.span.latest) && times().any(|at| at >= plan.span.earliest)
    };
    let spans: Vec<_> = all().chunks(entries).map(may_be).collect();
    let holds = |sequence: &usize| {
        all()[*sequence].as_ref().is_some_and(|one| {
            let of = plan.tenants.as_ref().is_none_or(|tenants| tenants.contains(&one.tenant));
            let in_span = plan.span.earliest <= one.at && one.at <= plan.span.latest;
            let in_time = in_span || (coarsely && spans[*sequence / entries]);
            of && in_time && plan.words.iter().all(|word| one.words.contains(word))
        })
    };
    (0..all().len()).filter(holds).map(|sequence| sequence as u64).collect()
}

fn plan() -> impl Strategy<Value = Plan> {
    let word = prop_oneof![
        Just(Word::any()),
        prop::sample::select(vec!["a", "b", "nobody"]).prop_map(Word::actor),
        prop::sample::select(vec!["key.created", "key.revoked"]).prop_map(Word::action),
        (0..720).prop_map(|n| Word::within(&format!("keys/{n}"))),
    ];
    let tenants = prop::option::of(prop::collection::vec((0..6_u32).prop_map(TenantNumber), 1..3));
    let time = || 999_000..1_008_000_u64;
    let span = prop_oneof![
        2 => Just(Span::ALL),
        3 => (time(), time()).prop_map(|(one, two)| Span { earliest: UnixMillis::new(one.min(two)), latest: UnixMillis::new(one.max(two)) }),
    ];
    (tenants, prop::collection::vec(word, 1..4), span).prop_map(|(tenants, words, span)| Plan { tenants, words, span })
}

static SHARED: OnceLock<(TempDir, Index)> = OnceLock::new();

fn shared() -> &'static Index {
    let (_, index) = SHARED.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let index = made(folder.path(), &Arc::default());
        (folder, index)
    });
    index
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_index_names_what_a_walk_finds_from_anywhere_in_both_orders(plan in plan(), at in 0..COUNT, max in prop::sample::select(vec![40_usize, 256])) {
        let index = shared();
        let (exact, coarse) = (walked(&plan, false), walked(&plan, true));
        let found = upwards(index, &plan, at, max);
        prop_assert!(found.is_sorted_by(|one, two| one < two));
        prop_assert!(found.iter().all(|one| coarse.contains(one)), "{:?} beyond {:?}", found, coarse);
        prop_assert!(exact.iter().filter(|one| **one >= at).all(|one| found.contains(one)));
        let mut found = downwards(index, &plan, at + 1, max);
        found.reverse();
        prop_assert!(found.is_sorted_by(|one, two| one < two));
        prop_assert!(found.iter().all(|one| coarse.contains(one)));
        prop_assert!(exact.iter().filter(|one| **one <= at).all(|one| found.contains(one)));
    }

    #[test]
    fn a_walk_skips_no_time_that_is_asked_for(plan in plan(), at in 0..COUNT) {
        let index = shared();
        let exact = walked(&Plan { tenants: None, words: Vec::new(), ..plan.clone() }, false);
        let from = index.in_time_from(at, plan.span);
        prop_assert!(from >= at && !exact.iter().any(|one| (at..from).contains(one)));
        let below = index.in_time_below(at, plan.span);
        prop_assert!(below <= at && !exact.iter().any(|one| (below..at).contains(one)));
    }
}

fn by_key() -> Plan {
    Plan { tenants: None, words: vec![Word::within("keys/7")], span: Span::ALL }
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn runs_are_few_and_what_is_behind_them_is_made_again_after_a_start() {
    let (folder, ring) = (TempDir::new().unwrap(), Arc::default());
    let index = made(folder.path(), &ring);
    while index.merge_one().unwrap() {}
    assert_eq!(index.size().0, 2, "4,096 and 2,048 entries, and the tail");
    assert_eq!(files(folder.path()).len(), 2);
    drop(index);
    let index = opened(folder.path(), &ring);
    assert_eq!((index.first(), index.next()), (0, 6_144));
    assert!(index.upwards(&by_key(), 6_144, 9).unwrap().is_none(), "nobody says that nothing is there");
    add(&index, 6_144, COUNT);
    assert_eq!(upwards(&index, &by_key(), 0, 256), walked(&by_key(), true));
    // What does not follow is nobody's, as after a part was found damaged.
    index.add(3, &[entry(3)]).unwrap();
    assert_eq!(index.next(), COUNT);
}

#[test]
fn what_a_kill_leaves_is_removed_and_what_is_missing_is_made_again() {
    let (folder, ring) = (TempDir::new().unwrap(), Arc::default());
    let index = made(folder.path(), &ring);
    let before = files(folder.path());
    drop(index);
    fs::write(folder.path().join("0-00000000000000000000-00000000000000001024.new"), b"half").unwrap();
    fs::write(folder.path().join("note"), b"something else").unwrap();
    // A merge whose parts were not removed yet.
    let index = opened(folder.path(), &ring);
    let kept: Vec<_> = before.iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    while index.merge_one().unwrap() {}
    drop(index);
    for (path, bytes) in kept {
        fs::write(path, bytes).unwrap();
    }
    let index = opened(folder.path(), &ring);
    assert_eq!((index.size().0, index.next()), (2, 6_144));
    assert_eq!(files(folder.path()).len(), 2);
    drop(index);
    // The first is gone, so that none follows.
    fs::remove_file(&files(folder.path())[0]).unwrap();
    let index = opened(folder.path(), &ring);
    let first = index.next();
    add(&index, first, COUNT);
    assert_eq!(downwards(&index, &by_key(), COUNT, 256).len(), walked(&by_key(), true).len());
}

#[test]
fn an_index_of_another_build_is_made_again_whichever_is_newer() {
    // This build reads format 1.
    for format in [0, 2] {
        let (folder, ring) = (TempDir::new().unwrap(), Arc::default());
        drop(made(folder.path(), &ring));
        let of_another_build = files(folder.path());
        for path in &of_another_build {
            let mut bytes = fs::read(path).unwrap();
            bytes[5] = format;
            fs::write(path, bytes).unwrap();
        }
        let told = Reader::open(&of_another_build[0], OF, ring.clone()).unwrap_err().to_string();
        assert!(told.contains(&format!("has format {format}, and this build reads format 1")), "{told}");
        let index = opened(folder.path(), &ring);
        assert_eq!((index.next(), files(folder.path()).len()), (0, 0));
        add(&index, 0, COUNT);
        assert_eq!(upwards(&index, &by_key(), 0, 256), walked(&by_key(), true));
    }
    let log = LogName::of(&Hash::new([LOG; 32]));
    assert_eq!(folder::unread(&[1, 7], log), "its note has format 1, and this build reads format 2");
}

#[test]
fn an_index_of_another_log_or_of_more_than_there_is_is_made_again() {
    let (folder, ring) = (TempDir::new().unwrap(), Arc::default());
    drop(made(folder.path(), &ring));
    // An older copy of the same log was put back: runs that reach beyond it are of others.
    let index = opened_over(folder.path(), &ring, LOG, 5_500);
    assert_eq!((index.next(), files(folder.path()).len()), (5_120, index.size().0));
    drop(index);
    // Another log began, and is as long.
    let index = opened_over(folder.path(), &ring, LOG + 1, COUNT);
    assert_eq!((index.next(), index.size().0, files(folder.path()).len()), (0, 0, 0));
    add(&index, 0, COUNT);
    assert_eq!(upwards(&index, &by_key(), 0, 256), walked(&by_key(), true));
}

#[test]
fn a_run_that_rots_is_let_go_and_made_again() {
    let (folder, ring) = (TempDir::new().unwrap(), Arc::default());
    let index = made(folder.path(), &ring);
    // The one in the middle, while it is open.
    let path = index.held().runs[1].reader.path().to_owned();
    let mut bytes = fs::read(&path).unwrap();
    let whole = bytes.len() - 4_000;
    bytes[200..whole].fill(0xEE);
    fs::write(&path, bytes).unwrap();
    let (mut failed, mut at) = (false, 0);
    for _ in 0..1_000 {
        match index.upwards(&Plan { words: vec![Word::any()], ..by_key() }, at, 256) {
            Ok(Some(batch)) => at = batch.through,
            Ok(None) => break,
            Err(error) => {
                failed = true;
                index.discard(&error);
            }
        }
    }
    assert!(failed && !path.exists());
    let next = index.next();
    assert!(0 < next && next < 3_000, "{next}");
    add(&index, next, COUNT);
    assert_eq!(upwards(&index, &by_key(), 0, 256), walked(&by_key(), true));
}

#[test]
fn a_destroyed_tenant_is_found_by_nobody_and_leaves_with_the_next_merge() {
    let (folder, ring) = (TempDir::new().unwrap(), Arc::<Ring>::default());
    let index = made(folder.path(), &ring);
    let of = |tenant: TenantNumber| Plan { tenants: Some(vec![tenant]), words: vec![Word::any()], span: Span::ALL };
    assert!(upwards(&index, &of(FALLEN), 0, 256).len() > 1_000);
    ring.destroyed.store(FALLEN.0, Ordering::Relaxed);
    assert_eq!(upwards(&index, &of(FALLEN), 0, 256), [0_u64; 0]);
    assert_eq!(upwards(&index, &of(TenantNumber(2)), 0, 256), walked(&of(TenantNumber(2)), true));
    let bytes = index.size().1;
    while index.merge_one().unwrap() {}
    assert!(index.size().1 < bytes);
    let held = index.held();
    let merged = &held.runs[0];
    assert!(merged.reader.tenants().all(|(tenant, _)| tenant != FALLEN));
    drop(held);
    // Entries of his that come after are numbers, and nothing else.
    index.add(COUNT, &[(COUNT..).find_map(|at| entry(at).filter(|one| one.tenant == FALLEN))]).unwrap();
    assert_eq!(index.next(), COUNT + 1);
}

#[test]
fn what_is_not_kept_any_more_before_it_was_indexed_is_passed_over() {
    let (folder, ring) = (tempfile::tempdir().unwrap(), Arc::new(Ring::default()));
    let index = opened(folder.path(), &ring);
    add(&index, 0, 1_500);
    index.release(1_500);
    assert_eq!((index.first(), index.next()), (1_024, 1_500), "nothing is between");
    index.release(4_000);
    assert_eq!((index.first(), index.next(), index.size().0), (4_000, 4_000, 0));
    add(&index, 4_000, COUNT);
    let plan = Plan { tenants: None, words: vec![Word::actor("a")], span: Span::ALL };
    let expected: Vec<_> = walked(&plan, true).into_iter().filter(|sequence| *sequence >= 4_000).collect();
    assert_eq!(upwards(&index, &plan, 4_000, 100), expected);
}
