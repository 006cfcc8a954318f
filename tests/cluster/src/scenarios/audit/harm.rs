//! The leader and audit are killed, alone and together, and audit's disk is full for a while.

use super::log;
use crate::cluster::Cluster;
use crate::random::Random;
use crate::report::Trouble;
use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep};

/// The longest that anything dead stays dead. Milliseconds.
const AWAY_MAX_MS: u64 = 1_200;

/// The longest that all are left alone. Milliseconds.
const REST_MAX_MS: u64 = 1_500;

/// How long is waited for the next thing that audit writes, before it is killed all the same.
const WRITES_WITHIN: Duration = Duration::from_secs(3);

/// Audit dies so many milliseconds at most after a thing appeared in its archive: one publication is several.
const AMIDST_MS: u64 = 40;

/// How often it is looked whether something appeared.
const LOOK_INTERVAL: Duration = Duration::from_millis(3);

/// How long the disk is full.
const FULL: Duration = Duration::from_secs(6);

/// What is left on a disk that is full: less than what audit keeps free.
const LEFT_BYTES: u64 = 256 << 10;

/// Who was killed, and how often.
#[derive(Clone, Debug, Default)]
pub(super) struct Kills {
    pub(super) leaders: u64,
    pub(super) audits: u64,
    /// Of audit: while it published.
    pub(super) amidst: u64,
    /// What was wrong with the files that audit left when it died.
    pub(super) left: Vec<String>,
}

impl Kills {
    /// Whether all that are due were killed.
    pub(super) const fn are(&self, due: &Self) -> bool {
        self.leaders >= due.leaders && self.audits >= due.audits
    }

    /// Kills the leader, audit or both, whoever is still due; then all run again.
    pub(super) async fn once(&mut self, due: &Self, cluster: &mut Cluster, random: &mut Random) -> Result<(), Trouble> {
        sleep(Duration::from_millis(random.below(REST_MAX_MS))).await;
        let (leaders, audits) = (self.leaders < due.leaders, self.audits < due.audits);
        let draw = random.below(3);
        let leader = if leaders && (draw != 0 || !audits) { Some(cluster.leader().await?) } else { None };
        let audit = audits && (draw != 1 || leader.is_none());
        cluster.audit_lives()?;
        if audit {
            self.amidst += u64::from(writes(&cluster.archive()).await);
            sleep(Duration::from_millis(random.below(AMIDST_MS))).await;
            cluster.kill_audit();
            self.audits += 1;
            let left = log::left(&cluster.archive()).into_iter();
            self.left.extend(left.map(|fault| format!("after kill {} of audit: {fault}", self.audits)));
        }
        if let Some(leader) = leader {
            cluster.kill(leader);
            self.leaders += 1;
        }
        sleep(Duration::from_millis(random.below(AWAY_MAX_MS))).await;
        if audit {
            cluster.start_audit()?;
        }
        if let Some(leader) = leader {
            cluster.start(leader)?;
            // Two at once would be a lost quorum, of which `drill` tells.
            cluster.serves(leader, "latchkey.validate").await?;
            cluster.leader().await?;
        }
        cluster.audit_serves().await
    }
}

/// Fills the disk of audit for a while. It may not end by that, and goes on afterwards.
pub(super) async fn fill_for_a_while(cluster: &mut Cluster) -> Result<(), Trouble> {
    cluster.fill_audit_disk(LEFT_BYTES)?;
    let by = Instant::now() + FULL;
    while Instant::now() < by {
        cluster.audit_lives()?;
        sleep(Duration::from_millis(50)).await;
    }
    cluster.empty_audit_disk()?;
    cluster.audit_serves().await
}

/// Waits until something appears in a folder; whether it did.
async fn writes(archive: &Path) -> bool {
    let (before, by) = (newest(archive), Instant::now() + WRITES_WITHIN);
    while Instant::now() < by {
        if newest(archive) != before {
            return true;
        }
        sleep(LOOK_INTERVAL).await;
    }
    false
}

/// How many files there are in a folder, and when the newest changed.
fn newest(folder: &Path) -> (u64, Option<SystemTime>) {
    let (mut count, mut newest) = (0, None);
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let (more, changed) =
            if metadata.is_dir() { self::newest(&entry.path()) } else { (1, metadata.modified().ok()) };
        count += more;
        newest = newest.max(changed);
    }
    (count, newest)
}
