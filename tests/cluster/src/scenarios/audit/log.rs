//! The tiles of an archive, read as anybody reads them who trusts nobody: every leaf hashed anew.

use latchkey_transparency::note::Note;
use latchkey_transparency::{Checkpoint, EntryTile, Frontier, Leaf, Tile, TileId, hash_preimage};
use std::fs;
use std::path::{Path, PathBuf};

/// Walks a log from its first entry to the size of `newest`. What is wrong with it: an entry that is missing or there twice, a
/// tile of hashes that its entries do not have, a checkpoint of `seen` that the log does not begin with.
pub(super) fn faults(archive: &Path, newest: &Checkpoint, seen: &[Checkpoint]) -> Vec<String> {
    let mut faults: Vec<_> = seen.windows(2).filter_map(goes_back).collect();
    let (mut tree, mut next) = (Frontier::new(), seen.iter().filter(|one| one.size > 0).peekable());
    while tree.size() < newest.size {
        let Some(id) = TileId::of_leaf(tree.size(), newest.size) else {
            faults.push(format!("no tile has entry {}", tree.size()));
            return faults;
        };
        let entries = match entries(archive, id) {
            Ok(entries) => entries,
            Err(why) => {
                faults.push(why);
                return faults;
            }
        };
        for preimage in &entries {
            let (leaf, due) = (Leaf::read(preimage), tree.size());
            if leaf.sequence.0 != due {
                faults.push(format!("entry {} where {due} was due", leaf.sequence.0));
                return faults;
            }
            tree.push(hash_preimage(preimage));
            while let Some(known) = next.next_if(|known| known.size <= tree.size()) {
                if known.size == tree.size() && known.root != tree.root() {
                    faults.push(format!("the checkpoint of {} entries is not of this log", known.size));
                }
            }
        }
    }
    if newest.root != tree.root() {
        faults.push(format!("the root over all {} entries is not that of the newest checkpoint", newest.size));
    }
    faults
}

/// What is wrong with the files as somebody finds them who comes by at any moment: the checkpoint stands on what is there.
pub(super) fn left(archive: &Path) -> Vec<String> {
    let Ok(note) = fs::read_to_string(archive.join("checkpoint")) else { return Vec::new() };
    let read = Note::parse(&note).map_err(|error| error.to_string());
    match read.and_then(|note| Checkpoint::parse(note.text()).map_err(|error| error.to_string())) {
        Ok(checkpoint) => faults(archive, &checkpoint, &[]),
        Err(error) => vec![format!("the checkpoint cannot be read: {error}")],
    }
}

fn goes_back(pair: &[Checkpoint]) -> Option<String> {
    let [earlier, later] = pair else { return None };
    let fell = later.size < earlier.size;
    let forked = later.size == earlier.size && later.root != earlier.root;
    (fell || forked).then(|| format!("after a checkpoint of {} entries came one of {}", earlier.size, later.size))
}

/// The preimages of one tile, each as its tile of hashes has it.
fn entries(archive: &Path, id: TileId) -> Result<Vec<[u8; latchkey_transparency::LEAF_BYTES]>, String> {
    let (file, found) = read(archive, id, TileId::entries_path)?;
    let bundle = EntryTile::decode(found, &file).map_err(|error| format!("{}: {error}", found.entries_path()))?;
    let (file, hashed) = read(archive, id, TileId::path)?;
    let tile = Tile::decode(hashed, &file).map_err(|error| format!("{}: {error}", hashed.path()))?;
    let width = usize::from(id.width());
    let same =
        tile.hashes().iter().zip(bundle.entries()).take(width).all(|(hash, entry)| *hash == hash_preimage(entry));
    if !same || bundle.entries().len() < width || tile.hashes().len() < width {
        return Err(format!("{} has other hashes than its entries", hashed.path()));
    }
    Ok(bundle.entries()[..width].to_vec())
}

/// A tile of this width, or a wider one that took its place since.
fn read(archive: &Path, id: TileId, path: fn(TileId) -> String) -> Result<(Vec<u8>, TileId), String> {
    let wider =
        (id.width()..=latchkey_transparency::TILE_WIDTH).filter_map(|width| TileId::new(id.level(), id.index(), width));
    for id in wider {
        if let Ok(bytes) = fs::read(archive.join(path(id))) {
            return Ok((bytes, id));
        }
    }
    Err(format!("{} is missing", path(id)))
}

/// Copies what public tools read of an archive.
pub(super) fn copy(archive: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    fs::copy(archive.join("checkpoint"), to.join("checkpoint"))?;
    let mut folders = vec![PathBuf::from("tile")];
    while let Some(folder) = folders.pop() {
        fs::create_dir_all(to.join(&folder))?;
        for entry in fs::read_dir(archive.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                fs::copy(entry.path(), to.join(&path))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{Revision, Sequence};
    use latchkey_transparency::leaf_preimage;

    /// A log of `count` entries in a folder, with the entries that `change` makes of the right ones.
    fn log(folder: &Path, count: u64, change: impl Fn(u64) -> u64) -> Vec<Checkpoint> {
        let (mut tree, mut all) = (Frontier::new(), Vec::new());
        let preimages: Vec<_> = (0..count)
            .map(|number| leaf_preimage(1, Sequence(change(number)), Revision::new(1, number), &[7; 32]))
            .collect();
        for preimage in &preimages {
            tree.push(hash_preimage(preimage));
            all.push(Checkpoint { origin: "latchkey/test".to_owned(), size: tree.size(), root: tree.root() });
        }
        for id in TileId::all(count).filter(|id| id.level() == 0) {
            let first = usize::try_from(id.first()).unwrap();
            let bundle = EntryTile::new(id, preimages[first..first + usize::from(id.width())].to_vec()).unwrap();
            for (path, bytes) in [(id.entries_path(), bundle.encode()), (id.path(), bundle.tile().encode())] {
                let path = folder.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
        }
        all
    }

    #[test]
    fn a_log_that_is_right_has_no_faults() {
        let folder = tempfile::tempdir().unwrap();
        let all = log(folder.path(), 600, |number| number);
        assert_eq!(faults(folder.path(), all.last().unwrap(), &all), Vec::<String>::new());
    }

    #[test]
    fn a_gap_a_duplicate_and_a_flipped_bit_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let all = log(folder.path(), 600, |number| if number < 300 { number } else { number + 1 });
        assert_eq!(faults(folder.path(), all.last().unwrap(), &[]), ["entry 301 where 300 was due"]);
        let all = log(folder.path(), 600, |number| if number < 300 { number } else { number - 1 });
        assert_eq!(faults(folder.path(), all.last().unwrap(), &[]), ["entry 299 where 300 was due"]);
        let all = log(folder.path(), 600, |number| number);
        let file = folder.path().join(TileId::of_leaf(0, 600).unwrap().entries_path());
        let mut bytes = fs::read(&file).unwrap();
        bytes[58] ^= 1;
        fs::write(&file, bytes).unwrap();
        assert_eq!(faults(folder.path(), all.last().unwrap(), &[]).len(), 1);
    }

    #[test]
    fn a_checkpoint_of_another_log_and_one_that_goes_back_are_found() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let all = log(folder.path(), 600, |number| number);
        let forked = log(other.path(), 600, |number| if number == 9 { 10 } else { number });
        let told = faults(folder.path(), all.last().unwrap(), &[all[4].clone(), forked[400].clone(), all[500].clone()]);
        assert_eq!(told, ["the checkpoint of 401 entries is not of this log"]);
        let told = faults(folder.path(), all.last().unwrap(), &[all[400].clone(), all[300].clone()]);
        assert_eq!(told, ["after a checkpoint of 401 entries came one of 301"]);
    }
}
