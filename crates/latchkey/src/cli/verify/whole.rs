//! A whole log: each leaf, each tile, up to the root that was signed.
//!
//! Leaves are hashed once, from the first to the last, and the tree over them is built in as much memory as a tile of each
//! level takes. So what is stored is compared with what it must be, and the first difference is where somebody changed it.

use crate::cli::verify::{Believed, Failure, Meter, Source, Wrong};
use latchkey_transparency::{
    Checkpoint, Edge, EntryTile, Hash, LEAF_BYTES, Leaf, Resource, Tile, TileId, hash_preimage,
};

/// Stands for a preimage that audit never knew: the entry is from before there was an archive, and its tenant was destroyed.
const UNKNOWN: [u8; LEAF_BYTES] = [0; LEAF_BYTES];

const HASH_BYTES: usize = 32;

/// What was verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Leaves, each from its entry to the root.
    pub(crate) leaves: u64,
    /// Leaves whose entries nobody knows: they are in the tree, and what they were is lost.
    pub(crate) unknown: u64,
    /// Tiles and bundles.
    pub(crate) files: u64,
}

/// Verifies the log under a checkpoint, and that it begins with those seen `earlier`.
///
/// # Errors
/// [`Failure`]: the first thing that is wrong.
pub(crate) async fn verify(
    source: &Source,
    newest: &Believed,
    earlier: &[Believed],
    quiet: bool,
) -> Result<Verified, Failure> {
    let Checkpoint { size, root, .. } = newest.checkpoint;
    if let Some(old) = earlier.iter().find(|old| old.checkpoint.size > size) {
        let what = format!(
            "it has {size} entries, and a checkpoint that was seen earlier has {}: it was rolled back",
            old.checkpoint.size
        );
        return Err(Wrong::at("checkpoint", what).into());
    }
    let (mut edge, mut verified) = (Edge::new(), Verified::default());
    let mut meter = Meter::new("entries", size, quiet);
    check_earlier(&edge, earlier)?;
    for id in TileId::all(size).take_while(|id| id.level() == 0) {
        let leaves = leaves_of(source, id, &mut verified).await?;
        let mut filled = Vec::new();
        for leaf in leaves {
            edge.push(leaf, |tile| filled.push(tile));
            check_earlier(&edge, earlier)?;
        }
        for tile in filled.iter().filter(|tile| tile.id().level() > 0) {
            check_tile(source, tile, &mut verified).await?;
        }
        verified.leaves = edge.size();
        meter.show(edge.size());
    }
    for tile in edge.partial().iter().filter(|tile| tile.id().level() > 0) {
        check_tile(source, tile, &mut verified).await?;
    }
    if edge.root() != root {
        let what = format!(
            "its root is {root}, and the {size} stored leaves lead to {}: all of them agree with each other, so the log was made \
             anew, or the checkpoint belongs to another",
            edge.root()
        );
        return Err(Wrong::at("checkpoint", what).into());
    }
    Ok(verified)
}

fn check_earlier(edge: &Edge, earlier: &[Believed]) -> Result<(), Wrong> {
    for old in earlier.iter().filter(|old| old.checkpoint.size == edge.size()) {
        let (expected, found) = (old.checkpoint.root, edge.root());
        if expected != found {
            let what = format!(
                "its root is {expected}, and the first {} leaves of this log lead to {found}: one of the two is a fork",
                edge.size()
            );
            return Err(Wrong::at("the earlier checkpoint", what));
        }
    }
    Ok(())
}

/// The hashes of the leaves of a tile, once its entries lead to them.
async fn leaves_of(source: &Source, id: TileId, verified: &mut Verified) -> Result<Vec<Hash>, Failure> {
    let (path, entries_path) = (id.path(), id.entries_path());
    let stored = read(source, Resource::Tile(id), id.width(), HASH_BYTES).await?;
    let tile = Tile::decode(id, &stored).map_err(|error| Wrong::at(&path, error))?;
    let stored_entries = read(source, Resource::Entries(id), id.width(), 2 + LEAF_BYTES).await?;
    let bundle = EntryTile::decode(id, &stored_entries).map_err(|error| Wrong::at(&entries_path, error))?;
    verified.files += 2;
    for ((sequence, preimage), hash) in (id.first()..).zip(bundle.entries()).zip(tile.hashes()) {
        if *preimage == UNKNOWN {
            verified.unknown += 1;
            continue;
        }
        if hash_preimage(preimage) != *hash {
            let what = format!("entry {sequence} does not hash to its leaf in {path}: one of the two was changed");
            return Err(Wrong::at(&entries_path, what).into());
        }
        let found = Leaf::read(preimage).sequence.0;
        if found != sequence {
            let what = format!("at the place of entry {sequence} lies entry {found}: entries were moved or left out");
            return Err(Wrong::at(&entries_path, what).into());
        }
    }
    check_beside(source, Resource::Tile(id), &stored, HASH_BYTES).await?;
    check_beside(source, Resource::Entries(id), &stored_entries, 2 + LEAF_BYTES).await?;
    Ok(tile.hashes().to_vec())
}

/// Compares a stored tile with what the tiles below lead to.
async fn check_tile(source: &Source, expected: &Tile, verified: &mut Verified) -> Result<(), Failure> {
    let (id, path) = (expected.id(), expected.id().path());
    let stored = read(source, Resource::Tile(id), id.width(), HASH_BYTES).await?;
    let found = Tile::decode(id, &stored).map_err(|error| Wrong::at(&path, error))?;
    verified.files += 1;
    let mut pairs = expected.hashes().iter().zip(found.hashes()).enumerate();
    if let Some((at, _)) = pairs.find(|(_, (expected, found))| expected != found) {
        let below = TileId::new(id.level() - 1, id.first() + at as u64, 256).map_or_else(String::new, TileId::path);
        return Err(Wrong::at(&path, format!("hash {at} is not that of {below}: one of the two was changed")).into());
    }
    check_beside(source, Resource::Tile(id), &stored, HASH_BYTES).await
}

async fn read(source: &Source, resource: Resource, width: u16, each: usize) -> Result<Vec<u8>, Failure> {
    let found = source.read_part(resource, usize::from(width) * each).await?;
    Ok(found.ok_or_else(|| Wrong::at(resource.path(), "it is missing, and the checkpoint says that it is there"))?)
}

/// Compares what lies beside a tile or a bundle, of other widths, with the one that was verified: readers with an older
/// checkpoint take that.
async fn check_beside(source: &Source, resource: Resource, verified: &[u8], each: usize) -> Result<(), Failure> {
    for id in source.beside(resource)? {
        let other = if matches!(resource, Resource::Tile(_)) { Resource::Tile(id) } else { Resource::Entries(id) };
        // A service that runs removes what is no longer needed.
        let Some(bytes) = source.read(other).await? else { continue };
        let expected = usize::from(id.width()) * each;
        if bytes.len() != expected {
            let what = format!("expected {expected} bytes, found {}", bytes.len());
            return Err(Wrong::at(other.path(), what).into());
        }
        if let Some(at) = bytes.iter().zip(verified).position(|(one, other)| one != other) {
            let what = format!("byte {at} is not that of {}: one of the two was changed", resource.path());
            return Err(Wrong::at(other.path(), what).into());
        }
    }
    Ok(())
}
