//! What this replica has seen of the use of versions whose keys have a rotation in progress: what decides whether an old
//! secret may go.
//!
//! ```text
//! a secret matched -> note -> [shard: version -> count, first, last, curve, callers] <- Evidence: one replica to another
//!    (any outcome)    nothing where no rotation is in progress                       <- GatherEvidence: the leader asks all
//! ```
//! It lies in memory alone and is bounded: at most 65,536 versions and as many callers, below 64 MiB whatever
//! anybody sends, and a few kilobytes where little rotates. A use of a version and caller that are known allocates nothing
//! and holds one of 64 locks for well below a microsecond.

mod entry;
mod gather;
mod seen_from;
mod shard;

use latchkey_domain::{UnixMillis, VersionId};
use latchkey_link::evidence::{VERSIONS_PER_GATHERING, VersionUse};
use latchkey_state::{Found, State};
use latchkey_telemetry::{Clock, names};
use latchkey_wire::pb::internal::v1 as pb;
use metrics::Counter;
pub use seen_from::SeenFrom;
pub(crate) use seen_from::{clean as clean_text, cut as cut_text};
use shard::Shard;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tonic::Status;

const SHARDS: usize = 64;

/// How often versions are forgotten whose rotation is over.
pub(crate) const SETTLE_INTERVAL: Duration = Duration::from_secs(60);

/// What this replica has seen since it started.
pub struct Evidence {
    shards: Box<[Mutex<Shard>]>,
    hasher: RandomState,
    clock: Arc<dyn Clock>,
    incarnation: u64,
    began_ms: u64,
    retiring: Counter,
    versions_dropped: Counter,
    callers_dropped: Counter,
}

impl Evidence {
    /// Begins to count. Installs the recorder of the process first: a handle that is made before counts into nothing.
    pub(crate) fn begin(clock: Arc<dyn Clock>, incarnation: u64) -> Self {
        latchkey_telemetry::metrics::recorder();
        Self {
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            began_ms: clock.boottime_millis(),
            clock,
            incarnation,
            retiring: metrics::counter!(names::RETIRING_USES_TOTAL),
            versions_dropped: metrics::counter!(names::EVIDENCE_DROPPED_TOTAL, "what" => "version"),
            callers_dropped: metrics::counter!(names::EVIDENCE_DROPPED_TOTAL, "what" => "caller"),
        }
    }

    /// Takes note that the secret of a version has matched. Nothing is done for keys that do not rotate, nor for a version
    /// that is not accepted yet: whoever tried it early has not moved, and goes on with the old one.
    #[inline]
    pub fn note(&self, found: &Found<'_>, now: UnixMillis, from: &SeenFrom<'_>) {
        if found.key.rotation().is_some() && !found.version.is_pending() {
            self.count(found, now, from);
        }
    }

    #[cold]
    fn count(&self, found: &Found<'_>, now: UnixMillis, from: &SeenFrom<'_>) {
        if found.version.retires_at().is_some() {
            self.retiring.increment(1);
        }
        self.count_version(found.version.id, now, from);
    }

    fn count_version(&self, version: VersionId, now: UnixMillis, from: &SeenFrom<'_>) {
        let dropped = self.shard_of(version).count(version, now, from);
        if dropped.versions > 0 {
            self.versions_dropped.increment(dropped.versions);
        }
        if dropped.callers > 0 {
            self.callers_dropped.increment(dropped.callers);
        }
    }

    /// What was seen of one version.
    #[must_use]
    pub fn of(&self, version: VersionId) -> VersionUse {
        self.shard_of(version).show(version)
    }

    /// Answers another replica.
    pub(crate) fn answer(&self, node_id: u64, versions: &[VersionId], curves: bool) -> pb::EvidenceResponse {
        pb::EvidenceResponse {
            node_id,
            incarnation: self.incarnation,
            // Read first: what is seen while this is answered is no reason to have watched for longer.
            watched_ms: self.clock.boottime_millis().saturating_sub(self.began_ms),
            uses: versions.iter().map(|version| self.of(*version).write(curves)).collect(),
        }
    }

    /// Forgets the versions whose keys have no rotation in progress any more. `state` is the one of then.
    pub(crate) fn settle<S: Deref<Target = Arc<State>>>(&self, state: impl FnOnce() -> S) {
        // Counted before the state is taken: whatever was counted, this state or one before it had the rotation.
        let counted: Vec<_> = self.shards.iter().map(|shard| locked(shard).counted()).collect();
        let state = state();
        let rotates = |version| state.version(version).is_some_and(|found| found.key.rotation().is_some());
        for (shard, mut over) in self.shards.iter().zip(counted) {
            // Looked up without the lock, which validations wait for.
            over.retain(|(version, _)| !rotates(*version));
            for (version, count) in over {
                locked(shard).remove(version, count);
            }
        }
    }

    fn shard_of(&self, version: VersionId) -> MutexGuard<'_, Shard> {
        let hash = usize::try_from(self.hasher.hash_one(version) % SHARDS as u64).unwrap_or(0);
        locked(&self.shards[hash])
    }
}

/// A panic while counting would leave a count that is off by one, which is better than none.
fn locked(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the ids of a request.
///
/// # Errors
/// `INVALID_ARGUMENT`.
pub(crate) fn read_versions(version_ids: &[Vec<u8>]) -> Result<Vec<VersionId>, Status> {
    if version_ids.len() > VERSIONS_PER_GATHERING {
        return Err(Status::invalid_argument(format!("expected at most {VERSIONS_PER_GATHERING} versions")));
    }
    let read = |id: &Vec<u8>| <[u8; 12]>::try_from(&id[..]).ok().and_then(VersionId::from_bytes);
    let read: Option<_> = version_ids.iter().map(read).collect();
    read.ok_or_else(|| Status::invalid_argument("expected ids of versions, 12 bytes each"))
}

#[cfg(test)]
mod tests;
