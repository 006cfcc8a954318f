//! KEK files that are not there yet: mounted late, or by hand after a restart.
use crate::file::{name, read_kek};
use crate::keks::{self, Kek};
use crate::{BoxFuture, KekFileError, Kms, KmsError, OsEntropy, Wrapped};
use latchkey_crypto::DataKey;
use latchkey_domain::KekId;
use std::future::ready;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// KEKs in files that may be missing when the process starts. Whoever needs one that is not there yet is told to try again;
/// each is read once, by the first who finds it.
#[derive(Debug)]
pub struct AwaitedFileKms {
    /// The one that wraps first.
    files: Vec<Awaited>,
    name: String,
}

/// One file.
#[derive(Debug)]
struct Awaited {
    path: PathBuf,
    opened: OnceLock<Kek>,
}

impl AwaitedFileKms {
    /// Reads the KEK in the file at `path`, now if it is there, else when it is.
    ///
    /// # Errors
    /// [`KekFileError`], which says what to do, for a file that is there and cannot be used: no wait would help.
    pub fn open(path: &Path) -> Result<Self, KekFileError> {
        Self::open_with(path, &[])
    }

    /// As [`Self::open`], with the KEKs in `previous`, which this one takes the place of. One of these may be gone for good:
    /// it is missed only where something was wrapped under it.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(path: &Path, previous: &[PathBuf]) -> Result<Self, KekFileError> {
        let mut files = Vec::with_capacity(1 + previous.len());
        for path in std::iter::once(path).chain(previous.iter().map(PathBuf::as_path)) {
            let file = Awaited { path: path.to_owned(), opened: OnceLock::new() };
            match read_kek(path) {
                Ok(kek) => drop(file.opened.set(kek)),
                Err(KekFileError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            files.push(file);
        }
        Ok(Self { files, name: name(path, previous) })
    }

    /// Whether the file of the KEK that wraps was found.
    #[must_use]
    pub fn is_there(&self) -> bool {
        self.files.first().is_some_and(|file| file.opened.get().is_some())
    }

    /// Those that are at hand, after another look for those that were missing.
    fn found(&self) -> impl Iterator<Item = &Kek> {
        self.files.iter().filter_map(Awaited::kek)
    }

    /// What none of those at hand wrapped may be of one that is not there yet.
    fn missed(&self, error: KmsError) -> KmsError {
        match error {
            KmsError::WrongKey if self.files.iter().any(|file| file.opened.get().is_none()) => KmsError::Unavailable,
            error => error,
        }
    }
}

impl Awaited {
    fn kek(&self) -> Option<&Kek> {
        if let Some(kek) = self.opened.get() {
            return Some(kek);
        }
        // Whatever is wrong with a file that appears just now may be that it is not written to its end.
        let kek = read_kek(&self.path).ok()?;
        Some(self.opened.get_or_init(|| kek))
    }
}

impl Kms for AwaitedFileKms {
    fn name(&self) -> &str {
        &self.name
    }

    /// Empty while the file of the KEK that wraps is missing: what is first would be another.
    fn keks(&self) -> Vec<KekId> {
        let found = keks::ids(self.found());
        if self.is_there() { found } else { Vec::new() }
    }

    fn wrap_under<'a>(
        &'a self,
        under: KekId,
        context: &'a [u8],
        key: &'a DataKey,
    ) -> BoxFuture<'a, Result<Wrapped, KmsError>> {
        let wrapped = keks::wrap(self.found(), under, context, key, &mut OsEntropy);
        Box::pin(ready(wrapped.map_err(|error| self.missed(error))))
    }

    fn unwrap<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<DataKey, KmsError>> {
        let unwrapped = keks::unwrap(self.found(), context, wrapped);
        Box::pin(ready(unwrapped.map(|(_, key)| key).map_err(|error| self.missed(error))))
    }

    fn identify<'a>(&'a self, context: &'a [u8], wrapped: &'a [u8]) -> BoxFuture<'a, Result<KekId, KmsError>> {
        let unwrapped = keks::unwrap(self.found(), context, wrapped);
        Box::pin(ready(unwrapped.map(|(kek, _)| kek).map_err(|error| self.missed(error))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FileKms;
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

    #[test]
    fn a_previous_key_is_missed_only_by_what_it_wrapped() {
        let folder = tempfile::tempdir().unwrap();
        let (old, new, away) = (folder.path().join("old"), folder.path().join("new"), folder.path().join("away"));
        let before = FileKms::generate(&old).unwrap();
        let after = FileKms::generate(&new).unwrap();
        fs::rename(&old, &away).unwrap();
        let kms = AwaitedFileKms::open_with(&new, std::slice::from_ref(&old)).unwrap();
        let key = DataKey::draw(&mut OsEntropy);
        let of_before = now(before.wrap(b"context", &key)).unwrap();
        let of_after = now(after.wrap(b"context", &key)).unwrap();
        assert!(now(kms.unwrap(b"context", of_after.as_bytes())).is_ok());
        assert_eq!(now(kms.unwrap(b"context", of_before.as_bytes())).unwrap_err(), KmsError::Unavailable);
        fs::rename(&away, &old).unwrap();
        assert!(now(kms.unwrap(b"context", of_before.as_bytes())).is_ok());
        conformance::change(&before, &kms, &after);
    }
}
