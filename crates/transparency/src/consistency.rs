//! That one tree begins with another. Source: RFC 6962, section 2.1.2; checked as RFC 9162, section 2.1.4.2, says.
use crate::nodes::{NodeId, Nodes, Span};
use crate::unproven::{ProofError, Unproven};
use crate::{Hash, empty_root, node_hash};
use alloc::vec::Vec;

/// The hashes that show that the tree over the first `new` leaves begins with the tree over the first `old`.
/// Empty where `old` is zero or `new`.
///
/// # Errors
/// [`ProofError::Beyond`] where `old` is larger than `new`; [`ProofError::Node`] with what `nodes` says.
pub fn consistency_proof<N: Nodes + ?Sized>(nodes: &N, old: u64, new: u64) -> Result<Vec<Hash>, ProofError<N::Error>> {
    if old > new {
        return Err(ProofError::Beyond { asked: old, size: new });
    }
    spans(old, new).into_iter().map(|span| span.hash(nodes).map_err(ProofError::Node)).collect()
}

/// The nodes that [`consistency_proof`] asks for; none where `old` is larger than `new`.
#[must_use]
pub fn consistency_nodes(old: u64, new: u64) -> Vec<NodeId> {
    spans(old, new).into_iter().flat_map(Span::nodes).collect()
}

/// Checks that the tree of `new` leaves with `new_root` begins with the tree of `old` leaves with `old_root`.
///
/// # Errors
/// [`Unproven`], with what was found instead.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), Unproven> {
    if old > new {
        return Err(Unproven::Beyond { asked: old, size: new });
    }
    let expected = spans(old, new).len();
    if proof.len() != expected {
        return Err(Unproven::Length { expected, found: proof.len() });
    }
    let (old_found, new_found) = match old {
        // Every tree begins with the empty one, so only the old root can be wrong.
        0 => (empty_root(), *new_root),
        _ if old == new => (*old_root, *old_root),
        _ => roots_by(old, old_root, new, proof),
    };
    if old_found != *old_root {
        return Err(Unproven::OldRoot { expected: *old_root, found: old_found });
    }
    if new_found != *new_root {
        return Err(Unproven::Root { expected: *new_root, found: new_found });
    }
    Ok(())
}

/// Both roots that the proof leads to, for `0 < old < new` and a proof of the right length.
fn roots_by(old: u64, old_root: &Hash, new: u64, proof: &[Hash]) -> (Hash, Hash) {
    let (mut at, mut last) = (old - 1, new - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    // An old tree that is complete is a node of the new one, and its root is not repeated.
    let complete = old.is_power_of_two();
    let (seed, rest) = match proof.split_first() {
        Some((first, rest)) if !complete => (*first, rest),
        _ => (*old_root, proof),
    };
    let (mut before, mut after) = (seed, seed);
    for hash in rest {
        if at & 1 == 1 || at == last {
            before = node_hash(hash, &before);
            after = node_hash(hash, &after);
            while at & 1 == 0 && at != 0 {
                at >>= 1;
                last >>= 1;
            }
        } else {
            after = node_hash(&after, hash);
        }
        at >>= 1;
        last >>= 1;
    }
    (before, after)
}

/// What the proof is made of, in its order: RFC 6962's SUBPROOF.
fn spans(old: u64, new: u64) -> Vec<Span> {
    if old == 0 || old >= new {
        return Vec::new();
    }
    let (mut span, mut found, mut known) = (Span { first: 0, next: new }, Vec::new(), true);
    while span.next != old {
        let (left, right) = span.halves();
        if old <= left.next {
            found.push(right);
            span = left;
        } else {
            found.push(left);
            span = right;
            // What is left of the old tree is no longer the whole of it, whose root the verifier has.
            known = false;
        }
    }
    if !known {
        found.push(span);
    }
    found.reverse();
    found
}
