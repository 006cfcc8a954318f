//! The key that a replica cosigns with, as the replica keeps it.

use super::row::{read_checkpoint, write_checkpoint};
use super::{DecodeError, decode_message, fixed};
use crate::pb::disk::v1 as disk;
use latchkey_state::AuditCheckpoint;
use prost::Message as _;
use std::fmt;
use zeroize::Zeroizing;

/// The key, and what it cosigned last.
#[derive(Clone, PartialEq, Eq)]
pub struct NodeKey {
    /// The seed of the Ed25519 key.
    pub seed: Zeroizing<[u8; 32]>,
    /// The last checkpoint that was cosigned.
    pub signed: Option<AuditCheckpoint>,
    /// Of which tree that is, by the epoch and the record that began it, as `Progress` has them.
    pub tree: (u64, u64),
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeKey").field("signed", &self.signed).finish_non_exhaustive()
    }
}

/// The bytes of the key, to be sealed.
#[must_use]
pub fn encode_node_key(key: &NodeKey) -> Zeroizing<Vec<u8>> {
    let signed = key.signed.as_ref().map(write_checkpoint);
    let mut message = disk::NodeKey { seed: key.seed.to_vec(), signed, tree_epoch: key.tree.0, tree_index: key.tree.1 };
    let bytes = Zeroizing::new(message.encode_to_vec());
    drop(Zeroizing::new(std::mem::take(&mut message.seed)));
    bytes
}

/// Reads what [`encode_node_key`] wrote.
///
/// # Errors
/// [`DecodeError`] where a part is missing, unknown or not of its form.
pub fn decode_node_key(bytes: &[u8]) -> Result<NodeKey, DecodeError> {
    let mut message: disk::NodeKey = decode_message(bytes)?;
    let seed = Zeroizing::new(std::mem::take(&mut message.seed));
    Ok(NodeKey {
        seed: Zeroizing::new(fixed(&seed, "node_key.seed")?),
        signed: message.signed.as_ref().map(read_checkpoint).transpose()?,
        tree: (message.tree_epoch, message.tree_index),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_transparency::Hash;

    #[test]
    fn a_key_reads_as_it_was_written_and_is_never_shown() {
        let signed = Some(AuditCheckpoint { size: 9, root: Hash::new([2; 32]), key: [3; 32] });
        for signed in [None, signed] {
            let key = NodeKey { seed: Zeroizing::new([0xA7; 32]), signed, tree: (2, 40) };
            assert_eq!(decode_node_key(&encode_node_key(&key)).as_ref(), Ok(&key));
            let shown = format!("{key:?} {:?}", disk::NodeKey { seed: key.seed.to_vec(), ..Default::default() });
            assert!(!shown.contains("167"), "{shown}");
        }
        assert!(decode_node_key(&[]).is_err());
    }
}
