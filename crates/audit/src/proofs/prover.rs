//! Making proofs out of tiles.

use crate::proofs::PublicLog;
use latchkey_transparency::note::{Note, VerifierKey};
use latchkey_transparency::{
    Checkpoint, EntryTile, Hash, KnownNodes, LEAF_BYTES, NodeId, Resource, Tile, TileId, consistency_nodes,
    consistency_proof, hash_preimage, inclusion_nodes, inclusion_proof, root_nodes, root_of, verify_consistency,
    verify_inclusion,
};

use latchkey_transport::{Unavailable, status};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;
use tonic::Status;

/// Makes proofs. Cheap to clone.
#[derive(Clone)]
pub struct Prover {
    log: Arc<dyn PublicLog>,
}

/// The newest checkpoint, as it was signed and as it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Newest {
    /// The signed note.
    pub note: Note,
    /// What it says.
    pub checkpoint: Checkpoint,
}

/// That a leaf is in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inclusion {
    /// What the leaf is the hash of.
    pub preimage: [u8; LEAF_BYTES],
    /// From the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The root that they lead to.
    pub root: Hash,
}

impl fmt::Debug for Prover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prover").finish_non_exhaustive()
    }
}

impl Prover {
    /// Over what the log shows.
    #[must_use]
    pub fn new(log: Arc<dyn PublicLog>) -> Self {
        Self { log }
    }

    /// The keys that verify checkpoints, as this process knows them.
    #[must_use]
    pub fn verifier_keys(&self) -> Vec<VerifierKey> {
        self.log.verifier_keys()
    }

    /// The notes by which older keys of the log handed it over, the oldest first.
    #[must_use]
    pub fn handovers(&self) -> Vec<String> {
        self.log.handovers()
    }

    /// What is stored under a path; a partial tile or bundle whose full one took its place is cut out of that.
    ///
    /// # Errors
    /// `UNAVAILABLE` where the store cannot be reached.
    pub async fn object(&self, resource: Resource) -> Result<Option<Vec<u8>>, Status> {
        let found = self.log.object(resource).await?;
        let (full, width) = match resource {
            Resource::Tile(id) if !id.is_full() => (Resource::Tile(id.full()), id.width()),
            Resource::Entries(id) if !id.is_full() => (Resource::Entries(id.full()), id.width()),
            Resource::Checkpoint | Resource::Tile(_) | Resource::Entries(_) => return Ok(found),
        };
        if found.is_some() {
            return Ok(found);
        }
        let each = if matches!(full, Resource::Tile(_)) { 32 } else { 2 + LEAF_BYTES };
        let cut = |mut bytes: Vec<u8>| {
            bytes.truncate(usize::from(width) * each);
            bytes
        };
        Ok(self.log.object(full).await?.map(cut))
    }

    /// The newest checkpoint.
    ///
    /// # Errors
    /// `UNAVAILABLE` with `STARTING` where nothing was signed yet.
    pub async fn newest(&self) -> Result<Newest, Status> {
        let stored = self.log.object(Resource::Checkpoint).await?.ok_or(Unavailable::Starting)?;
        let read = String::from_utf8(stored).ok().and_then(|text| Note::parse(&text).ok());
        let read = read.and_then(|note| Some((Checkpoint::parse(note.text()).ok()?, note)));
        let (checkpoint, note) = read.ok_or_else(|| status::bug("the stored checkpoint is no signed checkpoint"))?;
        Ok(Newest { note, checkpoint })
    }

    /// That leaf `index` is in the tree of `size` leaves, which is at most as large as `newest` says.
    ///
    /// # Errors
    /// `UNAVAILABLE` where the store cannot be reached; `INTERNAL` where what it has does not lead to the root.
    pub async fn inclusion(&self, newest: &Checkpoint, index: u64, size: u64) -> Result<Inclusion, Status> {
        let needed = [inclusion_nodes(index, size), root_nodes(size), root_nodes(newest.size)].concat();
        let nodes = self.nodes(&needed, newest.size).await?;
        let root = self.root(&nodes, newest, size)?;
        let hashes = inclusion_proof(&nodes, index, size).map_err(broken)?;
        let preimage = self.preimage(index, newest.size).await?;
        verify_inclusion(&hash_preimage(&preimage), index, size, &hashes, &root).map_err(broken)?;
        Ok(Inclusion { preimage, hashes, root })
    }

    /// That the tree of `new` leaves begins with that of `old`.
    ///
    /// # Errors
    /// As [`Self::inclusion`].
    pub async fn consistency(&self, newest: &Checkpoint, old: u64, new: u64) -> Result<Vec<Hash>, Status> {
        let roots = [root_nodes(old), root_nodes(new), root_nodes(newest.size)].concat();
        let nodes = self.nodes(&[consistency_nodes(old, new), roots].concat(), newest.size).await?;
        let (old_root, new_root) = (root_of(&nodes, old).map_err(broken)?, self.root(&nodes, newest, new)?);
        let hashes = consistency_proof(&nodes, old, new).map_err(broken)?;
        verify_consistency(old, &old_root, new, &new_root, &hashes).map_err(broken)?;
        Ok(hashes)
    }

    /// The root of the tree of `size` leaves, out of nodes that also lead to the root of the checkpoint.
    fn root(&self, nodes: &KnownNodes, newest: &Checkpoint, size: u64) -> Result<Hash, Status> {
        let signed = root_of(nodes, newest.size).map_err(broken)?;
        if signed != newest.root {
            return Err(status::bug("the stored tiles do not lead to the root of the stored checkpoint"));
        }
        root_of(nodes, size).map_err(broken)
    }

    /// Nodes of the tree of `size` leaves, each of whose tiles is read once.
    async fn nodes(&self, needed: &[NodeId], size: u64) -> Result<KnownNodes, Status> {
        let (mut tiles, mut nodes) = (BTreeMap::<TileId, Tile>::new(), Vec::new());
        for node in needed {
            let id = TileId::of_node(*node, size).ok_or_else(|| status::bug("a node beyond the tree is asked for"))?;
            if let Entry::Vacant(place) = tiles.entry(id) {
                let stored = self.stored(Resource::Tile(id)).await?;
                place.insert(Tile::decode(id, &stored).map_err(broken)?);
            }
            let hash = tiles[&id].node(*node).ok_or_else(|| status::bug("a node does not lie in its tile"))?;
            nodes.push((*node, hash));
        }
        Ok(nodes.into_iter().collect())
    }

    async fn preimage(&self, index: u64, size: u64) -> Result<[u8; LEAF_BYTES], Status> {
        let id = TileId::of_leaf(index, size).ok_or_else(|| status::bug("an entry beyond the tree is asked for"))?;
        let stored = self.stored(Resource::Entries(id)).await?;
        let bundle = EntryTile::decode(id, &stored).map_err(broken)?;
        let at = usize::try_from(index - id.first()).ok().and_then(|at| bundle.entries().get(at));
        at.copied().ok_or_else(|| status::bug("an entry does not lie in its bundle"))
    }

    async fn stored(&self, resource: Resource) -> Result<Vec<u8>, Status> {
        let missing = || status::bug(&format!("{} is not in the archive, and a checkpoint needs it", resource.path()));
        self.object(resource).await?.ok_or_else(missing)
    }
}

fn broken(error: impl fmt::Display) -> Status {
    status::bug(&format!("the archive does not prove its checkpoint: {error}"))
}
