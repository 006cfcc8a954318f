//! Words.

use super::{Subject, append, finished, records};
use crate::Word;

pub(super) fn suite<S: Subject>(make: &impl Fn() -> S) {
    a_saved_word_outlives_a_cut(make());
    a_lazily_saved_word_is_durable_with_the_next_operation(make());
    a_shorter_word_replaces_a_longer_one(make());
}

fn a_saved_word_outlives_a_cut<S: Subject>(subject: S) {
    assert_eq!(subject.store().word(Word::Vote), None);
    finished(|done| subject.store().save_word(Word::Vote, "term 1".into(), done)).expect("saved");
    finished(|done| subject.store().save_word(Word::Vote, "term 2".into(), done)).expect("saved");
    let subject = subject.cut();
    assert_eq!(subject.store().word(Word::Vote), Some("term 2".into()));
    assert_eq!(subject.store().word(Word::Fence), None);
}

fn a_lazily_saved_word_is_durable_with_the_next_operation<S: Subject>(subject: S) {
    subject.store().save_word_lazily(Word::Committed, "1".into());
    assert_eq!(subject.store().word(Word::Committed), Some("1".into()));
    append(subject.store(), records(0..1)).expect("appended");
    let subject = subject.cut();
    assert_eq!(subject.store().word(Word::Committed), Some("1".into()));
}

fn a_shorter_word_replaces_a_longer_one<S: Subject>(subject: S) {
    finished(|done| subject.store().save_word(Word::Fence, vec![b'x'; 9_000].into(), done)).expect("saved");
    finished(|done| subject.store().save_word(Word::Fence, "short".into(), done)).expect("saved");
    assert_eq!(subject.cut().store().word(Word::Fence), Some("short".into()));
}
