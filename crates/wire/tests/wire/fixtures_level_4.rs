//! What level 4 brought to commands and rows. Its golden files lie beside those of the levels before.

use crate::fixtures::{key_id, keyspace_name, rows as rows_of_level_1, settings, version_id};
use latchkey_domain::{
    DurationMillis, IdentityName, KeyName, LastKnownMax, NodeId, ReasonText, ReplicaPlace, ReplicaRole, Revision,
    RevocationReason, Slug, UnixMillis,
};
use latchkey_state::{
    Actor, AdmitReplica, BeginEpoch, Change, Command, CreateKeyspace, DenialStep, EpochOrigin, Keyspace,
    KeyspaceChanges, KeyspaceSettings, Operation, RecordedDenial, Replica, ReplicaStep, RequestMark, Row,
    StalenessPolicy, StepReplica, UpdateKeyspace, WrappedKey,
};
use latchkey_transparency::{Frontier, Hash};
use std::sync::Arc;

fn place() -> ReplicaPlace {
    ReplicaPlace::new("eu-central", "raft.example:7721", "replica.example:7720").unwrap()
}

/// A tree of five leaves.
fn tree() -> Frontier {
    let mut tree = Frontier::new();
    (0..5).for_each(|leaf| tree.push(Hash::new([leaf; 32])));
    tree
}

fn last_known() -> StalenessPolicy {
    StalenessPolicy::LastKnown(LastKnownMax::new(DurationMillis::from_secs(60)).unwrap())
}

fn create_keyspace() -> Operation {
    let settings = KeyspaceSettings { staleness_policy: last_known(), ..settings() };
    let data_key = WrappedKey { id: [7; 16], wrapped: Box::new([7; 60]) };
    Operation::CreateKeyspace(Box::new(CreateKeyspace { name: keyspace_name(), settings, data_key }))
}

fn update_keyspace(policy: StalenessPolicy) -> Operation {
    let changes = KeyspaceChanges { staleness_policy: Some(policy), ..KeyspaceChanges::default() };
    Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name: keyspace_name(), changes, etag: None }))
}

fn record_denials(at: UnixMillis) -> Operation {
    let denied = RecordedDenial {
        replica: NodeId(2),
        key: KeyName { keyspace: keyspace_name(), key: key_id() },
        version: None,
        step: DenialStep::Denied,
        reason: RevocationReason::Compromised,
        text: ReasonText::parse("found in a paste").unwrap(),
        by: IdentityName::parse("tenants/acme/identities/deployer").unwrap(),
        at,
    };
    let version = Some(version_id());
    let text = ReasonText::default();
    let allowed = RecordedDenial { version, step: DenialStep::Allowed, text, ..denied.clone() };
    Operation::RecordDenials(vec![denied, allowed])
}

fn keyspace_row() -> Row {
    let (_, row) = rows_of_level_1().into_iter().find(|(name, _)| *name == "keyspace").unwrap();
    let Row::Keyspace(keyspace) = row else { unreachable!("rows are named after their tables") };
    let settings = KeyspaceSettings { staleness_policy: last_known(), ..keyspace.settings.clone() };
    Row::Keyspace(Arc::new(Keyspace { settings, ..Keyspace::clone(&keyspace) }))
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let operator = || Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
    let at = UnixMillis::new(1_700_000_000_000);
    let by = |actor, operation| {
        let request = Some(RequestMark { id: [0x1D; 16], hash: [0x4A; 32] });
        Command { at, request, ..Command::new(actor, [0x0E; 32], operation) }
    };
    let admit = |role| Operation::AdmitReplica(AdmitReplica { node: NodeId(4), place: place(), role });
    let step = |step| Operation::StepReplica(StepReplica { node: NodeId(4), step });
    let begin = |origin, audit| {
        let operation = Operation::BeginEpoch(Box::new(BeginEpoch { epoch: 4, origin, place: place(), audit }));
        Command { at, ..Command::new(Actor::Replica(NodeId(9)), [0x0E; 32], operation) }
    };
    vec![
        ("admit_replica", by(operator(), admit(ReplicaRole::Learner))),
        ("admit_founder", by(Actor::Replica(NodeId(1)), admit(ReplicaRole::Voter))),
        ("promote_replica", by(operator(), step(ReplicaStep::Promote))),
        ("demote_replica", by(operator(), step(ReplicaStep::Demote))),
        ("remove_replica", by(operator(), step(ReplicaStep::Remove))),
        ("retire_replica", by(Actor::Replica(NodeId(1)), step(ReplicaStep::Retire))),
        ("transfer_leadership", by(operator(), step(ReplicaStep::Lead))),
        ("create_keyspace_last_known", by(operator(), create_keyspace())),
        ("update_keyspace_last_known", by(operator(), update_keyspace(last_known()))),
        ("update_keyspace_refuse", by(operator(), update_keyspace(StalenessPolicy::Refuse))),
        ("record_denials", by(Actor::Service(Slug::parse("validation").unwrap()), record_denials(at))),
        ("begin_epoch_backup", begin(EpochOrigin::Backup, Some(tree()))),
        ("begin_epoch_survivor", begin(EpochOrigin::Survivor, None)),
    ]
}

pub(crate) fn rows() -> Vec<(&'static str, Row)> {
    let at = |index| Change { revision: Revision::new(3, index), at: UnixMillis::new(1_700_000_000_000) };
    let row = |name, role| {
        let replica = Replica {
            node: NodeId(4),
            place: place(),
            role,
            admitted: at(1_040),
            changed: at(1_042),
            node_key: None,
            backups: None,
        };
        (name, Row::Replica(Arc::new(replica)))
    };
    vec![
        row("replica_learner", ReplicaRole::Learner),
        row("replica_voter", ReplicaRole::Voter),
        row("replica_leaving", ReplicaRole::Leaving),
        row("replica_retired", ReplicaRole::Retired),
        ("keyspace_last_known", keyspace_row()),
    ]
}
