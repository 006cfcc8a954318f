//! The right edge of the tree in tiles: what a tree grows by, tile by tile.
use crate::nodes::{NodeMissing, Nodes, Span};
use crate::{Hash, TILE_WIDTH, Tile, TileId};
use alloc::vec::Vec;

/// The hashes of the tiles that are not full yet, level by level.
///
/// Pushing a leaf gives out each tile that it fills. What is not full is asked for by [`Self::partial`], once for each
/// checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// Of the empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, levels: Vec::new() }
    }

    /// Which tiles [`Self::from_tiles`] needs for a tree of `size` leaves: at most one of each level.
    pub fn tiles(size: u64) -> impl Iterator<Item = TileId> {
        (0..8).filter_map(move |level| {
            let index = (size >> (8 * u32::from(level))) / u64::from(TILE_WIDTH);
            TileId::at(level, index, size)
        })
    }

    /// Of a tree of `size` leaves, with the tiles that [`Self::tiles`] names. Compare [`Self::root`] with one that is known.
    ///
    /// # Errors
    /// [`NodeMissing`] where one of them is not there.
    pub fn from_tiles(size: u64, tiles: &[Tile]) -> Result<Self, NodeMissing> {
        let mut levels = Vec::new();
        for id in Self::tiles(size) {
            let found = tiles.iter().find(|tile| tile.id() == id);
            let tile = found.ok_or(NodeMissing { level: 8 * id.level(), index: id.first() })?;
            levels.resize_with(usize::from(id.level()), Vec::new);
            levels.push(tile.hashes().to_vec());
        }
        Ok(Self { size, levels })
    }

    /// Adds the next leaf, and gives each tile that is full by it to `filled`, lower levels first.
    ///
    /// # Panics
    /// At 2^64 - 1 leaves, as the frontier does.
    pub fn push(&mut self, leaf: Hash, mut filled: impl FnMut(Tile)) {
        self.size = self.size.checked_add(1).expect("a tree has fewer than 2^64 - 1 leaves");
        let mut carried = leaf;
        for level in 0_u8..8 {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::new());
            }
            let hashes = &mut self.levels[usize::from(level)];
            hashes.push(carried);
            if hashes.len() < usize::from(TILE_WIDTH) {
                return;
            }
            let index = (self.size >> (8 * u32::from(level))) / u64::from(TILE_WIDTH) - 1;
            let id = TileId::new(level, index, TILE_WIDTH).expect("a tile that was filled is within the tree");
            let tile = Tile::new(id, core::mem::take(hashes)).expect("as many hashes as the tile is wide");
            carried = tile.root().expect("a full tile has a root");
            filled(tile);
        }
    }

    /// The tiles that are not full, lower levels first.
    #[must_use]
    pub fn partial(&self) -> Vec<Tile> {
        let tile =
            |id: TileId| Tile::new(id, self.levels[usize::from(id.level())].clone()).expect("as wide as the size says");
        Self::tiles(self.size).map(tile).collect()
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        let span = Span { first: 0, next: self.size };
        span.hash(self).expect("each peak of the tree lies in a tile of its edge")
    }
}

impl Nodes for Edge {
    type Error = NodeMissing;

    /// Nodes within the tiles of the edge; among them are all that make the root.
    fn node(&self, level: u8, index: u64) -> Result<Hash, NodeMissing> {
        let tile = TileId::of_node((level, index), self.size).and_then(|id| {
            let hashes = self.levels.get(usize::from(id.level()))?;
            // Of a tile that is full, the edge has no more than the root, in the level above.
            Tile::new(id, hashes.clone()).ok()
        });
        tile.and_then(|tile| tile.node((level, index))).ok_or(NodeMissing { level, index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Frontier;
    use std::collections::BTreeMap;

    fn leaf(n: u64) -> Hash {
        crate::node_hash(&Hash::new([7; 32]), &Hash::new([u8::try_from(n % 251).unwrap(); 32]))
    }

    #[test]
    fn an_edge_has_the_roots_of_the_frontier_and_fills_each_tile_once() {
        let (mut edge, mut frontier, mut tiles) = (Edge::new(), Frontier::new(), BTreeMap::new());
        for n in 0..70_000 {
            edge.push(leaf(n), |tile| assert!(tiles.insert(tile.id(), tile).is_none()));
            frontier.push(leaf(n));
            if n % 997 == 0 || n % 256 > 253 {
                assert_eq!(edge.root(), frontier.root(), "size {}", edge.size());
            }
        }
        tiles.extend(edge.partial().into_iter().map(|tile| (tile.id(), tile)));
        assert_eq!(tiles.keys().copied().collect::<Vec<_>>(), {
            let mut all: Vec<_> = TileId::all(70_000).collect();
            all.sort();
            all
        });
    }

    #[test]
    fn an_edge_put_down_in_tiles_goes_on_alike() {
        for size in [0_u64, 1, 255, 256, 257, 511, 512, 65_535, 65_536, 65_800] {
            let mut whole = Edge::new();
            (0..size).for_each(|n| whole.push(leaf(n), |_| ()));
            let mut resumed = Edge::from_tiles(size, &whole.partial()).unwrap();
            assert_eq!(resumed.root(), whole.root());
            for n in size..size + 600 {
                let (mut one, mut other) = (Vec::new(), Vec::new());
                whole.push(leaf(n), |tile| one.push(tile));
                resumed.push(leaf(n), |tile| other.push(tile));
                assert_eq!(one, other);
            }
            assert_eq!((resumed.root(), resumed.partial()), (whole.root(), whole.partial()));
        }
        assert!(Edge::from_tiles(3, &[]).is_err());
    }
}
