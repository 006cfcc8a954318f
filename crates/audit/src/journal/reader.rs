//! Reading what is durable, from any number of threads.

use super::error::ReadError;
use super::frame::Frame;
use super::segment::Segment;
use latchkey_domain::ClusterId;
use std::fs;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::watch;

/// Reads a journal. Cheap to clone; what it reads grows, and never changes.
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
        let next = segment.next();
        self.shared.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
        self.shared.next.send_replace(next);
    }

    /// Removes the segments that hold nothing but entries below `next`; the last one stays. The caller has them elsewhere, and
    /// durable. A reader that has one in its hands finds its file gone, and looks there.
    ///
    /// # Errors
    /// The file system's: what was not removed is after the next start.
    pub fn release(&self, next: u64) -> io::Result<()> {
        let released = {
            let mut segments = self.shared.segments.write().unwrap_or_else(PoisonError::into_inner);
            let count = segments.iter().take(segments.len() - 1).take_while(|segment| segment.next() <= next).count();
            segments.drain(..count).collect::<Vec<_>>()
        };
        // The oldest first, so that those that stay after a kill have no hole between them.
        released.iter().try_for_each(|segment| fs::remove_file(segment.path()))
    }

    /// Whose log it is.
    #[must_use]
    pub fn cluster(&self) -> ClusterId {
        self.shared.cluster
    }

    /// The sequence of the oldest entry that is still here; [`Self::next`] where there is none.
    #[must_use]
    pub fn first(&self) -> u64 {
        let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.first().expect("a journal has at least one segment").first()
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

    /// The sequence after the last entry that lies here without what its leaf is the hash of: it is from before there was an archive.
    /// 0 where there is none.
    #[must_use]
    pub fn without_preimages(&self) -> u64 {
        let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
        segments.iter().rfind(|segment| !segment.takes_more()).map_or(0, |segment| segment.next())
    }

    /// The segment with the entry `sequence`; `None` where it is not stored yet, or not here any more.
    #[must_use]
    pub fn segment(&self, sequence: u64) -> Option<Arc<Segment>> {
        let segments = self.shared.segments.read().unwrap_or_else(PoisonError::into_inner);
        let at = segments.partition_point(|segment| segment.first() <= sequence).checked_sub(1)?;
        segments.get(at).filter(|segment| sequence < segment.next()).cloned()
    }

    /// Reads the entry `sequence` and its neighbours; `None` where it is not stored yet, or not here any more. Blocks the thread for one read.
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
