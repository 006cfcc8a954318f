//! Letting go of sealed entries that are old enough. Their leaves stay, and the tree over them.

use super::bundle::sealed_path;
use super::{Archive, ArchiveError, recovery};
use latchkey_domain::UnixMillis;
use latchkey_transparency::{TILE_WIDTH, TileId};
use std::sync::atomic::Ordering;
use std::time::Duration;

impl Archive {
    /// Removes the full bundles of sealed entries that were written more than `retention` before `now`, the oldest first, with what
    /// is left of narrower ones, and tells how many. The clock of the store says when one was written: a bundle is as old as the
    /// newest entry in it, or younger.
    ///
    /// # Errors
    /// [`ArchiveError::Away`].
    pub async fn retire(&self, retention: Duration, now: UnixMillis) -> Result<u64, ArchiveError> {
        let now = i64::try_from(now.millis()).expect("2^53 milliseconds fit");
        let before = now.saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX));
        let full = self.size() / u64::from(TILE_WIDTH);
        let mut retired = 0;
        loop {
            let index = self.shared.retired.load(Ordering::Relaxed);
            let Some(id) = TileId::new(0, index, TILE_WIDTH).filter(|_| index < full) else { return Ok(retired) };
            let path = sealed_path(id);
            if self.objects().head(&path).await?.is_some_and(|object| object.written_unix_ms >= before) {
                return Ok(retired);
            }
            // Nobody looks for it from here on. After a failure or a kill it is the oldest that is there, and goes then.
            self.shared.kept.store(index + 1, Ordering::Relaxed);
            // The full one last: by it the next try finds what is left of the others.
            let narrow = sealed_path(TileId::new(0, index, 1).expect("a tile of one leaf, where there is a full one"));
            for path in recovery::partial_paths(self.objects(), &narrow).await? {
                self.objects().delete(&path).await?;
            }
            self.objects().delete(&path).await?;
            self.shared.retired.store(index + 1, Ordering::Relaxed);
            retired += 1;
        }
    }
}
