//! The rows of replicas.

use crate::disk::parts::{read_change, write_change};
use crate::disk::{DecodeError, parsed, required};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{NodeId, ReplicaPlace};
use latchkey_state::Replica;

pub(super) fn write_replica(row: &Replica) -> disk::ReplicaRow {
    disk::ReplicaRow {
        node_id: row.node.0,
        region: row.place.region().to_owned(),
        raft_address: row.place.raft_address().to_owned(),
        address: row.place.address().to_owned(),
        role: disk::ReplicaRole::from(row.role).into(),
        admitted: Some(write_change(row.admitted)),
        changed: Some(write_change(row.changed)),
    }
}

pub(super) fn read_replica(row: &disk::ReplicaRow) -> Result<Replica, DecodeError> {
    Ok(Replica {
        node: NodeId(row.node_id),
        place: read_place(&row.region, &row.raft_address, &row.address)?,
        role: parsed(words::disk_replica_role(row.role), "replica.role")?,
        admitted: read_change(required(row.admitted.as_ref(), "replica.admitted")?)?,
        changed: read_change(required(row.changed.as_ref(), "replica.changed")?)?,
    })
}

/// Where a replica stands.
pub(in crate::disk) fn read_place(region: &str, raft: &str, address: &str) -> Result<ReplicaPlace, DecodeError> {
    parsed(ReplicaPlace::new(region, raft, address), "place")
}
