//! Where the audit log stands, and who vouches for it.

use latchkey_domain::ReplicaRole;
use latchkey_state::State;
use latchkey_wire::disk::write_checkpoint;
use latchkey_wire::pb::internal::v1 as pb;

pub(super) fn audit_log(state: &State) -> pb::AuditLogAnswer {
    let progress = state.progress();
    let cosigners = state.replicas().filter_map(|replica| {
        Some(pb::AuditCosigner {
            node_id: replica.node.0,
            region: replica.place.region().to_owned(),
            node_key: replica.node_key?.to_vec(),
            retired: replica.role == ReplicaRole::Retired,
        })
    });
    pb::AuditLogAnswer {
        feature_level: progress.feature_level,
        tree_epoch: progress.tree_epoch,
        tree_index: progress.tree_index,
        size: progress.frontier.size(),
        kept_from: progress.trimmed.map_or(0, |trimmed| trimmed.next.0),
        root: progress.frontier.root().as_bytes().to_vec(),
        checkpoint: progress.checkpoint.as_ref().map(write_checkpoint),
        cosigners: cosigners.collect(),
    }
}
