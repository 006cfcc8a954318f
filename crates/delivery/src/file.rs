//! Files of mode 0600, replaced as a whole.
//!
//! Beside the file of a key lie, while it rotates, `{name}.next-{rotation}` with what was staged, and
//! `{name}.before-{rotation}` with what was there. Delivering is a link and a rename: a consumer reads the old text or the
//! new one, whole, and a crash between the two is mended by doing both again.

use crate::place::fill;
use crate::{BoxFuture, DeliveryError, Ending, Item, Store};
use folder::Folder;
use latchkey_crypto::parse;
use latchkey_domain::{RotationName, VersionName};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

mod folder;

/// How long a step takes at most, where the settings do not say.
const LIMIT_DEFAULT: Duration = Duration::from_secs(30);
/// How long another process is given to let go of the folder before it is looked again.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// Delivers to a file for each key.
#[derive(Debug)]
pub struct FileStore {
    place: String,
    form: String,
    limit: Duration,
    /// Steps come one after the other: folders are locked, and would be found locked by ourselves. A step whose disk hangs
    /// keeps its turn beyond its time, so that no more than one thread ever hangs with it.
    turn: Arc<Mutex<()>>,
}

impl FileStore {
    /// To the path that `form` gives: absolute, with `{tenant}`, `{keyspace}` and `{key}` in it.
    #[must_use]
    pub fn new(form: &str) -> Self {
        Self { place: format!("file:{form}"), form: form.to_owned(), limit: LIMIT_DEFAULT, turn: Arc::default() }
    }

    /// With a step taking at most so long.
    #[must_use]
    pub fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    /// Takes a step on a thread of its own, since a disk may hang, and gives up waiting for it in time: whoever may read a
    /// folder may also hold its lock.
    async fn step(
        &self,
        target: Target,
        step: impl Fn(&Target) -> Result<(), DeliveryError> + Send + Sync + 'static,
    ) -> Result<(), DeliveryError> {
        let path = target.path.clone();
        let work = Arc::new(move || step(&target));
        let done = timeout(self.limit, async {
            let mut turn = self.turn.clone().lock_owned().await;
            loop {
                let work = work.clone();
                let blocking = tokio::task::spawn_blocking(move || (work(), turn));
                let (done, kept) = blocking.await.expect("no step on files panics");
                turn = kept;
                match done {
                    Err(DeliveryError::File { source, .. }) if source.kind() == ErrorKind::WouldBlock => {
                        sleep(LOCK_PAUSE).await;
                    }
                    done => return done,
                }
            }
        });
        let late =
            |_| Err(DeliveryError::File { verb: "be done in time with", path, source: ErrorKind::TimedOut.into() });
        done.await.unwrap_or_else(late)
    }

    /// The file of one key.
    fn target(&self, rotation: &RotationName) -> Target {
        let path = PathBuf::from(fill(&self.form, &rotation.key));
        // Up to the first word in braces the operator has made what is to be there: a mount that is missing is not
        // covered up by a folder of ours.
        let fixed = self.form.split('{').next().unwrap_or_default();
        let fixed = fixed.rsplit_once('/').map_or("/", |(folder, _)| folder);
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Target { fixed: PathBuf::from(format!("{fixed}/")), path, name, rotation: rotation.rotation.to_string() }
    }
}

impl Store for FileStore {
    fn place(&self) -> &str {
        &self.place
    }

    fn stage<'a>(&'a self, item: &'a Item<'a>) -> BoxFuture<'a, Result<(), DeliveryError>> {
        let target = self.target(item.rotation);
        let text = Zeroizing::new(item.text.expose().as_bytes().to_vec());
        Box::pin(self.step(target, move |target| target.stage(&text)))
    }

    fn deliver<'a>(
        &'a self,
        rotation: &'a RotationName,
        version: &'a VersionName,
    ) -> BoxFuture<'a, Result<(), DeliveryError>> {
        let (target, version) = (self.target(rotation), version.clone());
        Box::pin(self.step(target, move |target| target.deliver(&version)))
    }

    fn finish<'a>(&'a self, rotation: &'a RotationName, ending: Ending) -> BoxFuture<'a, Result<(), DeliveryError>> {
        let target = self.target(rotation);
        Box::pin(self.step(target, move |target| target.finish(ending)))
    }

    fn staged_at(&self, rotation: &RotationName) -> Vec<(&'static str, String)> {
        let target = self.target(rotation);
        vec![("LATCHKEY_STAGED", target.path.with_file_name(target.next()).display().to_string())]
    }
}

/// The file of a key, and a rotation of it.
struct Target {
    /// The folder that must be there.
    fixed: PathBuf,
    path: PathBuf,
    name: String,
    rotation: String,
}

impl Target {
    fn stage(&self, text: &[u8]) -> Result<(), DeliveryError> {
        let folder = self.open(true)?;
        folder.check_file(&self.name)?;
        for stray in folder.names()? {
            if self.is_stray(&stray) {
                folder.remove(&stray)?;
            }
        }
        folder.write(&self.next(), text)
    }

    fn deliver(&self, version: &VersionName) -> Result<(), DeliveryError> {
        let folder = self.open(false)?;
        folder.check_file(&self.name)?;
        let holds = |name: &str| -> Result<bool, DeliveryError> {
            let text = folder.read(name)?;
            let found = text.as_ref().and_then(|text| parse(text)).map(|text| text.version);
            Ok(found == Some(version.version))
        };
        if holds(&self.next())? {
            folder.keep(&self.name, &self.before())?;
            return folder.rename(&self.next(), &self.name);
        }
        if holds(&self.name)? {
            return Ok(());
        }
        Err(DeliveryError::NotStaged { place: self.path.display().to_string() })
    }

    fn finish(&self, ending: Ending) -> Result<(), DeliveryError> {
        let folder = match self.open(false) {
            // Whoever took the folder away has left nothing to do.
            Err(DeliveryError::File { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(()),
            folder => folder?,
        };
        folder.remove(&self.next())?;
        match ending {
            Ending::Completed => folder.remove(&self.before()),
            Ending::Undone if folder.has(&self.before())? => {
                folder.rename(&self.before(), &self.name)?;
                // Where both are names of one file, after a crash between keeping and delivering, a rename does nothing.
                folder.remove(&self.before())
            }
            Ending::Undone => Ok(()),
        }
    }

    fn open(&self, make: bool) -> Result<Folder, DeliveryError> {
        let path = self.path.parent().unwrap_or(Path::new("/"));
        Folder::open(path, make.then_some(self.fixed.as_path()))
    }

    fn next(&self) -> String {
        format!("{}.next-{}", self.name, self.rotation)
    }

    fn before(&self) -> String {
        format!("{}.before-{}", self.name, self.rotation)
    }

    /// What another rotation of this key left, or a process that was killed while it wrote.
    fn is_stray(&self, name: &str) -> bool {
        let Some(rest) = name.strip_prefix(&self.name) else { return false };
        let of_rotation =
            |rest: &str| rest.len() == self.rotation.len() && rest.bytes().all(|b| b.is_ascii_alphanumeric());
        let beside = [".next-", ".before-"].iter().find_map(|kind| rest.strip_prefix(kind));
        match beside {
            Some(rotation) => {
                rotation != self.rotation && (of_rotation(rotation) || rotation.ends_with(folder::PARTIAL))
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests;
