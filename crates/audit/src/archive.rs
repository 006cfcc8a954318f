//! The entries that are stored, opened again.

use crate::cluster::{Cluster, Event};
use crate::entry;
use crate::search::{Search, terms};
use crate::store::{Block, Frame, ReadError, Reader, Segment, Summary};
use crate::told::Told;
use crate::vault::Vault;
use latchkey_domain::{Revision, Sequence};
use latchkey_transport::status;
use std::sync::Arc;
use tokio::time::Instant;
use tonic::Status;

/// Reads entries. Cheap to clone.
#[derive(Debug)]
pub struct Archive<C> {
    reader: Reader,
    vault: Arc<Vault<C>>,
}

impl<C> Clone for Archive<C> {
    fn clone(&self) -> Self {
        Self { reader: self.reader.clone(), vault: self.vault.clone() }
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

impl<C: Cluster> Archive<C> {
    /// Over a store, with the keys of its cluster.
    #[must_use]
    pub const fn new(reader: Reader, vault: Arc<Vault<C>>) -> Self {
        Self { reader, vault }
    }

    /// What is stored, still sealed.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// The entry `sequence` and its neighbours, still sealed; `None` where it is not stored yet.
    ///
    /// # Errors
    /// `INTERNAL` where the disk does not give back what was stored.
    pub async fn block(&self, sequence: u64) -> Result<Option<Block>, Status> {
        let reader = self.reader.clone();
        let read = tokio::task::spawn_blocking(move || reader.block(sequence)).await;
        read.map_err(|error| status::bug(&error.to_string()))?.map_err(damaged)
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
    async fn open(&self, sequence: u64, frame: &Frame, by: Instant) -> Result<Option<Found>, Status> {
        let Some(key) = self.vault.key(frame.tenant, Revision::default(), by).await? else { return Ok(None) };
        let event = entry::open(self.reader.cluster(), Sequence(sequence), &key, frame);
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

    /// Walks a closed segment and keeps its summary, by which searches pass it over.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub async fn summarise(&self, segment: &Segment, by: Instant) -> Result<(), Status> {
        let mut collector = Summary::collect();
        let mut at = segment.first();
        while at < segment.next() {
            let Some(block) = self.block(at).await? else { break };
            at = block.first + block.frames.len() as u64;
            for (sequence, frame) in (block.first..).zip(&block.frames) {
                if let Some(found) = self.open(sequence, frame, by).await? {
                    collector.add(found.told.at, terms(&found.told));
                }
            }
        }
        segment.summarise(collector.finish());
        Ok(())
    }
}

#[expect(clippy::needless_pass_by_value, reason = "used as a function of the error in `map_err`")]
fn damaged(error: ReadError) -> Status {
    status::bug(&error.to_string())
}
