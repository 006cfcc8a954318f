//! The leader is killed while callers make keys, again and again.

use super::{work, written_again};
use crate::binaries::Binaries;
use crate::cluster::Cluster;
use crate::history;
use crate::random::Random;
use crate::report::{Report, Trouble, percentile};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Kills `count` leaders, or as many as fit before `by`; then everything has to be there.
pub(crate) async fn run(
    binaries: &Binaries,
    count: u64,
    by: Instant,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    let ended = kills(&mut cluster, count, by, random, report).await;
    cluster.told(ended, report)
}

async fn kills(
    cluster: &mut Cluster,
    count: u64,
    by: Instant,
    random: &mut Random,
    report: &mut Report,
) -> Result<(), Trouble> {
    let workload = work(cluster, random);
    let (mut gaps, mut hearings) = (Vec::new(), Vec::new());
    while gaps.len() < usize::try_from(count).unwrap_or(usize::MAX) && Instant::now() < by {
        sleep(Duration::from_millis(200 + random.below(1_300))).await;
        let leader = cluster.leader().await?;
        workload.expect_down(leader, true);
        let killed = Instant::now();
        cluster.kill(leader);
        gaps.push(written_again(&workload, killed).await?);
        cluster.start(leader)?;
        let started = Instant::now();
        cluster.serves(leader, "latchkey.validate").await?;
        hearings.push(started.elapsed());
        workload.expect_down(leader, false);
    }
    let (told, lasted) = workload.finish().await;
    let made = told.creations.len();
    report.figure("kills of the leader", gaps.len());
    let led = lasted.saturating_sub(gaps.iter().sum());
    report.figure("creations a second", format!("{:.0}", made_per_second(made, led)));
    report.figure("creations a second, gaps after kills included", format!("{:.0}", made_per_second(made, lasted)));
    report.figure("writes back after", format!("p50 {}, p99 {}", percentile(&mut gaps, 50), percentile(&mut gaps, 99)));
    report.figure(
        "killed replica serves again after",
        format!("p50 {}, p99 {}", percentile(&mut hearings, 50), percentile(&mut hearings, 99)),
    );
    report.figure("validations answered", told.validated);
    let [waited, at_once] = &told.unanswered;
    report.figure("unanswered by replicas that were up", format!("{at_once:?}"));
    report.figure("unanswered there within 2 s, waiting for what the leader acknowledged last", format!("{waited:?}"));
    cluster.all_serve().await?;
    history::check_told(cluster, &told, report).await?;
    history::check_events(cluster, report).await?;
    history::check_states(cluster, report).await
}

fn made_per_second(made: usize, lasted: Duration) -> f64 {
    f64::from(u32::try_from(made).unwrap_or(u32::MAX)) / lasted.as_secs_f64().max(f64::EPSILON)
}
