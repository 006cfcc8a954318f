//! That a leaf is in a tree. Source: RFC 6962, section 2.1.1; checked as RFC 9162, section 2.1.3.2, says.
use crate::nodes::{NodeId, Nodes, Span};
use crate::unproven::{ProofError, Unproven};
use crate::{Hash, node_hash};
use alloc::vec::Vec;

/// The hashes that lead from leaf `index` to the root of the tree over the first `size` leaves, the leaf's sibling first.
///
/// # Errors
/// [`ProofError::Beyond`] where the tree has no such leaf; [`ProofError::Node`] with what `nodes` says.
pub fn inclusion_proof<N: Nodes + ?Sized>(nodes: &N, index: u64, size: u64) -> Result<Vec<Hash>, ProofError<N::Error>> {
    if index >= size {
        return Err(ProofError::Beyond { asked: index, size });
    }
    siblings(index, size).into_iter().map(|span| span.hash(nodes).map_err(ProofError::Node)).collect()
}

/// The nodes that [`inclusion_proof`] asks for; none where the tree has no such leaf.
#[must_use]
pub fn inclusion_nodes(index: u64, size: u64) -> Vec<NodeId> {
    if index >= size {
        return Vec::new();
    }
    siblings(index, size).into_iter().flat_map(Span::nodes).collect()
}

/// Checks that `leaf` is leaf `index` of the tree of `size` leaves with this root.
///
/// # Errors
/// [`Unproven`], with what was found instead.
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), Unproven> {
    let found = root_by(leaf, index, size, proof)?;
    if found == *root { Ok(()) } else { Err(Unproven::Root { expected: *root, found }) }
}

/// The root that `proof` leads to from `leaf`.
///
/// # Errors
/// [`Unproven::Beyond`], [`Unproven::Length`].
pub fn root_by(leaf: &Hash, index: u64, size: u64, proof: &[Hash]) -> Result<Hash, Unproven> {
    if index >= size {
        return Err(Unproven::Beyond { asked: index, size });
    }
    let expected = siblings(index, size).len();
    if proof.len() != expected {
        return Err(Unproven::Length { expected, found: proof.len() });
    }
    let (mut at, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if at & 1 == 1 || at == last {
            hash = node_hash(sibling, &hash);
            // At the right edge, levels without a sibling are passed over.
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            hash = node_hash(&hash, sibling);
        }
        at >>= 1;
        last >>= 1;
    }
    Ok(hash)
}

/// What stands beside the way from the leaf to the root, from below.
fn siblings(index: u64, size: u64) -> Vec<Span> {
    let (mut span, mut siblings) = (Span { first: 0, next: size }, Vec::new());
    while span.len() > 1 {
        let (left, right) = span.halves();
        let (inside, beside) = if index < right.first { (left, right) } else { (right, left) };
        siblings.push(beside);
        span = inside;
    }
    siblings.reverse();
    siblings
}
