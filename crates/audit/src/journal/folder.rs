//! The data folder: held by one process.

use super::error::OpenError;
use super::header::Header;
use rustix::fs::FlockOperation;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Digits of the largest sequence.
const SEQUENCE_DIGITS: usize = 20;
const SEGMENT: &str = "segment-";
/// A file with this ending is still being made; nothing in it was acknowledged.
const NEW: &str = ".new";

/// A data folder that this process holds until it drops it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    pub(super) fn hold(path: &Path) -> Result<Self, OpenError> {
        act("create", path, |path| fs::create_dir_all(path))?;
        let lock_path = path.join("lock");
        let lock =
            act("open", &lock_path, |lock| OpenOptions::new().write(true).create(true).truncate(false).open(lock))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.into(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::Locked { path: path.into() }),
            Err(error) => Err(OpenError::Io { action: "lock", path: lock_path, source: error.into() }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn witness(&self) -> PathBuf {
        self.path.join("witness")
    }

    pub(super) fn segment(&self, first: u64) -> PathBuf {
        self.path.join(format!("{SEGMENT}{first:0SEQUENCE_DIGITS$}"))
    }

    /// Whether nothing was ever stored here. The witness is made last, so a first segment without entries may lie here alone.
    pub(super) fn is_new(&self) -> Result<bool, OpenError> {
        if self.witness().exists() {
            return Ok(false);
        }
        match self.segments()?[..] {
            [] => Ok(true),
            [first] => {
                let path = self.segment(first);
                let bytes = act("read", &path, |path| fs::metadata(path))?.len();
                if bytes == Header::bytes_before(first) { Ok(true) } else { Err(self.witness_gone()) }
            }
            _ => Err(self.witness_gone()),
        }
    }

    fn witness_gone(&self) -> OpenError {
        OpenError::Damaged { path: self.witness(), what: "it is gone, and there are entries".to_owned() }
    }

    /// The first sequences of the segments, in order.
    pub(super) fn segments(&self) -> Result<Vec<u64>, OpenError> {
        let mut segments = Vec::new();
        for entry in act("list", &self.path, |folder| fs::read_dir(folder))? {
            let name = act("list", &self.path, |_| entry)?.file_name();
            let digits = name.to_str().and_then(|name| name.strip_prefix(SEGMENT));
            let digits = digits.filter(|digits| digits.len() == SEQUENCE_DIGITS);
            segments.extend(digits.and_then(|digits| digits.parse::<u64>().ok()));
        }
        segments.sort_unstable();
        Ok(segments)
    }

    /// Removes what a kill left half made.
    pub(super) fn remove_half_made(&self) -> Result<(), OpenError> {
        for entry in act("list", &self.path, |folder| fs::read_dir(folder))? {
            let path = act("list", &self.path, |_| entry)?.path();
            if path.to_str().is_some_and(|name| name.ends_with(NEW)) {
                act("remove", &path, |path| fs::remove_file(path))?;
            }
        }
        Ok(())
    }
}

pub(super) fn act<T>(
    action: &'static str,
    path: &Path,
    act: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<T, OpenError> {
    act(path).map_err(|source| OpenError::Io { action, path: path.into(), source })
}
