//! What is done to a cluster, one file each.

pub(crate) mod audit;
pub(crate) mod barrier;
pub(crate) mod clocks;
pub(crate) mod drill;
pub(crate) mod due;
pub(crate) mod evidence;
pub(crate) mod faults;
pub(crate) mod import;
pub(crate) mod kills;
pub(crate) mod leaders;
pub(crate) mod locked;
pub(crate) mod regions;
pub(crate) mod rekey;
pub(crate) mod restart;
mod revoking;
pub(crate) mod rotations;
pub(crate) mod snapshot;
pub(crate) mod upgrade;
pub(crate) mod usage;

use crate::caller::Caller;
use crate::cluster::{Cluster, STUCK};
use crate::random::Random;
use crate::report::Trouble;
use crate::workload::Workload;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// Callers that make keys at once: hundreds of creations a second, on two cores that the replicas share.
const CREATORS: u64 = 64;

/// How often it is looked whether enough has happened.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Sets callers to work on all of the cluster.
fn work(cluster: &Cluster, random: &mut Random) -> Workload {
    work_by(cluster, CREATORS, random)
}

/// Sets so many creators to work, and a validator at each replica.
fn work_by(cluster: &Cluster, creators: u64, random: &mut Random) -> Workload {
    let replicas: Vec<(u64, Caller)> = cluster.ids().into_iter().map(|id| (id, cluster.replica(id))).collect();
    Workload::start(&cluster.issuance(), creators, &replicas, cluster.bound(), random)
}

/// How long it took until a creation was acknowledged that began after `since`.
async fn written_again(workload: &Workload, since: Instant) -> Result<Duration, Trouble> {
    let acknowledged = async {
        loop {
            if let Some(at) = workload.first_after(since) {
                return at.duration_since(since);
            }
            sleep(LOOK_INTERVAL).await;
        }
    };
    let stuck = |_| Trouble::wrong(format!("no write was acknowledged for {} s", STUCK.as_secs()));
    timeout(STUCK, acknowledged).await.map_err(stuck)
}

/// Lets callers work until they have made so many keys more, or `at_most` is over.
async fn until_made(workload: &Workload, more: usize, at_most: Duration) {
    let (goal, by) = (workload.acknowledged() + more, Instant::now() + at_most);
    while workload.acknowledged() < goal && Instant::now() < by {
        sleep(LOOK_INTERVAL).await;
    }
}
