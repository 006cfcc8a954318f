//! 100,000 updates: what they leave in memory, and the longest that a validation and a write wait while they go on, with
//! a snapshot at every 20,000th.

use crate::cluster::{Cluster, Made};
use crate::figures::creating::creates;
use crate::figures::loading::{KEY_BYTES_AIM, Start};
use crate::figures::validating::{calls, headers};
use crate::load::{Bodies, Calls, Kind, Latencies, Plan, answers, run, watch};
use crate::machine::Halves;
use crate::table::{Table, most, say};
use latchkey_wire::pb::v1;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Who updates: few, since what is looked for is how long others wait.
const CALLERS: Plan = Plan { connections: 2, in_flight: 32, warm: Duration::ZERO, measured: Duration::ZERO };

/// How long is looked at a cluster that does nothing else.
const QUIET: Duration = Duration::from_secs(3);

/// The longest pause. Milliseconds.
pub(crate) const PAUSE_MS_AIM: f64 = 5.0;

/// Resident bytes settle once freed pages are given back.
const SETTLE: Duration = Duration::from_secs(3);

/// What was waited for: by validations, and by writes.
pub(crate) struct Waits {
    pub(crate) validations: Latencies,
    pub(crate) writes: Latencies,
}

/// Updates each of `made` once. Issuance runs; `none` is how the replica started without keys.
pub(crate) async fn measure(
    cluster: &Cluster,
    halves: &Halves,
    keys: usize,
    made: &[Made],
    none: &Start,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    say(&format!("updating {} keys of {keys}", made.len()));
    let watched = &made.first().ok_or("there is nothing to update")?.key_text;
    let quiet = waits_of(cluster, halves, watched, async || {
        tokio::time::sleep(QUIET).await;
        Ok(())
    })
    .await?
    .0;
    let updates = updates(cluster.root(), made);
    let (address, parts) = (cluster.issuance(), cluster.parts());
    let mut updated = None;
    let (busy, ()) = waits_of(cluster, halves, watched, async || {
        updated = Some(tokio::task::block_in_place(|| run(address, &parts, &updates, CALLERS, &halves.callers))?);
        Ok(())
    })
    .await?;
    let updated = updated.ok_or("nothing was updated")?;
    tokio::time::sleep(SETTLE).await;
    let memory = cluster.replica().1.memory()?;

    table.section(format!("{} updates among {keys} keys", made.len()), "while nothing is updated");
    table.single("updates/s", updated.calls_per_second, None);
    let by_key = Start::by_key(memory.resident_bytes, none.memory.resident_bytes, keys);
    table.single("resident bytes a key after them", by_key, most(KEY_BYTES_AIM));
    tell(&busy, &quiet, table);
    Ok(())
}

/// Adds what was waited for in `busy` times, against `quiet` ones.
pub(crate) fn tell(busy: &Waits, quiet: &Waits, table: &mut Table) {
    let waits = [("a validation", [&busy.validations, &quiet.validations]), ("a write", [&busy.writes, &quiet.writes])];
    for (name, waits) in waits {
        let millis = |percent| waits.map(|waits| waits.percentile(percent) as f64 / 1_000.0);
        let figures = millis(99);
        table.compare(format!("p99 of {name} alone, ms"), figures, figures[0] / figures[1].max(0.001), None);
        let figures = millis(100);
        table.single(format!("the longest wait of {name}, ms"), figures[0], most(PAUSE_MS_AIM));
        table.compare("the same, against the other", figures, figures[0] / figures[1].max(0.001), None);
    }
}

/// How long validations of `key_text` and writes, of one caller each, take while `work` goes on.
pub(crate) async fn waits_of<T>(
    cluster: &Cluster,
    halves: &Halves,
    key_text: &str,
    work: impl AsyncFnOnce() -> Result<T, Box<dyn Error>>,
) -> Result<(Waits, T), Box<dyn Error>> {
    let validations = calls(cluster.root(), &[key_text.to_owned()]);
    let writes = creates(cluster.root());
    let told = std::sync::Arc::new(AtomicBool::new(false));
    let begin = |address: SocketAddr, calls: Calls| {
        let (told, cpus) = (told.clone(), halves.callers.clone());
        std::thread::spawn(move || watch(address, &calls, &told, &cpus))
    };
    let watchers = [begin(cluster.replica().0, validations), begin(cluster.issuance(), writes)];
    let worked = work().await;
    told.store(true, Ordering::Relaxed);
    let [validations, writes] =
        watchers.map(|watcher| -> io::Result<Latencies> { watcher.join().expect("a watcher does not panic") });
    Ok((Waits { validations: validations?, writes: writes? }, worked?))
}

/// Calls that each give one of `keys` another name.
pub(crate) fn updates(root: &str, keys: &[Made]) -> Calls {
    let update = |(number, key): (usize, &Made)| v1::UpdateKeyRequest {
        key: Some(v1::Key { name: key.name.clone(), display_name: format!("till {number} b"), ..Default::default() }),
        update_mask: Some(prost_types::FieldMask { paths: vec!["display_name".to_owned()] }),
        ..Default::default()
    };
    Calls {
        headers: headers("/latchkey.v1.IssuanceService/UpdateKey", Some(root), Some("30S")),
        bodies: Bodies::messages_once(keys.iter().enumerate().map(update)),
        kind: Kind::Unary,
        accept: answers::is_any,
    }
}
