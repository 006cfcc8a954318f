//! RFC 6962, section 2.1, word for word: slow, recursive, over all the leaves.

use latchkey_transparency::{Hash, NodeMissing, Nodes, empty_root, node_hash};

/// A tree as a list of its leaves.
pub(crate) struct Naive(pub(crate) Vec<Hash>);

impl Naive {
    /// Leaves that differ.
    pub(crate) fn of(size: u64) -> Self {
        Self((0..size).map(leaf).collect())
    }

    /// MTH.
    pub(crate) fn root(&self, size: u64) -> Hash {
        root(&self.0[..usize::try_from(size).unwrap()])
    }

    /// PATH.
    pub(crate) fn path(&self, index: u64, size: u64) -> Vec<Hash> {
        path(usize::try_from(index).unwrap(), &self.0[..usize::try_from(size).unwrap()])
    }

    /// PROOF.
    pub(crate) fn consistency(&self, old: u64, new: u64) -> Vec<Hash> {
        if old == 0 {
            return Vec::new();
        }
        subproof(usize::try_from(old).unwrap(), &self.0[..usize::try_from(new).unwrap()], true)
    }
}

impl Nodes for Naive {
    type Error = NodeMissing;

    fn node(&self, level: u8, index: u64) -> Result<Hash, NodeMissing> {
        let (first, next) = (index << level, (index + 1) << level);
        let leaves = self.0.get(usize::try_from(first).unwrap()..usize::try_from(next).unwrap());
        leaves.map(root).ok_or(NodeMissing { level, index })
    }
}

/// What leaf `n` hashes.
pub(crate) fn data(n: u64) -> Vec<u8> {
    format!("leaf {n}").into_bytes()
}

pub(crate) fn leaf(n: u64) -> Hash {
    use sha2::{Digest as _, Sha256};
    Hash::new(Sha256::new().chain_update([0]).chain_update(data(n)).finalize().into())
}

fn split(leaves: &[Hash]) -> (&[Hash], &[Hash]) {
    let mut half = 1;
    while half * 2 < leaves.len() {
        half *= 2;
    }
    leaves.split_at(half)
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => empty_root(),
        [leaf] => *leaf,
        _ => {
            let (left, right) = split(leaves);
            node_hash(&root(left), &root(right))
        }
    }
}

fn path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = split(leaves);
    if index < left.len() {
        [path(index, left), vec![root(right)]].concat()
    } else {
        [path(index - left.len(), right), vec![root(left)]].concat()
    }
}

fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let (left, right) = split(leaves);
    if old <= left.len() {
        [subproof(old, left, whole), vec![root(right)]].concat()
    } else {
        [subproof(old - left.len(), right, false), vec![root(left)]].concat()
    }
}
