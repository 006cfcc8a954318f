//! Backups by the clock: one replica writes them, proves each, and only then gives it its name and lets old ones go.

use super::error::BackupError;
use super::pace::{Paced, in_background};
use super::read::BackupFile;
use super::write::Cut;
use crate::core::Core;
use crate::registry::Registry;
use crate::state_machine::chain;
use latchkey_domain::Revision;
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
        let newest = show(&plan.folder);
        let age = newest.map(|newest| registry.core().clock.unix_millis().millis().saturating_sub(newest));
        let is_due = age.is_none_or(|age| u128::from(age) >= plan.interval.as_millis());
        if writes && is_due && Instant::now() >= rests_until && registry.write_backup(&plan).await.is_err() {
            rests_until = Instant::now() + FAILED_PAUSE;
        }
    }
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
                show(&plan.folder);
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
            prune(&folder, plan.keep.max(1)).map_err(BackupError::io("remove old backups in", &folder))?;
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

/// The backups of a folder that were verified, the oldest first.
fn verified(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let is_one = |name: &&str| name.starts_with(PREFIX) && name.ends_with(SUFFIX);
        found.extend(name.to_str().filter(is_one).map(|name| folder.join(name)));
    }
    found.sort_unstable();
    Ok(found)
}

fn prune(folder: &Path, keep: usize) -> io::Result<()> {
    let found = verified(folder)?;
    let old = found.len().saturating_sub(keep);
    found.iter().take(old).try_for_each(fs::remove_file)
}

/// Shows when the newest verified backup was written, in milliseconds since 1970.
fn show(folder: &Path) -> Option<u64> {
    let newest = verified(folder).ok()?.pop().and_then(|path| fs::metadata(path).ok()?.modified().ok());
    let since = newest.and_then(|newest: SystemTime| newest.duration_since(UNIX_EPOCH).ok());
    gauge!(names::BACKUP_TIME_SECONDS).set(since.unwrap_or_default().as_secs_f64().floor());
    since.map(|since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_nothing_else_is_touched() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str| fs::write(folder.path().join(name), b"").unwrap();
        for index in [7, 1_000, 30] {
            write(&name(Revision::new(1, index)));
        }
        write(&name(Revision::new(2, 5)));
        for other in ["backup-old.tar", "notes", "backup-000001-00000000000000000001.latchkey.part"] {
            write(other);
        }
        prune(folder.path(), 2).unwrap();
        let kept: Vec<_> = verified(folder.path()).unwrap();
        let expected =
            [Revision::new(1, 1_000), Revision::new(2, 5)].map(|revision| folder.path().join(name(revision)));
        assert_eq!(kept, expected, "a later epoch is newer, whatever its index");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2 + 3);
        prune(folder.path(), 2).unwrap();
        assert_eq!(verified(folder.path()).unwrap().len(), 2);
    }
}
