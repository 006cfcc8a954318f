//! The entries that are stored, opened again.

use crate::archive::{Log, Preimages};
use crate::cluster::{Cluster, Event};
use crate::entry;
use crate::index::{self, Index, IndexOptions};
use crate::journal::{Block, Frame, Preimage, Reader};
use crate::search::Search;
use crate::told::Told;
use crate::vault::Vault;
use latchkey_domain::{Revision, Sequence};
use latchkey_transport::status;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::time::Instant;
use tonic::Status;

/// How long the key of an entry is waited for that is published.
const CALL_MAX: Duration = Duration::from_secs(5);

/// Reads entries. Cheap to clone.
#[derive(Debug)]
pub struct Entries<C> {
    log: Log,
    /// Once it is open: that takes a replica that answers.
    index: Arc<OnceLock<Index>>,
    vault: Arc<Vault<C>>,
}

impl<C> Clone for Entries<C> {
    fn clone(&self) -> Self {
        Self { log: self.log.clone(), index: self.index.clone(), vault: self.vault.clone() }
    }
}

/// An entry and what it tells.
#[derive(Clone, Debug)]
pub struct Found {
    /// The entry.
    pub event: Event,
    /// What it tells.
    pub told: Told,
    /// The name of its tenant; empty: the cluster itself.
    pub tenant: String,
}

impl<C: Cluster> Entries<C> {
    /// Over a journal, with the keys of its cluster.
    #[must_use]
    pub fn new(reader: Reader, vault: Arc<Vault<C>>) -> Self {
        Self::over(Log::new(reader, None), vault)
    }

    /// Over a journal and its archive, with the keys of their cluster.
    #[must_use]
    pub fn over(log: Log, vault: Arc<Vault<C>>) -> Self {
        Self { log, index: Arc::default(), vault }
    }

    /// Keeps an index of the entries in a folder, for as long as it is polled. Searches find by it once it is open.
    pub async fn keep_index(self, folder: PathBuf, options: IndexOptions) {
        index::keep(self, folder, options).await;
    }

    /// What finds entries; absent: they are walked.
    #[must_use]
    pub fn index(&self) -> Option<&Index> {
        self.index.get()
    }

    /// From here on entries are found by it.
    pub(crate) fn find_by(&self, index: Index) {
        let _ = self.index.set(index);
    }

    /// The keys of the cluster.
    pub(crate) const fn vault(&self) -> &Arc<Vault<C>> {
        &self.vault
    }

    /// What the journal has, still sealed.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        self.log.journal()
    }

    /// All that is stored, still sealed.
    #[must_use]
    pub const fn log(&self) -> &Log {
        &self.log
    }

    /// The entry `sequence` and its neighbours, still sealed; `None` where it is not stored yet, or was not kept.
    ///
    /// # Errors
    /// `UNAVAILABLE` where the archive is away; `INTERNAL` where the disk does not give back what was stored.
    pub async fn block(&self, sequence: u64) -> Result<Option<Block>, Status> {
        Ok(self.log.block(sequence).await?)
    }

    /// Opens the entry where it is one of those looked for.
    ///
    /// # Errors
    /// `UNAVAILABLE` where its key is away; `INTERNAL` where it is not what was stored.
    pub async fn find(
        &self,
        search: &Search,
        sequence: u64,
        frame: &Frame,
        by: Instant,
    ) -> Result<Option<Found>, Status> {
        // The border between tenants comes before anything is opened.
        if !search.visible().includes(frame.tenant) {
            return Ok(None);
        }
        let found = self.open(sequence, frame, by).await?;
        Ok(found.filter(|found| search.holds(&found.told)))
    }

    /// Opens an entry; `None` where its tenant's key was destroyed.
    pub(crate) async fn open(&self, sequence: u64, frame: &Frame, by: Instant) -> Result<Option<Found>, Status> {
        let Some(key) = self.vault.key(frame.tenant, Revision::default(), by).await? else { return Ok(None) };
        let event = entry::open(self.log.journal().cluster(), Sequence(sequence), &key, frame);
        let event = event.map_err(|error| status::bug(&error.to_string()))?;
        let mut told = Told::read(&event.bytes).unwrap_or_else(|_| Told::unreadable(frame.tenant));
        // What the build that stored it could not read lies with the cluster's own, and stays there: see `follow`.
        if frame.tenant.is_none() {
            told.tenant = None;
        }
        // A frame names the tenant of its event, or what its tenant may see was decided by something else.
        if told.tenant != frame.tenant {
            return Err(status::bug("an entry lies under another tenant than its own"));
        }
        self.vault.learn(&told);
        let tenant = self.vault.name(&told);
        Ok(Some(Found { event, told, tenant }))
    }
}

impl<C: Cluster> Preimages for Entries<C> {
    async fn preimage(&self, sequence: u64, frame: &Frame) -> Result<Option<Preimage>, Status> {
        let by = Instant::now() + CALL_MAX;
        let Some(key) = self.vault.key(frame.tenant, Revision::default(), by).await? else { return Ok(None) };
        let event = entry::open(self.log.journal().cluster(), Sequence(sequence), &key, frame);
        event.map(|event| Some(entry::preimage(&event))).map_err(|error| status::bug(&error.to_string()))
    }
}
