//! The rows of which there is one each: the cluster's, and the state's about its own progress.

use crate::disk::parts::{read_revision, write_revision};
use crate::disk::{DecodeError, fixed, parsed, required, span, time};
use crate::pb::disk::v1 as disk;
use latchkey_domain::{ClusterId, Sequence};
use latchkey_state::{AuditCheckpoint, Cluster, NextNumbers, Progress, Trimmed};
use latchkey_transparency::{Frontier, Hash};

const HASH_BYTES: usize = size_of::<Hash>();

pub(super) fn write_cluster(row: &Cluster) -> disk::ClusterRow {
    disk::ClusterRow {
        cluster_id: row.id.0.to_vec(),
        staleness_floor_ms: row.staleness_floor.millis(),
        staleness_default_ms: row.staleness_default.millis(),
        created_at_unix_ms: row.created_at.millis(),
    }
}

pub(super) fn read_cluster(row: &disk::ClusterRow) -> Result<Cluster, DecodeError> {
    Ok(Cluster {
        id: ClusterId(fixed(&row.cluster_id, "cluster.id")?),
        staleness_floor: span(row.staleness_floor_ms, "cluster.staleness_floor")?,
        staleness_default: span(row.staleness_default_ms, "cluster.staleness_default")?,
        created_at: time(row.created_at_unix_ms, "cluster.created_at")?,
    })
}

pub(super) fn write_progress(row: &Progress) -> disk::ProgressRow {
    disk::ProgressRow {
        last: Some(write_revision(row.last)),
        clock_unix_ms: row.clock.millis(),
        feature_level: row.feature_level,
        next_tenant: row.next.tenant,
        next_keyspace: row.next.keyspace,
        next_owner: row.next.owner,
        next_identity: row.next.identity,
        next_ring: row.next.ring,
        tree_size: row.frontier.size(),
        tree_peaks: row.frontier.peaks().iter().flat_map(Hash::as_bytes).copied().collect(),
        next_role: row.next.role,
        trimmed: row
            .trimmed
            .map(|trimmed| disk::Trimmed { next_sequence: trimmed.next.0, at_unix_ms: trimmed.at.millis() }),
        checkpoint: row.checkpoint.as_ref().map(write_checkpoint),
        tree_epoch: row.tree_epoch,
        tenant_keys_gone: row.tenant_keys_gone.map(write_revision),
        tree_index: row.tree_index,
    }
}

pub(super) fn read_progress(row: &disk::ProgressRow) -> Result<Progress, DecodeError> {
    Ok(Progress {
        last: read_revision(required(row.last, "progress.last")?),
        clock: time(row.clock_unix_ms, "progress.clock")?,
        feature_level: row.feature_level,
        next: NextNumbers {
            tenant: row.next_tenant,
            keyspace: row.next_keyspace,
            owner: row.next_owner,
            identity: row.next_identity,
            role: row.next_role,
            ring: row.next_ring,
        },
        frontier: read_tree(row.tree_size, &row.tree_peaks, "progress.tree")?,
        trimmed: row.trimmed.as_ref().map(read_trimmed).transpose()?,
        checkpoint: row.checkpoint.as_ref().map(read_checkpoint).transpose()?,
        tree_epoch: row.tree_epoch,
        tree_index: row.tree_index,
        tenant_keys_gone: row.tenant_keys_gone.map(read_revision),
    })
}

/// Writes a checkpoint of the audit log.
#[must_use]
pub fn write_checkpoint(checkpoint: &AuditCheckpoint) -> disk::AuditCheckpoint {
    let AuditCheckpoint { size, root, key } = checkpoint;
    disk::AuditCheckpoint { size: *size, root: root.as_bytes().to_vec(), key: key.to_vec() }
}

/// Reads a checkpoint of the audit log.
///
/// # Errors
/// [`DecodeError`] where a part is not of its form.
pub fn read_checkpoint(checkpoint: &disk::AuditCheckpoint) -> Result<AuditCheckpoint, DecodeError> {
    Ok(AuditCheckpoint {
        size: checkpoint.size,
        root: Hash::new(fixed(&checkpoint.root, "checkpoint.root")?),
        key: fixed(&checkpoint.key, "checkpoint.key")?,
    })
}

/// A tree by its size and its peaks, one after the other.
pub(in crate::disk) fn read_tree(size: u64, peaks: &[u8], place: &'static str) -> Result<Frontier, DecodeError> {
    if !peaks.len().is_multiple_of(HASH_BYTES) {
        return Err(DecodeError::new(place, "a part of a hash"));
    }
    let peaks = peaks.chunks_exact(HASH_BYTES).map(|peak| fixed(peak, place).map(Hash::new));
    parsed(Frontier::from_parts(size, peaks.collect::<Result<_, _>>()?), place)
}

fn read_trimmed(trimmed: &disk::Trimmed) -> Result<Trimmed, DecodeError> {
    Ok(Trimmed { next: Sequence(trimmed.next_sequence), at: time(trimmed.at_unix_ms, "progress.trimmed.at")? })
}
