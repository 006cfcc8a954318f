//! A snapshot that is made and streamed to a replica which was away for too long to be told what happened: how long until
//! it answers, and how long others wait meanwhile.

use crate::clock;
use crate::cluster::Cluster;
use crate::figures::updating::{tell, updates, waits_of};
use crate::load::{Plan, run};
use crate::machine::Halves;
use crate::table::{Table, say};
use std::error::Error;
use std::path::Path;
use std::time::Duration;

/// Records after which a replica that was away needs a snapshot: those of a snapshot interval and those kept behind it,
/// and some more.
const RECORDS: usize = 31_000;

/// Who writes them.
const CALLERS: Plan = Plan { connections: 4, in_flight: 32, warm: Duration::ZERO, measured: Duration::ZERO };

/// How long is looked at a cluster that does nothing else.
const QUIET: Duration = Duration::from_secs(3);

/// The replica that is away.
const AWAY: usize = 2;

/// Measures a fresh cluster of three in `folder` with `keys` keys.
pub(crate) async fn measure(
    folder: &Path,
    halves: &Halves,
    keys: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let servers = &halves.servers;
    let mut cluster = Cluster::found(&folder.join("streaming"), AWAY as u64 + 1).await?;
    for index in 0..AWAY {
        cluster.start_one(index, &[], &[])?;
    }
    cluster.start_issuance(&[]).await?;
    cluster.furnish().await?;
    say(&format!("making {keys} keys and {RECORDS} records while one of three replicas is away"));
    let (made, _) = cluster.fill(keys, 1).await?;
    let updates = updates(cluster.root(), &made[..RECORDS.min(made.len())]);
    tokio::task::block_in_place(|| run(cluster.issuance(), &[], &updates, CALLERS, &halves.callers))?;

    let last = made.last().ok_or("no key was made")?.key_text.clone();
    let quiet = waits_of(&cluster, halves, &last, async || {
        tokio::time::sleep(QUIET).await;
        Ok(())
    })
    .await?
    .0;
    let since = clock::now();
    cluster.start_one(AWAY, servers, &[])?;
    let (busy, took) =
        waits_of(&cluster, halves, &last, async || Ok(cluster.first_valid(AWAY, &last, since).await?.1)).await?;
    cluster.stop()?;

    table.section(format!("A snapshot of {keys} keys is made and streamed"), "before");
    table.single("until the replica that was away says VALID, ms", took.as_secs_f64() * 1_000.0, None);
    tell(&busy, &quiet, table);
    Ok(())
}
