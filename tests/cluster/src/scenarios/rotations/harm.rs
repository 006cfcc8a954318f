//! Leaders and rotation services are killed, alone and together.

use crate::cluster::Cluster;
use crate::random::Random;
use crate::report::Trouble;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The longest that anything dead stays dead.
const AWAY_MAX_MS: u64 = 1_200;

/// The longest that all are left alone. Milliseconds.
const REST_MAX_MS: u64 = 1_500;

/// Who was killed, and how often.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Kills {
    pub(super) leaders: u64,
    pub(super) rotators: u64,
}

impl Kills {
    /// Kills the leader, a rotation service, or both, whoever is still due; then all run again.
    pub(super) async fn once(&mut self, due: Self, cluster: &mut Cluster, random: &mut Random) -> Result<(), Trouble> {
        sleep(Duration::from_millis(random.below(REST_MAX_MS))).await;
        let (leaders, rotators) = (self.leaders < due.leaders, self.rotators < due.rotators);
        let draw = random.below(3);
        let leader = if leaders && (draw != 0 || !rotators) { Some(cluster.leader().await?) } else { None };
        let rotators = if rotators && (draw != 1 || leader.is_none()) { drawn(cluster, random) } else { Vec::new() };
        if let Some(leader) = leader {
            cluster.kill(leader);
            self.leaders += 1;
        }
        for rotator in &rotators {
            cluster.kill_rotator(*rotator);
            self.rotators += 1;
        }
        sleep(Duration::from_millis(random.below(AWAY_MAX_MS))).await;
        rotators.into_iter().try_for_each(|rotator| cluster.start_rotator(rotator))?;
        if let Some(leader) = leader {
            cluster.start(leader)?;
            // Two at once would be a lost quorum, of which `drill` tells.
            cluster.serves(leader, "latchkey.validate").await?;
            cluster.leader().await?;
        }
        cluster.rotators_live()
    }

    /// Whether all that are due were killed.
    pub(super) const fn are(self, due: Self) -> bool {
        self.leaders >= due.leaders && self.rotators >= due.rotators
    }

    /// Kills until all that are due were killed, and `enough` holds, or it is too late.
    pub(super) async fn until(
        due: Self,
        by: Instant,
        cluster: &mut Cluster,
        random: &mut Random,
        enough: impl Fn() -> bool,
    ) -> Result<Self, Trouble> {
        let mut kills = Self::default();
        while Instant::now() < by && !(kills.are(due) && enough()) {
            if kills.are(due) {
                sleep(Duration::from_millis(100)).await;
            } else {
                kills.once(due, cluster, random).await?;
            }
        }
        Ok(kills)
    }
}

/// One rotation service, and one time in four all of them.
fn drawn(cluster: &Cluster, random: &mut Random) -> Vec<usize> {
    let all: Vec<_> = cluster.rotators().collect();
    if random.below(4) == 0 { all } else { random.one(&all).copied().into_iter().collect() }
}
