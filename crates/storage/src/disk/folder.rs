//! The data folder: made once, held by one process.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::witness::Witness;
use crate::error::OpenError;
use crate::facts::{FORMAT, Facts, FactsError};

/// Facts under this name say that the folder is still being made: nothing in it was acknowledged yet.
const NEW_FACTS: &str = "facts.new";

/// A data folder that this process holds until it drops it.
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes a folder with everything but its facts. A folder that an earlier attempt left half made is made again.
    pub(super) fn begin(path: &Path, facts: &Facts) -> Result<Self, OpenError> {
        fs::create_dir_all(path).map_err(|source| match source.kind() {
            io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => OpenError::NotAFolder { path: path.into() },
            _ => OpenError::Io { action: "create", path: path.into(), source },
        })?;
        if !path.join(NEW_FACTS).exists() || path.join("facts").exists() {
            refuse_if_not_empty(path)?;
        }
        let folder = Self::hold(path)?;
        folder.clear()?;
        write_synced(&path.join(NEW_FACTS), |file| io::Write::write_all(&mut &*file, &facts.encode()))?;
        write_synced(&path.join("witness"), Witness::begin)?;
        for name in ["sled", "snapshots"] {
            act("create", &path.join(name), |path| fs::create_dir(path))?;
        }
        sync_folder(path)?;
        Ok(folder)
    }

    /// Ends making it: from here on the folder is initialised.
    pub(super) fn finish(self) -> Result<(), OpenError> {
        let facts = self.path.join("facts");
        act("rename", &facts, |facts| fs::rename(self.path.join(NEW_FACTS), facts))?;
        sync_folder(&self.path)?;
        // The name of the folder itself must survive as well; a path like `/` has no parent to ask.
        self.path.canonicalize().ok().as_deref().and_then(Path::parent).map_or(Ok(()), sync_folder)
    }

    /// Holds a folder that was made before, and says who it is.
    pub(super) fn open(path: &Path) -> Result<(Self, Facts), OpenError> {
        if path.exists() && !path.is_dir() {
            return Err(OpenError::NotAFolder { path: path.into() });
        }
        let facts = path.join("facts");
        if !facts.exists() {
            return Err(OpenError::NotInitialised { path: path.into() });
        }
        let folder = Self::hold(path)?;
        let bytes = act("read", &facts, |facts| fs::read(facts))?;
        let facts = Facts::decode(&bytes).map_err(|error| match error {
            FactsError::Format(found) => OpenError::Format { path: facts, found, newest: FORMAT },
            FactsError::Damaged(what) => OpenError::Damaged { path: path.into(), what },
        })?;
        Ok((folder, facts))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn sled(&self) -> PathBuf {
        self.path.join("sled")
    }

    pub(super) fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    pub(super) fn reserve(&self) -> PathBuf {
        self.path.join("reserve")
    }

    pub(super) fn witness(&self) -> Result<Witness, OpenError> {
        let path = self.path.join("witness");
        let witness = act("read", &path, |path| {
            let file = OpenOptions::new().read(true).write(true).open(path)?;
            Witness::load(file)
        })?;
        witness.ok_or_else(|| self.damaged("the witness is gone"))
    }

    pub(super) fn damaged(&self, what: impl Into<String>) -> OpenError {
        OpenError::Damaged { path: self.path.clone(), what: what.into() }
    }

    /// Removes what a kill in the middle of sled's own start leaves: it would be read as its newest snapshot.
    pub(super) fn remove_half_written_sled_snapshots(&self) -> Result<(), OpenError> {
        remove_files(&self.sled(), |name| name.starts_with("snap.") && name.ends_with(".generating"))
    }

    fn hold(path: &Path) -> Result<Self, OpenError> {
        let lock_path = path.join("lock");
        let lock =
            act("open", &lock_path, |lock| OpenOptions::new().write(true).create(true).truncate(false).open(lock))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.into(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked { path: path.into() }),
            Err(error) => Err(OpenError::Io { action: "lock", path: lock_path, source: error.into() }),
        }
    }

    fn clear(&self) -> Result<(), OpenError> {
        for name in ["sled", "snapshots"] {
            ignore_missing(act("remove", &self.path.join(name), |path| fs::remove_dir_all(path)))?;
        }
        for name in ["witness", "reserve"] {
            ignore_missing(act("remove", &self.path.join(name), |path| fs::remove_file(path)))?;
        }
        Ok(())
    }
}

/// Files of `folder` whose name is `doomed`.
pub(super) fn remove_files(folder: &Path, doomed: impl Fn(&str) -> bool) -> Result<(), OpenError> {
    for entry in act("list", folder, |folder| fs::read_dir(folder))? {
        let path = act("list", folder, |_| entry)?.path();
        if path.file_name().and_then(|name| name.to_str()).is_some_and(&doomed) {
            act("remove", &path, |path| fs::remove_file(path))?;
        }
    }
    Ok(())
}

/// Makes the names in a folder durable.
pub(super) fn sync_folder(path: &Path) -> Result<(), OpenError> {
    act("sync", path, |path| File::open(path)?.sync_all())
}

pub(super) fn act<T>(
    action: &'static str,
    path: &Path,
    act: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<T, OpenError> {
    act(path).map_err(|source| OpenError::Io { action, path: path.into(), source })
}

fn write_synced(path: &Path, write: impl FnOnce(&File) -> io::Result<()>) -> Result<(), OpenError> {
    act("write", path, |path| {
        let file = File::create(path)?;
        write(&file)?;
        file.sync_all()
    })
}

/// `lost+found` lies in every fresh ext4 volume; `lock` is left by a process that was ended at its first step.
fn refuse_if_not_empty(path: &Path) -> Result<(), OpenError> {
    for entry in act("list", path, |path| fs::read_dir(path))? {
        let found = act("list", path, |_| entry)?.file_name().to_string_lossy().into_owned();
        if found != "lost+found" && found != "lock" {
            return Err(OpenError::NotEmpty { path: path.into(), found });
        }
    }
    Ok(())
}

fn ignore_missing(result: Result<(), OpenError>) -> Result<(), OpenError> {
    match result {
        Err(OpenError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
