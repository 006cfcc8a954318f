//! Backups by the clock: one replica writes them, proves each, and only then gives it its name and lets old ones go.

use super::error::BackupError;
use super::header::BackupHeader;
use super::pace::{Paced, in_background};
use super::read::{self, BackupFile};
use super::write::Cut;
use crate::core::Core;
use crate::registry::Registry;
use crate::state_machine::chain;
use latchkey_domain::{ClusterId, Revision};
use latchkey_telemetry::names;
use metrics::{counter, gauge};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use tracing::{error, info};

/// How often the replica looks whether one is due, and who writes it.
const LOOK_INTERVAL: Duration = Duration::from_secs(10);

/// How long to wait after one that failed.
const FAILED_PAUSE: Duration = Duration::from_secs(300);

/// How the name of one begins and ends that was verified.
const PREFIX: &str = "backup-";
const SUFFIX: &str = ".latchkey";

/// How the name of one ends that was not.
const PART: &str = ".part";

/// Bytes that may wait for the disk: it may be that of the log.
const UNSYNCED_BYTES_MAX: usize = 4 << 20;

/// When backups are written, and where.
#[derive(Clone, Debug)]
pub struct BackupPlan {
    /// The folder. It must exist, and lie outside the data folder.
    pub folder: PathBuf,
    /// From one to the next.
    pub interval: Duration,
    /// How many are kept; at least one.
    pub keep: usize,
}

/// Writes backups for as long as the replica lives, whenever one is due and it is the one to write.
async fn run(registry: Registry, plan: BackupPlan) {
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    let mut rests_until = Instant::now();
    loop {
        looks.tick().await;
        let writes = writes(&registry);
        gauge!(names::BACKUP_WRITER).set(f64::from(u8::from(writes)));
        let newest = show(&plan.folder, registry.core().cluster());
        let now = registry.core().clock.unix_millis().millis();
        if writes
            && is_due(newest, now, plan.interval)
            && Instant::now() >= rests_until
            && registry.write_backup(&plan).await.is_err()
        {
            rests_until = Instant::now() + FAILED_PAUSE;
        }
        registry.tell_backups(&plan).await;
    }
}

/// Whether the next one is due, by when the newest was written, in milliseconds since 1970. One from the future is of a
/// clock that was wrong: it may not put off the next for as long as that was.
fn is_due(newest: Option<u64>, now: u64, interval: Duration) -> bool {
    newest.is_none_or(|newest| u128::from(now.abs_diff(newest)) >= interval.as_millis())
}

impl Registry {
    /// Writes backups by this plan, until the replica stops.
    pub async fn keep_backups(self, plan: BackupPlan) {
        run(self, plan).await;
    }

    /// Writes one backup now, proves it, and lets go those beyond the plan's number.
    ///
    /// # Errors
    /// [`BackupError`]. What was there before is there still.
    pub async fn write_backup(&self, plan: &BackupPlan) -> Result<BackupFile, BackupError> {
        let begun = Instant::now();
        let written = self.write_verified(plan).await;
        match &written {
            Ok(backup) => {
                counter!(names::BACKUPS_TOTAL, "result" => "written").increment(1);
                #[expect(clippy::cast_precision_loss, reason = "gauges are floating-point numbers")]
                gauge!(names::BACKUP_BYTES).set(backup.bytes() as f64);
                gauge!(names::BACKUP_DURATION_SECONDS).set(begun.elapsed().as_secs_f64());
                show(&plan.folder, backup.header().cluster);
                let (path, revision) = (backup.path().display(), backup.header().revision);
                info!(%path, %revision, keys = backup.header().keys, bytes = backup.bytes(), "backup written and verified");
            }
            Err(error) => {
                counter!(names::BACKUPS_TOTAL, "result" => "failed").increment(1);
                error!(error = chain(error), folder = %plan.folder.display(), "no backup was written");
            }
        }
        written
    }

    async fn write_verified(&self, plan: &BackupPlan) -> Result<BackupFile, BackupError> {
        let cut = self.cut().await?;
        let (core, plan) = (self.core().clone(), plan.clone());
        let (folder, name) = (plan.folder.clone(), name(cut.header.revision));
        let write = move || {
            let (part, path) = (folder.join(format!("{name}{PART}")), folder.join(name));
            write_file(&core, &cut, &part)?;
            BackupFile::open(&part)?.verify_beside(&core.sealer)?;
            fs::rename(&part, &path).map_err(BackupError::io("rename", &part))?;
            File::open(&folder).and_then(|folder| folder.sync_all()).map_err(BackupError::io("sync", &folder))?;
            prune(&folder, cut.header.cluster, plan.keep.max(1))
                .map_err(BackupError::io("remove old backups in", &folder))?;
            BackupFile::open(&path)
        };
        in_background("backup", write).await.map_err(BackupError::io("write a backup to", &plan.folder))?
    }
}

/// Whether this replica is the one to write: the learner with the lowest id, so that the voters are spared, or else whoever
/// leads. A learner that the leader does not hear writes nothing that anybody could count on.
fn writes(registry: &Registry) -> bool {
    let status = registry.status();
    let own = registry.node();
    match status.replicas.iter().find(|replica| !replica.voter) {
        Some(learner) if learner.node == own => registry.reader().is_fresh(),
        Some(learner) if registry.leads() => {
            let state = registry.core().state();
            let bound = state.cluster().map(|cluster| cluster.staleness_default).unwrap_or_default();
            let heard = learner.known.is_some_and(|known| known.lease_age.is_some_and(|age| age <= bound));
            !heard
        }
        Some(_) => false,
        None => registry.leads(),
    }
}

fn write_file(core: &Arc<Core>, cut: &Cut, part: &Path) -> Result<(), BackupError> {
    // Left by a process that was killed.
    if let Err(error) = fs::remove_file(part)
        && error.kind() != io::ErrorKind::NotFound
    {
        return Err(BackupError::io("remove", part)(error));
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part);
    let file = file.map_err(BackupError::io("create", part))?;
    let written = cut.write(core, Paced::new(Synced { file: &file, unsynced_bytes: 0 }));
    let written = written.map_err(BackupError::from);
    let written = written.and_then(|()| file.sync_all().map_err(BackupError::io("sync", part)));
    if written.is_err() {
        drop(fs::remove_file(part));
    }
    written
}

/// A file that never has much that the disk has not.
struct Synced<'a> {
    file: &'a File,
    unsynced_bytes: usize,
}

impl Write for Synced<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unsynced_bytes += written;
        if self.unsynced_bytes >= UNSYNCED_BYTES_MAX {
            self.unsynced_bytes = 0;
            self.file.sync_data()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn name(revision: Revision) -> String {
    format!("{PREFIX}{:06}-{:020}{SUFFIX}", revision.epoch, revision.index)
}

/// The revision in a name that a backup by the clock has; `None` for whatever else lies in the folder.
fn revision_of(file: &str) -> Option<Revision> {
    let (epoch, index) = file.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.split_once('-')?;
    let revision = Revision::new(epoch.parse().ok()?, index.parse().ok()?);
    (name(revision) == file).then_some(revision)
}

/// The backups of a folder that were verified, the oldest first. Those of other clusters are theirs.
pub(super) fn verified(folder: &Path, cluster: ClusterId) -> io::Result<Vec<(PathBuf, BackupHeader)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let revision = entry.file_name().to_str().and_then(revision_of);
        found.extend(revision.map(|revision| (revision, entry.path())));
    }
    found.sort_unstable();
    let ours =
        |path: PathBuf| read::peek(&path).filter(|header| header.cluster == cluster).map(|header| (path, header));
    Ok(found.into_iter().filter_map(|(_, path)| ours(path)).collect())
}

fn prune(folder: &Path, cluster: ClusterId, keep: usize) -> io::Result<()> {
    let found = verified(folder, cluster)?;
    let old = found.len().saturating_sub(keep);
    found.iter().take(old).try_for_each(|(path, _)| fs::remove_file(path))
}

/// Shows when the newest verified backup was written, in milliseconds since 1970.
fn show(folder: &Path, cluster: ClusterId) -> Option<u64> {
    let newest = verified(folder, cluster).ok()?.pop().and_then(|(path, _)| fs::metadata(path).ok()?.modified().ok());
    let since = newest.and_then(|newest: SystemTime| newest.duration_since(UNIX_EPOCH).ok());
    gauge!(names::BACKUP_TIME_SECONDS).set(since.unwrap_or_default().as_secs_f64().floor());
    since.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::read::MAGIC;
    use super::*;
    use latchkey_domain::{NodeId, Sequence, UnixMillis};
    use latchkey_state::StateHash;
    use prost::Message as _;

    const OURS: ClusterId = ClusterId([1; 16]);

    /// The beginning of a backup.
    fn write(folder: &Path, name: &str, cluster: ClusterId) {
        let header = BackupHeader {
            cluster,
            revision: Revision::new(1, 1),
            taken_at: UnixMillis::default(),
            clock: UnixMillis::default(),
            next: Sequence(0),
            hash: StateHash::default(),
            feature_level: 4,
            keys: 0,
            node: NodeId(1),
        };
        let bytes = [&[1][..], MAGIC, &header.write().encode_length_delimited_to_vec()].concat();
        fs::write(folder.join(name), bytes).unwrap();
    }

    fn paths(folder: &Path, cluster: ClusterId) -> Vec<PathBuf> {
        verified(folder, cluster).unwrap().into_iter().map(|(path, _)| path).collect()
    }

    #[test]
    fn the_newest_are_kept_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let newest = Revision::new(20_261_123, 5);
        for revision in [Revision::new(1, 7), Revision::new(1, 1_000), Revision::new(2_000_000, 30), newest] {
            write(folder, &name(revision), OURS);
        }
        // An operator's own, one that is not finished, and something of that name that is no backup.
        let mut others = ["backup-monday.latchkey", "notes", "backup-000001-00000000000000000001.latchkey.part"]
            .map(String::from)
            .to_vec();
        others.iter().for_each(|other| write(folder, other, OURS));
        others.push(name(Revision::new(1, 3)));
        fs::write(folder.join(&others[3]), b"").unwrap();
        prune(folder, OURS, 2).unwrap();
        let expected = [Revision::new(2_000_000, 30), newest].map(|revision| folder.join(name(revision)));
        assert_eq!(paths(folder, OURS), expected, "a later epoch is newer, whatever its index and its digits");
        assert!(others.iter().all(|other| folder.join(other).exists()));
        assert_eq!(fs::read_dir(folder).unwrap().count(), 2 + others.len());
        prune(folder, OURS, 2).unwrap();
        assert_eq!(paths(folder, OURS).len(), 2);
    }

    #[test]
    fn the_backups_of_another_cluster_are_left_to_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let theirs = ClusterId([2; 16]);
        for index in [1, 900] {
            write(folder, &name(Revision::new(1, index)), theirs);
        }
        assert_eq!(show(folder, OURS), None, "none of ours is there, so one is due");
        write(folder, &name(Revision::new(1, 30)), OURS);
        prune(folder, OURS, 1).unwrap();
        assert_eq!(paths(folder, OURS), [folder.join(name(Revision::new(1, 30)))], "it is not the oldest of three");
        assert_eq!(paths(folder, theirs).len(), 2);
    }

    #[test]
    fn one_that_is_dated_in_the_future_does_not_put_off_the_next_until_then() {
        const HOUR: Duration = Duration::from_secs(3_600);
        let (now, hour, year) = (1_700_000_000_000, 3_600_000, 365 * 86_400_000);
        assert!(is_due(None, now, HOUR) && is_due(Some(now - hour), now, HOUR));
        assert!(!is_due(Some(now - 1), now, HOUR) && !is_due(Some(now + 1), now, HOUR));
        assert!(is_due(Some(now + year), now, HOUR));
    }
}
