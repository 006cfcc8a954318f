//! Making keys, against how often the disk can sync.

use crate::clock;
use crate::cluster::Cluster;
use crate::load::Latencies;
use crate::table::{Table, say};
use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

/// Callers, and the connections that they share.
const CALLERS: usize = 64;
const CONNECTIONS: usize = 4;

/// Keys made in batches.
const BATCHED_KEYS: usize = 20_000;

/// How long is measured, and how long before is not.
const WARM: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(5);

/// How long the disk is measured.
const SYNCING: Duration = Duration::from_secs(2);

/// Syncs of 4 KiB that are appended, a second: one after the other, as raft's log cannot do better without grouping.
pub(crate) fn syncs_per_second(folder: &Path) -> io::Result<f64> {
    let path = folder.join("syncs");
    let mut file = File::create(&path)?;
    let (started, block) = (clock::now(), [7; 4_096]);
    let mut count = 0_u32;
    while clock::now() - started < SYNCING {
        file.write_all(&block)?;
        file.sync_data()?;
        count += 1;
    }
    let rate = f64::from(count) / (clock::now() - started).as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}

/// Measures a fresh cluster of `size` in `folder`.
pub(crate) async fn measure(folder: &Path, size: u64, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::found(&folder.join(format!("creating-{size}")), size).await?;
    cluster.start(&[])?;
    cluster.start_issuance()?;
    cluster.furnish().await?;
    let syncs = tokio::task::block_in_place(|| syncs_per_second(folder))?;
    let cluster = Arc::new(cluster);
    let latencies = make_one_by_one(&cluster).await?;
    let alone = latencies.count() as f64 / MEASURED.as_secs_f64();
    let (_, took) = cluster.fill(BATCHED_KEYS, BATCHED_KEYS).await?;
    let batched = BATCHED_KEYS as f64 / took.as_secs_f64();
    say(&format!("{size} replicas: {alone:.0} CreateKey/s, {batched:.0} keys/s in batches, {syncs:.0} syncs/s"));
    let mut cluster = Arc::into_inner(cluster).ok_or("a caller still runs")?;
    cluster.stop()?;

    table.section(&format!(
        "Making keys with {size} of {size} replicas, answered once committed, against syncs of the disk"
    ));
    table.compare("CreateKey/s, 64 callers", [alone, syncs], alone / syncs, None);
    table.single("p50 of these, ms", latencies.percentile(50) as f64 / 1_000.0, None);
    table.single("p99 of these, ms", latencies.percentile(99) as f64 / 1_000.0, None);
    table.compare("BatchCreateKeys, keys/s", [batched, syncs], batched / syncs, None);
    Ok(())
}

/// Callers who each make a key, and then the next.
async fn make_one_by_one(cluster: &Arc<Cluster>) -> Result<Latencies, Box<dyn Error>> {
    let from = clock::now() + WARM;
    let until = from + MEASURED;
    let number = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| cluster.issuer()).collect();
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        let (cluster, number, mut client) = (cluster.clone(), number.clone(), clients[caller % CONNECTIONS].clone());
        callers.spawn(async move {
            let mut latencies = Latencies::new();
            loop {
                let sent = clock::now();
                if sent >= until {
                    return Ok::<_, tonic::Status>(latencies);
                }
                client.create_key(cluster.ask_for_key(number.fetch_add(1, Ordering::Relaxed))).await?;
                let answered = clock::now();
                if sent >= from {
                    latencies.record(answered - sent);
                }
            }
        });
    }
    let mut all = Latencies::new();
    while let Some(latencies) = callers.join_next().await {
        all.add(&latencies??);
    }
    Ok(all)
}
