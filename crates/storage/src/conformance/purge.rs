//! Purging: a promise in memory until the state is durable.

use super::{Subject, answer, append, finished, read_all, records, waits, write_rows, write_snapshot};
use crate::{Base, LogBounds, Purged};

pub(super) fn suite<S: Subject>(make: &impl Fn() -> S) {
    a_promise_hides_at_once_and_is_forgotten_by_a_cut_before_the_state_is_durable(make());
    a_restart_in_order_forgets_a_promise_too(make());
    a_promise_is_kept_once_rows_at_that_point_are_durable(make());
    a_promise_past_the_end_holds_appends_until_a_base_is_installed(make());
    a_cut_while_appends_are_held_shows_the_log_without_a_hole(make());
    a_promise_within_what_is_queued_holds_nothing(make());
    a_lower_promise_changes_nothing(make());
}

fn purged(through: u64) -> Option<Purged> {
    Some(Purged { through, marker: "here".into() })
}

fn a_promise_hides_at_once_and_is_forgotten_by_a_cut_before_the_state_is_durable<S: Subject>(subject: S) {
    append(subject.store(), records(0..10)).expect("appended");
    write_rows(subject.store(), vec![], vec![], 4);
    subject.store().promise_purge(6, "here".into());
    assert_eq!(read_all(subject.store()), records(7..10));
    assert_eq!(subject.store().log_bounds(), LogBounds { purged: purged(6), first: Some(7), last: Some(9) });
    append(subject.store(), records(10..12)).expect("appended");
    subject.settle();

    let subject = subject.cut();
    assert_eq!(subject.store().log_bounds(), LogBounds { purged: None, first: Some(0), last: Some(11) });
    assert_eq!(read_all(subject.store()), records(0..12));
}

fn a_restart_in_order_forgets_a_promise_too<S: Subject>(subject: S) {
    append(subject.store(), records(0..10)).expect("appended");
    subject.store().promise_purge(6, "here".into());
    assert_eq!(read_all(subject.restart().store()), records(0..10));
}

fn a_promise_is_kept_once_rows_at_that_point_are_durable<S: Subject>(subject: S) {
    append(subject.store(), records(0..2_000)).expect("appended");
    subject.store().promise_purge(1_500, "here".into());
    write_rows(subject.store(), vec![], vec![], 1_499);
    subject.settle();
    write_rows(subject.store(), vec![], vec![], 1_500);
    subject.settle();
    assert_eq!(subject.store().state_durable_through(), Some(1_500));

    let subject = subject.cut();
    assert_eq!(
        subject.store().log_bounds(),
        LogBounds { purged: purged(1_500), first: Some(1_501), last: Some(1_999) }
    );
    assert_eq!(subject.store().state_durable_through(), Some(1_500));
    assert_eq!(read_all(subject.restart().store()), records(1_501..2_000));
}

fn a_promise_past_the_end_holds_appends_until_a_base_is_installed<S: Subject>(subject: S) {
    append(subject.store(), records(0..5)).expect("appended");
    subject.store().promise_purge(20, "here".into());
    assert_eq!(subject.store().last_index(), None);
    let (done, appended) = answer();
    subject.store().append(records(21..23), done);
    assert_eq!(read_all(subject.store()), records(21..23));
    finished(|done| subject.store().save_word(crate::Word::Vote, "v".into(), done)).expect("words pass");
    assert!(waits(&appended), "an append was acknowledged above a hole");

    let name = write_snapshot(subject.store(), "20", b"state at 20");
    subject.store().set_base(Base { name, index: 20 }).expect("installed");
    appended.recv().expect("answered").expect("appended");
    let subject = subject.cut();
    assert_eq!(read_all(subject.store()), records(21..23));
    assert_eq!(subject.store().log_bounds().purged, purged(20));
}

fn a_cut_while_appends_are_held_shows_the_log_without_a_hole<S: Subject>(subject: S) {
    append(subject.store(), records(0..5)).expect("appended");
    subject.store().promise_purge(20, "here".into());
    let (done, _unanswered) = answer();
    subject.store().append(records(21..23), done);
    finished(|done| subject.store().sync(done)).expect("synced");
    assert_eq!(read_all(subject.cut().store()), records(0..5));
}

/// Once, the first appends to an empty log that begins at 1 waited for ever behind a promise within them.
fn a_promise_within_what_is_queued_holds_nothing<S: Subject>(subject: S) {
    let (done, appended) = answer();
    subject.store().append(records(1..9), done);
    subject.store().promise_purge(3, "here".into());
    append(subject.store(), records(9..10)).expect("appended");
    appended.recv().expect("answered").expect("appended");
    assert_eq!(read_all(subject.cut().store()), records(1..10));
}

fn a_lower_promise_changes_nothing<S: Subject>(subject: S) {
    append(subject.store(), records(0..5)).expect("appended");
    subject.store().promise_purge(3, "here".into());
    subject.store().promise_purge(3, "again".into());
    subject.store().promise_purge(1, "lower".into());
    assert_eq!(subject.store().log_bounds().purged, purged(3));
}
