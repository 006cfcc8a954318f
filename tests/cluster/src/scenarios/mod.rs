//! What is done to a cluster, one file each.

pub(crate) mod barrier;
pub(crate) mod clocks;
pub(crate) mod import;
pub(crate) mod kills;
pub(crate) mod locked;
pub(crate) mod restart;
pub(crate) mod snapshot;

use crate::caller::Caller;
use crate::cluster::Cluster;
use crate::random::Random;
use crate::workload::Workload;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Callers that make keys at once: hundreds of creations a second, on two cores that the replicas share.
const CREATORS: u64 = 64;

/// How often it is looked whether enough has happened.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Sets callers to work on all of the cluster.
fn work(cluster: &Cluster, random: &mut Random) -> Workload {
    let replicas: Vec<(u64, Caller)> = cluster.ids().into_iter().map(|id| (id, cluster.replica(id))).collect();
    Workload::start(&cluster.issuance(), CREATORS, &replicas, random)
}

/// Lets callers work until they have made so many keys more, or `at_most` is over.
async fn until_made(workload: &Workload, more: usize, at_most: Duration) {
    let (goal, by) = (workload.acknowledged() + more, Instant::now() + at_most);
    while workload.acknowledged() < goal && Instant::now() < by {
        sleep(LOOK_INTERVAL).await;
    }
}
