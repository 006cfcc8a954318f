//! What a backup is of.

use latchkey_domain::{ClusterId, NodeId, Revision, Sequence, UnixMillis};
use latchkey_state::{Backup, StateHash};
use latchkey_wire::pb::disk::v1 as pb;

/// The newest format of backups.
pub(super) const FORMAT: u32 = 1;

/// What a backup is of: known without any key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupHeader {
    /// The cluster.
    pub cluster: ClusterId,
    /// The last record that it covers.
    pub revision: Revision,
    /// When it was taken, by the wall clock of the replica that took it.
    pub taken_at: UnixMillis,
    /// The replicated clock at that record.
    pub clock: UnixMillis,
    /// The first audit entry that it does not know.
    pub next: Sequence,
    /// The hash of the state.
    pub hash: StateHash,
    /// The feature level.
    pub feature_level: u32,
    /// How many keys there are.
    pub keys: u64,
    /// The replica that took it.
    pub node: NodeId,
}

impl BackupHeader {
    /// Which backup it is, as the cluster knows it.
    #[must_use]
    pub const fn backup(&self) -> Backup {
        Backup { revision: self.revision, taken_at: self.taken_at, node: self.node }
    }

    pub(super) fn write(&self) -> pb::BackupHeader {
        pb::BackupHeader {
            format: FORMAT,
            cluster_id: self.cluster.0.to_vec(),
            epoch: self.revision.epoch,
            index: self.revision.index,
            taken_at_unix_ms: self.taken_at.millis(),
            clock_unix_ms: self.clock.millis(),
            next_sequence: self.next.0,
            state_hash: self.hash.bytes().to_vec(),
            feature_level: self.feature_level,
            key_count: self.keys,
            node_id: self.node.0,
        }
    }

    /// What was expected instead, where it is none.
    pub(super) fn read(header: &pb::BackupHeader) -> Result<Self, (&'static str, String)> {
        if header.format != FORMAT {
            return Err(("format 1 of backups", format!("format {}", header.format)));
        }
        let bytes = |bytes: &[u8]| format!("{} bytes", bytes.len());
        let cluster = header.cluster_id[..].try_into();
        let cluster = cluster.map_err(|_| ("a cluster id of 16 bytes", bytes(&header.cluster_id)))?;
        let hash = <&[u8; 32]>::try_from(&header.state_hash[..]);
        let hash = hash.map_err(|_| ("a state hash of 32 bytes", bytes(&header.state_hash)))?;
        Ok(Self {
            cluster: ClusterId(cluster),
            revision: Revision::new(header.epoch, header.index),
            taken_at: UnixMillis::new(header.taken_at_unix_ms),
            clock: UnixMillis::new(header.clock_unix_ms),
            next: Sequence(header.next_sequence),
            hash: StateHash::from_bytes(hash),
            feature_level: header.feature_level,
            keys: header.key_count,
            node: NodeId(header.node_id),
        })
    }
}
