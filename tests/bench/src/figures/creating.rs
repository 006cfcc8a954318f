//! Writes: keys made and revoked one by one, against puts of etcd with as many members on the same disk, in turns, by as
//! many callers, on the same processors; and keys made in batches.

use crate::clock;
use crate::cluster::{Cluster, Made, ask_for_key};
use crate::etcd::{self, Etcd, PUT_PATH, PutRequest};
use crate::figures::importing;
use crate::figures::validating::headers;
use crate::load::{Bodies, Calls, Kind, Measured, Plan, answers, run};
use crate::machine::Halves;
use crate::rounds::Rounds;
use crate::table::{Table, least, say};
use latchkey_wire::pb::v1;
use std::error::Error;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

/// Callers, and the connections that they share.
const CALLERS: Plan =
    Plan { connections: 4, in_flight: 16, warm: Duration::from_millis(500), measured: Duration::from_secs(2) };

/// One caller: each call waits for the answer before.
const ALONE: Plan = Plan { connections: 1, in_flight: 1, ..CALLERS };

/// Keys that are revoked in a round, each once, and those that one caller revokes everywhere.
const REVOKED_KEYS: usize = 4_000;
const REVOKED_EVERYWHERE: usize = 200;

/// Keys made in batches at least.
const BATCHED_KEYS: usize = 20_000;

/// What a put sets: as many bytes as the sealed command of a `CreateKey` has, under as many keys as are not met twice.
const VALUE_BYTES: usize = 400;
const PUT_KEYS: usize = 50_000;

/// How long the disk is measured.
const SYNCING: Duration = Duration::from_secs(1);

/// With three replicas, writes should be as many as etcd's puts.
const RATIO_AIM: f64 = 1.0;
const RATIO_AIM_SIZE: usize = 3;

/// Who is measured in a round, by place; etcd only where it is installed.
const CREATE: usize = 0;
const REVOKE: usize = 1;
const PUT: usize = 2;

/// Syncs of 4 KiB that are appended, a second: one after the other, as raft's log cannot do better without grouping.
fn syncs_per_second(folder: &Path) -> io::Result<f64> {
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

/// Measures a fresh cluster of `size` in `folder`, in `rounds` rounds.
pub(crate) async fn measure(
    folder: &Path,
    halves: &Halves,
    size: usize,
    rounds: usize,
    table: &mut Table,
) -> Result<(), Box<dyn Error>> {
    let servers = &halves.servers;
    let mut cluster = Cluster::found(&folder.join(format!("creating-{size}")), size as u64).await?;
    cluster.start(servers, &[])?;
    cluster.start_issuance(servers).await?;
    cluster.furnish().await?;
    let version = etcd::version();
    let etcd = match version {
        Some(_) => Some(Etcd::start(&folder.join(format!("etcd-{size}")), size, servers).await?),
        None => None,
    };
    let syncs = tokio::task::block_in_place(|| syncs_per_second(folder))?;
    let batched = BATCHED_KEYS.max(rounds * REVOKED_KEYS + REVOKED_EVERYWHERE);
    let (made, took) = cluster.fill(batched, 1).await?;
    let batched = batched as f64 / took.as_secs_f64();

    let parts = cluster.parts();
    let (creates, puts) = (creates(cluster.root()), puts());
    let mut measured = Rounds::new();
    for (number, revoked) in made.chunks(REVOKED_KEYS).take(rounds).enumerate() {
        let revokes = revokes(cluster.root(), revoked, v1::WaitFor::Committed);
        let round = tokio::task::block_in_place(|| -> io::Result<Vec<Measured>> {
            let mut round = vec![
                run(cluster.issuance(), &parts, &creates, CALLERS, &halves.callers)?,
                run(cluster.issuance(), &parts, &revokes, CALLERS, &halves.callers)?,
            ];
            if let Some(etcd) = &etcd {
                round.push(run(etcd.leader(), &etcd.parts(), &puts, CALLERS, &halves.callers)?);
            }
            Ok(round)
        })?;
        say(&format!(
            "writing with {size}, round {} of {rounds}: {:.0} CreateKey/s, {:.0} RevokeKey/s, etcd {:.0} puts/s",
            number + 1,
            round[CREATE].calls_per_second,
            round[REVOKE].calls_per_second,
            round.get(PUT).map_or(0.0, |measured| measured.calls_per_second)
        ));
        measured.push(round);
    }
    let everywhere = revokes(cluster.root(), &made[made.len() - REVOKED_EVERYWHERE..], v1::WaitFor::AllRegions);
    let (alone, put_alone, everywhere) = tokio::task::block_in_place(|| -> io::Result<_> {
        let alone = run(cluster.issuance(), &parts, &creates, ALONE, &halves.callers)?;
        let put = etcd.as_ref().map(|etcd| run(etcd.leader(), &etcd.parts(), &puts, ALONE, &halves.callers));
        Ok((alone, put.transpose()?, run(cluster.issuance(), &parts, &everywhere, ALONE, &halves.callers)?))
    })?;
    drop(parts);
    etcd.map_or(Ok(()), Etcd::stop)?;

    let other = version.as_ref().map_or_else(String::new, |version| {
        format!("puts of {VALUE_BYTES} bytes to etcd {version} with {size} of {size} members")
    });
    table.section(format!("Writes with {size} of {size} replicas, answered once committed"), other);
    let aim = if size == RATIO_AIM_SIZE { least(RATIO_AIM) } else { None };
    for (name, ours) in [("CreateKey", CREATE), ("RevokeKey", REVOKE)] {
        let figures: [Named; 4] = [
            ("calls/s, 64 callers", |measured| measured.calls_per_second),
            ("p50, ms", |measured| millis(measured, 50)),
            ("p99, ms", |measured| millis(measured, 99)),
            ("processor time of all processes, us a call", |measured| measured.server_micros),
        ];
        for (index, (figure, of)) in figures.into_iter().enumerate() {
            let name = format!("{name}, {figure}");
            if version.is_some() {
                let (figures, ratio) = measured.compare([ours, PUT], of);
                table.compare(name, figures, ratio, if index == 0 { aim } else { None });
            } else {
                table.single(name, measured.median(ours, of), None);
            }
        }
    }
    match put_alone {
        Some(put) => {
            let figures = [millis(&alone, 50), millis(&put, 50)];
            table.compare("CreateKey, p50 of one caller alone, ms", figures, figures[0] / figures[1], None);
        }
        None => {
            table.single("CreateKey, p50 of one caller alone, ms", millis(&alone, 50), None);
            table.note("etcd is not installed (apt-get install etcd-server): not compared");
        }
    }
    table.single("RevokeKey everywhere, p50 of one caller alone, ms", millis(&everywhere, 50), None);
    table.single("RevokeKey everywhere, p99 of one caller alone, ms", millis(&everywhere, 99), None);
    table.single("BatchCreateKeys, keys/s", batched, None);
    table.single("appends of 4 KiB that are synced one by one, a second", syncs, None);
    importing::measure(&cluster, made.len(), table).await?;
    cluster.stop()
}

/// A figure of a run, and what it is called.
type Named = (&'static str, fn(&Measured) -> f64);

fn millis(measured: &Measured, percent: u64) -> f64 {
    measured.latencies.percentile(percent) as f64 / 1_000.0
}

/// Calls that each make a key.
pub(crate) fn creates(root: &str) -> Calls {
    Calls {
        headers: headers("/latchkey.v1.IssuanceService/CreateKey", Some(root), Some("30S")),
        bodies: Bodies::messages((0..1_000).map(ask_for_key)),
        kind: Kind::Unary,
        accept: answers::is_any,
    }
}

/// Calls that each revoke one of `keys`.
fn revokes(root: &str, keys: &[Made], wait_for: v1::WaitFor) -> Calls {
    let revoke = |key: &Made| v1::RevokeKeyRequest {
        name: key.name.clone(),
        reason: v1::RevocationReason::Unused.into(),
        wait_for: wait_for.into(),
        ..Default::default()
    };
    Calls {
        headers: headers("/latchkey.v1.IssuanceService/RevokeKey", Some(root), Some("30S")),
        bodies: Bodies::messages_once(keys.iter().map(revoke)),
        kind: Kind::Unary,
        accept: answers::is_any,
    }
}

/// Calls that each put a value.
fn puts() -> Calls {
    let put =
        |number: usize| PutRequest { key: format!("keys/{number:024}").into_bytes(), value: vec![b'v'; VALUE_BYTES] };
    Calls {
        headers: headers(PUT_PATH, None, None),
        bodies: Bodies::messages((0..PUT_KEYS).map(put)),
        kind: Kind::Unary,
        accept: answers::is_any,
    }
}
