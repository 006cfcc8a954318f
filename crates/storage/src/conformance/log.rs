//! The log.

use bytes::Bytes;

use super::{Subject, answer, append, finished, read_all, record, records};
use crate::{LogRecord, RECORD_BYTES_MAX, StoreError};

pub(super) fn suite<S: Subject>(make: &impl Fn() -> S) {
    records_can_be_read_before_they_are_durable_and_outlive_a_cut_after(make());
    a_hole_is_refused_and_leaves_nothing(make());
    records_of_every_length_at_the_borders_of_chunks_outlive_a_cut(make());
    a_record_above_the_bound_is_refused(make());
    what_was_truncated_stays_away_and_what_replaced_it_stays(make());
    a_long_truncation_leaves_a_whole_log(make());
    a_read_stops_at_its_bound_but_yields_one(make());
    callbacks_come_in_the_order_of_the_calls(make());
}

fn records_can_be_read_before_they_are_durable_and_outlive_a_cut_after<S: Subject>(subject: S) {
    let (done, answered) = answer();
    subject.store().append(records(0..100), done);
    assert_eq!(read_all(subject.store()), records(0..100));
    answered.recv().expect("answered").expect("appended");
    assert_eq!(read_all(subject.store()), records(0..100));

    let subject = subject.cut();
    assert_eq!(read_all(subject.store()), records(0..100));
    assert_eq!((subject.store().first_index(), subject.store().last_index()), (Some(0), Some(99)));
    assert_eq!(subject.store().read(10..12, usize::MAX).expect("whole"), records(10..12));
}

fn a_hole_is_refused_and_leaves_nothing<S: Subject>(subject: S) {
    append(subject.store(), records(5..8)).expect("an empty log starts anywhere");
    let refused = append(subject.store(), vec![record(8, "fits"), record(10, "does not")]);
    assert!(matches!(refused, Err(StoreError::Gap { expected: 9, found: 10 })), "{refused:?}");
    assert_eq!(read_all(subject.store()), records(5..8));
    assert_eq!(read_all(subject.restart().store()), records(5..8));
}

fn records_of_every_length_at_the_borders_of_chunks_outlive_a_cut<S: Subject>(subject: S) {
    let lengths = [0, 1, 3_990, 3_991, 3_992, 3_999, 4_000, 4_001, 7_991, 7_992, RECORD_BYTES_MAX];
    let written: Vec<LogRecord> = lengths
        .iter()
        .zip(0..)
        .map(|(length, index)| LogRecord { index, bytes: (0..=u8::MAX).cycle().take(*length).collect() })
        .collect();
    append(subject.store(), written.clone()).expect("appended");
    assert_eq!(read_all(subject.store()), written);
    assert_eq!(read_all(subject.cut().restart().store()), written);
}

fn a_record_above_the_bound_is_refused<S: Subject>(subject: S) {
    let bytes = Bytes::from(vec![0; RECORD_BYTES_MAX + 1]);
    let refused = append(subject.store(), vec![LogRecord { index: 0, bytes }]);
    assert!(matches!(refused, Err(StoreError::TooLong { .. })), "{refused:?}");
    assert_eq!(subject.store().last_index(), None);
}

fn what_was_truncated_stays_away_and_what_replaced_it_stays<S: Subject>(subject: S) {
    let long = LogRecord { index: 3, bytes: vec![1; 50_000].into() };
    append(subject.store(), [records(0..3), vec![long], records(4..9)].concat()).expect("appended");
    let (done, truncated) = answer();
    subject.store().truncate_from(3, done);
    assert_eq!(read_all(subject.store()), records(0..3));
    let (done, replaced) = answer();
    subject.store().append(vec![record(3, "replaced")], done);
    truncated.recv().expect("answered").expect("truncated");
    replaced.recv().expect("answered").expect("appended");

    let expected = [records(0..3), vec![record(3, "replaced")]].concat();
    assert_eq!(read_all(subject.store()), expected);
    let subject = subject.cut();
    assert_eq!(read_all(subject.store()), expected);
    append(subject.store(), records(4..6)).expect("goes on");
    assert_eq!(subject.store().last_index(), Some(5));
}

fn a_long_truncation_leaves_a_whole_log<S: Subject>(subject: S) {
    append(subject.store(), records(0..1_500)).expect("appended");
    finished(|done| subject.store().truncate_from(10, done)).expect("truncated");
    finished(|done| subject.store().truncate_from(10_000, done)).expect("nothing to do");
    assert_eq!(read_all(subject.cut().store()), records(0..10));
}

fn a_read_stops_at_its_bound_but_yields_one<S: Subject>(subject: S) {
    append(subject.store(), (0..5).map(|index| record(index, "ten bytes.")).collect()).expect("appended");
    let count = |bytes_max| subject.store().read(1..5, bytes_max).expect("whole").len();
    assert_eq!([0, 10, 19, 20, 40, 99].map(count), [1, 1, 1, 2, 4, 4]);
    assert_eq!(subject.store().read(7..9, 100).expect("nothing"), []);
}

fn callbacks_come_in_the_order_of_the_calls<S: Subject>(subject: S) {
    let (send, receive) = std::sync::mpsc::channel();
    for index in 0..200 {
        let send = send.clone();
        let done = Box::new(move |result: Result<(), StoreError>| send.send((index, result.is_ok())).expect("heard"));
        subject.store().append(records(index..index + 1), done);
    }
    drop(send);
    let answers: Vec<_> = receive.iter().collect();
    assert_eq!(answers, (0..200).map(|index| (index, true)).collect::<Vec<_>>());
}
