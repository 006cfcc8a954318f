//! An audit log that was lost: another one begins, names the one before it, and whoever cut it is seen to have.

use crate::replicas::admit;
use crate::support::{
    START, World, as_request, by, by_replica, by_root, command, create_owner, create_tenant, later, slug, stamped,
};
use latchkey_domain::{NodeId, Refusal, ReplicaPlace, ReplicaRole, Revision, Sequence, UnixMillis};
use latchkey_state::{
    Action, Actor, Applied, AuditCheckpoint, BeginAuditLog, BeginEpoch, Command, DecodedEvent, EpochOrigin, Operation,
    Progress, Row, State, Trimmed,
};
use std::collections::BTreeMap;

const MINUTE: u64 = 60_000;

/// A cluster of which audit had the first nine entries, and a checkpoint of them.
pub(crate) fn followed() -> World {
    let mut world = World::furnished();
    world.done(by_replica(admit(1, ReplicaRole::Voter)));
    let tree = &world.state.progress().frontier;
    let checkpoint = AuditCheckpoint { size: tree.size(), root: tree.root(), key: [0xA; 32] };
    let record = Operation::RecordCheckpoint { checkpoint, through: Some(Sequence(8)) };
    world.done(command(Actor::Service(slug("audit")), record));
    world
}

fn anew(force: bool) -> Command {
    by_root(Operation::BeginAuditLog(BeginAuditLog { force }))
}

fn restored(epoch: u64) -> Command {
    let place = ReplicaPlace::new("south", "127.0.0.1:7721", "127.0.0.1:7720").unwrap();
    let begin = BeginEpoch { epoch, origin: EpochOrigin::Backup, place, audit: None };
    Command { at: START, ..Command::new(Actor::Replica(NodeId(9)), [7; 32], Operation::BeginEpoch(Box::new(begin))) }
}

fn told(applied: &Applied) -> Vec<(u64, Action, BTreeMap<String, String>)> {
    let entries = applied.entries.iter().map(|entry| {
        let event = DecodedEvent::decode(&entry.event).unwrap();
        let facts = event.facts.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        (entry.sequence.0, event.action, facts)
    });
    entries.collect()
}

fn name(state: &State) -> String {
    state.progress().log_name(state.cluster().unwrap().id)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The facts of the first entry of a log that goes on from `before`.
fn check_first(applied: &Applied, before: &State, after: &State) {
    let (sequence, action, facts) = told(applied).swap_remove(0);
    assert_eq!((sequence, action), (0, Action::AuditLogBegan));
    let (tree, checkpoint) = (&before.progress().frontier, before.progress().checkpoint.unwrap());
    let expected = [
        ("checkpoint_root", hex(checkpoint.root.as_bytes())),
        ("checkpoint_size", checkpoint.size.to_string()),
        ("log", name(after)),
        ("lost_from", "9".to_owned()),
        ("previous_log", name(before)),
        ("previous_root", hex(tree.root().as_bytes())),
        ("previous_size", tree.size().to_string()),
    ];
    assert_eq!(facts, expected.map(|(name, value)| (name.to_owned(), value)).into());
    let progress = after.progress();
    assert_eq!(
        (progress.frontier.size(), progress.trimmed, progress.checkpoint),
        (applied.entries.len() as u64, None, None)
    );
    after.check_invariants().unwrap();
}

#[test]
fn a_cluster_restored_without_its_audit_log_begins_another_where_entries_were_let_go() {
    let before = followed().state;
    let mut state = before.clone();
    let applied = state.apply(Revision::new(2, before.revision().index + 1), &restored(2));
    check_first(&applied, &before, &state);
    let actions: Vec<_> = told(&applied).into_iter().map(|(sequence, action, _)| (sequence, action)).collect();
    assert_eq!(actions, [(0, Action::AuditLogBegan), (1, Action::EpochBegan)]);
    assert_eq!(name(&state), format!("{}/e2", name(&before)));
}

#[test]
fn where_nothing_was_let_go_all_comes_again_under_another_name() {
    let before = World::furnished().state;
    let mut state = before.clone();
    let applied = state.apply(Revision::new(2, before.revision().index + 1), &restored(2));
    assert_eq!(told(&applied)[0].0, before.progress().frontier.size());
    assert_eq!(told(&applied)[0].1, Action::EpochBegan);
    // Audit said that it follows, and took nothing.
    let mut followed = before.clone();
    let trimmed = Some(Trimmed { next: Sequence(0), at: START });
    followed.install(Row::Progress(Progress { trimmed, ..before.progress().clone() }));
    let applied = followed.apply(Revision::new(2, before.revision().index + 1), &restored(2));
    assert_eq!(told(&applied)[0].0, before.progress().frontier.size());
}

#[test]
fn a_cluster_of_an_older_level_keeps_its_log_until_the_level_is_raised() {
    let mut state = followed().state;
    state.install(Row::Progress(Progress { feature_level: 5, checkpoint: None, ..state.progress().clone() }));
    let size = state.progress().frontier.size();
    let index = state.revision().index + 1;
    let refused = state.clone().apply(Revision::new(1, index), &stamped(anew(true), state.clock())).answer.unwrap_err();
    assert_eq!(refused, Refusal::FeatureLevel { needed: 6, current: 5 });
    let older = Command { feature_level: 5, ..restored(2) };
    assert_eq!(told(&state.apply(Revision::new(2, index), &older))[0].0, size);
}

#[test]
fn an_operator_begins_another_log_which_is_named_after_the_record() {
    let mut world = followed();
    world.done(by_root(create_owner("acme/waits")));
    let since = world.state.clock();
    let entries = world.state.progress().entries_waiting();
    assert!(entries > 0);
    let at = |minutes: u64| later(since, minutes * MINUTE - 1);
    let refusal = world.refused(stamped(anew(false), at(10)));
    assert!(matches!(&refusal, Refusal::AuditLogNotLost { entries: found, .. } if *found == entries), "{refusal:?}");
    let before = world.state.clone();
    let applied = world.apply(stamped(anew(false), later(since, 10 * MINUTE)));
    check_first(&applied, &before, &world.state);
    assert_eq!(name(&world.state), format!("{}/e1-{}", name(&before), applied.revision.index));
    // Audit may follow from the first entry on, and nobody has said that he does: nothing is refused.
    world.done(stamped(by_root(create_tenant("later")), later(since, 65 * MINUTE)));
    let refusal = world.refused(stamped(anew(true), later(since, 65 * MINUTE)));
    assert!(
        matches!(&refusal, Refusal::AuditLogNotLost { problem, .. } if problem.contains("from its first on")),
        "{refusal:?}"
    );
}

#[test]
fn where_nothing_waits_for_audit_only_force_begins_another_log() {
    let mut world = followed();
    let all = world.state.progress().frontier.size() - 1;
    world.done(command(Actor::Service(slug("audit")), Operation::Trim(Sequence(all))));
    let late = later(world.state.clock(), 55 * MINUTE);
    assert!(matches!(world.refused(stamped(anew(false), late)), Refusal::AuditLogNotLost { entries: 0, .. }));
    world.done(stamped(anew(true), late));
    assert_eq!(world.state.progress().frontier.size(), 1);
}

#[test]
fn a_repeat_begins_no_third_log() {
    let mut world = followed();
    let asked = as_request(anew(true), 3, 4);
    let first = world.apply(asked.clone());
    world.done(by_root(create_owner("acme/more")));
    let progress = world.state.progress().clone();
    let again = world.apply(asked);
    assert_eq!((again.revision, again.repeated, again.entries.len()), (first.revision, true, 0));
    assert_eq!(world.state.progress().tree(), progress.tree());
    assert_eq!(world.state.progress().frontier, progress.frontier);
}

#[test]
fn two_logs_of_one_cluster_never_have_one_name() {
    let mut world = followed();
    let audit = |operation| command(Actor::Service(slug("audit")), operation);
    let mut names = vec![name(&world.state)];
    for _ in 0..3 {
        world.done(anew(true));
        names.push(name(&world.state));
        world.done(audit(Operation::Trim(Sequence(0))));
    }
    let mut state = world.state;
    state.apply(Revision::new(2, state.revision().index + 1), &restored(2)).answer.unwrap();
    names.push(name(&state));
    let mut known = names.clone();
    known.dedup();
    assert_eq!(known, names);
    assert!(names[4].ends_with("/e2"), "an epoch's name has no record in it: {names:?}");
}

#[test]
fn it_passes_while_audit_is_too_far_behind_for_anything_else() {
    let mut world = followed();
    let trimmed = Some(Trimmed { next: Sequence(1), at: UnixMillis::default() });
    world.state.install(Row::Progress(Progress { trimmed, ..world.state.progress().clone() }));
    assert!(matches!(world.refused(by_root(create_tenant("brief"))), Refusal::AuditBehind { .. }));
    world.done(anew(false));
    world.done(by_root(create_tenant("brief")));
}

#[test]
fn nobody_begins_a_log_but_an_admin_of_the_system() {
    let mut world = followed();
    let operation = || Operation::BeginAuditLog(BeginAuditLog { force: true });
    for command in
        [by("acme/admin", operation()), by_replica(operation()), command(Actor::Service(slug("audit")), operation())]
    {
        let refusal = world.refused(command);
        assert!(matches!(refusal, Refusal::PermissionDenied { .. }), "{refusal:?}");
    }
}
