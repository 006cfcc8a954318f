//! A restart: how long until the first VALID, and what the keys take in memory and on the disk.

use crate::clock;
use crate::cluster::Cluster;
use crate::process::Memory;
use crate::table::{Table, most, say};
use std::error::Error;
use std::time::Duration;

/// Resident bytes that a key should take at most.
pub(crate) const KEY_BYTES_AIM: f64 = 350.0;

/// How long 1,000,000 keys may take until the first VALID. Milliseconds.
const START_MS_AIM: f64 = 5_000.0;
const START_KEYS_AIM: usize = 1_000_000;

/// With fewer keys, what else a process keeps is more than they are.
const COUNTED_KEYS: usize = 100_000;

/// Resident bytes settle once pages of the start are given back.
const SETTLE: Duration = Duration::from_secs(3);

/// What a start took.
pub(crate) struct Start {
    /// Until the first VALID, from before the process was made.
    pub(crate) took: Duration,
    /// Its memory a while after.
    pub(crate) memory: Memory,
    /// Bytes of its folder, before it started.
    pub(crate) disk_bytes: u64,
}

impl Start {
    /// What each of `keys` keys takes of `bytes`, where `less` are there without any.
    pub(crate) fn by_key(bytes: u64, less: u64, keys: usize) -> f64 {
        bytes.saturating_sub(less) as f64 / keys as f64
    }
}

/// Starts the cluster's one replica on `cpus` with `more` settings, and waits until it knows the key with `key_text`.
pub(crate) async fn start(
    cluster: &mut Cluster,
    cpus: &[usize],
    more: &[(&str, String)],
    key_text: &str,
) -> Result<Start, Box<dyn Error>> {
    let disk_bytes = cluster.bytes_on_disk();
    let since = clock::now();
    cluster.start(cpus, more)?;
    let (_, took) = cluster.first_valid(0, key_text, since).await?;
    tokio::time::sleep(SETTLE).await;
    let memory = cluster.replica().1.memory()?;
    say(&format!("started in {:.2} s with {} MB resident", took.as_secs_f64(), memory.resident_bytes / 1_000_000));
    Ok(Start { took, memory, disk_bytes })
}

/// Adds the lines of a start with `keys` keys on the servers' processors, against one with none.
pub(crate) fn tell(none: &Start, loaded: &Start, keys: usize, table: &mut Table) {
    let by_key = |of: fn(&Start) -> u64| Start::by_key(of(loaded), of(none), keys);
    table.section(format!("A restart with {keys} keys"), "one with none");
    let aim = if keys >= COUNTED_KEYS { most(KEY_BYTES_AIM) } else { None };
    table.single("resident bytes a key", by_key(|start| start.memory.resident_bytes), aim);
    table.single("peak bytes a key while it loads", by_key(|start| start.memory.peak_bytes), None);
    table.single("bytes on disk a key, the log included", by_key(|start| start.disk_bytes), None);
    let (ours, other) = (loaded.took.as_secs_f64() * 1_000.0, none.took.as_secs_f64() * 1_000.0);
    let aim = if keys == START_KEYS_AIM { most(START_MS_AIM) } else { None };
    table.single("until the first VALID, ms", ours, aim);
    table.compare("the same, against none", [ours, other], ours / other, None);
}
