//! A follower over a script and a folder.

use crate::script::{CLUSTER, Script, Seeded, Standing};
use latchkey_audit::store::{Reader, Store, StoreOptions};
use latchkey_audit::{Archive, Cursor, Follower, Found, Halt, Search, Vault, Visible, trim};
use latchkey_domain::UnixMillis;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Small segments, so that a test has many.
pub(crate) fn options() -> StoreOptions {
    StoreOptions { segment_bytes_max: 12_000, ..StoreOptions::default() }
}

pub(crate) struct Following {
    pub(crate) reader: Reader,
    pub(crate) archive: Archive<Script>,
    pub(crate) healthy: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), Halt>>,
    trimming: JoinHandle<()>,
}

impl Following {
    pub(crate) fn begin(script: &Arc<Script>, folder: &Path, options: StoreOptions) -> Self {
        let store = Store::open_or_create(folder, CLUSTER, options).unwrap();
        let vault = Arc::new(Vault::new(script.clone()));
        let reader = store.reader.clone();
        let follower = Follower::new(script.clone(), vault.clone(), store.writer, Seeded(1), Standing);
        let (stop, stopped) = watch::channel(false);
        let trimming = tokio::spawn(trim(script.clone(), follower.promised(), stopped.clone()));
        let healthy = follower.healthy();
        let task = tokio::spawn(follower.run(stopped));
        Self { archive: Archive::new(reader.clone(), vault), reader, healthy, stop, task, trimming }
    }

    /// Waits until all below `next` are stored.
    pub(crate) async fn stored(&self, next: u64) {
        self.reader.watch().wait_for(|stored| *stored >= next).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap().unwrap();
        self.trimming.await.unwrap();
    }

    pub(crate) async fn halted(self) -> Halt {
        let halt = self.task.await.unwrap().unwrap_err();
        self.stop.send_replace(true);
        self.trimming.await.unwrap();
        halt
    }

    /// Reads all pages.
    pub(crate) async fn all(&self, search: &Search, start: Cursor, page_size: usize) -> Vec<Found> {
        let (mut all, mut next) = (Vec::new(), Some(start));
        while let Some(cursor) = next {
            let page = self.archive.list(search, cursor, page_size, soon()).await.unwrap();
            assert!(page.found.len() <= page_size);
            all.extend(page.found);
            next = page.next;
        }
        all
    }
}

pub(crate) fn everything() -> Search {
    Search::of_list("", Visible::All, UnixMillis::default()).unwrap()
}

pub(crate) fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}
