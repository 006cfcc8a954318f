//! Backups are facts of the log: told once when they come, and once when they go.

use crate::replicas::admit;
use crate::support::{World, by, by_replica, by_root, command, create_tenant, delete, tenant};
use latchkey_domain::{Duty, NodeId, Refusal, ReplicaRole, Revision, Sequence, UnixMillis};
use latchkey_state::{
    Actor, Applied, BACKUPS_MAX, Backup, Command, DecodedEvent, Delete, DirectoryName, Operation, Progress,
    ReplicaBackups, Row, Trimmed,
};

fn three() -> World {
    let mut world = World::furnished();
    for node in 1..=3 {
        world.done(by_replica(admit(node, ReplicaRole::Voter)));
    }
    world
}

fn backup(index: u64) -> Backup {
    Backup { revision: Revision::new(1, index), taken_at: UnixMillis::new(1_000 + index), node: NodeId(3) }
}

/// Replica `node` tells what lies in its folder.
fn tells(node: u64, kept: &[u64]) -> Command {
    let folder = Box::new(ReplicaBackups::of_folder(2, 0, kept.iter().copied().map(backup).collect()));
    command(Actor::Replica(NodeId(node)), Operation::RecordKeptBackups { node: NodeId(node), folder })
}

fn told(applied: &Applied) -> Vec<(String, String)> {
    assert!(applied.answer.is_ok(), "{:?}", applied.answer);
    let events = applied.entries.iter().map(|entry| DecodedEvent::decode(&entry.event).unwrap());
    events.map(|event| (event.action.as_str().to_owned(), event.subject)).collect()
}

fn entry(action: &str, index: u64) -> (String, String) {
    (action.to_owned(), backup(index).to_string())
}

#[test]
fn a_backup_that_is_kept_leaves_an_entry_when_it_comes_and_one_when_it_goes() {
    let mut world = three();
    assert_eq!(backup(4).to_string(), "backups/1-4-3-1004");
    assert_eq!(told(&world.apply(tells(3, &[4]))), [entry("backup.created", 4)]);
    assert_eq!(told(&world.apply(tells(3, &[4]))), [], "a repeat is no news");
    assert_eq!(told(&world.apply(tells(3, &[4, 9]))), [entry("backup.created", 9)]);
    let rest = world.apply(tells(3, &[9, 12]));
    assert_eq!(told(&rest), [entry("backup.created", 12), entry("backup.removed", 4)]);
    let kept = &world.state.replica(NodeId(3)).unwrap().backups.as_ref().unwrap().kept;
    assert_eq!(kept[..], [backup(9), backup(12)]);
    world.state.check_invariants().unwrap();
}

#[test]
fn a_folder_that_two_replicas_write_to_is_told_of_by_each() {
    let mut world = three();
    assert_eq!(told(&world.apply(tells(3, &[4]))), [entry("backup.created", 4)]);
    assert_eq!(told(&world.apply(tells(2, &[4, 9]))), [entry("backup.created", 4), entry("backup.created", 9)]);
    assert_eq!(told(&world.apply(tells(2, &[9]))), [entry("backup.removed", 4)]);
    let kept = |node| world.state.replica(NodeId(node)).unwrap().backups.clone().unwrap().kept;
    assert_eq!((kept(3), kept(2)), (vec![backup(4)], vec![backup(9)]), "the other has not said that it is gone");
}

#[test]
fn a_backup_that_was_given_leaves_an_entry_and_the_newest_is_known() {
    let mut world = three();
    let given = |index| by_root(Operation::RecordBackup(backup(index)));
    assert_eq!(told(&world.apply(given(9))), [entry("backup.created", 9)]);
    assert_eq!(told(&world.apply(given(9))), []);
    assert_eq!(told(&world.apply(given(4))), [entry("backup.created", 4)], "asked for first, told of second");
    assert_eq!(world.state.newest_backup(), Some(backup(9)));
    world.done(tells(3, &[12]));
    assert_eq!(world.state.newest_backup(), Some(backup(12)));
    let known = world.state.replica(NodeId(3)).unwrap().backups.clone().unwrap();
    assert_eq!((known.given, &known.kept[..]), (Some(backup(9)), &[backup(12)][..]));
}

#[test]
fn a_backup_can_be_given_while_audit_is_too_far_behind_for_anything_else() {
    let mut world = three();
    let trimmed = Some(Trimmed { next: Sequence(1), at: UnixMillis::default() });
    world.state.install(Row::Progress(Progress { trimmed, ..world.state.progress().clone() }));
    assert!(matches!(world.refused(by_root(create_tenant("brief"))), Refusal::AuditBehind { .. }));
    assert_eq!(told(&world.apply(by_root(Operation::RecordBackup(backup(9))))), [entry("backup.created", 9)]);
}

#[test]
fn whoever_destroys_data_is_told_of_the_last_backup_that_holds_it() {
    let mut world = three();
    world.done(by_root(create_tenant("brief")));
    world.done(tells(3, &[4, 9]));
    let name = DirectoryName::Tenant(tenant("brief"));
    let applied = world.apply(by_root(Operation::Delete(Delete { name, etag: None, destroy: true, number: None })));
    let event = DecodedEvent::decode(&applied.entries[0].event).unwrap();
    assert!(event.facts.contains(&("last_backup".to_owned(), backup(9).to_string())), "{event:?}");
    let again = world.apply(by_root(delete(DirectoryName::Tenant(tenant("brief")))));
    assert!(again.answer.is_err());
}

#[test]
fn of_too_many_the_oldest_are_counted_and_are_not_said_to_be_gone() {
    let mut world = three();
    let many: Vec<u64> = (1..=BACKUPS_MAX as u64).collect();
    assert_eq!(told(&world.apply(tells(3, &many))).len(), BACKUPS_MAX);
    let more: Vec<u64> = (1..=BACKUPS_MAX as u64 + 2).collect();
    assert!(told(&world.apply(tells(3, &more))).iter().all(|(action, _)| action == "backup.created"));
    let known = world.state.replica(NodeId(3)).unwrap().backups.clone().unwrap();
    assert_eq!((known.kept.len(), known.older, known.kept[0]), (BACKUPS_MAX, 2, backup(3)));
}

#[test]
fn a_replica_tells_of_its_own_folder_alone_and_only_who_may_take_backups_has_one_recorded() {
    let mut world = three();
    let of_another = tells(3, &[4]).operation;
    for actor in [Actor::Replica(NodeId(1)), by_root(Operation::Settle).actor] {
        let refusal = world.refused(command(actor, of_another.clone()));
        assert!(matches!(refusal, Refusal::PermissionDenied { .. }), "{refusal:?}");
    }
    let refusal = world.refused(by("acme/operator", Operation::RecordBackup(backup(4))));
    assert!(matches!(refusal, Refusal::PermissionDenied { duty: Duty::Admin, .. }), "{refusal:?}");
    for operation in [of_another, Operation::RecordBackup(backup(4))] {
        assert_eq!(operation.feature_level(), 6);
    }
    let of_nobody = by_root(Operation::RecordBackup(Backup { node: NodeId(9), ..backup(4) }));
    assert!(matches!(world.refused(of_nobody), Refusal::NotFound { .. }));
}
