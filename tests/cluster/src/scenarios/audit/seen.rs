//! The checkpoints that anybody could have seen: whoever holds one may come back with it, years later.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How often it is looked.
const LOOK_INTERVAL: Duration = Duration::from_millis(40);

/// Looks at the checkpoint of an archive for as long as it is not dropped.
#[derive(Debug)]
pub(super) struct Onlooker {
    file: PathBuf,
    seen: Arc<Mutex<Vec<String>>>,
    task: JoinHandle<()>,
}

impl Onlooker {
    /// At the archive in this folder, which may not be there yet.
    pub(super) fn at(archive: &Path) -> Self {
        let (file, seen) = (archive.join("checkpoint"), Arc::<Mutex<Vec<String>>>::default());
        let (path, shared) = (file.clone(), seen.clone());
        let task = tokio::spawn(async move {
            loop {
                look(&path, &shared);
                sleep(LOOK_INTERVAL).await;
            }
        });
        Self { file, seen, task }
    }

    /// The newest one, if there is any.
    pub(super) fn newest(&self) -> Option<String> {
        look(&self.file, &self.seen);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }

    /// All that were seen, in their order, each once.
    pub(super) fn all(&self) -> Vec<String> {
        look(&self.file, &self.seen);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn look(file: &PathBuf, seen: &Mutex<Vec<String>>) {
    let Ok(note) = fs::read_to_string(file) else { return };
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    if seen.last() != Some(&note) {
        seen.push(note);
    }
}
