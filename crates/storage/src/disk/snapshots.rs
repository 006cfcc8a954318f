//! Snapshot files in their folder.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::fatal::Fatal;
use super::folder::{remove_files, sync_folder};
use crate::error::{OpenError, StoreError};
use crate::rows::Base;
use crate::snapshot::{SnapshotName, SnapshotReader, Target};

/// Bytes of a file that may wait for the disk. The log shares that disk, and its syncs would wait for all of them.
const UNSYNCED_BYTES_MAX: usize = 4 << 20;

/// How the name of an unfinished file ends; no [`SnapshotName`] begins with the dot that these do.
const PART: &str = ".part";

pub(super) struct Snapshots {
    path: PathBuf,
    fatal: Fatal,
    /// Two may be made under one name at once: the last to finish counts.
    parts: AtomicU64,
}

impl Snapshots {
    /// Removes what was not finished.
    pub(super) fn open(path: PathBuf, fatal: Fatal) -> Result<Self, OpenError> {
        remove_files(&path, |name| name.starts_with('.') && name.ends_with(PART))?;
        Ok(Self { path, fatal, parts: AtomicU64::new(0) })
    }

    pub(super) fn begin(&self, name: &SnapshotName) -> Result<Box<dyn Target>, StoreError> {
        let part = self.path.join(format!(".{name}.{}{PART}", self.parts.fetch_add(1, Ordering::Relaxed)));
        let file = File::create_new(&part).map_err(|source| StoreError::io("create a snapshot", source))?;
        let place = Place { part, finished: self.path.join(name.as_str()), published: false };
        Ok(Box::new(FileTarget { file: BufWriter::new(file), unsynced_bytes: 0, place, fatal: self.fatal.clone() }))
    }

    pub(super) fn read(&self, name: &SnapshotName) -> Result<SnapshotReader, StoreError> {
        match File::open(self.path.join(name.as_str())) {
            Ok(file) => SnapshotReader::open(name, Box::new(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(not_found(name)),
            Err(source) => Err(StoreError::io("open a snapshot", source)),
        }
    }

    pub(super) fn exists(&self, name: &SnapshotName) -> Result<(), StoreError> {
        if self.path.join(name.as_str()).is_file() { Ok(()) } else { Err(not_found(name)) }
    }

    pub(super) fn names(&self) -> Result<Vec<SnapshotName>, StoreError> {
        let list = || -> io::Result<Vec<SnapshotName>> {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.path)? {
                names.extend(entry?.file_name().to_str().and_then(|name| SnapshotName::parse(name).ok()));
            }
            names.sort_unstable();
            Ok(names)
        };
        list().map_err(|source| StoreError::io("list snapshots", source))
    }

    pub(super) fn retain(&self, keep: &[SnapshotName], base: Option<&Base>) -> Result<(), StoreError> {
        for name in self.names()? {
            if !keep.contains(&name) && base.is_none_or(|base| base.name != name) {
                fs::remove_file(self.path.join(name.as_str()))
                    .map_err(|source| StoreError::io("remove a snapshot", source))?;
            }
        }
        Ok(())
    }
}

/// An unfinished file, removed when it is dropped.
struct Place {
    part: PathBuf,
    finished: PathBuf,
    published: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.published {
            // If it cannot be removed now, the next start removes it.
            let _ = fs::remove_file(&self.part);
        }
    }
}

struct FileTarget {
    file: BufWriter<File>,
    unsynced_bytes: usize,
    place: Place,
    fatal: Fatal,
}

impl Write for FileTarget {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced_bytes += written;
        if self.unsynced_bytes >= UNSYNCED_BYTES_MAX {
            self.unsynced_bytes = 0;
            self.file.flush()?;
            let failed = |error| io::Error::other(self.fatal.trip(&format!("a snapshot cannot sync: {error}")));
            self.file.get_ref().sync_data().map_err(failed)?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Target for FileTarget {
    fn publish(self: Box<Self>) -> Result<(), StoreError> {
        let Self { file, mut place, fatal, .. } = *self;
        fatal.running()?;
        let failed = |source: io::Error| StoreError::io("write a snapshot", source);
        let file = file.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().map_err(|error| fatal.trip(&format!("a snapshot cannot sync: {error}")))?;
        fs::rename(&place.part, &place.finished).map_err(failed)?;
        place.published = true;
        let folder = place.finished.parent().unwrap_or(Path::new("."));
        sync_folder(folder).map_err(|error| fatal.trip(&format!("the folder of snapshots cannot sync: {error}")))
    }
}

fn not_found(name: &SnapshotName) -> StoreError {
    StoreError::SnapshotNotFound { name: name.to_string() }
}
