//! Commands about what vouches for the audit log.

use crate::disk::row::{read_checkpoint, write_checkpoint};
use crate::disk::{DecodeError, fixed, required};
use crate::pb::disk::v1 as disk;
use latchkey_domain::{NodeId, Sequence};
use latchkey_state::{AuditCheckpoint, Operation};

pub(super) fn write_node_key(node: NodeId, key: &[u8; 32]) -> disk::SetNodeKey {
    disk::SetNodeKey { node_id: node.0, key: key.to_vec() }
}

pub(super) fn read_node_key(operation: &disk::SetNodeKey) -> Result<Operation, DecodeError> {
    Ok(Operation::SetNodeKey { node: NodeId(operation.node_id), key: fixed(&operation.key, "node_key")? })
}

pub(super) fn write_record(checkpoint: &AuditCheckpoint, through: Option<Sequence>) -> disk::RecordCheckpoint {
    let through_sequence = through.map(|through| through.0);
    disk::RecordCheckpoint { checkpoint: Some(write_checkpoint(checkpoint)), through_sequence }
}

pub(super) fn read_record(operation: &disk::RecordCheckpoint) -> Result<Operation, DecodeError> {
    Ok(Operation::RecordCheckpoint {
        checkpoint: read_checkpoint(required(operation.checkpoint.as_ref(), "checkpoint")?)?,
        through: operation.through_sequence.map(Sequence),
    })
}
