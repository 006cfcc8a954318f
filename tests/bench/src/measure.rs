//! What is measured, in which order, and how much of it.

use crate::cluster::{Cluster, Made};
use crate::figures::validating::{Asked, FLAT_AIM, How};
use crate::figures::{
    appending, batching, counting, creating, finding, listing, loading, streaming, updating, validating,
};
use crate::load::null;
use crate::machine::{self, Halves};
use crate::table::{Output, Table, least, say};
use crate::{clock, etcd, redis};
use std::error::Error;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use tokio::signal::unix::{SignalKind, signal};

/// Keys that are asked for, of all: more than any cache near a processor holds.
const ASKED_MAX: usize = 100_000;

/// What a key takes while 10,000,000 are loaded and used, here and on the disk, with room to spare. Bytes.
const SOAK_KEYS: usize = 10_000_000;
const SOAK_MEMORY_BYTES: u64 = 1_300;
const SOAK_DISK_BYTES: u64 = 2_000;

/// What can be measured on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Pick {
    /// `ValidateKey` against a bare handler, with and without telemetry.
    Validate,
    /// `BatchValidateKeys` and `StreamValidateKeys` against Redis.
    Batch,
    /// A restart: time, memory, disk.
    Restart,
    /// Updates: memory after them, and pauses meanwhile.
    Update,
    /// Pages of listings.
    List,
    /// Keys made and revoked, against etcd.
    Create,
    /// A snapshot that is streamed.
    Snapshot,
    /// `ValidateKey` while entries are appended to the audit log.
    Append,
    /// `ListEntries` by key over 10,000,000 entries; in the quick form 1,000,000.
    Entries,
    /// `QueryUsage` with 1,000,000 active keys; in the quick form 100,000.
    Usage,
}

/// How much is measured.
pub(crate) struct Form {
    picks: Vec<Pick>,
    /// How many keys there are when validating is measured; all else, at the last of them.
    keys: Vec<usize>,
    /// Rounds, of which the median counts. Short and many: what else the machine does changes by the second, and a ratio
    /// compares two neighbours.
    rounds: usize,
    /// Rounds of what is compared with Redis, and of what is compared with etcd.
    rounds_few: usize,
    updates: usize,
    streamed_keys: usize,
    profile: Option<PathBuf>,
}

impl Form {
    /// The full form, the quick one or the long one; `only` what is picked, with `keys` where there are any.
    pub(crate) fn new(
        quick: bool,
        soak: bool,
        only: Vec<Pick>,
        mut keys: Vec<usize>,
        profile: Option<PathBuf>,
    ) -> Self {
        if keys.is_empty() {
            keys = if quick { vec![10_000, 100_000] } else { vec![10_000, 1_000_000] };
        }
        if soak {
            keys.push(SOAK_KEYS);
        }
        keys.sort_unstable();
        let (rounds, rounds_few, updates) = if quick { (5, 3, 10_000) } else { (15, 5, 100_000) };
        Self { picks: only, keys, rounds, rounds_few, updates, streamed_keys: 200_000, profile }
    }

    fn picks(&self, pick: Pick) -> bool {
        self.picks.is_empty() || self.picks.contains(&pick)
    }

    /// What the quick form leaves out unless it is asked for.
    fn picks_long(&self, pick: Pick) -> bool {
        self.picks.contains(&pick) || self.picks.is_empty() && self.rounds > self.rounds_few * 2
    }

    fn picks_any(&self, picks: &[Pick]) -> bool {
        picks.iter().any(|pick| self.picks(*pick))
    }
}

/// Measures in a folder that vanishes, and prints the table. Ends early when it is told to, and takes all parts along.
#[tokio::main]
pub(crate) async fn all(form: &Form, folder: Option<PathBuf>, output: Output) -> Result<(), Box<dyn Error>> {
    if cfg!(debug_assertions) {
        say("this is not a release build: the figures are for trying this program out");
    }
    let temporary = match folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut table = Table::default();
    tokio::select! {
        measured = measure(form, temporary.path(), &mut table) => {
            // What was measured before something failed took its time, and is right.
            table.print(&head(), output);
            measured
        }
        _ = terminate.recv() => Err("told to end".into()),
        _ = interrupt.recv() => Err("told to end".into()),
    }
}

async fn measure(form: &Form, folder: &Path, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let halves = machine::halves()?;
    if form.picks_any(&[Pick::Validate, Pick::Batch, Pick::Restart, Pick::Update, Pick::List]) {
        one_replica(form, folder, &halves, table).await?;
    }
    if form.picks(Pick::Create) {
        for size in [1, 3] {
            creating::measure(folder, &halves, size, form.rounds_few, table).await?;
        }
    }
    if form.picks_long(Pick::Snapshot) {
        streaming::measure(folder, &halves, form.streamed_keys, table).await?;
    }
    let quick = form.rounds < form.rounds_few * 2;
    if form.picks_long(Pick::Entries) {
        finding::measure(folder, if quick { 1_000_000 } else { 10_000_000 }, table).await?;
    }
    if form.picks_long(Pick::Usage) {
        let keys = if quick { 100_000 } else { 1_000_000 };
        tokio::task::block_in_place(|| counting::measure(folder, keys, table))?;
    }
    if form.picks(Pick::Append) {
        appending::measure(folder, &halves, form.rounds_few, table).await?;
    }
    Ok(())
}

/// One cluster of one replica that gets more and more keys, with a restart before each measurement.
async fn one_replica(form: &Form, folder: &Path, halves: &Halves, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let last = form.keys.last().copied().ok_or("no number of keys")?;
    if last >= SOAK_KEYS {
        has_room_for(last as u64, folder)?;
    }
    let mut cluster = Cluster::found(&folder.join("validating"), 1).await?;
    cluster.start(&[], &[])?;
    cluster.start_issuance(&[]).await?;
    cluster.furnish().await?;
    cluster.stop()?;
    let root = cluster.root().to_owned();
    let traces = [("telemetry.otlp_endpoint", sink()?), ("telemetry.trace_sample_ratio", "0.01".to_owned())];
    let none = loading::start(&mut cluster, &halves.servers, &traces, &root).await?;
    cluster.stop()?;

    let (mut made, mut ratios): (Vec<Made>, Vec<f64>) = (Vec::new(), Vec::new());
    let mut there = 0;
    for keys in form.keys.iter().copied() {
        say(&format!("making {} keys", keys - there));
        cluster.start(&[], &[])?;
        cluster.start_issuance(&[]).await?;
        cluster.first_valid(0, &root, clock::now()).await?;
        let (more, took) = cluster.fill(keys - there, keys.div_ceil(ASKED_MAX)).await?;
        say(&format!("made at {:.0} keys/s", (keys - there) as f64 / took.as_secs_f64()));
        made.extend(more);
        there = keys;
        cluster.stop()?;

        let key_texts: Vec<_> = made.iter().map(|made| made.key_text.clone()).collect();
        let newest = key_texts.last().ok_or("no key was made")?;
        let asked = Asked { keys, key_texts: &key_texts, rounds: form.rounds };
        let loaded = loading::start(&mut cluster, &halves.servers, &traces, newest).await?;
        if form.picks(Pick::Restart) {
            loading::tell(&none, &loaded, keys, table);
        }
        if form.picks(Pick::Validate) {
            let profile = form.profile.as_deref();
            ratios.push(validating::measure(&cluster, halves, folder, &asked, How::Whole, profile, table).await?);
            if let [first, .., now] = ratios[..] {
                let title = format!("calls/s to the bare handler's, to that among {} keys", form.keys[0]);
                table.compare(title, [now, first], now / first, least(FLAT_AIM));
            }
        }
        if form.picks(Pick::Batch) {
            let asked = Asked { rounds: form.rounds_few, ..asked };
            batching::measure(&cluster, halves, folder, &asked, table).await?;
        }
        if keys == last {
            cluster.start_issuance(&halves.servers).await?;
            if form.picks(Pick::List) {
                listing::measure(&cluster, keys, table).await?;
            }
            if form.picks(Pick::Update) {
                let made = &made[made.len() - form.updates.min(made.len())..];
                updating::measure(&cluster, halves, keys, made, &none, table).await?;
            }
        }
        cluster.stop()?;
        if form.picks(Pick::Validate) {
            let asked = Asked { rounds: form.rounds_few, ..asked };
            let mut unobserved = traces.to_vec();
            unobserved.push(("observations.enabled", "false".to_owned()));
            for (how, set) in [(How::Unobserved, unobserved), (How::Untold, vec![("bench.metrics", "off".to_owned())])]
            {
                loading::start(&mut cluster, &halves.servers, &set, newest).await?;
                validating::measure(&cluster, halves, folder, &asked, how, None, table).await?;
                cluster.stop()?;
            }
        }
    }
    Ok(())
}

/// Starts what takes traces and keeps none, on a thread of its own. Gives its endpoint.
fn sink() -> std::io::Result<String> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    std::thread::spawn(move || null::serve(&listener, &[]));
    Ok(endpoint)
}

/// # Errors
/// Where `keys` keys do not fit here, with what they need.
fn has_room_for(keys: u64, folder: &Path) -> Result<(), Box<dyn Error>> {
    let needed = [
        ("memory", SOAK_MEMORY_BYTES, machine::memory_available()?),
        ("disk", SOAK_DISK_BYTES, machine::disk_free(folder)?),
    ];
    for (what, each, available) in needed {
        let (needed, available) = (keys * each / 1_000_000_000, available / 1_000_000_000);
        say(&format!("{keys} keys need {needed} GB of {what}, and {available} GB are free"));
        if available < needed {
            return Err(format!("too little {what}").into());
        }
    }
    Ok(())
}

/// What was measured where, and when.
fn head() -> Vec<String> {
    let other = |name: &str, version: Option<String>| match version {
        Some(version) => format!("{name} {version}"),
        None => format!("no {name}"),
    };
    let commit = version_of_tree().map_or_else(String::new, |commit| format!(" ({commit})"));
    vec![
        format!("{}, {}.", clock::today(), machine::describe()),
        format!(
            "latchkey {}{commit}, {}, {}, {}.",
            env!("CARGO_PKG_VERSION"),
            env!("LATCHKEY_BENCH_RUSTC"),
            other("redis-server", redis::version()),
            other("etcd", etcd::version())
        ),
    ]
}

/// The commit that this was built from, as far as the folder that it runs in tells.
fn version_of_tree() -> Option<String> {
    let output = std::process::Command::new("git").args(["rev-parse", "--short", "HEAD"]).output().ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!commit.is_empty()).then_some(commit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_form_leaves_out_what_is_long_unless_it_is_picked() {
        let form = |quick, only| Form::new(quick, false, only, Vec::new(), None);
        assert!(!form(true, vec![]).picks_long(Pick::Snapshot) && form(false, vec![]).picks_long(Pick::Snapshot));
        assert!(form(true, vec![Pick::Snapshot]).picks_long(Pick::Snapshot));
        assert!(!form(true, vec![Pick::Snapshot]).picks(Pick::Validate));
    }
}
