//! A store that goes away in the middle of a write.

use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio_stream::Stream;
use tonic::async_trait;

type BoxStream<T> = Pin<Box<dyn Stream<Item = T> + Send>>;

/// What becomes of the write at which the store goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Last {
    Lost,
    Done,
}

/// Carries out so many writes and removals, and then nothing that changes anything.
#[derive(Debug)]
pub(super) struct Faulty {
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) left: AtomicU64,
    pub(super) last: Last,
}

impl Faulty {
    /// Whether this write is carried out; the error that its caller sees.
    fn admit(&self) -> (bool, Option<Error>) {
        let before = self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        let away = || Some(Error::Generic { store: "faulty", source: "the store is away".into() });
        match before {
            Ok(1) => (self.last == Last::Done, away()),
            Ok(_) => (true, None),
            Err(_) => (false, away()),
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("faulty")
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let (carried_out, error) = self.admit();
        let put = match carried_out {
            true => Some(self.inner.put_opts(location, payload, options).await),
            false => None,
        };
        match (error, put) {
            (Some(error), _) => Err(error),
            (None, put) => put.expect("what is no error was carried out"),
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<Result<Path>>) -> BoxStream<Result<Path>> {
        let (carried_out, error) = self.admit();
        match (carried_out, error) {
            (true, None) => self.inner.delete_stream(locations),
            (_, error) => Box::pin(tokio_stream::iter(error.map(Err))),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}
