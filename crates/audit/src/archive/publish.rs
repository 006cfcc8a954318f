//! The way from the journal into the archive. Killed anywhere, it goes on from what is there.

use super::bundle::{self, sealed_path};
use super::error::{ArchiveError, Chain};
use super::progress::{Progress, Told};
use super::{Archive, Log, recovery};
use crate::follow::Halt;
use crate::journal::{Frame, Preimage};
use bytes::Bytes;
use latchkey_domain::ClusterId;
use latchkey_domain::planted::{self, Plant};
use latchkey_transparency::{Edge, EntryTile, Hash, LEAF_BYTES, TILE_WIDTH, Tile, TileId};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tonic::Status;

/// Entries of one round: 32 bundles. A kill in the middle makes them be written once more.
const ROUND_ENTRIES_MAX: u64 = 8_192;
/// Objects that are on their way at once.
const PUTS_MAX: usize = 8;
/// Between two attempts, at first.
const PAUSE: Duration = Duration::from_secs(1);
/// Between two attempts at last: each finds all that waits.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Levels of tiles in the largest tree.
const LEVELS: u8 = 8;
/// The preimage of a leaf that nobody can open any more.
const UNKNOWN: Preimage = [0; LEAF_BYTES];

/// Tells what the leaf of an entry is the hash of, of entries that were stored without.
pub trait Preimages: Send + Sync + 'static {
    /// `None`: the key that opens it was destroyed.
    ///
    /// # Errors
    /// Any may pass.
    fn preimage(&self, sequence: u64, frame: &Frame) -> impl Future<Output = Result<Option<Preimage>, Status>> + Send;
}

/// Publishes what the journal has, and lets the journal forget it. There is one for each archive.
#[derive(Debug)]
pub struct Publisher<P> {
    log: Log,
    archive: Archive,
    preimages: P,
    cluster: ClusterId,
    interval: Duration,
    /// Whether a round may have ended before it was done, here or in the process before: what it wrote may lie in any bundle behind
    /// what is published.
    unfinished: AtomicBool,
}

impl<P: Preimages> Publisher<P> {
    /// From this log's journal into its archive, a round each `interval` at most.
    #[must_use]
    pub const fn new(log: Log, archive: Archive, preimages: P, cluster: ClusterId, interval: Duration) -> Self {
        Self { log, archive, preimages, cluster, interval, unfinished: AtomicBool::new(true) }
    }

    /// Publishes until it is asked to stop, or has to. What is on its way then comes after the next start.
    ///
    /// # Errors
    /// [`Halt::Fork`], [`Halt::Archive`].
    pub async fn run(self, mut stopped: watch::Receiver<bool>) -> Result<(), Halt> {
        let (mut grows, mut pause, mut swept) = (self.log.watch(), PAUSE, false);
        let mut progress = Progress::default();
        loop {
            let next_round = Instant::now() + self.interval;
            let round = async {
                if !swept {
                    self.sweep().await?;
                }
                self.round().await
            };
            let rest = match round.await {
                Ok(more) => {
                    (pause, swept) = (PAUSE, true);
                    let reached = (self.archive.size(), self.log.next());
                    if let Some(Told { published, waiting, per_second, left }) =
                        progress.note(reached, more, Instant::now())
                    {
                        let left_seconds = left.as_secs();
                        tracing::info!(published, waiting, per_second, left_seconds, "what waited is being published");
                    }
                    if more { Duration::ZERO } else { next_round.duration_since(Instant::now()) }
                }
                Err(error) if error.may_pass() => {
                    tracing::warn!(error = %Chain(&error), published = self.archive.size(), "entries wait to be published");
                    pause = (pause * 2).min(PAUSE_MAX);
                    pause / 2
                }
                Err(error) => return Err(halt(&error)),
            };
            if timeout(rest, stopped.wait_for(|stopped| *stopped)).await.is_ok() {
                return Ok(());
            }
            let published = self.archive.size();
            tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => return Ok(()),
                grown = grows.wait_for(|next| *next > published) => if grown.is_err() { return Ok(()) },
            }
        }
    }

    /// Publishes what waits, as far as one round goes; tells whether more waits.
    ///
    /// # Errors
    /// [`ArchiveError`]: what of it was written is found there by the next attempt.
    pub async fn round(&self) -> Result<bool, ArchiveError> {
        let mut edge = self.archive.edge();
        let (old, next) = (edge.size(), self.log.next());
        let width = u64::from(TILE_WIDTH);
        let new = next.min(old - old % width + ROUND_ENTRIES_MAX);
        if new <= old {
            return Ok(false);
        }
        let unfinished = self.unfinished.swap(true, Ordering::Relaxed);
        let mut puts = Puts::default();
        let mut full = Vec::new();
        for index in old / width..new.div_ceil(width) {
            let id = TileId::at(0, index, new).expect("a bundle below the new size");
            let (frames, preimages) = self.entries(id).await?;
            for frame in frames.iter().skip(usize::try_from(old.saturating_sub(id.first())).unwrap_or(usize::MAX)) {
                edge.push(frame.leaf, |tile| full.push(tile));
            }
            puts.sealed(&self.archive, id, bundle::encode(self.cluster, id, &frames), frames).await?;
            let entries = EntryTile::new(id, preimages).expect("as many preimages as the bundle is wide");
            if planted::is(Plant::BundleLeftOut) && index % 3 == 1 {
                continue;
            }
            puts.exact(&self.archive, id.entries_path(), entries.encode()).await?;
        }
        full.extend(edge.partial());
        // What was there before is there: only what changed is written.
        full.retain(|tile| nodes(tile, new) > nodes(tile, old));
        let (leaves, above): (Vec<_>, Vec<_>) = full.into_iter().partition(|tile| tile.id().level() == 0);
        for tile in &above {
            puts.exact(&self.archive, tile.id().path(), tile.encode()).await?;
        }
        puts.all().await?;
        // These say what is published, so they come last, and in order.
        for tile in &leaves {
            put_exact(&self.archive, tile.id().path(), tile.encode()).await?;
        }
        self.archive.grown(edge);
        self.forget(old, new, unfinished).await;
        self.unfinished.store(false, Ordering::Relaxed);
        Ok(new < next)
    }

    /// The entries of a bundle with what their leaves are the hashes of.
    async fn entries(&self, id: TileId) -> Result<(Vec<Frame>, Vec<Preimage>), ArchiveError> {
        let (mut at, end) = (id.first(), id.first() + u64::from(id.width()));
        let (mut frames, mut preimages) = (Vec::new(), Vec::new());
        while at < end {
            let missing =
                || ArchiveError::damaged(&sealed_path(id), format!("entry {at} is neither there nor in the journal"));
            let block = self.log.block(at).await?.ok_or_else(missing)?;
            let skip = usize::try_from(at - block.first).expect("a block has fewer entries than there are addresses");
            for mut frame in block.frames.into_iter().skip(skip).take(usize::try_from(end - at).unwrap_or(usize::MAX)) {
                if frame.preimage.is_none() {
                    let told = self.preimages.preimage(at, &frame).await;
                    frame.preimage = told.map_err(|status| ArchiveError::Sealed { sequence: at, status })?;
                }
                preimages.push(frame.preimage.unwrap_or(UNKNOWN));
                frames.push(frame);
                at += 1;
            }
        }
        Ok((frames, preimages))
    }

    /// Lets go what is published: segments of the journal, and partial objects that wider ones took the place of; after a round that
    /// was not finished wherever that may have left some. What a failure leaves at the edge is taken by the next start, of sealed
    /// entries all by retention.
    async fn forget(&self, old: u64, new: u64, unfinished: bool) {
        let journal = self.log.journal().clone();
        let released = tokio::task::spawn_blocking(move || journal.release(new)).await;
        if let Ok(Err(error)) = released {
            tracing::warn!(%error, "a segment of the journal that was published is not removed");
        }
        let narrower = recovery::open_leaves(old).map(sealed_path);
        let mut gone: Vec<_> = narrower.into_iter().collect();
        let filled = |id: &TileId| TileId::at(id.level(), id.index(), new).is_some_and(TileId::is_full);
        let filled: Vec<_> = match unfinished {
            true => (0..LEVELS).flat_map(|level| filled_between(level, old, new)).collect(),
            false => Edge::tiles(old).filter(filled).collect(),
        };
        for id in filled {
            match self.partial(id).await {
                Ok(paths) => gone.extend(paths),
                Err(error) => tracing::debug!(error = %Chain(&error), "partial objects stay"),
            }
        }
        self.remove(gone).await;
    }

    /// Removes what a kill left of partial objects, around the edge of the tree.
    pub(super) async fn sweep(&self) -> Result<(), ArchiveError> {
        let size = self.archive.size();
        let mut gone = Vec::new();
        for level in 0..LEVELS {
            if let Some(id) =
                full_tiles(level, size).checked_sub(1).and_then(|before| TileId::new(level, before, TILE_WIDTH))
            {
                gone.extend(self.partial(id).await?);
            }
        }
        // Of sealed entries the widest is enough. What is wider than what is published is written once more.
        if let Some(id) = recovery::open_leaves(size) {
            for width in recovery::partial_widths(self.archive.objects(), &sealed_path(id)).await? {
                gone.extend(TileId::new(0, id.index(), width).filter(|_| width < id.width()).map(sealed_path));
            }
        }
        self.remove(gone).await;
        Ok(())
    }

    /// The partial objects of a tile, and with a tile of leaves those of its bundles.
    async fn partial(&self, id: TileId) -> Result<Vec<String>, ArchiveError> {
        let Some(narrow) = TileId::new(id.level(), id.index(), 1) else { return Ok(Vec::new()) };
        let (mut paths, mut gone) = (vec![narrow.path()], Vec::new());
        if id.level() == 0 {
            paths.extend([narrow.entries_path(), sealed_path(narrow)]);
        }
        for path in paths {
            gone.extend(recovery::partial_paths(self.archive.objects(), &path).await?);
        }
        Ok(gone)
    }

    async fn remove(&self, paths: Vec<String>) {
        for path in paths {
            if let Err(error) = self.archive.objects().delete(&path).await {
                tracing::debug!(error = %Chain(&error), path, "a partial object stays");
            }
        }
    }
}

/// How many tiles of a level are full in a tree of `size` leaves.
fn full_tiles(level: u8, size: u64) -> u64 {
    size.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0)
}

/// The tiles of a level that are full in a tree of `new` leaves and were not in one of `old`.
fn filled_between(level: u8, old: u64, new: u64) -> impl Iterator<Item = TileId> {
    (full_tiles(level, old)..full_tiles(level, new)).filter_map(move |index| TileId::new(level, index, TILE_WIDTH))
}

/// How many nodes a tree of `size` leaves has in this tile.
fn nodes(tile: &Tile, size: u64) -> u16 {
    TileId::at(tile.id().level(), tile.id().index(), size).map_or(0, TileId::width)
}

fn halt(error: &ArchiveError) -> Halt {
    let what = Chain(error).to_string();
    tracing::error!(error = what, "the audit log cannot be published");
    match error {
        ArchiveError::Fork { .. } => Halt::Fork { what },
        _ => Halt::Archive { what },
    }
}

/// Objects on their way, some at once.
#[derive(Default)]
struct Puts(JoinSet<Result<(), ArchiveError>>);

impl Puts {
    async fn exact(&mut self, archive: &Archive, path: String, bytes: Vec<u8>) -> Result<(), ArchiveError> {
        self.room().await?;
        let archive = archive.clone();
        self.0.spawn(async move { put_exact(&archive, path, bytes).await });
        Ok(())
    }

    /// Sealed entries: those of a journal that was lost were sealed once more, and have the same leaves.
    async fn sealed(
        &mut self,
        archive: &Archive,
        id: TileId,
        bytes: Vec<u8>,
        frames: Vec<Frame>,
    ) -> Result<(), ArchiveError> {
        self.room().await?;
        let archive = archive.clone();
        self.0.spawn(async move {
            let same = |found: &[u8]| {
                let (_, found) = bundle::decode(id, found).map_err(|error| error.to_string())?;
                let leaves = |frames: &[Frame]| frames.iter().map(|frame| frame.leaf).collect::<Vec<Hash>>();
                differ(&leaves(&found), &leaves(&frames))
                    .map_or(Ok(()), |at| Err(format!("entry {} differs", id.first() + at as u64)))
            };
            archive.objects().put_once(&sealed_path(id), bytes.into(), same).await
        });
        Ok(())
    }

    async fn room(&mut self) -> Result<(), ArchiveError> {
        while self.0.len() >= PUTS_MAX {
            self.one().await?;
        }
        Ok(())
    }

    async fn all(&mut self) -> Result<(), ArchiveError> {
        while !self.0.is_empty() {
            self.one().await?;
        }
        Ok(())
    }

    async fn one(&mut self) -> Result<(), ArchiveError> {
        match self.0.join_next().await {
            Some(Ok(put)) => put,
            Some(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The runtime is being dropped, and this task with it: nothing comes after.
            Some(Err(_)) => std::future::pending().await,
            None => Ok(()),
        }
    }
}

async fn put_exact(archive: &Archive, path: String, bytes: Vec<u8>) -> Result<(), ArchiveError> {
    let bytes = Bytes::from(bytes);
    let expected = bytes.clone();
    let same = move |found: &[u8]| match differ(found, &expected) {
        Some(at) => Err(format!("byte {at} of {} differs, {} bytes were found", expected.len(), found.len())),
        None => Ok(()),
    };
    archive.objects().put_once(&path, bytes, same).await
}

/// Where two differ first.
fn differ<T: PartialEq>(one: &[T], other: &[T]) -> Option<usize> {
    let at = one.iter().zip(other).position(|(one, other)| one != other);
    at.or_else(|| (one.len() != other.len()).then(|| one.len().min(other.len())))
}
