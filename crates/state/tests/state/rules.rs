//! The ten rules, a test each. [`World`] checks every record besides: changes, entries, root, clock, invariants.

use crate::audit_log::followed;
use crate::support::{
    HOUR, MINUTE, START, World, as_request, begins_log, bootstrap, by_replica, by_root, command, create_keys,
    create_owner, create_tenant, defined_root, history, later, leaf_of, new_key, readings, rows_of, slug, stamped,
};
use latchkey_domain::{Quota, Refusal, Revision, Sequence};
use latchkey_state::{
    Action, Actor, Answer, Applied, BeginAuditLog, Command, DecodedEvent, Entry, FEATURE_LEVEL_NEWEST,
    KEYS_PER_COMMAND_MAX, NewKey, Operation, READINGS_MAX, Row, State,
};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;

fn config() -> ProptestConfig {
    // 48 histories of up to 60 records, each record checked against all rows: some seconds in a debug build.
    ProptestConfig { cases: 48, ..ProptestConfig::default() }
}

/// Applies a whole log to a state, unchecked.
fn replay(state: &mut State, log: &[(Revision, Command)]) -> Vec<Applied> {
    log.iter().map(|(revision, command)| state.apply(*revision, command)).collect()
}

/// Rule 8 of each audit log that the records made: where one was lost, another begins at 0.
fn check_logs(log: &[(Revision, Command)]) {
    let mut state = State::default();
    let entries: Vec<_> = replay(&mut state, log).into_iter().flat_map(|applied| applied.entries).collect();
    let logs: Vec<_> = entries.chunk_by(|_, next| !begins_log(next)).collect();
    for entries in &logs {
        let leaves: Vec<_> = entries.iter().map(leaf_of).collect();
        for (index, entry) in entries.iter().enumerate() {
            assert_eq!(entry.sequence, Sequence(index as u64));
            assert_eq!(entry.root, defined_root(&leaves[..=index]));
        }
    }
    let leaves: Vec<_> = logs.last().map(|last| last.iter().map(leaf_of).collect()).unwrap_or_default();
    assert_eq!(state.progress().frontier.root(), defined_root(&leaves));
}

#[test]
fn rule_8_holds_for_each_log_where_one_was_lost() {
    let mut world = followed();
    for owner in ["acme/second", "acme/third"] {
        world.done(by_root(Operation::BeginAuditLog(BeginAuditLog { force: true })));
        world.done(by_root(create_owner(owner)));
        assert_eq!(world.state.progress().frontier.size(), 2, "another log began");
        world.done(command(Actor::Service(slug("audit")), Operation::Trim(Sequence(1))));
    }
    check_logs(&world.log);
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn rule_1_apply_answers_any_command_in_any_state(born in any::<bool>(), steps in history(60)) {
        let mut world = if born { World::furnished() } else { World::default() };
        for step in steps {
            world.apply(step.at(world.state.clock()));
        }
    }

    #[test]
    fn rule_2_two_states_fed_the_same_are_equal(steps in history(60)) {
        let mut world = World::furnished();
        steps.iter().for_each(|step| drop(world.apply(step.at(world.state.clock()))));
        let (mut left, mut right) = (State::default(), State::default());
        prop_assert_eq!(replay(&mut left, &world.log), replay(&mut right, &world.log));
        prop_assert_eq!(&left, &right);
        let mut rows: Vec<Row> = left.rows().collect();
        rows.reverse();
        prop_assert_eq!(&State::load(rows.into_iter()).unwrap(), &left, "the order of rows matters");
    }

    #[test]
    fn rule_6_replaying_from_empty_equals_loading_at_any_point_and_applying_the_rest(
        steps in history(60),
        point in any::<prop::sample::Index>(),
    ) {
        let mut world = World::furnished();
        steps.iter().for_each(|step| drop(world.apply(step.at(world.state.clock()))));
        let (first, rest) = world.log.split_at(point.index(world.log.len()));
        let mut replayed = State::default();
        replay(&mut replayed, first);
        let mut loaded = State::load(replayed.rows()).unwrap();
        prop_assert_eq!(replay(&mut loaded, rest), replay(&mut replayed, rest));
        prop_assert_eq!(&loaded, &world.state);
        prop_assert_eq!(loaded.hash(), world.state.hash());
    }

    #[test]
    fn rule_7_the_changes_of_all_records_add_up_to_the_rows(steps in history(60)) {
        let mut world = World::default();
        let mut rows = std::collections::BTreeMap::new();
        let first = stamped(by_replica(Operation::Bootstrap(Box::new(bootstrap()))), START);
        let commands = std::iter::once(None).chain(steps.iter().map(Some));
        for step in commands {
            let command = step.map_or_else(|| first.clone(), |step| step.at(world.state.clock()));
            for (id, row) in world.apply(command).changes {
                match row {
                    Some(row) => rows.insert(id, row),
                    None => rows.remove(&id),
                };
            }
        }
        prop_assert_eq!(rows, rows_of(&world.state));
    }

    #[test]
    fn rule_8_entries_are_numbered_without_gaps_and_make_up_the_tree(steps in history(60)) {
        let mut world = World::furnished();
        steps.iter().for_each(|step| drop(world.apply(step.at(world.state.clock()))));
        check_logs(&world.log);
    }

    #[test]
    fn rule_9_the_hash_depends_on_the_rows_alone(steps in history(60)) {
        let mut world = World::furnished();
        steps.iter().for_each(|step| drop(world.apply(step.at(world.state.clock()))));
        // The invariants were checked after each record; a state that lost a row must not pass for the same.
        for row in world.state.rows() {
            let mut less = world.state.clone();
            less.remove(row.id());
            prop_assert_ne!(less.hash(), world.state.hash());
            less.install(row);
            prop_assert_eq!(&less, &world.state);
        }
    }
}

/// Refusals that histories have to meet.
const REFUSED: [&str; 24] = [
    "AlreadyExists",
    "AuditLogNotLost",
    "CheckpointConflict",
    "ClockJump",
    "EtagMismatch",
    "ExpiryPast",
    "FeatureLevel",
    "GrantExceedsCaller",
    "LifetimeTooLong",
    "NodeKeyKnown",
    "NotBeforeAfterExpiry",
    "NotEmpty",
    "NotFound",
    "OwnerNotAllowed",
    "PermissionDenied",
    "PrefixTaken",
    "QuotaExceeded",
    "RequestIdReused",
    "Reserved",
    "RingKeyGone",
    "RotationClaimed",
    "RotationFenced",
    "RotationNotIn",
    "StalenessTooShort",
];

/// A property that never meets a cut proves nothing of cuts.
#[test]
fn histories_reach_every_action_and_most_refusals() {
    let mut runner = TestRunner::deterministic();
    // The first is told of the world that is furnished; the other is begun from outside, and refused in every log.
    let mut untold = BTreeSet::from(Action::ALL);
    untold.retain(|action| ![Action::ClusterBootstrapped, Action::EpochBegan].contains(action));
    let mut unmet = BTreeSet::from(REFUSED.map(str::to_owned));
    let furnished = World::furnished();
    for _ in 0..20_000 {
        let mut world = furnished.clone();
        // Above those that furnished the world: a key that comes with a cut, and not after it, is dead.
        for (index, step) in (1_000..).zip(history(60).new_tree(&mut runner).unwrap().current()) {
            let applied = world.state.apply(Revision::new(1, index), &step.at(world.state.clock()));
            for entry in &applied.entries {
                untold.remove(&action_of(entry));
            }
            if let Err(refusal) = applied.answer {
                unmet.remove(&word_of(&refusal));
            }
        }
        if untold.is_empty() && unmet.is_empty() {
            return;
        }
    }
    panic!("no history reaches {untold:?}, nor the refusals {unmet:?}");
}

fn action_of(entry: &Entry) -> Action {
    DecodedEvent::decode(&entry.event).unwrap().action
}

fn word_of(refusal: &Refusal) -> String {
    format!("{refusal:?}").chars().take_while(char::is_ascii_alphabetic).collect()
}

#[test]
fn rule_3_the_clock_never_goes_back_over_leaders_restarts_and_snapshots() {
    let mut world = World::bootstrapped();
    world.done(stamped(by_root(create_tenant("acme")), later(START, 30 * MINUTE)));

    // A new leader lags by 20 minutes.
    world.done(stamped(by_root(create_tenant("globex")), later(START, 10 * MINUTE)));
    assert_eq!(world.state.clock(), later(START, 30 * MINUTE));

    // A restart or a snapshot carries the clock.
    world.state = State::load(world.state.rows()).unwrap();
    let Answer::Tenant(tenant) = world.done(stamped(by_root(create_tenant("initech")), START)) else { panic!() };
    assert_eq!(tenant.created_at, later(START, 30 * MINUTE));
}

#[test]
fn rule_4_the_work_of_one_record_is_bounded_by_named_constants() {
    let mut world = World::furnished();
    let keys = |count: usize| -> Vec<NewKey> {
        let ids = (0..count).map(|number| u32::try_from(number).unwrap().to_be_bytes());
        ids.map(|bytes| {
            let mut random = [1; 12];
            random[8..].copy_from_slice(&bytes);
            let (id, version) =
                (latchkey_domain::KeyId::from_random(random), latchkey_domain::VersionId::from_random(random));
            NewKey { id, version, ..new_key(1) }
        })
        .collect()
    };
    let limit = KEYS_PER_COMMAND_MAX as u64;
    let refusal = world.refused(by_root(create_keys("acme/live", keys(KEYS_PER_COMMAND_MAX + 1))));
    assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::KeysOfCommand, limit });

    // A hundred requests end at once: the sweep takes its share of each record and says that more remains.
    for number in 0..100 {
        world.done(as_request(by_root(create_owner(&format!("acme/owner-{number}"))), number, 0));
    }
    let tomorrow = later(world.state.clock(), 25 * HOUR);
    let applied = world.apply(by_replica(readings(&[tomorrow; 3])));
    let swept = |applied: &Applied| applied.changes.values().filter(|row| row.is_none()).count();
    assert_eq!((swept(&applied), applied.more_to_sweep), (64, true));
    let applied = world.apply(by_replica(readings(&[tomorrow; 3])));
    assert_eq!((swept(&applied), applied.more_to_sweep), (36, false));

    // What lies beyond the bound of readings is not looked at.
    let mut times = vec![tomorrow; READINGS_MAX];
    times.extend([later(tomorrow, HOUR); READINGS_MAX]);
    world.done(by_replica(readings(&times)));
    assert_eq!(world.state.clock(), tomorrow);
}

#[test]
fn rule_5_a_newer_command_is_refused_alike_whatever_the_build_knows() {
    let mut world = World::furnished();
    let (needed, current) = (FEATURE_LEVEL_NEWEST + 1, FEATURE_LEVEL_NEWEST);
    let newer = Command { feature_level: needed, ..by_root(create_tenant("initech")) };
    assert_eq!(world.refused(newer.clone()), Refusal::FeatureLevel { needed, current });

    // The replicated level decides, not this build: it follows a raise to a level that it has yet to learn.
    assert!(world.state.is_understood());
    let raise = by_replica(Operation::RaiseFeatureLevel(FEATURE_LEVEL_NEWEST + 1));
    world.done(raise.clone());
    assert_eq!(world.state.progress().feature_level, FEATURE_LEVEL_NEWEST + 1);
    assert!(!world.state.is_understood());
    world.done(newer);

    // Again is no change; a step over a level is refused.
    assert!(world.apply(raise).entries.is_empty());
    let refusal = world.refused(by_replica(Operation::RaiseFeatureLevel(u32::MAX)));
    assert_eq!(refusal, Refusal::FeatureLevel { needed: u32::MAX, current: needed });
}

#[test]
fn rule_5_a_cluster_is_born_at_the_level_of_its_first_command() {
    let mut world = World::default();
    let first = stamped(by_replica(Operation::Bootstrap(Box::new(bootstrap()))), START);
    world.done(Command { feature_level: FEATURE_LEVEL_NEWEST + 1, ..first });
    assert_eq!(world.state.progress().feature_level, FEATURE_LEVEL_NEWEST + 1);
}

#[test]
fn rule_10_a_repeat_changes_nothing_and_gets_the_first_answer() {
    let mut world = World::furnished();
    let create = as_request(by_root(create_keys("acme/live", vec![new_key(1)])), 1, 0);
    let first = world.apply(create.clone());
    let again = world.apply(create);
    assert_eq!(again.answer, first.answer);
    assert_eq!((again.revision, again.repeated), (first.revision, true));
    assert!(again.entries.is_empty());
    assert_eq!(world.state.key_count(), 2, "root's key and the one that was asked for twice");
}

#[test]
fn nothing_but_the_first_command_is_carried_out_before_it() {
    let mut world = World::default();
    for operation in [
        Operation::AddRingKey(crate::support::ring_key(latchkey_state::RingPurpose::Log)),
        Operation::DropRingKey(latchkey_domain::RingNumber(1)),
        Operation::RaiseFeatureLevel(1),
    ] {
        world.refused(by_replica(operation));
    }
    world.refused(by_root(create_tenant("acme")));
    world.done(by_replica(readings(&[START; 3])));
    world.done(stamped(by_replica(Operation::Bootstrap(Box::new(bootstrap()))), START));
    assert!(matches!(
        world.refused(stamped(by_replica(Operation::Bootstrap(Box::new(bootstrap()))), START)),
        Refusal::AlreadyExists { .. }
    ));
}

#[test]
fn a_record_without_a_command_moves_the_revision_alone() {
    let mut world = World::furnished();
    let before = world.state.clone();
    let changes = world.state.skip(Revision::new(1, 900));
    let expected = latchkey_state::Progress { last: Revision::new(1, 900), ..before.progress().clone() };
    assert_eq!(changes.into_values().collect::<Vec<_>>(), [Some(Row::Progress(expected))]);
    world.state.check_invariants().unwrap();
}
