//! What only a store on a disk can do wrong.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use latchkey_storage::conformance::FACTS;
use latchkey_storage::{
    LogRecord, Mark, OpenError, Options, RowBatch, SledStore, Space, Store, StoreError, Word, wait,
};
use tempfile::TempDir;

use crate::subjects::{copy, options};

fn created() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    SledStore::create(folder.path(), &FACTS, &options()).expect("created");
    folder
}

fn open(path: &Path) -> Result<SledStore, OpenError> {
    SledStore::open(path, &options())
}

fn append(store: &SledStore, index: u64, bytes: impl Into<bytes::Bytes>) -> Result<(), StoreError> {
    wait(|done| store.append(vec![LogRecord { index, bytes: bytes.into() }], done))
}

#[test]
fn a_second_opener_is_refused_by_name() {
    let folder = created();
    let store = open(folder.path()).expect("opens");
    let refused = open(folder.path()).err().expect("refused");
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    assert_eq!(refused.to_string(), format!("{} is in use by another process", folder.path().display()));
    drop(store);
    open(folder.path()).expect("opens");
}

#[test]
fn a_folder_that_is_not_a_replica_of_this_cluster_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    assert!(matches!(open(folder.path()), Err(OpenError::NotInitialised { .. })));
    assert!(matches!(open(&folder.path().join("missing")), Err(OpenError::NotInitialised { .. })));
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    assert!(matches!(open(&file), Err(OpenError::NotAFolder { .. })));
    assert!(matches!(SledStore::create(&file, &FACTS, &options()), Err(OpenError::NotAFolder { .. })));
    assert!(matches!(SledStore::create(folder.path(), &FACTS, &options()), Err(OpenError::NotEmpty { .. })));

    let folder = created();
    assert!(matches!(SledStore::create(folder.path(), &FACTS, &options()), Err(OpenError::NotEmpty { .. })));
    let other = Options { cluster_id: Some([0; 16]), ..options() };
    assert!(matches!(SledStore::open(folder.path(), &other), Err(OpenError::OtherCluster { .. })));
    let mut facts = fs::read(folder.path().join("facts")).expect("read");
    facts[0] = 9;
    fs::write(folder.path().join("facts"), facts).expect("written");
    assert!(matches!(open(folder.path()), Err(OpenError::Format { found: 9, newest: 1, .. })));
}

#[test]
fn a_folder_that_was_left_half_made_is_made_again() {
    let folder = created();
    fs::rename(folder.path().join("facts"), folder.path().join("facts.new")).expect("renamed");
    fs::write(folder.path().join("sled/db"), "half").expect("written");
    assert!(matches!(open(folder.path()), Err(OpenError::NotInitialised { .. })));
    SledStore::create(folder.path(), &FACTS, &options()).expect("created");
    assert_eq!(open(folder.path()).expect("opens").facts(), FACTS);
}

#[test]
fn a_snapshot_of_sled_that_was_not_finished_is_no_hindrance() {
    let folder = created();
    let store = open(folder.path()).expect("opens");
    append(&store, 0, "zero").expect("appended");
    drop(store);
    fs::write(folder.path().join("sled/snap.FFFFFFFFFFFFFFFF.generating"), "half").expect("written");
    assert_eq!(open(folder.path()).expect("opens").last_index(), Some(0));
}

#[test]
fn a_failed_sync_ends_the_store_and_acknowledges_nothing() {
    let folder = created();
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&reasons);
    let on_fatal = Arc::new(move |why: &str| heard.lock().expect("heard").push(why.to_owned()));
    let options = Options { on_fatal, ..options() };
    let store = SledStore::open(folder.path(), &options).expect("opens");
    append(&store, 0, "zero").expect("appended");

    options.testing.fail_sync.store(true, Ordering::Relaxed);
    assert!(matches!(append(&store, 1, "one"), Err(StoreError::Stopped { .. })));
    options.testing.fail_sync.store(false, Ordering::Relaxed);
    assert!(matches!(append(&store, 2, "two"), Err(StoreError::Stopped { .. })));
    let mark = Mark { index: 0, bytes: "".into() };
    let rows = RowBatch { puts: vec![], deletes: vec![], mark };
    assert!(matches!(store.write_rows(rows), Err(StoreError::Stopped { .. })));
    assert_eq!(reasons.lock().expect("heard")[..], ["the disk cannot sync: asked to fail"]);
}

#[test]
fn a_full_disk_refuses_appends_gives_the_reserve_back_and_recovers() {
    let folder = created();
    let free_bytes = Arc::new(AtomicU64::new(u64::MAX));
    let asked = Arc::clone(&free_bytes);
    let free_space = Arc::new(move |_: &Path| Ok(asked.load(Ordering::Relaxed)));
    let options = Options { free_space, ..options() };
    let store = SledStore::open(folder.path(), &options).expect("opens");
    let reserve = folder.path().join("reserve");
    assert!(reserve.exists());

    // One disk that filled up between two looks ended raft by what was on its way, and the replica for good.
    free_bytes.store((1 << 20) - 1, Ordering::Relaxed);
    for index in 0..100 {
        append(&store, index, "x").expect("what was on its way goes into the reserve");
    }
    assert_eq!(store.space(), Space::Full);

    free_bytes.store((1 << 19) - 1, Ordering::Relaxed);
    let refused = (100..200).find_map(|index| append(&store, index, "x").err());
    assert!(matches!(refused, Some(StoreError::DiskFull { .. })), "{refused:?}");
    assert_eq!(store.space(), Space::Full);
    assert!(!reserve.exists());
    wait(|done| store.save_word(Word::Vote, "term 1".into(), done)).expect("a vote passes");

    // Room for the reserve alone is not room for appends.
    free_bytes.store(2 << 20, Ordering::Relaxed);
    assert_eq!(store.space(), Space::Low);
    append(&store, store.last_index().map_or(0, |last| last + 1), "x").expect("what others send still fits");
    free_bytes.store(9 << 20, Ordering::Relaxed);
    assert_eq!(store.space(), Space::Enough);
    assert!(reserve.exists());
}

#[test]
fn callbacks_that_hold_the_store_may_be_the_last_to_let_it_go() {
    let folder = created();
    let store = Arc::new(open(folder.path()).expect("opens"));
    let (send, receive) = std::sync::mpsc::channel();
    let last = Arc::clone(&store);
    let records = vec![LogRecord { index: 0, bytes: "zero".into() }];
    store.append(
        records,
        Box::new(move |result| {
            drop(last);
            send.send(result.is_ok()).expect("heard");
        }),
    );
    drop(store);
    assert_eq!(receive.recv(), Ok(true));
}

#[test]
fn flipped_bits_in_any_file_are_found_or_harmless() {
    let folder = created();
    let store = open(folder.path()).expect("opens");
    for index in 0..40 {
        append(&store, index, vec![u8::try_from(index).expect("small"); 700]).expect("appended");
    }
    wait(|done| store.save_word(Word::Vote, "term 9".into(), done)).expect("saved");
    drop(store);

    let (mut found, mut harmless) = (0, 0);
    for file in ["facts", "witness", "sled/db", "sled/conf"] {
        let bytes = fs::read(folder.path().join(file)).expect("read");
        // Zeros are room that nothing uses yet.
        let used: Vec<usize> = (0..bytes.len()).filter(|place| bytes[*place] != 0).collect();
        for place in used.iter().step_by(used.len().div_ceil(40)) {
            let copied = tempfile::tempdir().expect("a temporary folder");
            let data = copied.path().join("data");
            copy(folder.path(), &data);
            let mut flipped = bytes.clone();
            flipped[*place] ^= 0x10;
            fs::write(data.join(file), flipped).expect("written");
            match open(&data) {
                Err(OpenError::Damaged { .. } | OpenError::Format { .. }) => found += 1,
                Err(other) => panic!("byte {place} of {file}: {other:?}"),
                Ok(store) => {
                    let records = store.read(0..u64::MAX, usize::MAX).expect("checked when it was opened");
                    assert_eq!(records.len(), 40, "byte {place} of {file}");
                    assert_eq!(store.word(Word::Vote), Some("term 9".into()), "byte {place} of {file}");
                    assert_eq!(store.facts(), FACTS);
                    harmless += 1;
                }
            }
        }
    }
    println!("flipped bytes: {found} found, {harmless} harmless, 0 undetected");
    assert!(found > 40, "only {found} found");
}
