//! Reading a backup. Nothing of it is believed before the hash over the whole was compared.

use super::error::BackupError;
use super::header::BackupHeader;
use crate::snapshot_file::{Frames, take};
use latchkey_storage::SnapshotReader;
use latchkey_wire::pb::disk::v1 as pb;
use prost::Message as _;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// How the payload begins.
pub(super) const MAGIC: &[u8; 16] = b"LATCHKEY BACKUP\n";

/// A backup whose bytes are those that were written.
#[derive(Clone, Debug)]
pub struct BackupFile {
    path: PathBuf,
    header: BackupHeader,
    bytes: u64,
}

impl BackupFile {
    /// Reads the whole file once, and compares its hash. Needs no key.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let bytes = std::fs::metadata(path).map_err(BackupError::io("read", path))?.len();
        let (header, _) = open(path)?;
        Ok(Self { path: path.into(), header, bytes })
    }

    /// What it is of.
    #[must_use]
    pub const fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// Its length.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its frames, checked once more.
    pub(crate) fn frames(&self) -> Result<Frames<SnapshotReader>, BackupError> {
        Ok(open(&self.path)?.1)
    }

    pub(crate) fn rows_error(&self) -> impl Fn(crate::snapshot_file::SnapshotError) -> BackupError + use<> {
        let path = self.path.clone();
        move |source| BackupError::Rows { path: path.clone(), source }
    }
}

/// What a file says that it is a backup of; `None` where it is none. Nothing is compared, so only what lies in a folder is
/// told apart by it.
pub(super) fn peek(path: &Path) -> Option<BackupHeader> {
    if !std::fs::symlink_metadata(path).ok()?.is_file() {
        return None;
    }
    let mut reader = std::io::BufReader::new(File::open(path).ok()?);
    let mut begin = [0; 1 + MAGIC.len()];
    reader.read_exact(&mut begin).ok()?;
    if begin[1..] != *MAGIC {
        return None;
    }
    let header = pb::BackupHeader::decode(&take(&mut reader).ok()??[..]).ok()?;
    BackupHeader::read(&header).ok()
}

fn open(path: &Path) -> Result<(BackupHeader, Frames<SnapshotReader>), BackupError> {
    let foreign =
        |(expected, found): (&'static str, String)| BackupError::Foreign { path: path.into(), expected, found };
    let file = File::open(path).map_err(BackupError::io("open", path))?;
    let damaged = |source| BackupError::Damaged { path: path.into(), source };
    let mut reader = SnapshotReader::of_file("its frame", file).map_err(damaged)?;
    let mut magic = [0; MAGIC.len()];
    let begins = reader.read_exact(&mut magic);
    if begins.is_err() || magic != *MAGIC {
        return Err(foreign(("a file that `latchkey backup create` or a replica wrote", "something else".into())));
    }
    let rows = |source| BackupError::Rows { path: path.into(), source };
    let first = take(&mut reader).map_err(rows)?.unwrap_or_default();
    let header = pb::BackupHeader::decode(&first[..]);
    let header = header.map_err(|error| foreign(("the header of a backup", error.to_string())))?;
    let header = BackupHeader::read(&header).map_err(foreign)?;
    let frames = Frames::open(reader).map_err(rows)?;
    if !frames.is_at(header.cluster, header.revision) {
        return Err(foreign(("rows at the revision in the header", "others".into())));
    }
    Ok((header, frames))
}
