//! What kills, other people and bad disks do to an archive.

mod faulty;
mod kills;
mod measured;
mod publishing;
mod recovering;
mod slow;

use super::bundle::{self, sealed_path};
use super::{Archive, ArchiveError, Place, Preimages, Publisher};
use crate::disk::Disk;
use crate::journal::{Frame, Journal, JournalOptions, Preimage};
use latchkey_domain::{ClusterId, Revision, Sequence, TenantNumber};
use latchkey_transparency::{
    EntryTile, Frontier, Hash, Leaf, Resource, Tile, TileId, hash_preimage, leaf_preimage, root_of,
};
use object_store::ObjectStore;
use object_store::memory::InMemory;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tonic::Status;

const CLUSTER: ClusterId = ClusterId([0xC1; 16]);

/// Nobody who reads these entries has to open them.
struct Nobody;

impl Preimages for Nobody {
    async fn preimage(&self, _sequence: u64, _frame: &Frame) -> Result<Option<Preimage>, Status> {
        panic!("each entry of this test was stored with its preimage")
    }
}

/// Small segments, so that a test has many.
fn options() -> JournalOptions {
    JournalOptions { segment_bytes_max: 20_000, ..JournalOptions::default() }
}

fn preimage(sequence: u64) -> Preimage {
    leaf_preimage(
        1,
        Sequence(sequence),
        Revision::new(1, sequence * 2 + 1),
        &[u8::try_from(sequence % 251).unwrap(); 32],
    )
}

/// The entry that a test stores under `sequence`: no two are alike, and they are of many lengths.
fn frame(sequence: u64) -> Frame {
    let length = 40 + usize::try_from(sequence * 37 % 90).unwrap();
    let tenant = (!sequence.is_multiple_of(3)).then_some(TenantNumber(7));
    Frame::new(preimage(sequence), tenant, vec![u8::try_from(sequence % 251).unwrap(); length])
}

fn append(disk: &mut Disk, count: u64) {
    let next = disk.log.next();
    disk.writer.append(&(next..next + count).map(frame).collect::<Vec<_>>()).unwrap();
}

fn publisher(disk: &Disk) -> Publisher<Nobody> {
    Publisher::new(disk.log.clone(), disk.archive.clone(), Nobody, CLUSTER, Duration::from_secs(1))
}

async fn publish(disk: &Disk) -> Result<(), ArchiveError> {
    let publisher = publisher(disk);
    while publisher.round().await? {}
    Ok(())
}

async fn disk(folder: &Path, place: &Place) -> Disk {
    Disk::open_or_create(folder, options(), place, CLUSTER).await.unwrap()
}

fn in_memory() -> (Arc<InMemory>, Place) {
    let store = Arc::new(InMemory::new());
    (store.clone(), Place::Store(store))
}

/// Every object, by its path.
async fn objects(archive: &Archive) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for object in archive.objects().list("").await.unwrap() {
        let bytes = archive.objects().get(&object.path).await.unwrap().unwrap();
        assert_eq!(bytes.len() as u64, object.bytes);
        all.insert(object.path, bytes.to_vec());
    }
    all
}

/// Reads all of an archive as somebody who knows nothing but its size and its root, and tells what is wrong.
async fn check(archive: &Archive, size: u64, root: Hash) -> Result<(), String> {
    let told = |error: ArchiveError| error.to_string();
    let read = async |resource: Resource| {
        let bytes = archive.public(resource).await.map_err(told)?;
        bytes.ok_or_else(|| format!("{} is not there", resource.path()))
    };
    let mut tiles = BTreeMap::new();
    for id in TileId::all(size) {
        let tile =
            Tile::decode(id, &read(Resource::Tile(id)).await?).map_err(|error| format!("{}: {error}", id.path()))?;
        if id.level() == 0 {
            let bytes = read(Resource::Entries(id)).await?;
            let entries = EntryTile::decode(id, &bytes).map_err(|error| format!("{}: {error}", id.entries_path()))?;
            if entries.tile() != tile {
                return Err(format!("{}: other leaves", id.entries_path()));
            }
            let sealed = archive.objects().get(&sealed_path(id)).await.map_err(told)?;
            let sealed = sealed.ok_or_else(|| format!("{} is not there", sealed_path(id)))?;
            let (_, frames) = bundle::decode(id, &sealed).map_err(told)?;
            if frames.iter().map(|frame| frame.leaf).ne(tile.hashes().iter().copied()) {
                return Err(format!("{}: other leaves", sealed_path(id)));
            }
            for (sequence, entry) in (id.first()..).zip(entries.entries()) {
                if Leaf::read(entry).sequence.0 != sequence {
                    return Err(format!("entry {sequence} is not there, or twice"));
                }
            }
        } else {
            for (index, hash) in (id.first()..).zip(tile.hashes()) {
                let below: Option<&Tile> = tiles.get(&(id.level() - 1, index));
                if below.and_then(Tile::root) != Some(*hash) {
                    return Err(format!("{}: not the roots of the tiles below it", id.path()));
                }
            }
        }
        tiles.insert((id.level(), id.index()), tile);
    }
    let known: latchkey_transparency::KnownNodes = latchkey_transparency::root_nodes(size)
        .into_iter()
        .filter_map(|node| {
            let tile = tiles.get(&(node.0 / 8, TileId::of_node(node, size)?.index()))?;
            Some((node, tile.node(node)?))
        })
        .collect();
    match root_of(&known, size) {
        Ok(found) if found == root => Ok(()),
        Ok(_) => Err("another root".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The tree over the entries of tests.
fn tree(size: u64) -> Frontier {
    let mut tree = Frontier::new();
    (0..size).for_each(|sequence| tree.push(hash_preimage(&preimage(sequence))));
    tree
}
