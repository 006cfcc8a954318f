//! What vouches for the audit log: node keys that stay, and checkpoints that only go on.

use crate::replicas::{admit, step};
use crate::support::{World, by_replica, by_root, command, slug, text};
use latchkey_domain::{DurationMillis, ExpiryNotices, NodeId, Refusal, ReplicaRole, ResourceKind, Sequence};
use latchkey_state::{
    Actor, AuditCheckpoint, GiveNotices, KeyspaceChanges, Operation, Progress, ReplicaStep, Row, TenantChanges,
    UpdateKeyspace, UpdateTenant,
};
use latchkey_transparency::Hash;

fn three() -> World {
    let mut world = World::furnished();
    for node in 1..=3 {
        world.done(by_replica(admit(node, ReplicaRole::Voter)));
    }
    world
}

/// Replica `node` tells its key, asked by itself.
fn tell(node: u64, key: u8) -> latchkey_state::Command {
    command(Actor::Replica(NodeId(node)), Operation::SetNodeKey { node: NodeId(node), key: [key; 32] })
}

fn record(checkpoint: AuditCheckpoint, through: Option<u64>) -> latchkey_state::Command {
    let through = through.map(Sequence);
    command(Actor::Service(slug("audit")), Operation::RecordCheckpoint { checkpoint, through })
}

/// The tree as it is now, signed by audit.
fn now(world: &World) -> AuditCheckpoint {
    let tree = &world.state.progress().frontier;
    AuditCheckpoint { size: tree.size(), root: tree.root(), key: [0xA; 32] }
}

fn problem(refusal: Refusal) -> String {
    let Refusal::CheckpointConflict { problem, .. } = refusal else { panic!("{refusal:?}") };
    problem
}

#[test]
fn a_replica_tells_its_key_once_with_an_entry_and_for_good() {
    let mut world = three();
    let told = world.apply(tell(2, 7));
    assert_eq!((told.answer, told.entries.len()), (Ok(latchkey_state::Answer::Done), 1));
    assert_eq!(world.state.replica(NodeId(2)).unwrap().node_key, Some([7; 32]));
    assert!(world.apply(tell(2, 7)).entries.is_empty(), "a repeat is no news");
    assert_eq!(world.refused(tell(2, 8)), Refusal::NodeKeyKnown { replica: NodeId(2) });
    // Retired or not: whoever checks what it cosigned needs its key.
    world.done(by_root(step(2, ReplicaStep::Remove)));
    world.done(by_replica(step(2, ReplicaStep::Retire)));
    assert_eq!(world.state.replica(NodeId(2)).unwrap().node_key, Some([7; 32]));
}

#[test]
fn the_key_of_a_copied_folder_is_known() {
    let mut world = three();
    world.done(tell(1, 7));
    assert_eq!(world.refused(tell(3, 7)), Refusal::NodeKeyKnown { replica: NodeId(1) });
    let stranger = Refusal::NotFound { kind: ResourceKind::Replica, name: "replicas/9".to_owned() };
    assert_eq!(world.refused(tell(9, 9)), stranger);
}

#[test]
fn each_replica_speaks_for_its_own_key_alone_and_nobody_else_for_any() {
    let mut world = three();
    let of_another = Operation::SetNodeKey { node: NodeId(2), key: [7; 32] };
    for actor in [Actor::Replica(NodeId(1)), Actor::Service(slug("audit"))] {
        let refusal = world.refused(command(actor, of_another.clone()));
        assert!(matches!(refusal, Refusal::PermissionDenied { .. }), "{refusal:?}");
    }
    assert!(matches!(world.refused(by_root(of_another)), Refusal::PermissionDenied { .. }));
}

#[test]
fn a_checkpoint_goes_on_from_the_last_one_and_leaves_no_entry() {
    let mut world = three();
    let first = now(&world);
    assert!(world.apply(record(first, None)).entries.is_empty());
    assert_eq!(world.state.progress().checkpoint, Some(first));
    world.done(record(first, None));
    world.done(tell(1, 7));
    let second = now(&world);
    world.done(record(second, Some(first.size)));
    let progress = world.state.progress();
    assert_eq!(progress.checkpoint, Some(second));
    assert_eq!(progress.trimmed.map(|trimmed| trimmed.next.0), Some(first.size + 1));
    assert!(problem(world.refused(record(first, None))).contains("at least"));
}

#[test]
fn what_is_no_checkpoint_of_this_tree_is_refused() {
    let mut world = three();
    let (good, other) = (now(&world), Hash::new([9; 32]));
    let beyond = AuditCheckpoint { size: good.size + 1, ..good };
    assert!(problem(world.refused(record(beyond, None))).contains("at most"));
    assert!(problem(world.refused(record(AuditCheckpoint { root: other, ..good }, None))).contains("the root"));
    assert!(problem(world.refused(record(good, Some(good.size)))).contains("below"));
    world.done(record(good, Some(good.size - 1)));
    world.done(tell(1, 7));
    // It is not the newest any more, and still no other root may take its place.
    let forked = AuditCheckpoint { root: other, ..good };
    assert!(problem(world.refused(record(forked, None))).contains("as recorded before"));
    assert_eq!(world.state.progress().checkpoint, Some(good));
}

#[test]
fn another_key_of_audit_signs_only_what_is_new() {
    let mut world = three();
    let first = now(&world);
    world.done(record(first, None));
    let by_another = AuditCheckpoint { key: [0xB; 32], ..first };
    assert!(problem(world.refused(record(by_another, None))).contains("another key"));
    world.done(tell(1, 7));
    world.done(record(AuditCheckpoint { key: [0xB; 32], ..now(&world) }, None));
}

fn trim(through: u64) -> latchkey_state::Command {
    command(Actor::Service(slug("audit")), Operation::Trim(Sequence(through)))
}

/// The first entry that is not forgotten.
fn kept_from(world: &World) -> u64 {
    world.state.progress().trimmed.map_or(0, |trimmed| trimmed.next.0)
}

#[test]
fn nothing_is_forgotten_that_no_recorded_checkpoint_covers() {
    let mut world = three();
    let covered = now(&world);
    world.done(record(covered, None));
    world.done(tell(1, 7));
    for through in [covered.size, world.state.progress().frontier.size() - 1, u64::MAX] {
        assert!(problem(world.refused(trim(through))).contains("expected entries to be let go"), "{through}");
        assert_eq!(kept_from(&world), 0, "{through}");
    }
    world.done(trim(covered.size - 1));
    assert_eq!(kept_from(&world), covered.size);
    // The next checkpoint lets go of what came meanwhile, and so do writes go on that had to wait for audit.
    world.done(record(now(&world), None));
    world.done(trim(covered.size));
    assert_eq!((kept_from(&world), world.state.progress().entries_waiting()), (covered.size + 1, 0));
}

#[test]
fn where_nothing_was_ever_signed_audit_is_believed_as_far_as_there_are_entries() {
    let mut world = three();
    let size = now(&world).size;
    assert!(problem(world.refused(trim(size))).contains("that there are"));
    world.done(trim(size - 1));
    assert_eq!(kept_from(&world), size);
}

#[test]
fn below_level_6_audit_is_believed_as_it_was_then() {
    let mut world = three();
    let covered = now(&world);
    world.done(record(covered, None));
    world.done(tell(1, 7));
    let older = Progress { feature_level: 5, ..world.state.progress().clone() };
    world.state.install(Row::Progress(older));
    world.done(trim(u64::MAX));
    assert_eq!(kept_from(&world), covered.size + 1);
}

#[test]
fn only_audit_records_checkpoints() {
    let mut world = three();
    let operation = Operation::RecordCheckpoint { checkpoint: now(&world), through: None };
    for actor in [Actor::Service(slug("issuance")), Actor::Replica(NodeId(1))] {
        let refusal = world.refused(command(actor, operation.clone()));
        assert!(matches!(refusal, Refusal::PermissionDenied { .. }), "{refusal:?}");
    }
    assert!(matches!(world.refused(by_root(operation)), Refusal::PermissionDenied { .. }));
}

#[test]
fn what_level_6_brought_needs_it_and_what_says_nothing_of_it_does_not() {
    let checkpoint = AuditCheckpoint { size: 0, root: Hash::new([0; 32]), key: [0; 32] };
    let sample = |ppm| {
        let changes = KeyspaceChanges { access_sample_ppm: Some(ppm), ..KeyspaceChanges::default() };
        let name = crate::support::keyspace("acme/live");
        Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name, changes, etag: None }))
    };
    let notices = |spans: Option<&[DurationMillis]>| {
        let expiry_notices = Some(spans.map(|spans| ExpiryNotices::new(spans).unwrap()));
        let changes = KeyspaceChanges { expiry_notices, ..KeyspaceChanges::default() };
        let name = crate::support::keyspace("acme/live");
        Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name, changes, etag: None }))
    };
    let contacts = |contacts| {
        let changes = TenantChanges { contacts: Some(contacts), ..TenantChanges::default() };
        Operation::UpdateTenant(UpdateTenant { name: crate::support::tenant("acme"), changes, etag: None })
    };
    for (operation, level) in [
        (Operation::SetNodeKey { node: NodeId(1), key: [0; 32] }, 6),
        (Operation::RecordCheckpoint { checkpoint, through: None }, 6),
        (notices(Some(&[])), 6),
        (notices(Some(ExpiryNotices::DEFAULT)), 6),
        (notices(None), 2),
        (Operation::GiveExpiryNotices(GiveNotices { fence: 1, keys: Vec::new() }), 6),
        (sample(5), 6),
        (sample(0), 2),
        (contacts(vec![text("security@acme.example")]), 6),
        (contacts(Vec::new()), 2),
    ] {
        assert_eq!(operation.feature_level(), level, "{operation:?}");
    }
}

#[test]
fn contacts_of_a_tenant_and_the_sample_of_a_keyspace_change_with_an_entry() {
    let mut world = three();
    let changes = TenantChanges { contacts: Some(vec![text("security@acme.example")]), ..TenantChanges::default() };
    let name = crate::support::tenant("acme");
    let operation = Operation::UpdateTenant(UpdateTenant { name: name.clone(), changes, etag: None });
    assert_eq!(world.apply(by_root(operation.clone())).entries.len(), 1);
    assert!(world.apply(by_root(operation)).entries.is_empty());
    assert_eq!(world.state.tenant(&name).unwrap().contacts, [text("security@acme.example")]);
    let changes = KeyspaceChanges { access_sample_ppm: Some(1_000), ..KeyspaceChanges::default() };
    let name = crate::support::keyspace("acme/live");
    let operation = UpdateKeyspace { name: name.clone(), changes, etag: None };
    assert_eq!(world.apply(by_root(Operation::UpdateKeyspace(Box::new(operation)))).entries.len(), 1);
    assert_eq!(world.state.keyspace(&name).unwrap().settings.access_sample_ppm, 1_000);
}
