//! The life of a key, in every order of what can happen to it, against an oracle that computes it in another way.
//!
//! Proved of each step: the answer; what each version is worth now, and at each moment at which that changes; at most one
//! active version; no end of a version is put off but by a roll back or a later end of the key; the dead stay dead; a
//! rotation touches neither what the key may do nor its etag; the same again changes nothing; a refusal changes nothing.

mod event;
mod oracle;

use crate::support::{
    HOUR, MINUTE, START, World, by_root, create_keys, key_name, later, owned_key, rows_of, version_id,
};
use event::{Event, FEW, Facts, MANY, rotation_id};
use latchkey_domain::{PermissionRef, Revision, RotationName, RotationState, UnixMillis};
use latchkey_state::{Expiry, Key, NewKey, RowId, State, Worth};
use oracle::{Oracle, Turn};
use proptest::prelude::*;
use proptest::strategy::Union;
use std::sync::Arc;

/// Where the keys are, and whose they are.
const KEY: &str = "acme/live";
const SHOP: &str = "acme/shop";
/// The key that everything happens to, and the one whose child it may be.
const CHILD: u8 = 1;
const PARENT: u8 = 100;

/// A state and what the oracle says of it.
#[derive(Clone)]
struct Life {
    state: State,
    index: u64,
    oracle: Oracle,
    fresh: u8,
}

impl Life {
    /// A key that ends five hours after it was made; its parent, where it has one, an hour later.
    fn new(is_child: bool) -> Self {
        let mut world = World::furnished();
        let parent_ends_at = is_child.then(|| later(START, 6 * HOUR));
        if let Some(end) = parent_ends_at {
            let parent = NewKey { expiry: Expiry::At(end), ..owned_key(PARENT, SHOP) };
            world.done(by_root(create_keys(KEY, vec![parent])));
        }
        let parent = is_child.then(|| key_name(KEY, PARENT).key);
        let expires_at = later(START, 5 * HOUR);
        let key = NewKey { expiry: Expiry::At(expires_at), parent, ..owned_key(CHILD, SHOP) };
        world.done(by_root(create_keys(KEY, vec![key])));
        let parent_ends_at = parent_ends_at.map(UnixMillis::millis);
        let oracle = Oracle::new(START.millis(), CHILD, expires_at.millis(), parent_ends_at);
        Self { state: world.state, index: 1_000, oracle, fresh: CHILD }
    }

    fn key(&self) -> &Arc<Key> {
        self.state.key(&key_name(KEY, CHILD)).unwrap()
    }

    fn facts(&self) -> Facts {
        let versions = &self.oracle.versions;
        Facts {
            now: self.state.clock(),
            fresh: self.fresh + 1,
            rotation: self.oracle.rotation.map_or(0, |rotation| rotation.number),
            ends: (versions.first().unwrap().number, versions.last().unwrap().number),
            made_at: START,
            shop: self.state.owner(&crate::support::owner(SHOP)).unwrap().number,
            keyspace: self.key().keyspace,
        }
    }

    /// Lets an event happen, to both, and compares them.
    fn happen(&mut self, event: Event) {
        let facts = self.facts();
        let before = self.clone();
        let Some(command) = event.command(&facts) else {
            self.state = State::load(self.state.rows()).unwrap();
            assert!(self.state == before.state, "a restart changed the state");
            return;
        };
        self.index += 1;
        let applied = self.state.apply(Revision::new(1, self.index), &command);
        match before.oracle.after(event, facts.fresh) {
            Ok(oracle) => {
                assert!(applied.answer.is_ok(), "{:?}", applied.answer);
                self.oracle = oracle;
                self.fresh += 1;
            }
            Err(word) => {
                let refusal = format!("{:?}", applied.answer.expect_err("the oracle refuses"));
                assert!(refusal.starts_with(word), "{refusal} instead of {word}");
                assert!(applied.changes.keys().all(|id| *id == RowId::Progress), "a refusal changed something");
            }
        }
        self.compare();
        self.obey(event, &before);
        if event.is_idempotent() && self.state.revision().index == self.index {
            self.say_again(event);
        }
    }

    /// The state says what the oracle says, now and whenever that changes.
    fn compare(&self) {
        let (key, oracle) = (self.key(), &self.oracle);
        let ids: Vec<_> = key.versions.iter().map(|version| version.id).collect();
        assert_eq!(ids, oracle.versions.iter().map(|version| version_id(version.number)).collect::<Vec<_>>());
        // Also where the end of the key hides that of the version: what is shown must not be rounded up.
        let retire = |version: &latchkey_state::Version| version.retires_at().map_or(u64::MAX, UnixMillis::millis);
        let retire_times: Vec<_> = key.versions.iter().map(retire).collect();
        assert_eq!(retire_times, oracle.versions.iter().map(|version| version.retires_at).collect::<Vec<_>>());
        let ends = oracle.ends().into_iter().flat_map(|end| [end.saturating_sub(1), end]);
        let times = ends.chain([oracle.now]).filter(|time| *time >= oracle.now);
        for time in times {
            let now = UnixMillis::new(time);
            for (version, expected) in key.versions.iter().zip(&oracle.versions) {
                let found = self.state.version(version.id).unwrap();
                let worth = self.state.worth(&found, now);
                assert_eq!(word(worth), oracle.worth(expected, time), "version {} at {time}", expected.number);
                assert_eq!(worth, self.state.version_worth(key, version, now));
            }
            let read = PermissionRef::parse("orders:read").unwrap();
            let layers = self.state.terms_of(key, now);
            assert_eq!(layers.permits(read), time >= oracle.restricted_until);
            assert_eq!(layers.effective_permissions().is_empty(), time < oracle.restricted_until);
        }
        if let Some(expected) = oracle.rotation {
            let name = RotationName { key: key_name(KEY, CHILD), rotation: rotation_id(expected.number) };
            let rotation = self.state.rotation(&name).unwrap();
            assert_eq!(rotation.state, state_of(expected.turn));
            if let Turn::Overlap { ends_at } = expected.turn {
                assert_eq!(rotation.overlap_ends_at, Some(UnixMillis::new(ends_at)));
            }
            let in_progress = (!rotation.state.is_final()).then_some(rotation.id);
            assert_eq!(key.rotation(), in_progress);
        }
    }

    /// What holds of every event, whatever the oracle thinks.
    fn obey(&self, event: Event, before: &Self) {
        let (key, old) = (self.key(), before.key());
        let now = self.state.clock();
        let is_active = |version: &&latchkey_state::Version| {
            let is_revoked = version.revocation().is_some_and(|revocation| revocation.effective_at <= now);
            !version.is_pending() && version.retires_at().is_none() && !is_revoked
        };
        assert!(key.versions.iter().filter(is_active).count() <= 1, "two active versions");
        for version in &old.versions {
            let was_dead = before.state.death_of_version(old, version, before.state.clock()).is_some();
            let Some(after) = key.version(version.id) else {
                assert!(was_dead, "a living version left");
                continue;
            };
            assert!(!was_dead || self.state.death_of_version(key, after, now).is_some(), "a dead version came back");
            let put_off = end_of(key, after) > end_of(old, version);
            assert!(!put_off || matches!(event, Event::RollBack | Event::Lengthen), "a life became longer");
        }
        if event.is_of_rotation() {
            let etag_and_terms = |key: &Key| (key.etag(), key.terms.clone(), key.expires_at, key.changed());
            assert_eq!(etag_and_terms(key), etag_and_terms(old));
            let keyspace = |state: &State| state.keyspaces().by_number(key.keyspace).cloned();
            assert_eq!(keyspace(&self.state), keyspace(&before.state));
        }
    }

    /// The same again changes nothing and tells nothing.
    fn say_again(&self, event: Event) {
        let mut again = self.clone();
        let facts = Facts { rotation: again.facts().rotation, ..again.facts() };
        let applied = again.state.apply(Revision::new(1, self.index + 1), &event.command(&facts).unwrap());
        assert!(applied.entries.is_empty(), "{event:?} again is told again");
        assert!(applied.changes.keys().all(|id| *id == RowId::Progress), "{event:?} again is a change");
    }
}

/// When a version ends by all that is known of it and its key.
fn end_of(key: &Key, version: &latchkey_state::Version) -> UnixMillis {
    let revocations = [key.revocation(), version.revocation()].into_iter().flatten();
    let ends = revocations.map(|revocation| revocation.effective_at);
    let times = [key.expires_at, version.retires_at()].into_iter().flatten();
    ends.chain(times).min().unwrap_or(UnixMillis::LAST)
}

fn word(worth: Worth) -> oracle::Worth {
    match worth {
        Worth::Accepted => oracle::Worth::Accepted,
        Worth::Revoked(_) => oracle::Worth::Revoked,
        Worth::Suspended(_) => oracle::Worth::Suspended,
        Worth::Expired(_) => oracle::Worth::Expired,
        Worth::NotYetValid(_) => oracle::Worth::NotYetValid,
    }
}

fn state_of(turn: Turn) -> RotationState {
    match turn {
        Turn::Prepared => RotationState::Prepared,
        Turn::Overlap { .. } => RotationState::Overlap,
        Turn::Completed => RotationState::Completed,
        Turn::RolledBack => RotationState::RolledBack,
        Turn::Cancelled => RotationState::Cancelled,
    }
}

/// All histories of up to `depth` events that begin like this one; how many there are.
fn every_order(life: &Life, path: &mut Vec<Event>, depth: usize) -> usize {
    if depth == 0 {
        return 0;
    }
    let mut count = 0;
    for event in FEW {
        path.push(event);
        let mut next = life.clone();
        let happened = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| next.happen(event)));
        assert!(happened.is_ok(), "the history {path:?}");
        count += 1 + every_order(&next, path, depth - 1);
        path.pop();
    }
    count
}

#[test]
fn every_history_of_up_to_four_events_is_as_the_oracle_says() {
    let count = every_order(&Life::new(false), &mut Vec::new(), 4);
    assert_eq!(count, 14 + 14_usize.pow(2) + 14_usize.pow(3) + 14_usize.pow(4));
}

#[test]
fn every_history_of_a_child_of_up_to_three_events_is_as_the_oracle_says() {
    let count = every_order(&Life::new(true), &mut Vec::new(), 3);
    assert_eq!(count, 14 + 14_usize.pow(2) + 14_usize.pow(3));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn long_histories_are_as_the_oracle_says(
        is_child in any::<bool>(),
        events in prop::collection::vec(Union::new_weighted(MANY.map(|(weight, event)| (weight, Just(event))).to_vec()), 1..80),
    ) {
        let mut life = Life::new(is_child);
        for event in events {
            life.happen(event);
        }
        life.state.check_invariants().unwrap();
        let loaded = State::load(life.state.rows()).unwrap();
        prop_assert_eq!(rows_of(&loaded), rows_of(&life.state));
    }
}

#[test]
fn an_overlap_ends_with_its_key_and_is_never_rounded_up() {
    let mut life = Life::new(false);
    life.happen(Event::Tick(3 * HOUR + 17));
    life.happen(Event::Rotate(24 * HOUR));
    let ends = |life: &Life| life.key().versions[0].retires_at();
    assert_eq!(ends(&life), Some(later(START, 5 * HOUR)));

    let mut life = Life::new(false);
    life.happen(Event::Tick(MINUTE + 17));
    life.happen(Event::Rotate(1));
    assert_eq!(ends(&life), Some(later(START, MINUTE + 18)));
}
