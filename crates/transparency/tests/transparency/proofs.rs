//! What is proved and what is refused.

use crate::naive::{Naive, leaf};
use latchkey_transparency::{
    Hash, KnownNodes, Nodes as _, ProofError, Unproven, consistency_nodes, consistency_proof, inclusion_nodes,
    inclusion_proof, root_nodes, root_of, verify_consistency, verify_inclusion,
};
use proptest::prelude::*;

/// Trees of up to so many leaves are gone through whole.
const SMALL: u64 = 65;

#[test]
fn each_proof_of_each_small_tree_is_that_of_the_definition_and_holds() {
    let tree = Naive::of(SMALL);
    for size in 0..=SMALL {
        let root = tree.root(size);
        assert_eq!(root_of(&tree, size), Ok(root));
        for index in 0..size {
            let proof = inclusion_proof(&tree, index, size).unwrap();
            assert_eq!(proof, tree.path(index, size), "{index} of {size}");
            assert_eq!(verify_inclusion(&leaf(index), index, size, &proof, &root), Ok(()));
        }
        for old in 0..=size {
            let proof = consistency_proof(&tree, old, size).unwrap();
            assert_eq!(proof, tree.consistency(old, size), "{old} to {size}");
            assert_eq!(verify_consistency(old, &tree.root(old), size, &root, &proof), Ok(()));
        }
    }
}

#[test]
fn a_proof_of_one_place_holds_in_none_of_another_shape() {
    let size = 33;
    let tree = Naive::of(size);
    let root = tree.root(size);
    for index in 0..size {
        let proof = inclusion_proof(&tree, index, size).unwrap();
        for other in 0..=SMALL {
            for other_size in 0..=SMALL {
                let held = verify_inclusion(&leaf(index), other, other_size, &proof, &root);
                // Only the sides on which siblings stand are hashed: `1 of 2` is `32 of 33`. That is why the size stands in
                // what is signed, and the index in each leaf.
                let shape = tree_shape(index, size);
                let same_shape = shape.is_some() && shape == tree_shape(other, other_size);
                assert_eq!(held.is_ok(), same_shape, "leaf {index} of {size} as {other} of {other_size}");
            }
        }
    }
}

/// On which side each sibling stands, from below: all that a verifier makes of index and size.
fn tree_shape(index: u64, size: u64) -> Option<Vec<bool>> {
    if index >= size {
        return None;
    }
    let (mut first, mut next, mut sides) = (0, size, Vec::new());
    while next - first > 1 {
        let mut half = 1;
        while half * 2 < next - first {
            half *= 2;
        }
        let right = index >= first + half;
        if right {
            first += half;
        } else {
            next = first + half;
        }
        sides.insert(0, right);
    }
    Some(sides)
}

#[test]
fn sizes_beyond_the_tree_are_refused_and_not_computed_with() {
    let tree = Naive::of(4);
    assert_eq!(inclusion_proof(&tree, 4, 4), Err(ProofError::Beyond { asked: 4, size: 4 }));
    assert_eq!(consistency_proof(&tree, 5, 4), Err(ProofError::Beyond { asked: 5, size: 4 }));
    assert!(matches!(inclusion_proof(&tree, 3, 5), Err(ProofError::Node(_))));
    let hash = Hash::new([1; 32]);
    for (index, size) in [(0, 0), (u64::MAX, u64::MAX), (u64::MAX - 1, u64::MAX), (5, u64::MAX)] {
        assert!(verify_inclusion(&hash, index, size, &[], &hash).is_err());
        assert!(verify_inclusion(&hash, index, size, &[hash; 64], &hash).is_err());
        assert!(verify_consistency(index, &hash, size, &hash, &[hash; 64]).is_err());
    }
    let wrong = verify_consistency(2, &hash, 1, &hash, &[]).unwrap_err();
    assert_eq!(wrong.to_string(), "expected less than the tree's size 1, found 2");
    assert!(inclusion_nodes(1, 1).is_empty() && consistency_nodes(2, 1).is_empty());
}

#[test]
fn the_empty_tree_is_the_beginning_of_each_but_has_one_root() {
    let tree = Naive::of(3);
    assert_eq!(verify_consistency(0, &tree.root(0), 3, &tree.root(3), &[]), Ok(()));
    let other = Hash::new([1; 32]);
    assert!(matches!(verify_consistency(0, &other, 3, &tree.root(3), &[]), Err(Unproven::OldRoot { .. })));
    assert!(matches!(verify_consistency(3, &tree.root(3), 3, &other, &[]), Err(Unproven::Root { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn larger_trees_prove_alike(size in 1_u64..3_000, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let tree = Naive::of(size);
        let index = a.index(usize::try_from(size).unwrap()) as u64;
        let old = b.index(usize::try_from(size).unwrap() + 1) as u64;
        let proof = inclusion_proof(&tree, index, size).unwrap();
        prop_assert_eq!(&proof, &tree.path(index, size));
        prop_assert!(verify_inclusion(&leaf(index), index, size, &proof, &tree.root(size)).is_ok());
        let proof = consistency_proof(&tree, old, size).unwrap();
        prop_assert_eq!(&proof, &tree.consistency(old, size));
        prop_assert!(verify_consistency(old, &tree.root(old), size, &tree.root(size), &proof).is_ok());
    }

    #[test]
    fn what_a_proof_needs_is_named_before(size in 1_u64..2_000, a in any::<prop::sample::Index>(), b in any::<prop::sample::Index>()) {
        let tree = Naive::of(size);
        let index = a.index(usize::try_from(size).unwrap()) as u64;
        let old = b.index(usize::try_from(size).unwrap() + 1) as u64;
        let fetch = |ids: Vec<(u8, u64)>| -> KnownNodes {
            ids.into_iter().map(|(level, index)| ((level, index), tree.node(level, index).unwrap())).collect()
        };
        let known = fetch(inclusion_nodes(index, size));
        prop_assert_eq!(inclusion_proof(&known, index, size).unwrap(), tree.path(index, size));
        let known = fetch(consistency_nodes(old, size));
        prop_assert_eq!(consistency_proof(&known, old, size).unwrap(), tree.consistency(old, size));
        prop_assert_eq!(root_of(&fetch(root_nodes(size)), size), Ok(tree.root(size)));
    }

    #[test]
    fn any_change_of_a_proof_is_found(
        size in 2_u64..400,
        a in any::<prop::sample::Index>(),
        b in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        bit in 0_usize..256,
    ) {
        let tree = Naive::of(size);
        let flip = |hashes: &mut Vec<Hash>| {
            let at = place.index(hashes.len());
            let mut bytes = *hashes[at].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            hashes[at] = Hash::new(bytes);
        };
        let index = a.index(usize::try_from(size).unwrap()) as u64;
        let mut proof = inclusion_proof(&tree, index, size).unwrap();
        let longer = [&proof[..], &[Hash::new([0; 32])]].concat();
        prop_assert!(verify_inclusion(&leaf(index), index, size, &longer, &tree.root(size)).is_err());
        prop_assert!(verify_inclusion(&leaf(index), index, size, &proof[1..], &tree.root(size)).is_err());
        flip(&mut proof);
        prop_assert!(verify_inclusion(&leaf(index), index, size, &proof, &tree.root(size)).is_err());

        let old = 1 + b.index(usize::try_from(size).unwrap() - 1) as u64;
        let mut proof = consistency_proof(&tree, old, size).unwrap();
        flip(&mut proof);
        prop_assert!(verify_consistency(old, &tree.root(old), size, &tree.root(size), &proof).is_err());
        // A tree with another leaf among the old ones does not begin with the old one.
        let mut forked = Naive::of(size);
        forked.0[place.index(usize::try_from(old).unwrap())] = Hash::new([9; 32]);
        let proof = consistency_proof(&forked, old, size).unwrap();
        prop_assert!(verify_consistency(old, &tree.root(old), size, &forked.root(size), &proof).is_err());
    }
}
