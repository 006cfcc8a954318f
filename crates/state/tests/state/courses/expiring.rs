//! Who is told before keys end: once for each expiry and each notice of their keyspace, whoever drives, and nobody of what
//! is over.

use super::*;
use crate::support::{create_identity, cut, management_key, revoke};
use latchkey_domain::{ExpiryNotices, Quota, Refusal};
use latchkey_state::{
    CutScope, Expiry, ExpiryAt, ExpiryChange, GiveNotices, KeyChanges, NewKey, OwedExpiries, PLANS_PER_COMMAND_MAX,
    ResumeKey, State, SuspendKey, UpdateKey,
};

/// A keyspace without a rotation policy.
const PLAIN: &str = "acme/test";
const LIFE: u64 = 100 * DAY;

/// With keys of these numbers that live for so many days; those of 0 for ever.
fn house(keys: &[(u8, u64)]) -> House {
    let mut house = House { world: World::furnished(), fence: 0 };
    house.claim(7);
    let key = |(number, days): &(u8, u64)| {
        let expiry = if *days == 0 { Expiry::Default } else { Expiry::After(DurationMillis::from_days(*days)) };
        NewKey { expiry, ..new_key(*number) }
    };
    let keys: Vec<_> = keys.iter().map(key).collect();
    if !keys.is_empty() {
        house.world.done(by_root(create_keys(PLAIN, keys)));
    }
    house
}

fn giving(house: &House, keys: &[u8]) -> Command {
    let keys = keys.iter().map(|number| key_name(PLAIN, *number)).collect();
    by_driver(Operation::GiveExpiryNotices(GiveNotices { fence: house.fence, keys }))
}

/// What a command about these keys tells: of each notice how long before the end, in days.
fn give(house: &mut House, keys: &[u8]) -> Vec<u64> {
    let applied = house.world.apply(giving(house, keys));
    assert!(actions(&applied).iter().all(|action| *action == "key.expires_soon"));
    assert_eq!(applied.answer, Ok(Answer::Counted(applied.entries.len() as u64)));
    facts(&applied, "before_ms").iter().map(|millis| millis.parse::<u64>().unwrap() / DAY).collect()
}

/// All that is owed, found in pages of `scan`, and when the next will be.
fn owed_in(state: &State, now: UnixMillis, scan: usize) -> (Vec<u8>, Option<UnixMillis>) {
    let (mut after, mut owed, mut next_at) = (None::<ExpiryAt>, Vec::new(), None::<UnixMillis>);
    loop {
        let page: OwedExpiries = state.owed_expiries(after, now, scan);
        assert!(page.owed.is_sorted_by_key(|key| (key.keyspace, key.expires_at)), "those that end first come first");
        owed.extend(page.owed.iter().map(|key| key.key.bytes()[11]));
        next_at = next_at.into_iter().chain(page.next_at).min();
        assert!(page.next.is_none() || page.next > after, "it goes on");
        after = page.next;
        if after.is_none() {
            return (owed, next_at);
        }
    }
}

/// The numbers of the keys that are owed one, as any survey finds them.
fn owed(house: &House) -> Vec<u8> {
    let found = owed_in(&house.world.state, house.now(), 100);
    for scan in [1, 2, 3] {
        assert_eq!(owed_in(&house.world.state, house.now(), scan), found, "pages of {scan}");
    }
    found.0
}

fn choose(house: &mut House, days: Option<&[u64]>) {
    let spans = |days: &[u64]| days.iter().copied().map(DurationMillis::from_days).collect::<Vec<_>>();
    let notices = days.map(|days| ExpiryNotices::new(spans(days)).unwrap());
    let changes = KeyspaceChanges { expiry_notices: Some(notices), ..KeyspaceChanges::default() };
    let update = UpdateKeyspace { name: keyspace(PLAIN), changes, etag: None };
    house.world.done(by_root(Operation::UpdateKeyspace(Box::new(update))));
}

fn move_to(house: &mut House, number: u8, at: UnixMillis) {
    let changes = KeyChanges { expiry: Some(ExpiryChange::At(at)), ..KeyChanges::default() };
    let update = UpdateKey { key: key_name(PLAIN, number), changes, etag: None };
    house.world.done(by_root(Operation::UpdateKey(Box::new(update))));
}

fn etag(house: &House, number: u8) -> String {
    house.world.state.key(&key_name(PLAIN, number)).unwrap().etag()
}

#[test]
fn a_month_a_week_and_a_day_before_its_end_a_key_is_told_of_once_and_then_never_again() {
    let mut house = house(&[(1, 100), (2, 0)]);
    let before = etag(&house, 1);
    house.pass(70 * DAY - 1);
    assert_eq!((owed(&house), give(&mut house, &[1, 2])), (vec![], vec![]));
    assert_eq!(owed_in(&house.world.state, house.now(), 9).1, Some(later(START, 70 * DAY)), "when the next is owed");
    for (pass, days) in [(1, 30), (23 * DAY, 7), (6 * DAY, 1)] {
        house.pass(pass);
        assert_eq!((owed(&house), give(&mut house, &[1, 2])), (vec![1], vec![days]));
        assert_eq!((owed(&house), give(&mut house, &[1])), (vec![], vec![]), "another driver tells nobody again");
    }
    assert_eq!(etag(&house, 1), before, "nothing that anybody could change has changed");
    house.pass(DAY);
    assert_eq!((owed(&house), give(&mut house, &[1])), (vec![], vec![]), "it is over");
}

#[test]
fn an_entry_says_when_the_key_ends_and_the_last_of_several_notices_speaks_for_all() {
    let mut house = house(&[(1, 100)]);
    house.pass(95 * DAY);
    let applied = house.world.apply(giving(&house, &[1]));
    assert_eq!(actions(&applied), ["key.expires_soon"]);
    assert_eq!(facts(&applied, "before_ms"), [(7 * DAY).to_string()]);
    assert_eq!(facts(&applied, "expires_at_ms"), [later(START, LIFE).millis().to_string()]);
}

#[test]
fn a_key_that_lives_no_longer_than_a_notice_is_not_told_of_by_it() {
    let mut house = house(&[(1, 30), (2, 7), (3, 1)]);
    assert_eq!(owed(&house), []);
    house.pass(DAY - 1);
    assert_eq!(owed(&house), []);
    house.pass(5 * DAY + 1);
    assert_eq!((owed(&house), give(&mut house, &[1, 2, 3])), (vec![2], vec![1]), "it was made a week before its end");
    house.pass(17 * DAY);
    assert_eq!(give(&mut house, &[1]), [7], "it was made a month before");
}

#[test]
fn a_new_expiry_is_told_anew_and_whoever_sets_it_knows_how_near_it_is() {
    let mut house = house(&[(1, 100), (2, 100), (3, 100)]);
    house.pass(95 * DAY);
    assert_eq!(give(&mut house, &[1, 2, 3]), [7, 7, 7]);
    let now = house.now();
    move_to(&mut house, 1, later(now, 60 * DAY));
    move_to(&mut house, 2, later(now, 6 * DAY));
    move_to(&mut house, 3, later(now, 12 * HOUR));
    assert_eq!(owed(&house), []);
    house.pass(12 * HOUR - 1);
    assert_eq!(give(&mut house, &[1, 2, 3]), [], "the third was moved into its last day");
    house.pass(5 * DAY);
    assert_eq!((owed(&house), give(&mut house, &[1, 2])), (vec![2], vec![1]), "a day, and no week, was left");
    house.pass(25 * DAY);
    assert_eq!((owed(&house), give(&mut house, &[1])), (vec![1], vec![30]));
    // What is put back where it was is a new expiry as well.
    let now = house.now();
    move_to(&mut house, 1, later(now, 90 * DAY));
    house.pass(60 * DAY);
    assert_eq!(give(&mut house, &[1]), [30]);
}

#[test]
fn a_change_of_something_else_tells_nobody_anew() {
    let mut house = house(&[(1, 100)]);
    house.pass(70 * DAY);
    assert_eq!(give(&mut house, &[1]), [30]);
    let changes = KeyChanges { display_name: Some(text("Other")), ..KeyChanges::default() };
    let update = UpdateKey { key: key_name(PLAIN, 1), changes, etag: None };
    house.world.done(by_root(Operation::UpdateKey(Box::new(update))));
    move_to(&mut house, 1, later(START, LIFE));
    assert_eq!((owed(&house), give(&mut house, &[1])), (vec![], vec![]));
}

#[test]
fn nobody_is_told_of_what_is_over_and_of_a_suspended_key_once_it_is_resumed() {
    let mut house = house(&[(1, 100), (2, 100), (3, 100)]);
    house.pass(70 * DAY);
    house.world.done(by_root(Operation::RevokeKey(revoke(PLAIN, 1))));
    let (key, text) = (key_name(PLAIN, 2), because());
    house.world.done(by_root(Operation::SuspendKey(SuspendKey { key: key.clone(), text, etag: None })));
    assert_eq!((owed(&house), give(&mut house, &[1, 2, 3])), (vec![3], vec![30]));
    house.pass(23 * DAY);
    let text = because();
    house.world.done(by_root(Operation::ResumeKey(ResumeKey { key, text, etag: None })));
    assert_eq!((owed(&house), give(&mut house, &[1, 2, 3])), (vec![2, 3], vec![7, 7]));
    house.pass(6 * DAY);
    house.world.done(by_root(cut(CutScope::Keyspace(keyspace(PLAIN)))));
    assert_eq!((owed(&house), give(&mut house, &[1, 2, 3])), (vec![], vec![]), "all were revoked");
}

#[test]
fn a_key_whose_only_version_was_revoked_is_told_of_to_nobody() {
    let mut house = house(&[(1, 100)]);
    house.pass(70 * DAY);
    let version = Some(version_id(1));
    house.world.done(by_root(Operation::RevokeKey(latchkey_state::RevokeKey { version, ..revoke(PLAIN, 1) })));
    assert_eq!((owed(&house), give(&mut house, &[1])), (vec![], vec![]));
}

#[test]
fn a_keyspace_chooses_when_and_none_is_a_choice() {
    let mut house = house(&[(1, 100)]);
    choose(&mut house, Some(&[]));
    house.pass(95 * DAY);
    assert_eq!((owed(&house), give(&mut house, &[1])), (vec![], vec![]));
    choose(&mut house, Some(&[50, 5]));
    assert_eq!(give(&mut house, &[1]), [5]);
    choose(&mut house, None);
    assert_eq!(owed(&house), [], "what it was told of five days before says more than a week before");
    house.pass(4 * DAY);
    assert_eq!(give(&mut house, &[1]), [1]);
}

#[test]
fn management_keys_are_told_of_as_all_are() {
    let mut house = house(&[]);
    house.world.done(by_root(create_identity("acme/bot", &[])));
    let new = NewKey { expiry: Expiry::After(DurationMillis::from_days(100)), ..management_key(9, "acme/bot") };
    house.world.done(by_root(create_keys("system/management", vec![new])));
    house.pass(70 * DAY);
    assert_eq!(owed(&house), [9]);
}

#[test]
fn an_old_fence_tells_nobody_and_too_many_keys_are_refused() {
    let mut house = house(&[(1, 100)]);
    house.pass(70 * DAY);
    let old = giving(&house, &[1]);
    house.claim(8);
    assert!(matches!(house.world.refused(old), Refusal::RotationFenced { .. }));
    assert_eq!(give(&mut house, &[1]), [30]);
    let many = giving(&house, &vec![1; PLANS_PER_COMMAND_MAX + 1]);
    let limit = PLANS_PER_COMMAND_MAX as u64;
    assert_eq!(house.world.refused(many), Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit });
}

#[test]
fn a_state_that_is_loaded_knows_who_was_told() {
    let mut house = house(&[(1, 100), (2, 100)]);
    house.pass(70 * DAY);
    assert_eq!(give(&mut house, &[1]), [30]);
    let loaded = State::load(house.world.state.rows()).unwrap();
    assert_eq!(loaded, house.world.state);
    let now = house.now();
    for scan in [1, 100] {
        assert_eq!(owed_in(&loaded, now, scan), owed_in(&house.world.state, now, scan));
    }
    house.world.state = loaded;
    assert_eq!((owed(&house), give(&mut house, &[1, 2])), (vec![2], vec![30]));
}

#[test]
fn below_level_6_nobody_is_told_and_what_was_moved_then_is_told_of_later() {
    let mut house = house(&[(1, 100)]);
    house.world.state = at_level(&house.world.state, 5);
    house.pass(70 * DAY);
    assert_eq!(owed(&house), []);
    let command = giving(&house, &[1]);
    assert_eq!(command.feature_level, 6);
    assert_eq!(house.world.refused(command), Refusal::FeatureLevel { needed: 6, current: 5 });
    let now = house.now();
    move_to(&mut house, 1, later(now, 20 * DAY));
    let key = house.world.state.key(&key_name(PLAIN, 1)).unwrap();
    assert_eq!(key.details.as_ref().unwrap().expiry_told_through, None, "an older build knows no such field");
    house.world.done(by_replica(Operation::RaiseFeatureLevel(6)));
    assert_eq!((owed(&house), give(&mut house, &[1])), (vec![1], vec![30]));
}

/// The same state, as if its cluster were of this feature level.
fn at_level(state: &State, feature_level: u32) -> State {
    let rows = state.rows().map(|row| match row {
        latchkey_state::Row::Progress(progress) => {
            latchkey_state::Row::Progress(latchkey_state::Progress { feature_level, ..progress })
        }
        row => row,
    });
    State::load(rows.collect::<Vec<_>>().into_iter()).unwrap()
}

#[test]
fn keys_that_end_soon_are_counted_by_how_soon() {
    let mut house = house(&[(1, 1), (2, 7), (3, 30), (4, 31), (5, 0), (6, 1)]);
    house.world.done(by_root(Operation::RevokeKey(revoke(PLAIN, 6))));
    let count = |house: &House| {
        let survey = house.world.state.rotation_survey(None, house.now(), 1_000);
        survey.keyspaces.iter().fold([0; 3], |sum, told| [0, 1, 2].map(|at: usize| sum[at] + told.expiring[at]))
    };
    assert_eq!(count(&house), [1, 2, 3]);
    house.pass(DAY);
    assert_eq!(count(&house), [0, 1, 3]);
}

#[test]
fn a_survey_says_when_the_next_key_falls_due() {
    let mut house = House::new(policy());
    let next = |house: &House| {
        let survey = house.world.state.rotation_survey(None, house.now(), 1_000);
        survey.keyspaces.iter().filter_map(|told| told.next_due_at).min()
    };
    assert_eq!(next(&house), Some(later(START, INTERVAL)));
    house.pass(INTERVAL);
    assert_eq!(next(&house), None, "they are due, and need no waiting for");
    assert_eq!(next(&House::new(RotationPolicy { mode: RotationMode::Notify, ..policy() })), None);
}
