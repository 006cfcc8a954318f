//! Proofs as the API shows them.

use crate::entries::Found;
use crate::proofs::{Inclusion, Newest, Prover};
use crate::show;
use latchkey_transparency::Hash;
use latchkey_wire::pb::v1;

impl Prover {
    /// A checkpoint with the keys that verify it.
    pub(crate) fn show(&self, newest: &Newest) -> v1::Checkpoint {
        let Newest { note, checkpoint } = newest;
        v1::Checkpoint {
            note: note.to_string(),
            origin: checkpoint.origin.clone(),
            size: checkpoint.size,
            root: bytes(&checkpoint.root),
            verifier_keys: self.verifier_keys().iter().map(ToString::to_string).collect(),
            handovers: self.handovers(),
        }
    }
}

/// That an entry is in the tree of `size`, and where it may be shown what it says.
pub(crate) fn inclusion(
    (sequence, tree_size): (u64, u64),
    proof: &Inclusion,
    checkpoint: v1::Checkpoint,
    content: Option<Found>,
) -> v1::GetInclusionProofResponse {
    let (opening, event) =
        content.as_ref().map(|found| (found.event.o.to_vec(), found.event.bytes.clone())).unwrap_or_default();
    v1::GetInclusionProofResponse {
        sequence,
        tree_size,
        leaf: proof.preimage.to_vec(),
        hashes: proof.hashes.iter().map(bytes).collect(),
        root: bytes(&proof.root),
        checkpoint: Some(checkpoint),
        opening,
        event,
        entry: content.map(show::entry),
    }
}

/// That the tree of the second size begins with that of the first.
pub(crate) fn consistency(
    (old_tree_size, new_tree_size): (u64, u64),
    hashes: &[Hash],
    checkpoint: v1::Checkpoint,
) -> v1::GetConsistencyProofResponse {
    let hashes = hashes.iter().map(bytes).collect();
    v1::GetConsistencyProofResponse { old_tree_size, new_tree_size, hashes, checkpoint: Some(checkpoint) }
}

fn bytes(hash: &Hash) -> Vec<u8> {
    hash.as_bytes().to_vec()
}
