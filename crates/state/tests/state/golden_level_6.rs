//! The bytes of what level 6 brought, in files of its own: those of the levels before must not change.

use crate::golden::{check, keyspace_with};
use crate::support::{START, key_id, later, new_key, settings, slug, text, version_id};
use latchkey_domain::{
    DurationMillis, ExpiryNotices, KeyspaceNumber, NodeId, ReasonText, ReplicaPlace, ReplicaRole, Revision, RingNumber,
    RotationId, RotationState, RotationTerms, Sequence, TenantNumber, Terms,
};
use latchkey_state::{
    AuditCheckpoint, Backup, Change, Course, Details, Holder, Key, KeyspaceSettings, NextNumbers, Progress, Rare,
    Replica, ReplicaBackups, Rotation, Row, Tenant, TenantQuotas, Trimmed, Versions,
};
use latchkey_transparency::{Frontier, Hash};
use std::sync::Arc;

#[test]
fn the_bytes_of_a_replica_with_a_node_key_do_not_change() {
    let place = ReplicaPlace::new("eu-central", "raft.example:7721", "replica.example:7720").unwrap();
    let at = |index| Change { revision: Revision::new(3, index), at: START };
    let (role, admitted, changed) = (ReplicaRole::Voter, at(7), at(9));
    let replica =
        Replica { node: NodeId(4), place, role, admitted, changed, node_key: Some([0xED; 32]), backups: None };
    check("row/replica_level_6", &[Row::Replica(Arc::new(replica)).canonical_bytes()]);
}

#[test]
fn the_bytes_of_a_replica_with_backups_do_not_change() {
    let place = ReplicaPlace::new("eu-central", "raft.example:7721", "replica.example:7720").unwrap();
    let at = |index| Change { revision: Revision::new(3, index), at: START };
    let (role, admitted, changed) = (ReplicaRole::Voter, at(7), at(9));
    let backup = |index| Backup { revision: Revision::new(3, index), taken_at: later(START, index), node: NodeId(4) };
    let given = ReplicaBackups { given: Some(backup(8)), ..ReplicaBackups::default() };
    let kept = ReplicaBackups { given: None, keep: 7, kept: vec![backup(5), backup(6)], older: 2 };
    let rows = [given, kept].map(|backups| {
        let (place, backups) = (place.clone(), Some(Box::new(backups)));
        let replica = Replica { node: NodeId(4), place, role, admitted, changed, node_key: None, backups };
        Row::Replica(Arc::new(replica)).canonical_bytes()
    });
    check("row/replica_with_backups_level_6", &rows);
}

#[test]
fn the_bytes_of_progress_with_a_checkpoint_do_not_change() {
    let mut frontier = Frontier::new();
    (0..5).for_each(|leaf| frontier.push(Hash::new([leaf; 32])));
    let checkpoint = Some(AuditCheckpoint { size: 4, root: Hash::new([0xC4; 32]), key: [0xED; 32] });
    let plain = Progress {
        last: Revision::new(3, 9),
        clock: START,
        feature_level: 6,
        next: NextNumbers { tenant: 1, keyspace: 2, owner: 3, identity: 4, role: 20, ring: 5 },
        frontier,
        trimmed: Some(Trimmed { next: Sequence(3), at: later(START, 7) }),
        checkpoint: None,
        tree_epoch: 0,
        tree_index: 0,
        tenant_keys_gone: None,
    };
    let signed = Progress { checkpoint, ..plain.clone() };
    let anew = Progress { tree_epoch: 3, ..plain };
    let both = Progress { tree_epoch: 3, ..signed.clone() };
    let gone = Progress { tenant_keys_gone: Some(Revision::new(3, 8)), ..both.clone() };
    let begun = Progress { tree_index: 41, ..both.clone() };
    check("row/progress_level_6", &[signed, anew, both].map(|row| Row::Progress(row).canonical_bytes()));
    check("row/progress_of_a_begun_log_level_6", &[Row::Progress(begun).canonical_bytes()]);
    check("row/progress_tenant_keys_gone_level_6", &[Row::Progress(gone).canonical_bytes()]);
}

#[test]
fn the_bytes_of_a_rotation_that_warned_do_not_change() {
    let terms = RotationTerms::of_overlap(DurationMillis::from_days(3));
    let rotation = Rotation {
        id: RotationId::from_random([6; 12]),
        keyspace: KeyspaceNumber(3),
        key: key_id(2),
        state: RotationState::Overlap,
        old: Some(version_id(1)),
        new: Some(version_id(2)),
        overlap: Some(terms.overlap),
        overlap_ends_at: Some(later(START, 90_000)),
        created_at: START,
        changed: Change { revision: Revision::new(3, 9), at: later(START, 7) },
        ended_at: None,
        text: ReasonText::default(),
        course: Some(Box::new(Course { warned_at: Some(later(START, 7)), ..Course::new(terms, None) })),
    };
    check("row/rotation_that_warned_level_6", &[Row::Rotation(Arc::new(rotation)).canonical_bytes()]);
}

#[test]
fn the_bytes_of_a_tenant_with_contacts_do_not_change() {
    let of = |quotas| Tenant {
        number: TenantNumber(2),
        id: slug("acme"),
        display_name: text("Acme"),
        contacts: vec![text("security@acme.example"), text("https://acme.example/hook")],
        quotas,
        created_at: START,
        changed: None,
        cut: None,
        tenant_key: RingNumber(7),
        audit_key: RingNumber(8),
    };
    let bounded = TenantQuotas { roles_max: Some(3), ..TenantQuotas::default() };
    let rows = [of(TenantQuotas::default()), of(bounded)];
    check("row/tenant_level_6", &rows.map(|row| Row::Tenant(Arc::new(row)).canonical_bytes()));
}

#[test]
fn the_bytes_of_a_keyspace_that_samples_do_not_change() {
    let of = |access_sample_ppm| KeyspaceSettings { access_sample_ppm, ..settings("acme_live") };
    check("row/keyspace_level_6", &[1, 1_000_000].map(|ppm| keyspace_with(of(ppm), None).canonical_bytes()));
}

#[test]
fn the_bytes_of_a_keyspace_that_chose_its_notices_of_expiry_do_not_change() {
    let of = |spans: &[DurationMillis]| {
        let expiry_notices = Some(ExpiryNotices::new(spans).unwrap());
        keyspace_with(KeyspaceSettings { expiry_notices, ..settings("acme_live") }, None).canonical_bytes()
    };
    check("row/keyspace_level_6_notices", &[of(&[]), of(ExpiryNotices::DEFAULT)]);
}

#[test]
fn the_bytes_of_a_key_of_whose_end_somebody_was_told_do_not_change() {
    let key = |details| {
        Row::Key(Arc::new(Key {
            id: key_id(2),
            keyspace: KeyspaceNumber(3),
            holder: Holder::None,
            display_name: Default::default(),
            terms: Arc::new(Terms::default()),
            created: Revision::new(1, 7),
            created_at: START,
            expires_at: Some(later(START, 9_000)),
            details: Rare::from(details),
            versions: Versions::from(new_key(3).first_version(START)),
        }))
        .canonical_bytes()
    };
    let told = Details { expiry_told_through: Some(later(START, 6_000)), ..Details::default() };
    let both = Details { noticed_through: Some(later(START, 5)), ..told.clone() };
    check("row/key_level_6", &[key(told), key(both)]);
}
