//! Following the entries: each is opened once more, and indexed.

use super::shelf::{Index, IndexOptions};
use super::tail::Indexed;
use super::term::words;
use crate::LogName;
use crate::cluster::Cluster;
use crate::entries::Entries;
use crate::run::{self, Keys};
use crate::vault_keys::VaultKeys;
use latchkey_telemetry::names;
use metrics::gauge;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};
use tonic::Status;

/// Entries that are added at once.
const BATCH_ENTRIES: usize = 1_024;
/// Between two attempts at what failed, and two looks whether runs are to be merged.
const PAUSE: Duration = Duration::from_secs(1);
/// How long a key may take.
const CALL_MAX: Duration = Duration::from_secs(5);

/// Opens the index in a folder, and then indexes entries and merges runs for as long as it is polled.
pub(crate) async fn keep<C: Cluster>(entries: Entries<C>, folder: PathBuf, options: IndexOptions) {
    let keys: Arc<dyn Keys> = Arc::new(VaultKeys::new(entries.vault().clone(), Handle::current()));
    let cluster = entries.reader().cluster();
    let log = named(&entries).await;
    let index = loop {
        let (folder, keys, kept) = (folder.clone(), keys.clone(), entries.log().kept_from()..entries.log().next());
        match spawn_blocking(move || Index::open(&folder, (cluster, log), keys, kept, options)).await {
            Ok(Ok(index)) => break index,
            Ok(Err(error)) => tracing::warn!(%error, "the index of entries does not open; searches walk them"),
            Err(_) => return,
        }
        sleep(PAUSE).await;
    };
    entries.find_by(index.clone());
    tokio::join!(build(&entries, &index), tidy(&entries, &index));
}

/// Which log it is, once that has an entry: what an index holds is of one.
async fn named<C: Cluster>(entries: &Entries<C>) -> LogName {
    let mut grows = entries.log().watch();
    loop {
        match entries.log().name().await {
            Ok(Some(log)) => return log,
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "the index of entries does not open; searches walk them"),
        }
        // An end of the log's life ends this task.
        let _ = timeout(PAUSE, grows.changed()).await;
    }
}

async fn build<C: Cluster>(entries: &Entries<C>, index: &Index) {
    let mut grows = entries.log().watch();
    loop {
        let stored = *grows.borrow_and_update();
        gauge!(names::AUDIT_INDEX_LAG_ENTRIES).set(stored.saturating_sub(index.next()) as f64);
        if index.next() >= stored {
            // An end of the log's life ends this task.
            let _ = timeout(PAUSE, grows.changed()).await;
            continue;
        }
        let before = index.next();
        if let Err(error) = add(entries, index, stored).await {
            tracing::warn!(code = ?error.code(), message = error.message(), "entries are not indexed; searches walk them");
        }
        if index.next() == before {
            // What is not kept any more is passed over by who tidies up.
            sleep(PAUSE).await;
        }
    }
}

async fn tidy<C: Cluster>(entries: &Entries<C>, index: &Index) {
    loop {
        index.release(entries.log().kept_from());
        let merging = index.clone();
        match spawn_blocking(move || merging.merge_one()).await {
            Ok(Ok(true)) => continue,
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "runs of the index are not merged"),
            Err(_) => return,
        }
        sleep(PAUSE).await;
    }
}

/// Adds what follows.
async fn add<C: Cluster>(entries: &Entries<C>, index: &Index, stored: u64) -> Result<(), Status> {
    let first = index.next();
    let (mut at, mut batch) = (first, Vec::with_capacity(BATCH_ENTRIES));
    while at < stored && batch.len() < BATCH_ENTRIES {
        let Some(block) = entries.block(at).await? else { break };
        for (sequence, frame) in (block.first..).zip(&block.frames).skip_while(|(sequence, _)| *sequence < at) {
            let found = entries.open(sequence, frame, Instant::now() + CALL_MAX).await?;
            batch.push(found.map(|found| Indexed {
                tenant: frame.tenant.unwrap_or(run::CLUSTER),
                at: found.told.at,
                words: words(&found.told),
            }));
        }
        at = block.first + block.frames.len() as u64;
    }
    let index = index.clone();
    let added = spawn_blocking(move || index.add(first, &batch)).await;
    let added = added.map_err(|error| Status::internal(error.to_string()))?;
    added.map_err(|error| Status::unavailable(error.to_string()))
}
