//! What level 6 brought to commands and rows. Its golden files lie beside those of the levels before.

use crate::fixtures::{keyspace_name, rows as rows_of_level_1, settings, version_id};
use crate::fixtures_level_5::{evidence, rotation_name, rotation_row};
use latchkey_domain::{
    DisplayName, DurationMillis, ExpiryNotices, IdentityName, KeyId, KeyName, NodeId, ReplicaPlace, ReplicaRole,
    Revision, RotationState, RotationTerms, Sequence, Slug, TenantName, TenantNumber, UnixMillis,
};
use latchkey_state::{
    Actor, AdvanceRotation, AuditCheckpoint, Backup, BeginAuditLog, Change, Command, Course, CreateKeyspace,
    CreateTenant, Delete, DirectoryName, DriverStep, GiveNotices, Key, Keyspace, KeyspaceChanges, KeyspaceSettings,
    Operation, Progress, Replica, ReplicaBackups, Row, Tenant, TenantChanges, UpdateKeyspace, UpdateTenant, WrappedKey,
};
use latchkey_transparency::Hash;
use std::sync::Arc;

const CHECKPOINT: AuditCheckpoint = AuditCheckpoint { size: 4, root: Hash::new([0xC4; 32]), key: [0xED; 32] };

fn contacts() -> Vec<DisplayName> {
    ["security@acme.example", "https://acme.example/hook"].map(|text| DisplayName::parse(text).unwrap()).into()
}

fn two_notices() -> ExpiryNotices {
    ExpiryNotices::new([DurationMillis::from_days(7), DurationMillis::from_days(1)]).unwrap()
}

fn no_notices() -> ExpiryNotices {
    ExpiryNotices::new([]).unwrap()
}

fn backup(index: u64) -> Backup {
    let taken_at = UnixMillis::new(1_700_000_000_000 + index);
    Backup { revision: Revision::new(3, index), taken_at, node: NodeId(4) }
}

fn folder() -> ReplicaBackups {
    ReplicaBackups { given: None, keep: 7, kept: vec![backup(1_000), backup(1_040)], older: 2 }
}

fn wrapped(byte: u8) -> WrappedKey {
    WrappedKey { id: [byte; 16], wrapped: Box::new([byte; 60]) }
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let by = |actor, operation| Command {
        at: UnixMillis::new(1_700_000_000_000),
        ..Command::new(actor, [0x0E; 32], operation)
    };
    let root = || Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
    let record = |through| {
        by(
            Actor::Service(Slug::parse("audit").unwrap()),
            Operation::RecordCheckpoint { checkpoint: CHECKPOINT, through },
        )
    };
    let tenant = |contacts| {
        let changes = TenantChanges { contacts: Some(contacts), ..TenantChanges::default() };
        let name = TenantName::parse("tenants/acme").unwrap();
        by(root(), Operation::UpdateTenant(UpdateTenant { name, changes, etag: None }))
    };
    let create = CreateTenant {
        tenant: Slug::parse("acme").unwrap(),
        display_name: DisplayName::parse("Acme").unwrap(),
        contacts: contacts(),
        tenant_key: wrapped(7),
        audit_key: wrapped(8),
    };
    let keyspace = CreateKeyspace {
        name: keyspace_name(),
        settings: KeyspaceSettings { access_sample_ppm: 1_000, ..settings() },
        data_key: wrapped(9),
    };
    let sample = |ppm| {
        let changes = KeyspaceChanges { access_sample_ppm: Some(ppm), ..KeyspaceChanges::default() };
        let update = UpdateKeyspace { name: keyspace_name(), changes, etag: None };
        by(root(), Operation::UpdateKeyspace(Box::new(update)))
    };
    let notices = |expiry_notices| {
        let changes = KeyspaceChanges { expiry_notices: Some(expiry_notices), ..KeyspaceChanges::default() };
        let update = UpdateKeyspace { name: keyspace_name(), changes, etag: None };
        by(root(), Operation::UpdateKeyspace(Box::new(update)))
    };
    let telling = CreateKeyspace {
        name: keyspace_name(),
        settings: KeyspaceSettings { expiry_notices: Some(two_notices()), ..settings() },
        data_key: wrapped(9),
    };
    let give = GiveNotices { fence: 7, keys: vec![KeyName { keyspace: keyspace_name(), key: KeyId::HIGHEST }; 2] };
    let driver = || Actor::Service(Slug::parse("rotation").unwrap());
    let step = DriverStep::Warn(evidence());
    let warn = AdvanceRotation { fence: 41, rotation: rotation_name(), version: Some(version_id()), step };
    let node = NodeId(4);
    let tenant_name = DirectoryName::Tenant(TenantName::parse("tenants/acme").unwrap());
    let destroying = Delete { name: tenant_name, etag: None, destroy: true, number: None };
    let deleted_before = Delete { number: Some(TenantNumber(7)), ..destroying.clone() };
    vec![
        ("set_node_key", by(Actor::Replica(node), Operation::SetNodeKey { node, key: [0xED; 32] })),
        ("record_checkpoint", record(None)),
        ("record_checkpoint_and_trim", record(Some(Sequence(3)))),
        ("create_tenant_with_contacts", by(root(), Operation::CreateTenant(create))),
        ("update_tenant_contacts", tenant(contacts())),
        ("update_tenant_no_contacts", tenant(Vec::new())),
        ("create_keyspace_that_samples", by(root(), Operation::CreateKeyspace(Box::new(keyspace)))),
        ("update_keyspace_sample", sample(1_000_000)),
        ("update_keyspace_no_sample", sample(0)),
        ("create_keyspace_that_tells", by(root(), Operation::CreateKeyspace(Box::new(telling)))),
        ("update_keyspace_notices", notices(Some(two_notices()))),
        ("update_keyspace_no_notices", notices(Some(no_notices()))),
        ("update_keyspace_notices_of_default", notices(None)),
        ("give_expiry_notices", by(driver(), Operation::GiveExpiryNotices(give))),
        ("delete_tenant_and_its_data", by(root(), Operation::Delete(destroying))),
        ("destroy_data_of_a_deleted_tenant", by(root(), Operation::Delete(deleted_before))),
        ("begin_audit_log", by(root(), Operation::BeginAuditLog(BeginAuditLog { force: false }))),
        ("begin_audit_log_by_force", by(root(), Operation::BeginAuditLog(BeginAuditLog { force: true }))),
        ("warn", by(driver(), Operation::AdvanceRotation(Box::new(warn)))),
        ("record_backup", by(root(), Operation::RecordBackup(backup(1_040)))),
        (
            "record_kept_backups",
            by(Actor::Replica(node), Operation::RecordKeptBackups { node, folder: Box::new(folder()) }),
        ),
    ]
}

pub(crate) fn rows() -> Vec<(&'static str, Row)> {
    let at = |index| Change { revision: Revision::new(3, index), at: UnixMillis::new(1_700_000_000_000) };
    let place = ReplicaPlace::new("eu-central", "raft.example:7721", "replica.example:7720").unwrap();
    let (role, admitted, changed) = (ReplicaRole::Voter, at(1_040), at(1_042));
    let replica =
        Replica { node: NodeId(4), place, role, admitted, changed, node_key: Some([0xED; 32]), backups: None };
    let backups = ReplicaBackups { given: Some(backup(1_030)), ..folder() };
    let backing_up = Replica { backups: Some(Box::new(backups)), ..replica.clone() };
    let warned_at = Some(UnixMillis::new(1_700_000_000_000));
    let warned = Course { warned_at, ..Course::new(RotationTerms::of_overlap(DurationMillis::from_days(3)), None) };
    let mut rows = vec![
        ("replica_with_node_key", Row::Replica(Arc::new(replica))),
        ("replica_with_backups", Row::Replica(Arc::new(backing_up))),
        ("rotation_that_warned", rotation_row(RotationState::Overlap, warned)),
    ];
    for (of, row) in rows_of_level_1() {
        match row {
            Row::Progress(progress) => {
                let signed = Progress { feature_level: 6, checkpoint: Some(CHECKPOINT), ..progress };
                rows.push(("progress_with_checkpoint", Row::Progress(signed.clone())));
                rows.push(("progress_of_another_tree", Row::Progress(Progress { tree_epoch: 3, ..signed.clone() })));
                let begun = Progress { tree_epoch: 3, tree_index: 41, ..signed.clone() };
                rows.push(("progress_of_a_begun_log", Row::Progress(begun)));
                let gone = Progress { tenant_keys_gone: Some(Revision::new(1, 9)), ..signed };
                rows.push(("progress_with_tenant_keys_gone", Row::Progress(gone)));
            }
            Row::Tenant(tenant) => {
                let told = Tenant { contacts: contacts(), ..Tenant::clone(&tenant) };
                rows.push(("tenant_with_contacts", Row::Tenant(Arc::new(told))));
            }
            Row::Keyspace(keyspace) => {
                let settings = KeyspaceSettings { access_sample_ppm: 1_000, ..keyspace.settings.clone() };
                let samples = Keyspace { settings, ..Keyspace::clone(&keyspace) };
                rows.push(("keyspace_that_samples", Row::Keyspace(Arc::new(samples))));
                for (name, notices) in
                    [("keyspace_that_tells", two_notices()), ("keyspace_that_tells_nobody", no_notices())]
                {
                    let settings = KeyspaceSettings { expiry_notices: Some(notices), ..keyspace.settings.clone() };
                    rows.push((name, Row::Keyspace(Arc::new(Keyspace { settings, ..Keyspace::clone(&keyspace) }))));
                }
            }
            Row::Key(key) if of == "plain_key" => {
                let told_through = UnixMillis::new(1_700_000_500_000);
                let mut told = Key::clone(&key);
                told.details.change(|details| details.expiry_told_through = Some(told_through));
                rows.push(("key_of_whose_end_somebody_was_told", Row::Key(Arc::new(told))));
            }
            _ => {}
        }
    }
    rows
}
