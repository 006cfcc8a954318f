//! Entries of the audit log that are written, sealed, indexed and published while `ValidateKey` is called: by how much that slows
//! validating down. Issuance and audit are on the callers' half, as they are on machines of their own in production.

use crate::clock;
use crate::cluster::Cluster;
use crate::figures::validating::{ALONE, BUSY, calls};
use crate::load::{Calls, Measured, run};
use crate::machine::Halves;
use crate::rounds::Rounds;
use crate::table::{Table, least, most, say};
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::time::{MissedTickBehavior, interval};

/// Entries a second: batches of so many keys, each a record and each key an entry, at this interval.
const BATCH_KEYS: usize = 500;
const INTERVAL: Duration = Duration::from_millis(100);

/// Keys that are asked for.
const ASKED_KEYS: usize = 10_000;

/// How much slower validating may be: of one caller alone, whom nothing but the records that are applied can keep waiting.
const SLOWER_AIM: f64 = 1.03;
const PER_SECOND_AIM: f64 = 5_000.0;

/// Who is measured in a round, by place.
const APPENDING: usize = 0;
const QUIET: usize = 1;

/// One look: many callers, and one alone.
struct Look {
    busy: Measured,
    alone: Measured,
}

/// Measures a fresh cluster in `folder`, in `rounds` rounds.
pub(crate) async fn measure(
    folder: &std::path::Path,
    halves: &Halves,
    rounds: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let mut cluster = Cluster::found(&folder.join("appending"), 1).await?;
    cluster.start(&halves.servers, &[])?;
    cluster.start_issuance(&halves.callers).await?;
    cluster.furnish().await?;
    cluster.start_audit(&halves.callers)?;
    let (made, _) = cluster.fill(ASKED_KEYS, 1).await?;
    cluster.until_audited().await?;
    let texts: Vec<_> = made.iter().map(|made| made.key_text.clone()).collect();
    let (calls, mut looks, mut appended) = (calls(cluster.root(), &texts), Rounds::new(), (0, Duration::ZERO));
    for number in 1..=rounds {
        let quiet = tokio::task::block_in_place(|| look(&cluster, &calls, halves))?;
        let (appending, keys, took) = tokio::task::block_in_place(|| while_appending(&cluster, &calls, halves))?;
        appended = (appended.0 + keys, appended.1 + took);
        say(&format!(
            "appending, round {number} of {rounds}: {:.0} entries/s, {:.0} validations/s, {:.0} without",
            keys as f64 / took.as_secs_f64(),
            appending.busy.calls_per_second,
            quiet.busy.calls_per_second
        ));
        looks.push(vec![appending, quiet]);
        // What was written comes to rest before the next quiet look.
        cluster.until_audited().await?;
    }
    let caught_up = clock::now();
    cluster.until_audited().await?;
    let behind = clock::now() - caught_up;
    let memory = cluster.audit_memory()?;

    table.section("ValidateKey while entries are appended to the audit log", "the same while nothing is written");
    let rate = appended.0 as f64 / appended.1.as_secs_f64();
    table.single("entries appended a second", rate, least(PER_SECOND_AIM));
    for percent in [50, 99] {
        let of = |look: &Look| look.alone.latencies.percentile(percent) as f64;
        let (figures, ratio) = looks.compare([APPENDING, QUIET], of);
        let aim = if percent == 50 { most(SLOWER_AIM) } else { None };
        table.compare(format!("p{percent} of one alone, us"), figures, ratio, aim);
    }
    let (figures, ratio) = looks.compare([APPENDING, QUIET], |look| look.busy.calls_per_second);
    table.compare("calls/s, 64 in flight, one processor for all of the replica", figures, ratio, None);
    let (figures, ratio) = looks.compare([APPENDING, QUIET], |look| look.busy.server_micros);
    table.compare("processor time a call, what is applied meanwhile in it, us", figures, ratio, None);
    table.single("until audit has all of it afterwards, ms", behind.as_secs_f64() * 1_000.0, None);
    table.single("resident MiB of audit", memory.resident_bytes as f64 / f64::from(1 << 20), None);
    cluster.stop()
}

fn look(cluster: &Cluster, calls: &Calls, halves: &Halves) -> std::io::Result<Look> {
    let (address, part) = cluster.replica();
    let busy = run(address, &[part], calls, BUSY, &halves.callers)?;
    Ok(Look { busy, alone: run(address, &[part], calls, ALONE, &halves.callers)? })
}

/// Looks while batches come: what was seen, how many keys were made, and in how long.
fn while_appending(
    cluster: &Cluster,
    calls: &Calls,
    halves: &Halves,
) -> Result<(Look, usize, Duration), Box<dyn Error>> {
    let (told, handle, began) = (AtomicBool::new(false), tokio::runtime::Handle::current(), clock::now());
    std::thread::scope(|scope| {
        let appending = scope.spawn(|| handle.block_on(append(cluster, &told)).map_err(|error| error.to_string()));
        let looked = look(cluster, calls, halves);
        told.store(true, Ordering::Relaxed);
        let keys = appending.join().expect("what appends does not panic")?;
        Ok((looked?, keys, clock::now() - began))
    })
}

/// Makes a batch at each tick until told; how many keys were made. A tick that comes while a batch is on its way is not made up
/// for: what could not be written is seen in the figure.
async fn append(cluster: &Cluster, told: &AtomicBool) -> Result<usize, Box<dyn Error>> {
    let (mut ticks, mut keys) = (interval(INTERVAL), 0);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while !told.load(Ordering::Relaxed) {
        ticks.tick().await;
        cluster.make_batch(keys, BATCH_KEYS).await?;
        keys += BATCH_KEYS;
    }
    Ok(keys)
}
