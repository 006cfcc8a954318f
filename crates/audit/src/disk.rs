//! The journal and the archive, opened together: the archive says what was published, and the journal goes on from there.

use crate::archive::{Archive, ArchiveError, Log, Place};
use crate::journal::{Journal, JournalOptions, OpenError, Writer};
use latchkey_domain::ClusterId;
use std::path::{Path, PathBuf};

/// Why the log does not open.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The archive.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] OpenError),
}

impl DiskError {
    /// Whether it is worth another attempt.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Archive(error) if error.may_pass())
    }
}

/// A log that this process holds.
#[derive(Debug)]
pub struct Disk {
    /// Appends to the journal.
    pub writer: Writer,
    /// Reads all that is durable.
    pub log: Log,
    /// Where it goes.
    pub archive: Archive,
}

impl Disk {
    /// Opens the journal in `folder` and the archive at `place`; `None` where neither holds anything.
    ///
    /// # Errors
    /// [`DiskError`].
    pub async fn open(folder: &Path, journal: JournalOptions, place: &Place) -> Result<Option<Self>, DiskError> {
        let archive = Archive::open(place).await?;
        if let Some(cluster) = archive.cluster() {
            // A journal that was lost begins again where the archive ends.
            return Self::over(archive, folder, journal, cluster).await.map(Some);
        }
        let (path, published, is_copy) = (folder.to_owned(), archive.frontier(), journal.is_copy);
        let found = blocking(move || Journal::open_after(&path, journal, &published)).await?;
        match found {
            Some(journal) => Self::whole(archive, journal, is_copy, folder.into()).await.map(Some),
            None => Ok(None),
        }
    }

    /// As [`Self::open`], of `cluster`, and makes what is not there.
    ///
    /// # Errors
    /// [`DiskError`].
    pub async fn open_or_create(
        folder: &Path,
        journal: JournalOptions,
        place: &Place,
        cluster: ClusterId,
    ) -> Result<Self, DiskError> {
        Self::over(Archive::open(place).await?, folder, journal, cluster).await
    }

    async fn over(
        archive: Archive,
        folder: &Path,
        options: JournalOptions,
        cluster: ClusterId,
    ) -> Result<Self, DiskError> {
        if let Some(found) = archive.cluster().filter(|found| *found != cluster) {
            return Err(ArchiveError::OtherCluster { found, expected: cluster }.into());
        }
        let (path, published, is_copy) = (folder.to_owned(), archive.frontier(), options.is_copy);
        let journal = blocking(move || Journal::open_or_create_after(&path, cluster, options, &published)).await?;
        Self::whole(archive, journal, is_copy, folder.into()).await
    }

    async fn whole(archive: Archive, journal: Journal, is_copy: bool, folder: PathBuf) -> Result<Self, DiskError> {
        let Journal { mut writer, reader, .. } = journal;
        let (stored, published) = (writer.frontier().size(), archive.size());
        if stored < published {
            // The journal is an older copy, or a power loss took its end: the archive has what it lacks.
            if archive.frontier_at(stored).await? != *writer.frontier() {
                return Err(OpenError::OtherTree { path: folder, size: stored }.into());
            }
        }
        if stored < published && !is_copy {
            tracing::warn!(stored, published, "the journal ends before the archive does, and goes on after it");
            let frontier = archive.frontier();
            writer = blocking(move || writer.skip_to(&frontier).map(|()| writer)).await.map_err(|error| {
                let source = std::io::Error::other(error);
                OpenError::Io { action: "go on after the archive in", path: folder, source }
            })?;
        }
        let log = Log::new(reader, Some(archive.clone()));
        Ok(Self { writer, log, archive })
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
