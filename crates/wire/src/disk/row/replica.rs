//! The rows of replicas.

use crate::disk::parts::{read_change, read_revision, write_change, write_revision};
use crate::disk::{DecodeError, fixed, parsed, required, time};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{NodeId, ReplicaPlace};
use latchkey_state::{Backup, Replica, ReplicaBackups};

pub(super) fn write_replica(row: &Replica) -> disk::ReplicaRow {
    disk::ReplicaRow {
        node_id: row.node.0,
        region: row.place.region().to_owned(),
        raft_address: row.place.raft_address().to_owned(),
        address: row.place.address().to_owned(),
        role: disk::ReplicaRole::from(row.role).into(),
        admitted: Some(write_change(row.admitted)),
        changed: Some(write_change(row.changed)),
        node_key: row.node_key.map(|key| key.to_vec()),
        backups: row.backups.as_deref().map(write_backups),
    }
}

pub(super) fn read_replica(row: &disk::ReplicaRow) -> Result<Replica, DecodeError> {
    Ok(Replica {
        node: NodeId(row.node_id),
        place: read_place(&row.region, &row.raft_address, &row.address)?,
        role: parsed(words::disk_replica_role(row.role), "replica.role")?,
        admitted: read_change(required(row.admitted.as_ref(), "replica.admitted")?)?,
        changed: read_change(required(row.changed.as_ref(), "replica.changed")?)?,
        node_key: row.node_key.as_deref().map(|key| fixed(key, "replica.node_key")).transpose()?,
        backups: row.backups.as_ref().map(read_backups).transpose()?.map(Box::new),
    })
}

pub(in crate::disk) fn write_backups(backups: &ReplicaBackups) -> disk::ReplicaBackups {
    disk::ReplicaBackups {
        given: backups.given.as_ref().map(write_backup),
        keep: backups.keep,
        kept: backups.kept.iter().map(write_backup).collect(),
        older: backups.older,
    }
}

pub(in crate::disk) fn read_backups(backups: &disk::ReplicaBackups) -> Result<ReplicaBackups, DecodeError> {
    Ok(ReplicaBackups {
        given: backups.given.as_ref().map(read_backup).transpose()?,
        keep: backups.keep,
        kept: backups.kept.iter().map(read_backup).collect::<Result<_, _>>()?,
        older: backups.older,
    })
}

pub(in crate::disk) fn write_backup(backup: &Backup) -> disk::Backup {
    disk::Backup {
        revision: Some(write_revision(backup.revision)),
        taken_at_unix_ms: backup.taken_at.millis(),
        node_id: backup.node.0,
    }
}

pub(in crate::disk) fn read_backup(backup: &disk::Backup) -> Result<Backup, DecodeError> {
    Ok(Backup {
        revision: read_revision(required(backup.revision, "backup.revision")?),
        taken_at: time(backup.taken_at_unix_ms, "backup.taken_at")?,
        node: NodeId(backup.node_id),
    })
}

/// Where a replica stands.
pub(in crate::disk) fn read_place(region: &str, raft: &str, address: &str) -> Result<ReplicaPlace, DecodeError> {
    parsed(ReplicaPlace::new(region, raft, address), "place")
}
