//! Commands about replicas.

use crate::disk::row::read_place;
use crate::disk::{DecodeError, parsed};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::NodeId;
use latchkey_state::{AdmitReplica, StepReplica};

pub(super) fn write_admit(operation: &AdmitReplica) -> disk::AdmitReplica {
    disk::AdmitReplica {
        node_id: operation.node.0,
        region: operation.place.region().to_owned(),
        raft_address: operation.place.raft_address().to_owned(),
        address: operation.place.address().to_owned(),
        role: disk::ReplicaRole::from(operation.role).into(),
    }
}

pub(super) fn read_admit(operation: &disk::AdmitReplica) -> Result<AdmitReplica, DecodeError> {
    Ok(AdmitReplica {
        node: NodeId(operation.node_id),
        place: read_place(&operation.region, &operation.raft_address, &operation.address)?,
        role: parsed(words::disk_replica_role(operation.role), "role")?,
    })
}

pub(super) fn write_step(operation: StepReplica) -> disk::StepReplica {
    disk::StepReplica { node_id: operation.node.0, step: disk::step_replica::Step::from(operation.step).into() }
}

pub(super) fn read_step(operation: &disk::StepReplica) -> Result<StepReplica, DecodeError> {
    Ok(StepReplica { node: NodeId(operation.node_id), step: parsed(words::disk_replica_step(operation.step), "step")? })
}
