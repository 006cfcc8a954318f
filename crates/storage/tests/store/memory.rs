//! The faults of the store in memory.

use std::sync::mpsc;

use latchkey_storage::conformance::FACTS;
use latchkey_storage::{Faults, LogRecord, MemoryStore, Space, Store, StoreError, Word, wait};

fn append(store: &MemoryStore, index: u64) -> Result<(), StoreError> {
    wait(|done| store.append(vec![LogRecord { index, bytes: "record".into() }], done))
}

#[test]
fn what_a_stalled_disk_holds_is_read_at_once_and_lost_in_a_cut() {
    let store = MemoryStore::new(FACTS);
    append(&store, 0).expect("appended");
    store.set_faults(Faults { hold: true, ..Faults::default() });
    let (send, receive) = mpsc::channel();
    store.append(vec![LogRecord { index: 1, bytes: "held".into() }], Box::new(move |result| drop(send.send(result))));
    store.save_word_lazily(Word::Committed, "1".into());
    assert_eq!(store.last_index(), Some(1));
    assert!(receive.try_recv().is_err());

    let opened = store.cut_power();
    assert_eq!((opened.last_index(), opened.word(Word::Committed)), (Some(0), None));
    assert!(receive.recv().is_err(), "a power cut answers no one");
    assert!(matches!(append(&store, 2), Err(StoreError::Stopped { .. })));
}

#[test]
fn a_disk_that_moves_again_answers_in_order() {
    let store = MemoryStore::new(FACTS);
    store.set_faults(Faults { hold: true, ..Faults::default() });
    let (send, receive) = mpsc::channel();
    for index in 0..3 {
        let send = send.clone();
        let records = vec![LogRecord { index, bytes: "held".into() }];
        store.append(records, Box::new(move |result| send.send((index, result.is_ok())).expect("heard")));
    }
    store.set_faults(Faults::default());
    assert_eq!(receive.try_iter().collect::<Vec<_>>(), [(0, true), (1, true), (2, true)]);
}

#[test]
fn the_append_that_is_to_fail_fails_and_leaves_nothing() {
    let store = MemoryStore::new(FACTS);
    store.set_faults(Faults { fail_append_after: Some(1), ..Faults::default() });
    append(&store, 0).expect("the first passes");
    assert!(matches!(append(&store, 1), Err(StoreError::Io { .. })));
    assert_eq!(store.last_index(), Some(0));
    append(&store, 1).expect("the next passes");
}

#[test]
fn a_full_disk_refuses_appends_but_no_votes() {
    let store = MemoryStore::new(FACTS);
    store.set_faults(Faults { space: Space::Full, ..Faults::default() });
    assert_eq!(store.space(), Space::Full);
    assert!(matches!(append(&store, 0), Err(StoreError::DiskFull { .. })));
    wait(|done| store.save_word(Word::Vote, "term 1".into(), done)).expect("a vote passes");
}

#[test]
fn a_failed_sync_ends_the_store() {
    let store = MemoryStore::new(FACTS);
    store.set_faults(Faults { fail_sync: true, ..Faults::default() });
    assert!(matches!(append(&store, 0), Err(StoreError::Stopped { .. })));
    assert!(matches!(append(&store, 1), Err(StoreError::Stopped { .. })));
    assert_eq!(store.cut_power().last_index(), None);
}
