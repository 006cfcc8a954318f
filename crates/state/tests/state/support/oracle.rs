//! What the state machine says, computed a second time and in another way.

use latchkey_domain::Sequence;
use latchkey_state::{EVENT_FORMAT, Entry, Row, RowId, State};
use latchkey_transparency::Hash;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

pub(crate) fn rows_of(state: &State) -> BTreeMap<RowId, Row> {
    state.rows().map(|row| (row.id(), row)).collect()
}

/// The leaf of an entry, from its parts.
pub(crate) fn leaf_of(entry: &Entry) -> Hash {
    let commitment = Sha256::new().chain_update(entry.o).chain_update(&entry.event).finalize();
    let Sequence(sequence) = entry.sequence;
    let leaf = Sha256::new()
        .chain_update([0, EVENT_FORMAT])
        .chain_update(sequence.to_be_bytes())
        .chain_update(entry.revision.epoch.to_be_bytes())
        .chain_update(entry.revision.index.to_be_bytes())
        .chain_update(commitment);
    Hash::new(leaf.finalize().into())
}

/// The recursive definition of RFC 6962, section 2.1, word for word.
pub(crate) fn defined_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::new(Sha256::digest([]).into()),
        [leaf] => *leaf,
        _ => {
            // The largest power of two smaller than the number of leaves.
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            let node = Sha256::new().chain_update([1]);
            let node = node.chain_update(defined_root(left).as_bytes()).chain_update(defined_root(right).as_bytes());
            Hash::new(node.finalize().into())
        }
    }
}
