//! Commands about backups.

use crate::disk::row::{read_backup, read_backups, write_backups};
use crate::disk::{DecodeError, required};
use crate::pb::disk::v1 as disk;
use latchkey_domain::NodeId;
use latchkey_state::{Operation, ReplicaBackups};

pub(super) fn read_record(backup: &disk::Backup) -> Result<Operation, DecodeError> {
    Ok(Operation::RecordBackup(read_backup(backup)?))
}

pub(super) fn write_kept(node: NodeId, folder: &ReplicaBackups) -> disk::RecordKeptBackups {
    disk::RecordKeptBackups { node_id: node.0, folder: Some(write_backups(folder)) }
}

pub(super) fn read_kept(operation: &disk::RecordKeptBackups) -> Result<Operation, DecodeError> {
    let folder = Box::new(read_backups(required(operation.folder.as_ref(), "folder")?)?);
    Ok(Operation::RecordKeptBackups { node: NodeId(operation.node_id), folder })
}
