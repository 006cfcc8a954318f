//! A follower over a script and a folder.

use crate::script::{CLUSTER, Script, Seeded, Standing};
use latchkey_audit::archive::{Archive, Log, Place, Publisher};
use latchkey_audit::journal::{Journal, JournalOptions, Reader, Writer};
use latchkey_audit::{Cursor, Disk, Entries, Follower, Found, Halt, IndexOptions, Search, Vault, Visible, trim};
use latchkey_domain::UnixMillis;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Small segments, so that a test has many.
pub(crate) fn options() -> JournalOptions {
    JournalOptions { segment_bytes_max: 12_000, ..JournalOptions::default() }
}

pub(crate) struct Following {
    pub(crate) reader: Reader,
    pub(crate) entries: Entries<Script>,
    pub(crate) healthy: watch::Receiver<bool>,
    stop: watch::Sender<bool>,
    task: JoinHandle<Result<(), Halt>>,
    trimming: JoinHandle<()>,
    publishing: Option<JoinHandle<Result<(), Halt>>>,
}

impl Following {
    pub(crate) fn begin(script: &Arc<Script>, folder: &Path, options: JournalOptions) -> Self {
        let Journal { writer, reader, .. } = Journal::open_or_create(folder, CLUSTER, options).unwrap();
        Self::over(script, writer, &Log::new(reader, None), Duration::ZERO)
    }

    /// With an archive in its folder, to which entries go each `interval`.
    pub(crate) async fn archived(
        script: &Arc<Script>,
        folder: &Path,
        options: JournalOptions,
        interval: Duration,
    ) -> Self {
        let Disk { writer, log, .. } =
            Disk::open_or_create(folder, options, &Place::of("", folder), CLUSTER).await.unwrap();
        Self::over(script, writer, &log, interval)
    }

    fn over(script: &Arc<Script>, writer: Writer, log: &Log, interval: Duration) -> Self {
        let (vault, reader) = (Arc::new(Vault::new(script.clone())), log.journal().clone());
        let entries = Entries::over(log.clone(), vault.clone());
        let follower = Follower::new(script.clone(), vault, writer, Seeded(1), Standing);
        let (stop, stopped) = watch::channel(false);
        let publishing = log.archive().map(|archive| {
            let publisher = Publisher::new(log.clone(), archive.clone(), entries.clone(), CLUSTER, interval);
            tokio::spawn(publisher.run(stopped.clone()))
        });
        let trimming = tokio::spawn(trim(script.clone(), follower.promised(), stopped.clone()));
        let healthy = follower.healthy();
        let task = tokio::spawn(follower.run(stopped));
        Self { entries, reader, healthy, stop, task, trimming, publishing }
    }

    pub(crate) fn archive(&self) -> &Archive {
        self.entries.log().archive().unwrap()
    }

    /// Waits until all below `next` are in the archive.
    pub(crate) async fn published(&self, next: u64) {
        self.archive().published().wait_for(|published| *published >= next).await.unwrap();
    }

    /// Waits until all below `next` are stored.
    pub(crate) async fn stored(&self, next: u64) {
        self.reader.watch().wait_for(|stored| *stored >= next).await.unwrap();
    }

    /// Keeps an index beside the journal. Small runs, so that a test has several.
    pub(crate) fn index(&self, folder: &Path) -> JoinHandle<()> {
        let options = IndexOptions { run_entries: 1_024, runs_per_level: 2, ..IndexOptions::default() };
        tokio::spawn(self.entries.clone().keep_index(folder.join("index"), options))
    }

    /// Waits until all below `next` are indexed. Looks, since an index tells nobody that it grew.
    pub(crate) async fn indexed(&self, next: u64) {
        while self.entries.index().is_none_or(|index| index.next() < next) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap().unwrap();
        self.trimming.await.unwrap();
        if let Some(publishing) = self.publishing {
            publishing.await.unwrap().unwrap();
        }
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
            let page = self.entries.list(search, cursor, page_size, soon()).await.unwrap();
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
