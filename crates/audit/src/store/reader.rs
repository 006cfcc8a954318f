//! Reading what is durable, from any number of threads.

use super::error::ReadError;
use super::frame::Frame;
use super::segment::Segment;
use latchkey_domain::ClusterId;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// Reads a store. Cheap to clone; what it reads grows, and never changes.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    cluster: ClusterId,
    /// In order, and never empty; the last one grows.
    segments: RwLock<Vec<Arc<Segment>>>,
    next: watch::Sender<u64>,
}

/// Some entries that stand next to each other.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    /// The sequence of the first.
    pub first: u64,
    /// All of them.
    pub frames: Vec<Frame>,
}

impl Reader {
    pub(super) fn new(cluster: ClusterId, segments: Vec<Arc<Segment>>) -> Self {
        let next = segments.last().map_or(0, |segment| segment.next());
        Self { shared: Arc::new(Shared { cluster, segments: RwLock::new(segments), next: watch::Sender::new(next) }) }
    }

    /// The last segment has grown.
    pub(super) fn grow(&self, segment: Arc<Segment>) {
        let next = segment.next();
        let mut segments = self.shared.segments.write().unwrap_or_else(PoisonError::into_inner);
        segments.pop();
        segments.push(segment);
        drop(segments);
        self.shared.next.send_replace(next);
    }

    /// Another segment begins.
    pub(super) fn begin(&self, segment: Arc<Segment>) {
        self.shared.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
    }

    /// Whose log it is.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.shared.cluster
    }

    /// The sequence of the next entry: all below it are durable.
    #[must_use]
    pub fn next(&self) -> u64 {
        *self.shared.next.borrow()
    }

    /// Follows [`Self::next`].
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.next.subscribe()
    }

    /// All segments as they are now, the oldest first.
    #[must_use]
    pub fn segments(&self) -> Vec<Arc<Segment>> {
        self.shared.segments.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All segments that do not grow any more.
    #[must_use]
    pub fn closed(&self) -> Vec<Arc<Segment>> {
        let mut segments = self.segments();
        segments.pop();
        segments
    }

    /// The segment with the entry `sequence`; `None` where that is not stored yet.
    #[must_use]
    pub fn segment(&self, sequence: u64) -> Option<Arc<Segment>> {
        let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
        let at = segments.partition_point(|segment| segment.first() <= sequence).checked_sub(1)?;
        segments.get(at).filter(|segment| sequence < segment.next()).cloned()
    }

    /// Reads the entry `sequence` and its neighbours; `None` where it is not stored yet. Blocks the thread for one read.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn block(&self, sequence: u64) -> Result<Option<Block>, ReadError> {
        self.segment(sequence).map(|segment| segment.block(sequence)).transpose()
    }

    /// Bytes on the disk.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments().iter().map(|segment| segment.bytes()).sum()
    }
}
