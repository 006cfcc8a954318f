//! The command that begins an epoch.

use crate::disk::row::{read_place, read_tree};
use crate::disk::{DecodeError, parsed};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_state::BeginEpoch;
use latchkey_transparency::{Frontier, Hash};

pub(super) fn write_begin(operation: &BeginEpoch) -> disk::BeginEpoch {
    disk::BeginEpoch {
        epoch: operation.epoch,
        origin: disk::begin_epoch::Origin::from(operation.origin).into(),
        region: operation.place.region().to_owned(),
        raft_address: operation.place.raft_address().to_owned(),
        address: operation.place.address().to_owned(),
        audit: operation.audit.as_ref().map(write_tree),
    }
}

pub(super) fn read_begin(operation: &disk::BeginEpoch) -> Result<BeginEpoch, DecodeError> {
    let tree = |tree: &disk::AuditTree| read_tree(tree.size, &tree.peaks, "audit");
    Ok(BeginEpoch {
        epoch: operation.epoch,
        origin: parsed(words::disk_epoch_origin(operation.origin), "origin")?,
        place: read_place(&operation.region, &operation.raft_address, &operation.address)?,
        audit: operation.audit.as_ref().map(tree).transpose()?,
    })
}

fn write_tree(tree: &Frontier) -> disk::AuditTree {
    disk::AuditTree { size: tree.size(), peaks: tree.peaks().iter().flat_map(Hash::as_bytes).copied().collect() }
}
