//! What is in a tile of hashes and in a bundle of entries. Source: c2sp.org/tlog-tiles.
use crate::nodes::NodeId;
use crate::{Hash, LEAF_BYTES, TILE_WIDTH, TileId, hash_preimage, node_hash};
use alloc::vec::Vec;
use core::fmt;

const HASH_BYTES: usize = 32;
/// An entry and its length before it.
const FRAMED_BYTES: usize = 2 + LEAF_BYTES;

/// A tile of hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    id: TileId,
    hashes: Vec<Hash>,
}

impl Tile {
    /// The tile with these hashes.
    ///
    /// # Errors
    /// [`TileError::Bytes`] where they are not as many as the tile is wide.
    pub fn new(id: TileId, hashes: Vec<Hash>) -> Result<Self, TileError> {
        let (expected, found) = (usize::from(id.width()), hashes.len());
        if found != expected {
            return Err(TileError::Bytes { expected: expected * HASH_BYTES, found: found * HASH_BYTES });
        }
        Ok(Self { id, hashes })
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// [`TileError::Bytes`] where there are more or fewer than the tile is wide.
    pub fn decode(id: TileId, bytes: &[u8]) -> Result<Self, TileError> {
        let (hashes, rest) = bytes.as_chunks();
        if !rest.is_empty() || hashes.len() != usize::from(id.width()) {
            let expected = usize::from(id.width()) * HASH_BYTES;
            return Err(TileError::Bytes { expected, found: bytes.len() });
        }
        Ok(Self { id, hashes: hashes.iter().map(|hash| Hash::new(*hash)).collect() })
    }

    /// What is stored: one hash after the other.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
    }

    /// Which one it is.
    #[must_use]
    pub const fn id(&self) -> TileId {
        self.id
    }

    /// Its hashes: nodes of level `8 * level`, in order.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The node, computed from the hashes below it; `None` where it is not within this tile.
    #[must_use]
    pub fn node(&self, (level, index): NodeId) -> Option<Hash> {
        let within = level.checked_sub(8 * self.id.level()).filter(|within| *within < 8)?;
        self.subtree(within, index)
    }

    /// The hash of this tile in the level above; `None` while it is not full.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        self.subtree(8, self.id.index())
    }

    fn subtree(&self, within: u8, index: u64) -> Option<Hash> {
        let first = index.checked_mul(1 << within)?.checked_sub(self.id.first())?;
        let first = usize::try_from(first).ok().filter(|first| *first < usize::from(TILE_WIDTH))?;
        let mut hashes = self.hashes.get(first..first + (1 << within))?.to_vec();
        while hashes.len() > 1 {
            hashes = hashes.chunks_exact(2).map(|pair| node_hash(&pair[0], &pair[1])).collect();
        }
        hashes.first().copied()
    }
}

/// A bundle of entries: the preimages of the leaves of a tile of level 0, each with its length before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryTile {
    id: TileId,
    entries: Vec<[u8; LEAF_BYTES]>,
}

impl EntryTile {
    /// The bundle of these preimages.
    ///
    /// # Errors
    /// [`TileError::Level`] of another level than 0; [`TileError::Bytes`] where they are not as many as it is wide.
    pub fn new(id: TileId, entries: Vec<[u8; LEAF_BYTES]>) -> Result<Self, TileError> {
        let (expected, found) = (usize::from(id.width()), entries.len());
        if id.level() != 0 {
            return Err(TileError::Level { found: id.level() });
        }
        if found != expected {
            return Err(TileError::Bytes { expected: expected * FRAMED_BYTES, found: found * FRAMED_BYTES });
        }
        Ok(Self { id, entries })
    }

    /// Reads what is stored.
    ///
    /// # Errors
    /// [`TileError`].
    pub fn decode(id: TileId, bytes: &[u8]) -> Result<Self, TileError> {
        let (framed, rest) = bytes.as_chunks::<FRAMED_BYTES>();
        let entry = |(at, framed): (usize, &[u8; FRAMED_BYTES])| {
            let ([high, low], preimage) = framed.split_first_chunk().expect("a framed entry begins with its length");
            let found = u16::from_be_bytes([*high, *low]);
            let preimage = preimage.try_into().expect("57 bytes are left of 59");
            if usize::from(found) == LEAF_BYTES { Ok(preimage) } else { Err(TileError::Entry { at, found }) }
        };
        if !rest.is_empty() {
            let expected = usize::from(id.width()) * FRAMED_BYTES;
            return Err(TileError::Bytes { expected, found: bytes.len() });
        }
        Self::new(id, framed.iter().enumerate().map(entry).collect::<Result<_, _>>()?)
    }

    /// What is stored.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(LEAF_BYTES).expect("57 is less than 65,536").to_be_bytes();
        self.entries.iter().flat_map(|entry| length.into_iter().chain(*entry)).collect()
    }

    /// Which one it is.
    #[must_use]
    pub const fn id(&self) -> TileId {
        self.id
    }

    /// The preimages, in order.
    #[must_use]
    pub fn entries(&self) -> &[[u8; LEAF_BYTES]] {
        &self.entries
    }

    /// The tile of their hashes.
    #[must_use]
    pub fn tile(&self) -> Tile {
        Tile { id: self.id, hashes: self.entries.iter().map(hash_preimage).collect() }
    }
}

/// What is stored under the name of a tile is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TileError {
    /// It is longer or shorter than its width says.
    Bytes {
        /// Bytes that it should have.
        expected: usize,
        /// Bytes that it has.
        found: usize,
    },
    /// An entry of a bundle has a length that no leaf has.
    Entry {
        /// Which entry of the bundle, from 0.
        at: usize,
        /// Its length.
        found: u16,
    },
    /// Only leaves have entries.
    Level {
        /// The level.
        found: u8,
    },
}

impl fmt::Display for TileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes { expected, found } => write!(f, "expected {expected} bytes, found {found}"),
            Self::Entry { at, found } => {
                write!(f, "expected entries of {LEAF_BYTES} bytes, entry {at} of the bundle says {found}")
            }
            Self::Level { found } => write!(f, "expected a bundle of level 0, found level {found}"),
        }
    }
}

impl core::error::Error for TileError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_bundle_hashes_to_its_tile_and_both_read_as_they_were_written() {
        let id = TileId::new(0, 3, 5).unwrap();
        let bundle = EntryTile::new(id, (0..5).map(|n| [n; LEAF_BYTES]).collect()).unwrap();
        let tile = bundle.tile();
        assert_eq!((bundle.encode().len(), tile.encode().len()), (5 * 59, 5 * 32));
        assert_eq!(EntryTile::decode(id, &bundle.encode()), Ok(bundle.clone()));
        assert_eq!(Tile::decode(id, &tile.encode()), Ok(tile.clone()));
        assert_eq!(tile.hashes()[4], hash_preimage(&[4; LEAF_BYTES]));
        let pair = node_hash(&tile.hashes()[2], &tile.hashes()[3]);
        assert_eq!(tile.node((1, 3 * 128 + 1)), Some(pair));
        let outside = [(0, 3 * 256 + 5), (0, 2), (0, u64::MAX), (2, 3 * 64 + 1), (8, 3), (63, u64::MAX)];
        assert!(outside.into_iter().all(|node| tile.node(node).is_none()));
        assert_eq!(tile.root(), None);
    }

    #[test]
    fn what_is_longer_or_shorter_is_refused_with_both_lengths() {
        let id = TileId::new(0, 0, 2).unwrap();
        assert_eq!(Tile::decode(id, &[0; 65]).unwrap_err().to_string(), "expected 64 bytes, found 65");
        assert_eq!(
            EntryTile::decode(id, &[0; 59]).unwrap_err().to_string(),
            "expected entries of 57 bytes, entry 0 of the bundle says 0"
        );
        assert!(EntryTile::decode(TileId::new(1, 0, 1).unwrap(), &[&[0, 57][..], &[0; 57]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), width in 1_u16..10) {
            let id = TileId::new(0, 0, width).unwrap();
            let _ = (Tile::decode(id, &bytes), EntryTile::decode(id, &bytes));
        }
    }
}
