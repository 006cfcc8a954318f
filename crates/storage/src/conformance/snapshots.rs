//! Snapshot files.

use std::io::{Read as _, Write as _};

use super::{Subject, name, write_snapshot};
use crate::{Encoder, Store, StoreError};

pub(super) fn suite<S: Subject>(make: &impl Fn() -> S) {
    a_finished_snapshot_outlives_a_cut_and_an_unfinished_one_leaves_nothing(make());
    what_an_encoder_sends_is_received_in_pieces(make());
    a_snapshot_that_was_not_received_whole_is_refused_and_leaves_nothing(make());
    retaining_removes_all_others(make());
}

fn payload(store: &dyn Store, text: &str) -> Vec<u8> {
    let mut payload = Vec::new();
    store.read_snapshot(&name(text)).expect("its hash agrees").read_to_end(&mut payload).expect("read");
    payload
}

fn encoded(payload: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new()).expect("a Vec takes all");
    encoder.write_all(payload).expect("a Vec takes all");
    encoder.finish().expect("a Vec takes all").0
}

fn a_finished_snapshot_outlives_a_cut_and_an_unfinished_one_leaves_nothing<S: Subject>(subject: S) {
    let whole: Vec<u8> = (0..=u8::MAX).cycle().take(200_000).collect();
    write_snapshot(subject.store(), "1-9", &whole);
    let mut unfinished = subject.store().write_snapshot(&name("2-9")).expect("starts");
    unfinished.write_all(&whole).expect("taken");

    let subject = subject.cut();
    drop(unfinished);
    assert_eq!(subject.store().snapshots().expect("listed"), [name("1-9")]);
    assert_eq!(payload(subject.store(), "1-9"), whole);
    assert!(matches!(subject.store().read_snapshot(&name("2-9")), Err(StoreError::SnapshotNotFound { .. })));
}

fn what_an_encoder_sends_is_received_in_pieces<S: Subject>(subject: S) {
    let sent = encoded(b"state");
    let mut receiver = subject.store().receive_snapshot(&name("1-9")).expect("starts");
    sent.chunks(3).for_each(|piece| receiver.push(piece).expect("taken"));
    receiver.finish().expect("whole");
    assert_eq!(payload(subject.cut().store(), "1-9"), b"state");
}

fn a_snapshot_that_was_not_received_whole_is_refused_and_leaves_nothing<S: Subject>(subject: S) {
    let sent = encoded(b"state");
    let mut flipped = sent.clone();
    flipped[3] ^= 1;
    for wrong in [&sent[..sent.len() - 1], &flipped, b""] {
        let mut receiver = subject.store().receive_snapshot(&name("1-9")).expect("starts");
        receiver.push(wrong).expect("taken");
        assert!(matches!(receiver.finish(), Err(StoreError::SnapshotNotWhole { .. })));
    }
    assert_eq!(subject.store().snapshots().expect("listed"), []);
}

fn retaining_removes_all_others<S: Subject>(subject: S) {
    for text in ["a", "b", "c"] {
        write_snapshot(subject.store(), text, text.as_bytes());
    }
    subject.store().retain_snapshots(&[name("b"), name("z")]).expect("removed");
    assert_eq!(subject.cut().store().snapshots().expect("listed"), [name("b")]);
}
