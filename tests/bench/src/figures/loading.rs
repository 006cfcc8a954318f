//! A restart: how long until the first VALID, and what the keys take in memory.

use crate::clock;
use crate::cluster::Cluster;
use crate::process::Memory;
use crate::table::{Table, say};
use std::error::Error;
use std::time::Duration;

/// Resident bytes that a key should take at most.
const KEY_BYTES_AIM: f64 = 400.0;

/// Resident bytes settle once pages of the start are given back.
const SETTLE: Duration = Duration::from_secs(3);

/// What a start took.
pub(crate) struct Start {
    /// Until the first VALID, from before the process was made.
    pub(crate) took: Duration,
    /// Its memory a while after.
    pub(crate) memory: Memory,
}

/// Starts the cluster's one replica on `cpus`, and waits until it knows the key with `key_text`.
pub(crate) async fn start(cluster: &mut Cluster, cpus: &[usize], key_text: &str) -> Result<Start, Box<dyn Error>> {
    let since = clock::now();
    cluster.start(cpus)?;
    let (_, took) = cluster.first_valid(key_text, since).await?;
    tokio::time::sleep(SETTLE).await;
    let memory = cluster.replica().1.memory()?;
    say(&format!("started in {:.2} s with {} MB resident", took.as_secs_f64(), memory.resident_bytes / 1_000_000));
    Ok(Start { took, memory })
}

/// Adds the lines of a start with `keys` keys, against one with none.
pub(crate) fn tell(none: &Start, loaded: &Start, keys: usize, table: &mut Table) {
    let by_key = |bytes: u64, less: u64| bytes.saturating_sub(less) as f64 / keys as f64;
    table.section(&format!("A restart with {keys} keys, against one with none"));
    table.single(
        "resident bytes a key",
        by_key(loaded.memory.resident_bytes, none.memory.resident_bytes),
        Some(KEY_BYTES_AIM),
    );
    table.single("peak bytes a key", by_key(loaded.memory.peak_bytes, none.memory.peak_bytes), None);
    let (loaded, none) = (loaded.took.as_secs_f64() * 1_000.0, none.took.as_secs_f64() * 1_000.0);
    table.compare("until the first VALID, ms", [loaded, none], loaded / none, None);
}
