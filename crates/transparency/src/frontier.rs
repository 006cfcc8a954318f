//! The right edge of the tree: enough to add leaves and to know the root, in at most 64 hashes.
use crate::{Hash, empty_root, node_hash};
use alloc::vec::Vec;
use core::fmt;

/// The roots of the perfect subtrees that make up a tree of `size` leaves, the largest (oldest) first.
///
/// There is one peak for each 1 in the binary form of `size`, so pushing a leaf is adding one with carry:
/// two subtrees of the same size become one of twice that size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Hash>,
}

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The frontier with these parts, as [`Self::size`] and [`Self::peaks`] gave them out.
    ///
    /// # Errors
    /// [`FrontierError`] where a tree of `size` leaves has another number of peaks. The hashes themselves cannot be
    /// checked here: compare [`Self::root`] with a root that is known.
    pub fn from_parts(size: u64, peaks: Vec<Hash>) -> Result<Self, FrontierError> {
        let expected = size.count_ones();
        if peaks.len() != expected as usize {
            return Err(FrontierError { size, expected, found: peaks.len() });
        }
        Ok(Self { size, peaks })
    }

    /// Adds the next leaf. About two hashes on average, 64 at most.
    ///
    /// # Panics
    /// At 2^64 - 1 leaves, which takes half a million years at a million a second.
    pub fn push(&mut self, leaf: Hash) {
        let grown = self.size.checked_add(1).expect("a tree has fewer than 2^64 - 1 leaves");
        let mut carried = leaf;
        for _ in 0..self.size.trailing_ones() {
            let left = self.peaks.pop().expect("one peak for each 1 in size");
            carried = node_hash(&left, &carried);
        }
        self.peaks.push(carried);
        self.size = grown;
    }

    /// The root of the tree over all leaves pushed so far. Source: RFC 6962, section 2.1.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut smallest_first = self.peaks.iter().rev();
        let Some(smallest) = smallest_first.next() else { return empty_root() };
        smallest_first.fold(*smallest, |right, left| node_hash(left, &right))
    }

    /// How many leaves the tree has; the sequence of the next one.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The frontier of the longest beginning of this tree, of at most `size` leaves, that its own peaks make up: of any other
    /// beginning it knows nothing.
    #[must_use]
    pub fn beginning(&self, size: u64) -> Self {
        let mut known = 0;
        // The largest peak is of the highest 1 in the size, and so on.
        while let Some(highest) = (self.size ^ known).checked_ilog2().filter(|highest| known | (1 << highest) <= size) {
            known |= 1 << highest;
        }
        Self { size: known, peaks: self.peaks[..known.count_ones() as usize].to_vec() }
    }

    /// The peaks, the largest first, for [`Self::from_parts`].
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }
}

impl Default for Frontier {
    fn default() -> Self {
        Self::new()
    }
}

/// The parts of a frontier contradict each other: what was loaded is not what was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontierError {
    /// The size given, in leaves.
    pub size: u64,
    /// How many peaks a tree of that size has.
    pub expected: u32,
    /// How many were given.
    pub found: usize,
}

impl fmt::Display for FrontierError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, expected, found } = self;
        write!(f, "a tree of {size} leaves has {expected} peaks, found {found}")
    }
}

impl core::error::Error for FrontierError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{commitment, leaf_hash};
    use latchkey_domain::{Revision, Sequence};
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    #[test]
    fn parts_that_contradict_each_other_are_refused() {
        let peak = Hash::new([0; 32]);
        assert_eq!(Frontier::from_parts(5, vec![peak; 3]), Err(FrontierError { size: 5, expected: 2, found: 3 }));
        assert!(Frontier::from_parts(0, vec![peak]).is_err());
        assert!(Frontier::from_parts(u64::MAX, vec![peak; 63]).is_err());
        let error = Frontier::from_parts(5, vec![]).unwrap_err();
        assert_eq!(error.to_string(), "a tree of 5 leaves has 2 peaks, found 0");
    }

    #[test]
    fn a_beginning_is_the_frontier_of_that_many_leaves_and_the_longest_that_is_known() {
        let mut all = vec![Frontier::new()];
        for leaf in (0..70).map(numbered_leaf) {
            let mut next = all.last().unwrap().clone();
            next.push(leaf);
            all.push(next);
        }
        for whole in &all {
            for size in 0..=whole.size() + 1 {
                let beginning = whole.beginning(size);
                assert!(beginning.size() <= size && beginning == all[usize::try_from(beginning.size()).unwrap()]);
                // What is left to `size` is smaller than the next peak.
                let left = size.min(whole.size()) - beginning.size();
                let next = whole.size() ^ beginning.size();
                assert!(next == 0 || left < 1 << next.ilog2(), "{} of {}", size, whole.size());
            }
        }
        let full = Frontier::from_parts(u64::MAX, vec![Hash::new([0; 32]); 64]).unwrap();
        assert_eq!(full.beginning(u64::MAX), full);
    }

    #[test]
    #[should_panic(expected = "fewer than 2^64 - 1 leaves")]
    fn a_full_tree_stops_rather_than_starting_over() {
        let mut frontier = Frontier::from_parts(u64::MAX, vec![Hash::new([0; 32]); 64]).unwrap();
        frontier.push(Hash::new([1; 32]));
    }

    #[test]
    fn the_root_is_that_of_the_definition_for_each_size_to_300() {
        let leaves: Vec<Hash> = (0..300).map(numbered_leaf).collect();
        let mut frontier = Frontier::new();
        assert_eq!(frontier.root(), defined_root(&[]));
        for (pushed, leaf) in leaves.iter().enumerate() {
            frontier.push(*leaf);
            assert_eq!(frontier.size(), pushed as u64 + 1);
            assert_eq!(frontier.root(), defined_root(&leaves[..=pushed]), "size {}", frontier.size());
        }
    }

    /// The inputs and roots of the reference tests of Certificate Transparency, which later logs repeat.
    #[test]
    fn the_root_is_that_of_the_published_vectors() {
        let vectors: [(&[u8], &str); 8] = [
            (b"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
            (b"\x00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
            (b"\x10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
            (b"\x20\x21", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
            (b"\x30\x31", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
            (b"@ABC", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
            (b"PQRSTUVW", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"),
            (b"`abcdefghijklmno", "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"),
        ];
        let mut frontier = Frontier::new();
        for (data, root) in vectors {
            frontier.push(Hash::finish(Sha256::new().chain_update([0]).chain_update(data)));
            assert_eq!(frontier.root().to_string(), root);
        }
    }

    proptest! {
        #[test]
        fn a_frontier_put_down_and_taken_up_goes_on_alike(before in 0_u64..200, after in 0_u64..200) {
            let mut whole = Frontier::new();
            (0..before).for_each(|n| whole.push(numbered_leaf(n)));
            let mut resumed = Frontier::from_parts(whole.size(), whole.peaks().to_vec()).unwrap();
            for n in before..before + after {
                whole.push(numbered_leaf(n));
                resumed.push(numbered_leaf(n));
            }
            prop_assert_eq!(whole.root(), resumed.root());
            prop_assert_eq!(whole, resumed);
        }

        #[test]
        fn another_leaf_anywhere_is_another_root(size in 1_usize..200, place in any::<prop::sample::Index>()) {
            let mut leaves: Vec<Hash> = (0..size as u64).map(numbered_leaf).collect();
            let honest = pushed(&leaves).root();
            leaves[place.index(size)] = Hash::new([0xff; 32]);
            prop_assert_ne!(pushed(&leaves).root(), honest);
        }

        #[test]
        fn the_peaks_are_as_many_as_the_ones_in_the_size(size in 0_u64..2_000) {
            let leaves: Vec<Hash> = (0..size).map(|_| Hash::new([0; 32])).collect();
            prop_assert_eq!(pushed(&leaves).peaks().len(), size.count_ones() as usize);
        }
    }

    fn pushed(leaves: &[Hash]) -> Frontier {
        let mut frontier = Frontier::new();
        leaves.iter().for_each(|leaf| frontier.push(*leaf));
        frontier
    }

    fn numbered_leaf(sequence: u64) -> Hash {
        let content = commitment(&[5; 32], &sequence.to_be_bytes());
        leaf_hash(1, Sequence(sequence), Revision::new(1, sequence * 3), &content)
    }

    /// The recursive definition of RFC 6962, section 2.1, word for word.
    fn defined_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::finish(Sha256::new()),
            [leaf] => *leaf,
            _ => {
                // The largest power of two smaller than the number of leaves.
                let split = leaves.len().next_power_of_two() / 2;
                node_hash(&defined_root(&leaves[..split]), &defined_root(&leaves[split..]))
            }
        }
    }
}
