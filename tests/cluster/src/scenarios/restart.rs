//! All replicas end, in peace and then killed under load, and start again: state and sequence go on.

use super::{until_made, work};
use crate::binaries::Binaries;
use crate::cluster::Cluster;
use crate::history;
use crate::keys::{create, make};
use crate::random::Random;
use crate::report::{Report, Trouble};
use latchkey_wire::pb::internal::v1 as internal;
use std::time::Duration;

/// Keys that are made before each stop.
const KEYS: usize = 400;

/// How long making them may take.
const WORK_MAX: Duration = Duration::from_secs(20);

/// Stops and starts everything twice.
pub(crate) async fn run(binaries: &Binaries, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let mut cluster = Cluster::found(binaries).await?;
    let ended = restart(&mut cluster, random, report).await;
    cluster.told(ended, report)
}

async fn restart(cluster: &mut Cluster, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    let workload = work(cluster, random);
    until_made(&workload, KEYS, WORK_MAX).await;
    let (told, _) = workload.finish().await;
    let before = history::check_events(cluster, report).await?;

    for id in cluster.ids() {
        cluster.stop(id).await?;
    }
    cluster.start_all()?;
    cluster.all_serve().await?;
    history::check_told(cluster, &told, report).await?;
    let after = history::check_events(cluster, report).await?;
    check_goes_on(&before, &after, "all stopped in peace", report);

    let workload = work(cluster, random);
    until_made(&workload, KEYS, WORK_MAX).await;
    for id in cluster.ids() {
        workload.expect_down(id, true);
    }
    cluster.kill_all();
    cluster.start_all()?;
    cluster.all_serve().await?;
    let (told, _) = workload.finish().await;
    history::check_told(cluster, &told, report).await?;
    let last = make(&cluster.issuance(), create("the last", &random.uuid())).await?;
    let highest = told.creations.iter().filter_map(|one| Some(one.acknowledged.as_ref()?.1.revision.index)).max();
    let wrong = highest.filter(|highest| last.revision.index <= *highest);
    report
        .check("revisions go on", &Vec::from_iter(wrong.map(|highest| format!("{:?} after {highest}", last.revision))));
    let end = history::check_events(cluster, report).await?;
    check_goes_on(&after, &end, "all killed at once", report);
    history::check_states(cluster, report).await
}

fn check_goes_on(before: &[internal::Event], after: &[internal::Event], when: &str, report: &mut Report) {
    let wrong = if after.starts_with(before) {
        Vec::new()
    } else {
        let same = before.iter().zip(after).take_while(|(one, other)| one == other).count();
        vec![format!("{} events before, {} after, the same up to {same}", before.len(), after.len())]
    };
    report.check(&format!("the events go on where they were, {when}"), &wrong);
}
