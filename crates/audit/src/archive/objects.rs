//! Objects by their paths: what the store says in our words, counted.

use super::error::ArchiveError;
use bytes::Bytes;
use latchkey_telemetry::names;
use metrics::counter;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload};
use std::ops::Range;
use std::sync::Arc;
use tokio_stream::StreamExt as _;

/// The objects of an archive. Cheap to clone. What a put has acknowledged is durable.
#[derive(Clone, Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
}

/// An object that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Where.
    pub path: String,
    /// How long it is.
    pub bytes: u64,
    /// When it was written, by the clock of the store.
    pub written_unix_ms: i64,
}

impl Objects {
    pub(super) const fn new(store: Arc<dyn ObjectStore>) -> Self {
        Self { store }
    }

    /// The store itself, for what is written in parts.
    #[must_use]
    pub const fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Puts an object that never changes. Where one lies there already, `same` says whether it is this one.
    ///
    /// # Errors
    /// [`ArchiveError::Fork`] where another lies there, and nothing was changed.
    pub async fn put_once(
        &self,
        path: &str,
        bytes: Bytes,
        same: impl FnOnce(&[u8]) -> Result<(), String> + Send,
    ) -> Result<(), ArchiveError> {
        let written = bytes.len();
        match self.store.put_opts(&Path::from(path), bytes.into(), PutMode::Create.into()).await {
            Ok(_) => {
                counter!(names::AUDIT_ARCHIVE_WRITTEN_BYTES_TOTAL).increment(written as u64);
                Ok(())
            }
            Err(Error::AlreadyExists { .. }) => {
                let found = self.get(path).await?.ok_or_else(|| ArchiveError::damaged(path, "it comes and goes"))?;
                same(&found).map_err(|what| ArchiveError::fork(path, what))
            }
            Err(source) => Err(away("write", path, source)),
        }
    }

    /// Puts an object, in the place of one that may lie there.
    ///
    /// # Errors
    /// [`ArchiveError::Away`].
    pub async fn put(&self, path: &str, bytes: Bytes) -> Result<(), ArchiveError> {
        let written = bytes.len() as u64;
        let put = self.store.put_opts(&Path::from(path), PutPayload::from(bytes), PutOptions::default()).await;
        put.map_err(|source| away("write", path, source))?;
        counter!(names::AUDIT_ARCHIVE_WRITTEN_BYTES_TOTAL).increment(written);
        Ok(())
    }

    /// An object; `None` where there is none.
    ///
    /// # Errors
    /// [`ArchiveError::Away`].
    pub async fn get(&self, path: &str) -> Result<Option<Bytes>, ArchiveError> {
        let got = async { self.store.get(&Path::from(path)).await?.bytes().await };
        found("read", path, got.await)
    }

    /// A part of an object; `None` where there is none.
    ///
    /// # Errors
    /// [`ArchiveError::Away`], also where the object is shorter.
    pub async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Option<Bytes>, ArchiveError> {
        found("read", path, self.store.get_range(&Path::from(path), range).await)
    }

    /// What is known of an object without reading it; `None` where there is none.
    ///
    /// # Errors
    /// [`ArchiveError::Away`].
    pub async fn head(&self, path: &str) -> Result<Option<Object>, ArchiveError> {
        let head = found("find", path, self.store.head(&Path::from(path)).await)?;
        Ok(head.map(|meta| object(&meta)))
    }

    /// Removes an object, where there is one.
    ///
    /// # Errors
    /// [`ArchiveError::Away`].
    pub async fn delete(&self, path: &str) -> Result<(), ArchiveError> {
        found("remove", path, self.store.delete(&Path::from(path)).await).map(|_| ())
    }

    /// All objects below a folder, in no order.
    ///
    /// # Errors
    /// [`ArchiveError::Away`].
    pub async fn list(&self, folder: &str) -> Result<Vec<Object>, ArchiveError> {
        let prefix = Path::from(folder);
        let (mut listed, mut objects) = (self.store.list(Some(&prefix)), Vec::new());
        while let Some(item) = listed.next().await {
            match item {
                Ok(meta) => objects.push(object(&meta)),
                // Gone since the list was begun.
                Err(Error::NotFound { .. }) => {}
                Err(source) => return Err(away("list", folder, source)),
            }
        }
        Ok(objects)
    }
}

fn object(meta: &object_store::ObjectMeta) -> Object {
    let written_unix_ms = meta.last_modified.timestamp_millis();
    Object { path: meta.location.to_string(), bytes: meta.size, written_unix_ms }
}

fn found<T>(action: &'static str, path: &str, result: Result<T, Error>) -> Result<Option<T>, ArchiveError> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(source) => Err(away(action, path, source)),
    }
}

fn away(action: &'static str, path: &str, source: Error) -> ArchiveError {
    counter!(names::AUDIT_ARCHIVE_FAILURES_TOTAL).increment(1);
    ArchiveError::Away { action, path: path.to_owned(), source }
}
