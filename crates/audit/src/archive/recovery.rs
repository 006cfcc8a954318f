//! What was published: told by the objects that are there.

use super::bundle::{Head, sealed_path};
use super::error::ArchiveError;
use super::objects::Objects;
use latchkey_domain::ClusterId;
use latchkey_transparency::{Edge, TILE_WIDTH, Tile, TileId};

/// The edge of the tree that is published.
pub(super) async fn edge(objects: &Objects) -> Result<Edge, ArchiveError> {
    let size = size(objects).await?;
    let mut tiles = Vec::new();
    for id in Edge::tiles(size) {
        tiles.push(match tile(objects, id).await? {
            Some(tile) => tile,
            // A kill came between the tiles of leaves of one round: this one was written for more of them.
            None if id.level() > 0 => of_the_tiles_below(objects, id).await?,
            None => return Err(ArchiveError::damaged(&id.path(), "it comes and goes")),
        });
    }
    Ok(Edge::from_tiles(size, &tiles).expect("each tile of the edge was read"))
}

/// The tile of leaves that is not full in a tree of `size`; `None` where that would be empty.
pub(super) fn open_leaves(size: u64) -> Option<TileId> {
    Edge::tiles(size).find(|id| id.level() == 0)
}

/// How many leaves are published: full tiles, and the widest partial one after them.
async fn size(objects: &Objects) -> Result<u64, ArchiveError> {
    let full = first_absent(|index| {
        let id = TileId::new(0, index, TILE_WIDTH);
        async move {
            let Some(id) = id else { return Ok(false) };
            Ok(objects.head(&id.path()).await?.is_some())
        }
    });
    let full = full.await?;
    let widths = match TileId::new(0, full, 1) {
        Some(partial) => partial_widths(objects, &partial.path()).await?,
        None => Vec::new(),
    };
    Ok(full * u64::from(TILE_WIDTH) + u64::from(widths.into_iter().max().unwrap_or(0)))
}

/// The widths of the partial objects beside the one with this path, which is partial too.
pub(super) async fn partial_widths(objects: &Objects, path: &str) -> Result<Vec<u16>, ArchiveError> {
    let Some((folder, _)) = path.rsplit_once('/') else { return Ok(Vec::new()) };
    let listed = objects.list(folder).await?;
    Ok(listed.iter().filter_map(|object| object.path.rsplit_once('/')?.1.parse().ok()).collect())
}

/// As [`partial_widths`], their paths.
pub(super) async fn partial_paths(objects: &Objects, path: &str) -> Result<Vec<String>, ArchiveError> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let widths = partial_widths(objects, path).await?;
    Ok(widths.into_iter().map(|width| format!("{folder}/{width}")).collect())
}

/// The first of the numbers from 0 on that is not there, where all before it are.
async fn first_absent<F: Future<Output = Result<bool, ArchiveError>>>(
    is_there: impl Fn(u64) -> F,
) -> Result<u64, ArchiveError> {
    let (mut there, mut absent) = (0, 1);
    if !is_there(0).await? {
        return Ok(0);
    }
    while is_there(absent).await? {
        (there, absent) = (absent, absent * 2);
    }
    while absent - there > 1 {
        let middle = there.midpoint(absent);
        if is_there(middle).await? {
            there = middle;
        } else {
            absent = middle;
        }
    }
    Ok(absent)
}

/// A tile; `None` where it is not there.
pub(super) async fn tile(objects: &Objects, id: TileId) -> Result<Option<Tile>, ArchiveError> {
    let path = id.path();
    let Some(bytes) = objects.get(&path).await? else { return Ok(None) };
    Tile::decode(id, &bytes).map(Some).map_err(|what| ArchiveError::damaged(&path, what))
}

async fn of_the_tiles_below(objects: &Objects, id: TileId) -> Result<Tile, ArchiveError> {
    let mut hashes = Vec::new();
    for index in id.first()..id.first() + u64::from(id.width()) {
        let below = TileId::new(id.level() - 1, index, TILE_WIDTH).expect("a tile of a tree that has the one above it");
        let tile = tile(objects, below).await?.ok_or_else(|| ArchiveError::damaged(&below.path(), "it is gone"))?;
        hashes.push(tile.root().expect("the tile is full"));
    }
    let tile = Tile::new(id, hashes).expect("as many hashes as the tile is wide");
    // Whoever proves something over this size reads it.
    objects.put_once(&id.path(), tile.encode().into(), |_| Ok(())).await?;
    Ok(tile)
}

/// The oldest bundle of sealed entries that is kept: those that retention took were the oldest.
pub(super) async fn kept(objects: &Objects, size: u64) -> Result<u64, ArchiveError> {
    let full = size / u64::from(TILE_WIDTH);
    let (mut gone, mut kept) = (0, full);
    while gone < kept {
        // The oldest first: mostly none is gone.
        let at = if gone == 0 && kept == full { 0 } else { gone.midpoint(kept) };
        let id = TileId::new(0, at, TILE_WIDTH).expect("a bundle of a tree of this size");
        if objects.head(&sealed_path(id)).await?.is_some() {
            kept = at;
        } else {
            gone = at + 1;
        }
    }
    Ok(kept)
}

/// Whose archive it is: its newest bundle says so.
pub(super) async fn cluster(objects: &Objects, size: u64) -> Result<Option<ClusterId>, ArchiveError> {
    let Some(id) = size.checked_sub(1).and_then(|last| TileId::of_leaf(last, size)) else { return Ok(None) };
    let Some(bytes) = objects.get(&sealed_path(id)).await? else { return Ok(None) };
    Ok(Some(Head::read(id, &bytes)?.cluster))
}
