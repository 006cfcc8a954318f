//! Our proofs by another's verifier, and another's by ours.

use crate::naive::{Naive, data, leaf};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof, InclusionProof, RootHash};
use latchkey_transparency::{Hash, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};
use sha2::Sha256;

const SIZE_MAX: u64 = 100;

fn bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

fn hashes(bytes: &[u8]) -> Vec<Hash> {
    let (hashes, rest) = bytes.as_chunks();
    assert!(rest.is_empty());
    hashes.iter().map(|hash| Hash::new(*hash)).collect()
}

fn root(theirs: &RootHash<Sha256>) -> Hash {
    Hash::new((*theirs.as_bytes()).into())
}

#[test]
fn both_make_the_same_roots_and_proofs_and_believe_each_others() {
    let ours = Naive::of(SIZE_MAX);
    let mut theirs = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut roots = vec![theirs.root()];
    for size in 1..=SIZE_MAX {
        theirs.push(data(size - 1));
        let new = theirs.root();
        assert_eq!(root(&new), ours.root(size));
        for index in 0..size {
            let made = inclusion_proof(&ours, index, size).unwrap();
            let proof = InclusionProof::<Sha256>::from_bytes(bytes(&made));
            new.verify_inclusion(&data(index), index, &proof).unwrap();
            let proof = theirs.prove_inclusion(usize::try_from(index).unwrap());
            let proof = hashes(proof.as_bytes());
            assert_eq!(verify_inclusion(&leaf(index), index, size, &proof, &ours.root(size)), Ok(()));
        }
        for old in 1..size {
            let made = consistency_proof(&ours, old, size).unwrap();
            let proof = ConsistencyProof::<Sha256>::try_from_bytes(bytes(&made)).unwrap();
            new.verify_consistency(&roots[usize::try_from(old).unwrap()], &proof).unwrap();
            let proof = theirs.prove_consistency(usize::try_from(size - old).unwrap());
            let proof = hashes(proof.as_bytes());
            assert_eq!(verify_consistency(old, &ours.root(old), size, &ours.root(size), &proof), Ok(()));
        }
        roots.push(new);
    }
}
