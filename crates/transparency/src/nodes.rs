//! Where the nodes of a tree come from, and which of them an answer is made of.
use crate::{Hash, empty_root, node_hash};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

/// A node: the root of the complete subtree over the leaves `index * 2^level` to `(index + 1) * 2^level - 1`.
///
/// Level 0 is the leaves themselves.
pub type NodeId = (u8, u64);

/// Whoever has the nodes of a tree: tiles in memory, a folder, what was fetched before.
pub trait Nodes {
    /// Why a node cannot be had.
    type Error;

    /// The root of the complete subtree of `2^level` leaves that begins at leaf `index * 2^level`.
    ///
    /// # Errors
    /// Where it cannot be had.
    fn node(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// Nodes that were fetched beforehand, by their ids: what lets an async store answer.
#[derive(Clone, Debug, Default)]
pub struct KnownNodes(BTreeMap<NodeId, Hash>);

impl FromIterator<(NodeId, Hash)> for KnownNodes {
    fn from_iter<I: IntoIterator<Item = (NodeId, Hash)>>(nodes: I) -> Self {
        Self(nodes.into_iter().collect())
    }
}

impl Nodes for KnownNodes {
    type Error = NodeMissing;

    fn node(&self, level: u8, index: u64) -> Result<Hash, NodeMissing> {
        self.0.get(&(level, index)).copied().ok_or(NodeMissing { level, index })
    }
}

/// A node is needed that nobody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeMissing {
    /// Its level.
    pub level: u8,
    /// Its index within the level.
    pub index: u64,
}

impl fmt::Display for NodeMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node {} of level {} is needed and was not found", self.index, self.level)
    }
}

impl core::error::Error for NodeMissing {}

/// The nodes that the root of a tree of `size` leaves is made of: one for each 1 in `size`, the largest first.
#[must_use]
pub fn root_nodes(size: u64) -> Vec<NodeId> {
    Span { first: 0, next: size }.nodes().collect()
}

/// The root of the tree over the first `size` leaves.
///
/// # Errors
/// Those of `nodes`.
pub fn root_of<N: Nodes + ?Sized>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    Span { first: 0, next: size }.hash(nodes)
}

/// Leaves that are next to each other and make a subtree of RFC 6962: from `first` to before `next`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) first: u64,
    pub(crate) next: u64,
}

impl Span {
    pub(crate) const fn len(self) -> u64 {
        self.next - self.first
    }

    /// Its two halves: the left one is the largest power of two that is smaller than the whole. Needs two leaves.
    pub(crate) const fn halves(self) -> (Self, Self) {
        let middle = self.first + (1 << (self.len() - 1).ilog2());
        (Self { first: self.first, next: middle }, Self { first: middle, next: self.next })
    }

    /// The complete subtrees that it is made of, the largest first.
    pub(crate) fn nodes(self) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        let Self { first, next } = self;
        let len = next - first;
        (0..=63_u8).rev().filter(move |level| len >> level & 1 == 1).map(move |level| {
            // What the larger subtrees before it cover is what the higher bits of the length say.
            let before = (len >> level >> 1) << 1;
            (level, (first >> level) + before)
        })
    }

    pub(crate) fn hash<N: Nodes + ?Sized>(self, nodes: &N) -> Result<Hash, N::Error> {
        let mut right: Option<Hash> = None;
        for (level, index) in self.nodes().rev() {
            let left = nodes.node(level, index)?;
            right = Some(right.map_or(left, |right| node_hash(&left, &right)));
        }
        Ok(right.unwrap_or_else(empty_root))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_made_of_the_subtrees_that_its_length_says() {
        let nodes = |first, next| Span { first, next }.nodes().collect::<Vec<_>>();
        assert_eq!(nodes(0, 0), []);
        assert_eq!(nodes(0, 7), [(2, 0), (1, 2), (0, 6)]);
        assert_eq!(nodes(8, 11), [(1, 4), (0, 10)]);
        assert_eq!(nodes(0, u64::MAX).len(), 64);
        assert_eq!(root_nodes(256), [(8, 0)]);
    }

    #[test]
    fn a_node_that_is_missing_is_named() {
        let known: KnownNodes = [((1, 0), Hash::new([1; 32]))].into_iter().collect();
        assert_eq!(root_of(&known, 2), Ok(Hash::new([1; 32])));
        let missing = root_of(&known, 3).unwrap_err();
        assert_eq!(missing.to_string(), "node 2 of level 0 is needed and was not found");
        assert_eq!(root_of(&known, 0), Ok(empty_root()));
    }
}
