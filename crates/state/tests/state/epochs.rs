//! A new epoch: begun once, from outside, with everybody else left behind, and the audit tree going on.

use crate::replicas::admit;
use crate::support::{
    START, World, as_request, by_replica, by_root, create_owner, create_tenant, delete, key_name, slug, stamped,
};
use latchkey_domain::{
    DurationMillis, NodeId, ReasonText, Refusal, ReplicaPlace, ReplicaRole, Revision, RevocationReason, Sequence,
    TenantName, UnixMillis,
};
use latchkey_state::{
    Actor, Answer, BeginEpoch, Command, Delete, DirectoryName, EpochOrigin, Operation, RevokeKey, RingPurpose,
};
use latchkey_transparency::{Frontier, Hash};

fn begin(epoch: u64, node: u64, origin: EpochOrigin, audit: Option<Frontier>) -> Command {
    let place = ReplicaPlace::new("south", "127.0.0.1:7721", "127.0.0.1:7720").unwrap();
    let operation = Operation::BeginEpoch(Box::new(BeginEpoch { epoch, origin, place, audit }));
    Command { at: START, ..Command::new(Actor::Replica(NodeId(node)), [7; 32], operation) }
}

/// A cluster of two voters.
fn world() -> World {
    let mut world = World::furnished();
    world.done(by_replica(admit(1, ReplicaRole::Voter)));
    world.done(by_replica(admit(2, ReplicaRole::Voter)));
    world
}

#[test]
fn a_replica_destroys_data_anew_only_while_it_is_all_that_a_restore_left() {
    let mut world = world();
    world.done(by_root(create_tenant("brief")));
    let brief = TenantName::parse("tenants/brief").unwrap();
    let number = world.state.tenant(&brief).unwrap().number;
    world.done(by_root(delete(DirectoryName::Tenant(brief.clone()))));
    let destroying = |name: &TenantName, number| {
        let name = DirectoryName::Tenant(name.clone());
        Operation::Delete(Delete { name, etag: None, destroy: true, number })
    };
    let refused = world.refused(by_replica(destroying(&brief, Some(number))));
    assert!(matches!(refused, Refusal::PermissionDenied { .. }), "{refused:?}");
    let (mut state, mut index) = (world.state, 1_000);
    state.apply(Revision::new(2, index), &begin(2, 9, EpochOrigin::Backup, None)).answer.unwrap();
    let mut alone = |operation| {
        index += 1;
        let command = Command { at: START, ..Command::new(Actor::Replica(NodeId(9)), [7; 32], operation) };
        state.apply(Revision::new(2, index), &command)
    };
    let unsaid = alone(destroying(&brief, None)).answer.unwrap_err();
    assert!(matches!(unsaid, Refusal::PermissionDenied { .. }), "of which of that name is not said: {unsaid:?}");
    let applied = alone(destroying(&brief, Some(number)));
    assert_eq!((applied.answer, applied.entries.len()), (Ok(Answer::Done), 1));
    assert!(state.ring_keys_of(RingPurpose::Audit(number)).next().is_none());
    let acme = TenantName::parse("tenants/acme").unwrap();
    let operation = destroying(&acme, Some(state.tenant(&acme).unwrap().number));
    let command = Command { at: START, ..Command::new(Actor::Replica(NodeId(9)), [7; 32], operation) };
    let lives = state.apply(Revision::new(2, 1_100), &command).answer.unwrap_err();
    assert!(matches!(lives, Refusal::NotEmpty { .. }), "{lives:?}");
    state.check_invariants().unwrap();
}

#[test]
fn whoever_goes_on_is_the_only_replica_and_all_others_have_left() {
    let mut state = world().state;
    let size = state.progress().frontier.size();
    let index = state.revision().index + 1;
    let applied = state.apply(Revision::new(2, index), &begin(2, 9, EpochOrigin::Backup, None));
    applied.answer.unwrap();
    let roles: Vec<_> = state.replicas().map(|replica| (replica.node.0, replica.role)).collect();
    assert_eq!(roles, [(1, ReplicaRole::Retired), (2, ReplicaRole::Retired), (9, ReplicaRole::Voter)]);
    assert_eq!((state.revision(), applied.entries[0].sequence), (Revision::new(2, index), Sequence(size)));
    state.check_invariants().unwrap();
}

#[test]
fn an_epoch_begins_once_and_never_goes_back() {
    let mut state = world().state;
    let index = state.revision().index + 1;
    let mut refused = |epoch, record| {
        let before = state.clone();
        let applied = state.apply(Revision::new(record, index), &begin(epoch, 9, EpochOrigin::Backup, None));
        let refusal = applied.answer.unwrap_err();
        state = before;
        refusal
    };
    let changed = |given| Refusal::EpochChanged { given, current: 1 };
    // In the log of a cluster that runs it would be of the epoch that runs.
    assert_eq!(refused(1, 1), changed(1));
    assert_eq!(refused(2, 1), changed(2));
    assert_eq!(refused(1, 2), changed(1));
    state.apply(Revision::new(2, index), &begin(2, 9, EpochOrigin::Backup, None)).answer.unwrap();
    let again = state.apply(Revision::new(2, index + 1), &begin(2, 10, EpochOrigin::Backup, None));
    assert_eq!(again.answer.unwrap_err(), Refusal::EpochChanged { given: 2, current: 2 });
}

#[test]
fn from_a_backup_only_a_new_id_goes_on_and_from_a_survivor_its_own() {
    let mut state = world().state;
    let revision = Revision::new(2, state.revision().index + 1);
    let refused = state.clone().apply(revision, &begin(2, 2, EpochOrigin::Backup, None)).answer.unwrap_err();
    assert!(matches!(refused, Refusal::AlreadyExists { .. }), "{refused:?}");
    state.apply(revision, &begin(2, 2, EpochOrigin::Survivor, None)).answer.unwrap();
    let roles: Vec<_> = state.replicas().map(|replica| (replica.node.0, replica.role)).collect();
    assert_eq!(roles, [(1, ReplicaRole::Retired), (2, ReplicaRole::Voter)]);
}

#[test]
fn the_tree_goes_on_where_the_audit_log_stands() {
    let mut state = world().state;
    let mut audit = state.progress().frontier.clone();
    (0..5).for_each(|leaf| audit.push(Hash::new([leaf; 32])));
    let revision = Revision::new(2, state.revision().index + 1);
    let behind = begin(2, 9, EpochOrigin::Backup, Some(Frontier::new()));
    let mut kept = state.clone();
    let applied = kept.apply(revision, &behind);
    assert_eq!(applied.entries[0].sequence.0 + 5, audit.size(), "an audit log that is behind takes nothing away");
    let applied = state.apply(revision, &begin(2, 9, EpochOrigin::Backup, Some(audit.clone())));
    assert_eq!(applied.entries[0].sequence, Sequence(audit.size()));
    assert_eq!(state.progress().trimmed.map(|trimmed| trimmed.next), Some(Sequence(audit.size())));
    state.check_invariants().unwrap();
}

#[test]
fn no_number_that_the_audit_log_tells_of_is_given_again() {
    let mut world = world();
    let (mut state, known) = (world.state.clone(), world.state.progress().frontier.size());
    // After the backup a tenant came, whose entries lie in the audit log for good.
    world.done(by_root(create_tenant("late")));
    let late = world.state.tenant(&TenantName::new(slug("late"))).unwrap().clone();
    let audit = world.state.progress().frontier.clone();
    assert!(audit.size() > known);
    let index = state.revision().index + 1;
    state.apply(Revision::new(2, index), &begin(2, 9, EpochOrigin::Backup, Some(audit))).answer.unwrap();
    let fresh = stamped(by_root(create_tenant("fresh")), START);
    state.apply(Revision::new(2, index + 1), &fresh).answer.unwrap();
    let fresh = state.tenant(&TenantName::new(slug("fresh"))).unwrap();
    assert!(fresh.number > late.number && fresh.audit_key > late.audit_key && fresh.tenant_key > late.audit_key);
    state.check_invariants().unwrap();
}

#[test]
fn a_request_of_the_epoch_before_is_not_carried_out_again() {
    let mut world = world();
    let request = as_request(by_root(create_owner("acme/late")), 1, 1);
    let first = world.apply(request.clone());
    let mut state = world.state;
    let index = state.revision().index + 1;
    state.apply(Revision::new(2, index), &begin(2, 9, EpochOrigin::Backup, None)).answer.unwrap();
    let repeat = state.apply(Revision::new(2, index + 1), &request);
    assert!(repeat.repeated);
    assert_eq!((repeat.answer, repeat.revision), (first.answer, first.revision));
}

#[test]
fn the_time_of_a_new_epoch_is_that_of_the_newest_entry_and_never_earlier() {
    let mut state = world().state;
    let (clock, revision) = (state.clock(), Revision::new(2, state.revision().index + 1));
    let day = DurationMillis::from_secs(86_400);
    let late = Command { at: clock.plus(day), ..begin(2, 9, EpochOrigin::Backup, None) };
    let mut on = state.clone();
    on.apply(revision, &late).answer.unwrap();
    assert_eq!(on.clock(), clock.plus(day));
    let early = Command { at: UnixMillis::new(1), ..begin(2, 9, EpochOrigin::Backup, None) };
    state.apply(revision, &early).answer.unwrap();
    assert_eq!(state.clock(), clock);
}

#[test]
fn a_replica_takes_away_on_its_own_account_and_only_where_all_replicas_know_that() {
    let mut world = World::furnished();
    let revoke = || {
        by_replica(Operation::RevokeKey(RevokeKey {
            key: key_name("acme/live", 1),
            version: None,
            reason: RevocationReason::Compromised,
            text: ReasonText::default(),
            grace: DurationMillis::ZERO,
            etag: None,
        }))
    };
    assert!(matches!(world.refused(revoke()), Refusal::NotFound { .. }), "it may, and there is no such key");
    let mut older = latchkey_state::State::default();
    let bootstrap = stamped(by_replica(Operation::Bootstrap(Box::new(crate::support::bootstrap()))), START);
    older.apply(Revision::new(1, 1), &Command { feature_level: 3, ..bootstrap }).answer.unwrap();
    let refused = older.apply(Revision::new(1, 2), &stamped(revoke(), START)).answer.unwrap_err();
    assert!(matches!(refused, Refusal::PermissionDenied { .. }), "{refused:?}");
}
