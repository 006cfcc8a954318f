//! The names of the folders within a data folder, and the last step.

use super::error::RestoreError;
use crate::init::store_folder;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// How the folder that is being made is called.
const NEW: &str = "store.new";

/// How the folder of an epoch that is over is called, before its number.
const BEFORE: &str = "store.before-epoch-";

/// Whether a replica was made here.
#[must_use]
pub fn is_made(data_folder: &Path) -> bool {
    store_folder(data_folder).exists()
}

/// Whether a restore or a recovery began here and did not end.
#[must_use]
pub fn is_interrupted(data_folder: &Path) -> bool {
    !is_made(data_folder) && data_folder.join(NEW).exists()
}

/// Where the new storage is made. What an earlier attempt left there is gone.
pub(super) fn begin(data_folder: &Path) -> Result<PathBuf, RestoreError> {
    fs::create_dir_all(data_folder).map_err(RestoreError::io("create", data_folder))?;
    let new = data_folder.join(NEW);
    match fs::remove_dir_all(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RestoreError::io("remove", &new)(error)),
        _ => Ok(new),
    }
}

/// The storage of a survivor. Where an earlier attempt had moved it away, it is moved back. Without such an attempt what
/// lies there is of an epoch that is over, and whatever became of the storage since is not in it.
pub(super) fn survivor(data_folder: &Path) -> Result<PathBuf, RestoreError> {
    let store = store_folder(data_folder);
    if !is_interrupted(data_folder) {
        return Ok(store);
    }
    let mut before = Vec::new();
    let listing = RestoreError::io("list", data_folder);
    let listed = fs::read_dir(data_folder).and_then(|entries| {
        for entry in entries {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(BEFORE)).and_then(|text| text.parse().ok());
            before.extend(number.map(|number: u64| (number, data_folder.join(name))));
        }
        Ok(())
    });
    listed.map_err(listing)?;
    if let Some((_, newest)) = before.into_iter().max() {
        fs::rename(&newest, &store).map_err(RestoreError::io("rename", newest))?;
        sync(data_folder)?;
    }
    Ok(store)
}

/// Gives the new storage its name; what stood there is kept under the number of the epoch that followed it.
pub(super) fn finish(data_folder: &Path, epoch: u64) -> Result<(), RestoreError> {
    let (store, new) = (store_folder(data_folder), data_folder.join(NEW));
    if store.exists() {
        let before = data_folder.join(format!("{BEFORE}{epoch}"));
        fs::rename(&store, before).map_err(RestoreError::io("rename", &store))?;
        sync(data_folder)?;
    }
    fs::rename(&new, &store).map_err(RestoreError::io("rename", &new))?;
    sync(data_folder)
}

fn sync(folder: &Path) -> Result<(), RestoreError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(RestoreError::io("sync", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_earlier_recovery_left_behind_is_no_survivor() {
        let data = tempfile::tempdir().unwrap();
        let before = data.path().join("store.before-epoch-2");
        fs::create_dir(&before).unwrap();
        // The storage is gone, and nobody was about to exchange it.
        survivor(data.path()).unwrap();
        assert!(before.exists() && !is_made(data.path()), "a state of an epoch that is over must not come back");
        // One that was interrupted between its two names.
        fs::create_dir(data.path().join(NEW)).unwrap();
        survivor(data.path()).unwrap();
        assert!(!before.exists() && is_made(data.path()));
    }
}
