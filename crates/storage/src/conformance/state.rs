//! Rows, generations and the base.

use super::{Subject, finished, key, mark, name, row, scan, write_rows, write_snapshot};
use crate::{Base, ROW_BATCH_MAX, ROW_TABLE_MAX, RowBatch, StateSource, StoreError};

pub(super) fn suite<S: Subject>(make: &impl Fn() -> S) {
    rows_are_scanned_by_table_and_id_whatever_their_lengths(make());
    rows_and_mark_change_together_and_are_durable_with_the_next_sync(make());
    a_short_row_replaces_a_long_one_and_a_removal_removes_it_whole(make());
    a_range_of_one_table_is_read_in_order(make());
    a_batch_out_of_bounds_is_refused_whole(make());
    a_generation_counts_only_when_it_is_committed(make());
    a_generation_that_was_abandoned_is_refused(make());
    a_generation_begun_before_a_base_does_not_take_it_away(make());
    a_base_makes_the_rows_void_until_the_next_generation(make());
    a_base_behind_the_state_or_without_a_file_is_refused(make());
}

fn rows_are_scanned_by_table_and_id_whatever_their_lengths<S: Subject>(subject: S) {
    let mut rows = vec![
        row(0, b"", "the empty id"),
        row(0, b"\0\0\x01", vec![3; 100_000]),
        row(0, b"a", vec![4; 4_000]),
        row(0, b"a\0\0\0", vec![5; 12_000]),
        row(0, b"b", ""),
        row(1, b"a", "next table"),
        row(ROW_TABLE_MAX, b"\xFF\xFF", vec![6; 9_000]),
    ];
    write_rows(subject.store(), rows.iter().rev().cloned().collect(), vec![], 1);
    rows.sort_by(|one, other| one.key.cmp(&other.key));
    assert_eq!(scan(subject.store()), rows);
    let subject = subject.restart();
    assert_eq!(scan(subject.store()), rows);
    for row in rows {
        assert_eq!(subject.store().read_row(&row.key).expect("whole"), Some(row.bytes));
    }
    assert_eq!(subject.store().read_row(&key(0, b"c")).expect("whole"), None);
}

fn rows_and_mark_change_together_and_are_durable_with_the_next_sync<S: Subject>(subject: S) {
    assert_eq!(subject.store().state_source(), StateSource::Empty);
    write_rows(subject.store(), vec![row(1, b"a", "1"), row(1, b"b", "1")], vec![], 10);
    finished(|done| subject.store().sync(done)).expect("synced");
    assert_eq!(subject.store().state_durable_through(), Some(10));
    write_rows(subject.store(), vec![row(1, b"b", "2")], vec![key(1, b"a")], 11);
    assert_eq!(subject.store().state_source(), StateSource::Rows(mark(11)));

    let subject = subject.cut();
    match subject.store().state_source() {
        StateSource::Rows(found) if found == mark(10) => {
            assert_eq!(scan(subject.store()), [row(1, b"a", "1"), row(1, b"b", "1")]);
        }
        StateSource::Rows(found) if found == mark(11) => assert_eq!(scan(subject.store()), [row(1, b"b", "2")]),
        other => panic!("{other:?} was never written"),
    }
}

fn a_short_row_replaces_a_long_one_and_a_removal_removes_it_whole<S: Subject>(subject: S) {
    let store = subject.store();
    write_rows(store, vec![row(1, b"a", vec![1; 90_000]), row(1, b"b", vec![2; 90_000])], vec![], 1);
    // Within one batch the removal comes first and the last put counts.
    write_rows(store, vec![row(1, b"a", vec![3; 50_000]), row(1, b"a", "short")], vec![key(1, b"a"), key(9, b"")], 2);
    assert_eq!(store.read_row(&key(1, b"a")).expect("whole"), Some("short".into()));
    write_rows(store, vec![], vec![key(1, b"b")], 3);
    write_rows(store, vec![row(1, b"b", vec![4; 5_000])], vec![], 4);
    assert_eq!(scan(subject.restart().store()), [row(1, b"a", "short"), row(1, b"b", vec![4; 5_000])]);
}

fn a_range_of_one_table_is_read_in_order<S: Subject>(subject: S) {
    let id = |sequence: u64| sequence.to_be_bytes();
    let rows: Vec<_> = (0..600).map(|sequence| row(2, &id(sequence), format!("entry {sequence}"))).collect();
    write_rows(subject.store(), [rows.clone(), vec![row(1, &id(5), "1"), row(3, &id(5), "3")]].concat(), vec![], 1);
    let read = |start, end, rows_max| subject.store().read_rows(2, &id(start)..&id(end), rows_max).expect("whole");
    assert_eq!(read(250, 300, usize::MAX), rows[250..300]);
    assert_eq!(read(590, u64::MAX, usize::MAX), rows[590..]);
    assert_eq!(read(0, u64::MAX, 7), rows[..7]);
    assert_eq!(read(9, 9, 7), []);
    assert_eq!(read(9, 3, 7), []);
}

fn a_batch_out_of_bounds_is_refused_whole<S: Subject>(subject: S) {
    let write = |puts| subject.store().write_rows(RowBatch { puts, deletes: vec![], mark: mark(1) });
    let many = vec![row(1, b"a", ""); ROW_BATCH_MAX + 1];
    assert!(matches!(write(many), Err(StoreError::TooMany { .. })));
    assert!(matches!(write(vec![row(1, b"a", ""), row(0xFF, b"a", "")]), Err(StoreError::Table { .. })));
    assert!(matches!(write(vec![row(1, b"a", ""), row(1, &[0; 513], "")]), Err(StoreError::TooLong { .. })));
    assert_eq!(subject.store().state_source(), StateSource::Empty);
    assert_eq!(scan(subject.store()), []);
}

fn a_generation_counts_only_when_it_is_committed<S: Subject>(subject: S) {
    write_rows(subject.store(), vec![row(1, b"old", vec![1; 9_000])], vec![], 5);
    let generation = subject.store().begin_generation().expect("begun");
    let rows: Vec<_> = (0..1_100_u16).map(|id| row(1, &id.to_be_bytes(), vec![2; 5_000])).collect();
    subject.store().write_generation(generation, rows.clone()).expect("written");
    assert_eq!(scan(subject.store()), [row(1, b"old", vec![1; 9_000])]);
    finished(|done| subject.store().sync(done)).expect("synced");

    let subject = subject.cut();
    assert_eq!(scan(subject.store()), [row(1, b"old", vec![1; 9_000])]);
    let generation = subject.store().begin_generation().expect("begun");
    subject.store().write_generation(generation, rows.clone()).expect("written");
    subject.store().commit_generation(generation, mark(9)).expect("committed");
    assert_eq!(subject.store().state_source(), StateSource::Rows(mark(9)));
    assert_eq!(scan(subject.store()), rows);
    subject.settle();

    let subject = subject.cut();
    assert_eq!(subject.store().state_source(), StateSource::Rows(mark(9)));
    assert_eq!(scan(subject.store()), rows);
}

fn a_generation_that_was_abandoned_is_refused<S: Subject>(subject: S) {
    let store = subject.store();
    let first = store.begin_generation().expect("begun");
    store.write_generation(first, vec![row(1, b"first", "")]).expect("written");
    let second = store.begin_generation().expect("begun");
    assert!(matches!(store.write_generation(first, vec![]), Err(StoreError::GenerationAbandoned { .. })));
    assert!(matches!(store.commit_generation(first, mark(1)), Err(StoreError::GenerationAbandoned { .. })));
    store.write_generation(second, vec![row(1, b"second", "")]).expect("written");
    store.commit_generation(second, mark(2)).expect("committed");
    assert!(matches!(store.write_generation(second, vec![]), Err(StoreError::GenerationAbandoned { .. })));
    assert_eq!(scan(store), [row(1, b"second", "")]);
}

fn a_generation_begun_before_a_base_does_not_take_it_away<S: Subject>(subject: S) {
    // A second snapshot arrived while the rows of the first were still being written: the disk went back to the first.
    let store = subject.store();
    let older = store.begin_generation().expect("begun");
    let base = Base { name: write_snapshot(store, "9", b"state at 9"), index: 9 };
    store.set_base(base.clone()).expect("installed");
    assert!(matches!(store.write_generation(older, vec![]), Err(StoreError::GenerationAbandoned { .. })));
    assert!(matches!(store.commit_generation(older, mark(5)), Err(StoreError::GenerationAbandoned { .. })));
    assert_eq!(store.state_source(), StateSource::Base(base));
}

fn a_base_makes_the_rows_void_until_the_next_generation<S: Subject>(subject: S) {
    write_rows(subject.store(), vec![row(1, b"old", "")], vec![], 5);
    let base = Base { name: write_snapshot(subject.store(), "9", b"state at 9"), index: 9 };
    subject.store().set_base(base.clone()).expect("installed");
    let refused = subject.store().write_rows(RowBatch { puts: vec![], deletes: vec![], mark: mark(10) });
    assert!(matches!(refused, Err(StoreError::RowsSuperseded { .. })), "{refused:?}");

    let subject = subject.cut();
    assert_eq!(subject.store().state_source(), StateSource::Base(base.clone()));
    assert_eq!(subject.store().state_durable_through(), Some(9));
    assert!(matches!(subject.store().read_row(&key(1, b"old")), Err(StoreError::RowsSuperseded { .. })));
    subject.store().retain_snapshots(&[]).expect("removed");
    assert_eq!(subject.store().snapshots().expect("listed"), std::slice::from_ref(&base.name));
    let generation = subject.store().begin_generation().expect("begun");
    subject.store().write_generation(generation, vec![row(1, b"new", "")]).expect("written");
    subject.store().commit_generation(generation, mark(9)).expect("committed");

    let subject = subject.cut();
    assert_eq!(subject.store().state_source(), StateSource::Rows(mark(9)));
    assert_eq!(scan(subject.store()), [row(1, b"new", "")]);
    subject.store().retain_snapshots(&[]).expect("removed");
    assert_eq!(subject.store().snapshots().expect("listed"), []);
}

fn a_base_behind_the_state_or_without_a_file_is_refused<S: Subject>(subject: S) {
    write_rows(subject.store(), vec![], vec![], 5);
    let missing = subject.store().set_base(Base { name: name("9"), index: 9 });
    assert!(matches!(missing, Err(StoreError::SnapshotNotFound { .. })), "{missing:?}");
    let name = write_snapshot(subject.store(), "4", b"state at 4");
    let behind = subject.store().set_base(Base { name, index: 4 });
    assert!(matches!(behind, Err(StoreError::Gap { expected: 5, found: 4 })), "{behind:?}");
    assert_eq!(subject.store().state_source(), StateSource::Rows(mark(5)));
}
