//! Kills at system calls, by `strace`; and syncs that fail.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use crate::expect::Expect;
use crate::harness::{Running, check, writer};
use crate::random::Random;

/// The calls that change what is on the disk, and some that do not.
const CALLS: &str =
    "pwrite64,fdatasync,sync_file_range,rename,ftruncate,unlink,openat,fsync,write,mkdir,fallocate,flock,pread64";
/// The calls that may fail without being retried: the writer must end then.
const SYNCS: [&str; 2] = ["fdatasync", "fsync"];
/// Operations of one life: some seconds under strace at most.
const OPERATIONS: u64 = 250;
/// Lives of one store before a fresh one is made.
const LIVES_MAX: u64 = 6;
/// Calls of the first moments of a life, in which a store is opened.
const OPENING_CALLS: u64 = 40;
const KILLED: i32 = 9;

pub(crate) fn run(seconds: u64, seed: u64) -> Result<String, String> {
    let end = now() + Duration::from_secs(seconds);
    let mut random = Random::new(seed);
    let calls = match count_calls(seed) {
        Ok(calls) => calls,
        Err(reason) => return Ok(format!("crash points: not run: {reason}")),
    };
    let names: Vec<&String> = calls.keys().collect();
    let (mut run, mut failed_syncs, mut acknowledged) = (0, 0, 0);
    while now() < end {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let mut expect = Expect::default();
        for life in 0..=random.below(LIVES_MAX) {
            if now() >= end {
                break;
            }
            run += 1;
            let fails = random.once_in(8);
            let call =
                if fails { SYNCS[index(&mut random, SYNCS.len())] } else { names[index(&mut random, names.len())] };
            let made = calls.get(call).copied().unwrap_or(1);
            let opening = made.min(OPENING_CALLS);
            let when = 1 + if random.once_in(2) { random.below(opening) } else { random.below(made) };
            let fault = Fault { call, when, fails };
            let found = fault
                .live(folder.path(), run * 1_000, &mut expect)
                .and_then(|injected| {
                    failed_syncs += u64::from(injected && fails);
                    acknowledged += expect.count();
                    check(&folder.path().join("data"), &expect)
                })
                .map_err(|what| (what, fault));
            match found {
                Ok(next) => expect = next,
                Err((what, Fault { call, when, fails })) => {
                    let kept = folder.keep();
                    let what = if fails { format!("failed sync: {what}") } else { what };
                    return Err(format!(
                        "crash points: run {run} of seed {seed}, life {life}, {call} {when}: {what}; kept in {}",
                        kept.display()
                    ));
                }
            }
        }
    }
    Ok(format!(
        "crash points: {run} run, {run} opened, 0 lost ({failed_syncs} of them failed syncs, {acknowledged} acknowledged facts checked)"
    ))
}

/// What goes wrong in a life.
struct Fault<'a> {
    call: &'a str,
    when: u64,
    /// The call fails; else the process is killed at it.
    fails: bool,
}

impl Fault<'_> {
    /// Lets the writer work until the fault ends it, or until it has done all. True if the fault came.
    fn live(&self, folder: &Path, round: u64, expect: &mut Expect) -> Result<bool, String> {
        let Self { call, when, fails } = self;
        let effect = if *fails { "error=EIO" } else { "signal=SIGKILL" };
        let inject = format!("--inject={call}:{effect}:when={when}");
        let trace = folder.join("trace");
        let status = traced(folder, &trace, &[format!("--trace={call}"), inject], round, expect)
            .map_err(|error| error.to_string())?;
        if !fails {
            let killed = status.signal() == Some(KILLED);
            return if killed || status.success() { Ok(killed) } else { Err(ended(status)) };
        }
        let injected = fs::read_to_string(&trace).map_err(|error| error.to_string())?.contains("(INJECTED)");
        match (injected, status.success()) {
            (true, true) => Err("the writer went on after a sync that failed".into()),
            (false, false) => Err(ended(status)),
            _ => Ok(injected),
        }
    }
}

fn ended(status: ExitStatus) -> String {
    format!("the writer ended by itself: {status}")
}

/// How often a whole life makes each call.
fn count_calls(seed: u64) -> io::Result<BTreeMap<String, u64>> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let status = traced(folder.path(), &trace, &[format!("--trace={CALLS}")], seed, &mut Expect::default())?;
    if !status.success() {
        return Err(io::Error::other(format!("strace cannot trace here: {status}")));
    }
    let mut calls = BTreeMap::new();
    for line in fs::read_to_string(&trace)?.lines() {
        let call = line.split_whitespace().nth(1).and_then(|word| word.split_once('('));
        if let Some((call, _)) = call.filter(|(call, _)| CALLS.split(',').any(|known| known == *call)) {
            *calls.entry(call.to_owned()).or_insert(0) += 1;
        }
    }
    Ok(calls)
}

/// Runs the writer under strace, and hears it.
fn traced(folder: &Path, trace: &Path, options: &[String], round: u64, expect: &mut Expect) -> io::Result<ExitStatus> {
    let strace = ["strace", "-f", "--seccomp-bpf", "-qq"].map(str::to_owned);
    let output = format!("--output={}", trace.display());
    let writer = writer(&folder.join("data"), round, OPERATIONS)?;
    let words: Vec<String> = strace.into_iter().chain([output]).chain(options.iter().cloned()).chain(writer).collect();
    // A sync that fails makes the writer complain, as it should: only where something is found is it of use.
    let complaints = File::options().append(true).create(true).open(folder.join("complaints"))?;
    let mut running = Running::start(&words, complaints.into())?;
    while let Some(line) = running.line()? {
        expect.hear(&line).map_err(io::Error::other)?;
    }
    running.ended()
}

fn index(random: &mut Random, length: usize) -> usize {
    usize::try_from(random.below(length as u64)).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "bounds how long the harness runs, and nothing else")]
fn now() -> Instant {
    Instant::now()
}
