//! What the audit log and those who vouch for it are called in checkpoints, which outlive the cluster.

use crate::records::Progress;
use alloc::format;
use alloc::string::String;
use latchkey_domain::{ClusterId, NodeId};

/// The name of the audit log, its origin: of the first tree `latchkey/<cluster>`, of one that an epoch began anew
/// `latchkey/<cluster>/e<epoch>`, of one that a record of that epoch began `latchkey/<cluster>/e<epoch>-<index>`. Two trees of
/// one name would be a fork.
#[must_use]
pub fn log_name(cluster: ClusterId, tree_epoch: u64, tree_index: u64) -> String {
    match (tree_epoch, tree_index) {
        (0, 0) => format!("latchkey/{cluster}"),
        (epoch, 0) => format!("latchkey/{cluster}/e{epoch}"),
        (epoch, index) => format!("latchkey/{cluster}/e{epoch}-{index}"),
    }
}

impl Progress {
    /// Which audit log this is, by the epoch and the record that began it.
    #[must_use]
    pub const fn tree(&self) -> (u64, u64) {
        (self.tree_epoch, self.tree_index)
    }

    /// The name of the audit log of this cluster, as [`log_name`] says.
    #[must_use]
    pub fn log_name(&self, cluster: ClusterId) -> String {
        log_name(cluster, self.tree_epoch, self.tree_index)
    }
}

/// The name of the key that a replica cosigns with.
#[must_use]
pub fn cosigner_name(cluster: ClusterId, node: NodeId) -> String {
    format!("latchkey/{cluster}/replica/{node}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_begins_anew_is_another_log() {
        let cluster = ClusterId([0xC1; 16]);
        let hex = "c1".repeat(16);
        assert_eq!(log_name(cluster, 0, 0), format!("latchkey/{hex}"));
        assert_eq!(log_name(cluster, 3, 0), format!("latchkey/{hex}/e3"));
        assert_eq!(log_name(cluster, 3, 42), format!("latchkey/{hex}/e3-42"));
        assert_eq!(cosigner_name(cluster, NodeId(4)), format!("latchkey/{hex}/replica/4"));
    }
}
