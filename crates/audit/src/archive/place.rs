//! Where an archive lies.

use super::error::ArchiveError;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where an archive lies.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a folder, on a disk of this machine: what is put there is synced, the file and the folders above it.
    Folder(PathBuf),
    /// Elsewhere: `s3://`, `gs://` or `az://`, where this build has it. What lets us in is taken from the environment, as the
    /// tools of each of them do.
    Url(String),
    /// In a store that was made already.
    Store(Arc<dyn ObjectStore>),
}

impl Place {
    /// Reads `archive.url`; empty: the folder `archive` in the data folder.
    #[must_use]
    pub fn of(url: &str, data_folder: &Path) -> Self {
        match (url, url.strip_prefix("file://")) {
            ("", _) => Self::Folder(data_folder.join("archive")),
            (_, Some(path)) => Self::Folder(path.into()),
            _ => Self::Url(url.to_owned()),
        }
    }

    /// Whether it is on another machine, and so may be there when this one is lost.
    #[must_use]
    pub const fn is_remote(&self) -> bool {
        matches!(self, Self::Url(_))
    }

    /// Opens it, and makes the folder where there is none.
    ///
    /// # Errors
    /// [`ArchiveError::Place`], [`ArchiveError::Away`].
    pub(super) fn open(&self) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
        match self {
            Self::Folder(folder) => {
                let away = |source| ArchiveError::Away { action: "open", path: folder.display().to_string(), source };
                std::fs::create_dir_all(folder)
                    .map_err(|source| away(object_store::Error::Generic { store: "folder", source: source.into() }))?;
                let store = LocalFileSystem::new_with_prefix(folder).map_err(away)?;
                Ok(Arc::new(store.with_fsync(true).with_automatic_cleanup(true)))
            }
            Self::Url(url) => remote(url),
            Self::Store(store) => Ok(store.clone()),
        }
    }
}

fn remote(url: &str) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
    let refused = |what: &str| ArchiveError::Place { url: url.to_owned(), what: what.to_owned() };
    match url.split_once("://").map(|(scheme, _)| scheme) {
        #[cfg(feature = "s3")]
        Some("s3") => prefixed(url, object_store::aws::AmazonS3Builder::from_env().with_url(url).build()),
        #[cfg(feature = "gcs")]
        Some("gs") => prefixed(url, object_store::gcp::GoogleCloudStorageBuilder::from_env().with_url(url).build()),
        #[cfg(feature = "azure")]
        Some("az") => prefixed(url, object_store::azure::MicrosoftAzureBuilder::from_env().with_url(url).build()),
        Some(scheme) if ["s3", "gs", "az"].contains(&scheme) => {
            Err(refused("this program was built without it; build latchkey-audit with --features s3, gcs or azure"))
        }
        _ => Err(refused("expected file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix")),
    }
}

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
fn prefixed<S: ObjectStore>(
    url: &str,
    store: Result<S, object_store::Error>,
) -> Result<Arc<dyn ObjectStore>, ArchiveError> {
    let refused = |error| ArchiveError::Place { url: url.to_owned(), what: super::error::Chain(&error).to_string() };
    let (_, rest) = url.split_once("://").expect("the scheme was read");
    let prefix = rest.split_once('/').map_or("", |(_, prefix)| prefix.trim_end_matches('/'));
    Ok(Arc::new(object_store::prefix::PrefixStore::new(store.map_err(refused)?, prefix)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_none_says_what_would_be() {
        let data = Path::new("/data");
        assert!(matches!(Place::of("", data), Place::Folder(folder) if folder == Path::new("/data/archive")));
        assert!(matches!(Place::of("file:///mnt/log", data), Place::Folder(folder) if folder == Path::new("/mnt/log")));
        for (url, expected) in [("nowhere", "expected file:///folder"), ("ftp://x/y", "expected file:///folder")] {
            let refused = Place::of(url, data).open().unwrap_err().to_string();
            assert!(refused.contains(url) && refused.contains(expected), "{refused}");
        }
    }

    #[cfg(not(feature = "s3"))]
    #[test]
    fn a_store_that_was_not_built_in_is_named_with_its_feature() {
        let refused = Place::of("s3://bucket/log", Path::new("/data")).open().unwrap_err().to_string();
        assert!(refused.contains("--features s3"), "{refused}");
    }
}
