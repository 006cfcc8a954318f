//! The archive: where entries and the tree over them lie for good, as objects in a folder or in a store of others.
//!
//! ```text
//! checkpoint                 the newest signed note, written last
//! tile/<L>/<N>[.p/<W>]       256 hashes (C2SP tlog-tiles); for ever
//! tile/entries/<N>[.p/<W>]   256 preimages of leaves: what a leaf is the hash of, which tells nothing of the entry; for ever
//! sealed/<N>[.p/<W>]         256 entries, each sealed under its tenant's audit key; as long as `archive.retention` says
//! sealed     = format (1) || cluster (16) || first sequence (8) || count (2) || offsets (4 x (count + 1)) || CRC-32 (4), frames
//! ```
//! Frames are those of the journal. Nothing but the checkpoint is ever written twice: an object that is there with other bytes is a
//! **fork**, and ends the service. So publishing may be killed anywhere and is simply done again: the same journal gives the same
//! objects. What is published is told by the objects alone: the tiles of leaves are written after everything else of their entries, in
//! order, so **the archive is as long as its last tile of leaves says**, found with some twenty looks, and nothing else need be
//! remembered. Partial objects go when the full one is there; a partial bundle of sealed entries, as long as it is, when the next is.
//!
//! A preimage that begins with a zero byte is not known: of an entry that was stored before there was an archive, whose tenant's key
//! was destroyed before it was published. Its leaf is in the tile of hashes, as every other.
//!
//! In: [`Archive`], reading by sequence and by node; [`Publisher`], the way from the journal; [`Log`], both as one; [`Objects`], for
//! what else is kept in the same place. Out: who signs checkpoints, what a proof is made of, what is in an entry.

mod bundle;
mod error;
mod log;
mod objects;
mod place;
mod progress;
mod publish;
mod reading;
mod recovery;
mod retention;
#[cfg(test)]
mod tests;

pub use error::ArchiveError;
pub use log::Log;
pub use objects::{Object, Objects};
pub use place::Place;
pub use publish::{Preimages, Publisher};

use latchkey_domain::ClusterId;
use latchkey_transparency::{Edge, Frontier, Nodes as _, root_nodes};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::watch;

/// An archive. Cheap to clone; what it reads grows, and never changes.
#[derive(Clone, Debug)]
pub struct Archive {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    objects: Objects,
    is_remote: bool,
    /// Whose it is; absent where nothing was published.
    cluster: Option<ClusterId>,
    edge: Mutex<Edge>,
    published: watch::Sender<u64>,
    /// The number of the oldest bundle of sealed entries that is kept.
    kept: AtomicU64,
    /// The number of the oldest bundle of sealed entries that may be there: those below it were removed.
    retired: AtomicU64,
}

impl Archive {
    /// Opens an archive, and finds what was published there.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub async fn open(place: &Place) -> Result<Self, ArchiveError> {
        let objects = Objects::new(place.open()?);
        let edge = recovery::edge(&objects).await?;
        let size = edge.size();
        let kept = recovery::kept(&objects, size).await?;
        let cluster = recovery::cluster(&objects, size).await?;
        let shared = Shared {
            objects,
            is_remote: place.is_remote(),
            cluster,
            edge: Mutex::new(edge),
            published: watch::Sender::new(size),
            kept: AtomicU64::new(kept),
            retired: AtomicU64::new(kept),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Whose it is; `None` where nothing was published.
    #[must_use]
    pub fn cluster(&self) -> Option<ClusterId> {
        self.shared.cluster
    }

    /// Whether it is on another machine.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.shared.is_remote
    }

    /// How many entries are published: all below it are durable here, and so are their tiles.
    #[must_use]
    pub fn size(&self) -> u64 {
        *self.shared.published.borrow()
    }

    /// Follows [`Self::size`].
    #[must_use]
    pub fn published(&self) -> watch::Receiver<u64> {
        self.shared.published.subscribe()
    }

    /// The tree over all that is published.
    #[must_use]
    pub fn frontier(&self) -> Frontier {
        let edge = self.edge();
        let peak = |(level, index)| edge.node(level, index).expect("each peak of the tree lies in a tile of its edge");
        let peaks = root_nodes(edge.size()).into_iter().map(peak).collect();
        Frontier::from_parts(edge.size(), peaks).expect("one peak for each 1 in the size")
    }

    /// The oldest entry that is kept sealed; those before it have their leaves only.
    #[must_use]
    pub fn kept_from(&self) -> u64 {
        self.shared.kept.load(Ordering::Relaxed) * u64::from(latchkey_transparency::TILE_WIDTH)
    }

    /// The objects, for what else is kept in the same place under prefixes of its own, such as `index/`.
    #[must_use]
    pub fn objects(&self) -> &Objects {
        &self.shared.objects
    }

    fn edge(&self) -> Edge {
        self.shared.edge.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn grown(&self, edge: Edge) {
        let size = edge.size();
        *self.shared.edge.lock().unwrap_or_else(PoisonError::into_inner) = edge;
        self.shared.published.send_replace(size);
    }
}
