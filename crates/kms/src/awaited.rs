//! A KEK file that is not there yet: mounted late, or by hand after a restart.
use crate::{BoxFuture, FileKms, KekFileError, Kms, KmsError, Wrapped};
use latchkey_crypto::DataKey;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A KEK in a file that may be missing when the process starts. Until it is there this KMS is away, and whoever asks is
/// told to try again; it is read once, by the first who finds it.
#[derive(Debug)]
pub struct AwaitedFileKms {
    path: PathBuf,
    name: String,
    opened: OnceLock<FileKms>,
}

impl AwaitedFileKms {
    /// Reads the KEK in the file at `path`, now if it is there, else when it is.
    ///
    /// # Errors
    /// [`KekFileError`], which says what to do, for a file that is there and cannot be used: no wait would help.
    pub fn open(path: &Path) -> Result<Self, KekFileError> {
        let awaited = Self { path: path.to_owned(), name: format!("file:{}", path.display()), opened: OnceLock::new() };
        match FileKms::open(path) {
            Ok(kms) => drop(awaited.opened.set(kms)),
            Err(KekFileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(awaited)
    }

    /// Whether the file was found.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.opened.get().is_some()
    }

    fn kms(&self) -> Result<&FileKms, KmsError> {
        if let Some(kms) = self.opened.get() {
            return Ok(kms);
        }
        // Whatever is wrong with a file that appears just now may be that it is not written to its end.
        let kms = FileKms::open(&self.path).map_err(|_| KmsError::Unavailable)?;
        Ok(self.opened.get_or_init(|| kms))
    }
}

impl Kms for AwaitedFileKms {
    fn name(&self) -> &str {
        &self.name
    }

    fn wrap<'a>(&'a self, context: &'a [u8], key: &'a DataKey) -> BoxFuture<'a, Result<Wrapped, KmsError>> {
        Box::pin(async move { self.kms()?.wrap(context, key).await })
    }

    fn unwrap<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<DataKey, KmsError>> {
        Box::pin(async move { self.kms()?.unwrap(context, wrapped).await })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsEntropy;
    use crate::testing::conformance;
    use std::fs;
    use std::task::{Context, Poll, Waker};

    /// A file is read at once, so that no future here waits.
    fn now<T>(mut future: BoxFuture<'_, T>) -> T {
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("a KEK in a file does not wait"),
        }
    }

    #[test]
    fn a_file_that_is_missing_is_waited_for_and_then_found() {
        let folder = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (folder.path().join("kek"), folder.path().join("elsewhere"));
        let kms = AwaitedFileKms::open(&path).unwrap();
        let key = DataKey::draw(&mut OsEntropy);
        assert!(!kms.is_there());
        assert_eq!(now(kms.wrap(b"context", &key)).unwrap_err(), KmsError::Unavailable);

        let wrapped = now(FileKms::generate(&elsewhere).unwrap().wrap(b"context", &key)).unwrap();
        fs::rename(elsewhere, path).unwrap();
        assert_eq!(now(kms.unwrap(b"context", wrapped.as_bytes())).unwrap().expose(), key.expose());
        assert!(kms.is_there());
    }

    #[test]
    fn a_file_that_is_there_and_wrong_is_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        fs::write(&path, "nothing").unwrap();
        assert!(AwaitedFileKms::open(&path).is_err());
        assert!(AwaitedFileKms::open(folder.path()).is_err());
    }

    #[test]
    fn a_key_that_was_found_stays_when_its_file_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        drop(FileKms::generate(&path).unwrap());
        let kms = AwaitedFileKms::open(&path).unwrap();
        fs::remove_file(path).unwrap();
        assert!(now(kms.wrap(b"context", &DataKey::draw(&mut OsEntropy))).is_ok());
    }

    #[test]
    fn a_file_that_is_waited_for_passes_the_conformance_suite() {
        let folder = tempfile::tempdir().unwrap();
        let open = |name: &str| {
            let path = folder.path().join(name);
            drop(FileKms::generate(&path).unwrap());
            AwaitedFileKms::open(&path).unwrap()
        };
        conformance::suite(&open("first"), &open("second"));
    }
}
