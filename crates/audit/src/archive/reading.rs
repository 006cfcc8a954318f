//! Reading what is published.

use super::bundle::{self, Head, sealed_path};
use super::error::ArchiveError;
use super::{Archive, recovery};
use crate::journal::{Block, Frame, Preimage};
use bytes::Bytes;
use latchkey_transparency::{
    EntryTile, Frontier, Hash, KnownNodes, LEAF_BYTES, NodeId, Resource, TILE_WIDTH, Tile, TileId, root_nodes,
};
use std::collections::BTreeMap;

/// A partial object may go, for a wider one, between two looks: this often it is looked for once more.
const LOOKS: usize = 4;
const HASH_BYTES: usize = 32;
const FRAMED_BYTES: usize = 2 + LEAF_BYTES;

impl Archive {
    /// The sealed entry `sequence`; `None` where it is not published, or was not kept.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn sealed(&self, sequence: u64) -> Result<Option<Frame>, ArchiveError> {
        for _ in 0..LOOKS {
            let Some(id) = self.bundle(sequence) else { return Ok(None) };
            let path = sealed_path(id);
            let head = self.objects().get_range(&path, 0..Head::bytes_of(id.width()) as u64).await?;
            let Some(head) = head.map(|head| Head::read(id, &head)).transpose()? else { continue };
            let at = usize::try_from(sequence - id.first()).expect("less than the width of a tile");
            if let Some(bytes) = self.objects().get_range(&path, head.range(at)).await? {
                return head.frame(id, at, &bytes).map(Some);
            }
        }
        self.absent(sequence)
    }

    /// The sealed entry `sequence` and its neighbours, as far as they are published; `None` where it is not, or was not kept.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn sealed_block(&self, sequence: u64) -> Result<Option<Block>, ArchiveError> {
        for _ in 0..LOOKS {
            let Some(id) = self.bundle(sequence) else { return Ok(None) };
            if let Some(bytes) = self.objects().get(&sealed_path(id)).await? {
                let (_, frames) = bundle::decode(id, &bytes)?;
                return Ok(Some(Block { first: id.first(), frames }));
            }
        }
        self.absent(sequence)
    }

    /// What the leaf `sequence` is the hash of; `None` where it is not published.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn leaf(&self, sequence: u64) -> Result<Option<Preimage>, ArchiveError> {
        for _ in 0..LOOKS {
            let Some(id) = TileId::of_leaf(sequence, self.size()) else { return Ok(None) };
            let path = id.entries_path();
            if let Some(bytes) = self.objects().get(&path).await? {
                let tile = EntryTile::decode(id, &bytes).map_err(|what| ArchiveError::damaged(&path, what))?;
                let at = usize::try_from(sequence - id.first()).expect("less than the width of a tile");
                return Ok(Some(tile.entries()[at]));
            }
        }
        Err(self.gone(sequence))
    }

    /// A node of the tree that is published.
    ///
    /// # Errors
    /// [`ArchiveError`]: among others, the tree does not have it yet.
    pub async fn node(&self, level: u8, index: u64) -> Result<Hash, ArchiveError> {
        let tile = self.tile_of((level, index)).await?;
        let lacks = || ArchiveError::damaged(&tile.id().path(), format!("it lacks node {index} of level {level}"));
        tile.node((level, index)).ok_or_else(lacks)
    }

    /// Nodes of the tree that is published: each tile is read once.
    ///
    /// # Errors
    /// As [`Self::node`].
    pub async fn nodes(&self, nodes: &[NodeId]) -> Result<KnownNodes, ArchiveError> {
        let mut tiles: BTreeMap<(u8, u64), Tile> = BTreeMap::new();
        let mut known = Vec::with_capacity(nodes.len());
        for &(level, index) in nodes {
            let tile = (level / 8, index.checked_shr(u32::from(8 - level % 8)).unwrap_or(0));
            let hash = match tiles.get(&tile).and_then(|tile| tile.node((level, index))) {
                Some(hash) => hash,
                None => {
                    let read = self.tile_of((level, index)).await?;
                    let lacks =
                        || ArchiveError::damaged(&read.id().path(), format!("it lacks node {index} of level {level}"));
                    let hash = read.node((level, index)).ok_or_else(lacks)?;
                    tiles.insert(tile, read);
                    hash
                }
            };
            known.push(((level, index), hash));
        }
        Ok(known.into_iter().collect())
    }

    /// The frontier of the first `size` entries, which are published.
    ///
    /// # Errors
    /// As [`Self::node`].
    pub async fn frontier_at(&self, size: u64) -> Result<Frontier, ArchiveError> {
        let mut peaks = Vec::new();
        for (level, index) in root_nodes(size) {
            peaks.push(self.node(level, index).await?);
        }
        Ok(Frontier::from_parts(size, peaks).expect("one peak for each 1 in the size"))
    }

    /// What everybody may see, by its name; `None` where it is not there. A partial one that went is cut from the full one.
    ///
    /// # Errors
    /// [`ArchiveError::Away`].
    pub async fn public(&self, resource: Resource) -> Result<Option<Bytes>, ArchiveError> {
        if let Some(bytes) = self.objects().get(&resource.path()).await? {
            return Ok(Some(bytes));
        }
        let (full, each, id) = match resource {
            Resource::Checkpoint => return Ok(None),
            Resource::Tile(id) => (Resource::Tile(id.full()), HASH_BYTES, id),
            Resource::Entries(id) => (Resource::Entries(id.full()), FRAMED_BYTES, id),
        };
        let bytes = if id.is_full() { None } else { self.objects().get(&full.path()).await? };
        let length = usize::from(id.width()) * each;
        Ok(bytes.filter(|bytes| bytes.len() >= length).map(|bytes| bytes.slice(..length)))
    }

    /// The newest checkpoint, a signed note; `None` where none was written.
    ///
    /// # Errors
    /// [`ArchiveError::Away`].
    pub async fn checkpoint(&self) -> Result<Option<Bytes>, ArchiveError> {
        self.objects().get(&Resource::Checkpoint.path()).await
    }

    /// Writes the newest checkpoint, a signed note on a tree of `size` entries, which are published.
    ///
    /// # Errors
    /// [`ArchiveError::Fork`] where they are not.
    pub async fn write_checkpoint(&self, size: u64, note: &str) -> Result<(), ArchiveError> {
        let path = Resource::Checkpoint.path();
        let published = self.size();
        if size > published {
            return Err(ArchiveError::fork(
                &path,
                format!("{size} entries were signed, and {published} are published"),
            ));
        }
        self.objects().put(&path, Bytes::copy_from_slice(note.as_bytes())).await
    }

    async fn tile_of(&self, node: NodeId) -> Result<Tile, ArchiveError> {
        for _ in 0..LOOKS {
            let Some(id) = TileId::of_node(node, self.size()) else { break };
            if let Some(tile) = recovery::tile(self.objects(), id).await? {
                return Ok(tile);
            }
        }
        let (level, index) = node;
        let path = TileId::of_node(node, self.size()).map_or_else(|| "tile".to_owned(), TileId::path);
        Err(ArchiveError::damaged(&path, format!("node {index} of level {level} is not there")))
    }

    /// The bundle with a sealed entry that is published and kept.
    fn bundle(&self, sequence: u64) -> Option<TileId> {
        TileId::of_leaf(sequence, self.size()).filter(|id| id.first() >= self.kept_from())
    }

    /// A bundle that is not there: retention took it meanwhile, or it should be there.
    fn absent<T>(&self, sequence: u64) -> Result<Option<T>, ArchiveError> {
        if self.bundle(sequence).is_none() { Ok(None) } else { Err(self.gone(sequence)) }
    }

    fn gone(&self, sequence: u64) -> ArchiveError {
        let index = sequence / u64::from(TILE_WIDTH);
        ArchiveError::damaged(&format!("bundle {index}"), format!("it is gone, and entry {sequence} with it"))
    }
}
