//! Three replicas and an issuance service as real processes, and what callers see while these are killed, stopped,
//! paused, locked and misled about the time.
//!
//! Every command prints figures, which only inform, and checks, which are sentences that are right or wrong. A slow
//! machine makes figures worse and no check wrong. The seed repeats the choices of a run, never the scheduler's.
#![expect(clippy::print_stdout, reason = "a program that reports to whoever runs it")]

mod binaries;
mod caller;
mod cluster;
mod history;
mod keys;
mod links;
mod process;
mod random;
mod record;
mod replica;
mod report;
mod retry;
mod scenarios;
mod settings;
mod shape;
mod unkey;
mod workload;

use crate::binaries::Binaries;
use crate::random::Random;
use crate::replica::Fault;
use crate::report::{Report, Trouble};
use crate::scenarios::{
    audit, barrier, clocks, drill, due, evidence, faults, import, kills, leaders, locked, regions, rekey, restart,
    rotations, snapshot, upgrade, usage,
};
use crate::shape::Profile;
use clap::{Args, Parser, Subcommand, ValueEnum};
use latchkey_telemetry::{Clock as _, SystemClock};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

/// Kills, stops, pauses, locks and misleads a cluster of real processes, and checks what callers see.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Kill the leader while keys are made: nothing acknowledged is lost, nothing is made twice.
    Kills {
        /// How many leaders.
        #[arg(long, default_value_t = 20)]
        count: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Stop all, kill all, start all: state and sequence go on.
    Restart {
        #[command(flatten)]
        common: Common,
    },
    /// Wrong wall clocks: a leader a year ahead expires nothing; replicas apart stay equal.
    Clocks {
        #[command(flatten)]
        common: Common,
    },
    /// Revoke while a replica stands still: it is waited for, and never accepts the key again.
    Barrier {
        /// How many revocations.
        #[arg(long, default_value_t = 6)]
        count: u64,
        /// A bug that is to be found.
        #[arg(long)]
        plant: Option<Plant>,
        #[command(flatten)]
        common: Common,
    },
    /// Write more than the log keeps while a follower is down: it catches up by a snapshot.
    Snapshot {
        #[command(flatten)]
        common: Common,
    },
    /// Start a replica without its key-encryption key.
    Locked {
        #[command(flatten)]
        common: Common,
    },
    /// Import keys of another system, and kill the command and issuance meanwhile: none is missing, none is there twice.
    Import {
        /// How many.
        #[arg(long, default_value_t = 20_000)]
        count: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Revoke through any of several regions, then with one of them cut off: every region is seen to stop, or named.
    Regions {
        /// How many revocations while all links are whole.
        #[arg(long, default_value_t = 1_000)]
        count: usize,
        /// How many regions are cut off, one after the other.
        #[arg(long, default_value_t = 6)]
        cuts: u64,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        common: Common,
    },
    /// Kill leaders, ask leaders to end, cut a leader off: for how long nobody writes, and that validations go on.
    Leaders {
        /// How many are killed.
        #[arg(long, default_value_t = 30)]
        kills: usize,
        /// How many are asked to end.
        #[arg(long, default_value_t = 10)]
        stops: usize,
        /// How many are cut off.
        #[arg(long, default_value_t = 3)]
        cuts: usize,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        common: Common,
    },
    /// Lose quorum and get it back: each keyspace stops at its bound.
    Drill {
        /// How often.
        #[arg(long, default_value_t = 4)]
        rounds: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Faults that overlap, drawn by the seed, under callers whose every word is recorded and checked.
    Faults {
        /// Only these kinds of faults.
        #[arg(long, value_enum, value_delimiter = ',')]
        only: Vec<faults::FaultKind>,
        #[command(flatten)]
        place: Place,
        #[command(flatten)]
        common: Common,
    },
    /// Roll replicas to a newer build under load, and one of them back: the client sees no error.
    Upgrade {
        /// Requests a second.
        #[arg(long, default_value_t = 500)]
        rate: u64,
        /// The older build. Without it, this one, held at an older feature level.
        #[arg(long)]
        other_binary: Option<PathBuf>,
        /// That level.
        #[arg(long, default_value_t = 3)]
        held_at: u32,
        /// Let the audit service follow from the first entry on, and verify what it has published in the end.
        #[arg(long, conflicts_with = "other_binary")]
        audit: bool,
        #[command(flatten)]
        common: Common,
    },
    /// Rotate keys again and again while their consumers validate and switch when they please, and leaders and rotation
    /// services are killed: nobody is refused, nothing is stuck, nothing is done twice.
    Rotations {
        /// How many keys.
        #[arg(long, default_value_t = 1_000)]
        keys: usize,
        /// Validations a second, over all keys and replicas.
        #[arg(long, default_value_t = 1_000)]
        rate: u64,
        /// How many leaders, and how many rotation services, are killed.
        #[arg(long, default_value_t = 100)]
        kills: u64,
        /// How many rotation services there are.
        #[arg(long, default_value_t = 3)]
        services: usize,
        /// Who rotates.
        #[arg(long, value_enum, default_value_t = rotations::By::Policy)]
        rotated_by: rotations::By,
        #[command(flatten)]
        common: Common,
    },
    /// Retire an old version early that fell silent, and hold one with traffic, whose callers are named.
    Evidence {
        #[command(flatten)]
        common: Common,
    },
    /// Change pepper, data key, tenant key, log key and key-encryption key while a client validates: no validation fails, and
    /// nothing is under an old one afterwards.
    Rekey {
        /// Requests a second, over all replicas.
        #[arg(long, default_value_t = 100)]
        rate: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Write in batches while the leader and audit are killed and audit's disk is full: no entry is missing or there twice, and
    /// every checkpoint that was ever seen is one of the log as it is.
    Audit {
        /// So many entries at least.
        #[arg(long, default_value_t = 5_000)]
        entries: u64,
        /// How many leaders, and how often audit, are killed.
        #[arg(long, default_value_t = 6)]
        kills: u64,
        /// Leave the log, the keys and the checkpoints that were seen in this folder, for a verifier that others wrote.
        #[arg(long)]
        keep: Option<PathBuf>,
        #[command(flatten)]
        common: Common,
    },
    /// Validate keys, and count, while replicas and audit are killed: what is counted is what was asked, nothing twice, and nothing
    /// less than what was stated to be lost.
    Usage {
        /// How many replicas, and how often audit, are killed.
        #[arg(long, default_value_t = 6)]
        kills: u64,
        #[command(flatten)]
        common: Common,
    },
    /// Make many keys due at one moment: they are spread within the cap of their keyspace and the budget of writes.
    Due {
        /// How many.
        #[arg(long, default_value_t = 100_000)]
        keys: usize,
        #[command(flatten)]
        common: Common,
    },
    /// All that needs no links, as far as it fits.
    All {
        #[command(flatten)]
        common: Common,
    },
    /// What the harness starts: a replica with a wall clock that is wrong.
    #[command(hide = true)]
    Replica {
        #[arg(long)]
        config: PathBuf,
        #[command(flatten)]
        fault: Fault,
        /// A file that says how far the wall clock jumped since the start. Milliseconds.
        #[arg(long)]
        clock_file: Option<PathBuf>,
    },
}

/// A bug that is there on purpose.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Plant {
    /// The clocks of one replica run at a twentieth of their speed, so that its leases do not end in time.
    SlowClock,
}

#[derive(Args, Clone, Copy)]
struct Place {
    /// How many replicas, each in a region of its own.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(3..=7))]
    replicas: u8,
    /// Where they stand: on one site, or 80 ms apart with one piece of a hundred held for 200 ms.
    #[arg(long, value_enum, default_value_t = Profile::Wan)]
    profile: Profile,
}

#[derive(Args, Clone, Copy)]
struct Common {
    /// When nothing new is begun.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// Repeats the choices of an earlier run. Without it they are new.
    #[arg(long, env = "LATCHKEY_SEED", hide_env_values = true)]
    seed: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = Arguments::parse().command;
    if let Command::Replica { config, fault, clock_file } = command {
        return match replica::serve(config, fault, clock_file).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                println!("{error}");
                ExitCode::FAILURE
            }
        };
    }
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return ExitCode::FAILURE;
    };
    // Dropping the run kills its processes: none outlives this one.
    tokio::select! {
        ended = run(command) => ended,
        _ = terminate.recv() => ExitCode::from(143),
        _ = interrupt.recv() => ExitCode::from(130),
    }
}

async fn run(command: Command) -> ExitCode {
    let mut report = Report::default();
    let ended = match Binaries::find() {
        Ok(binaries) => scenarios_of(&binaries, command, &mut report).await,
        Err(trouble) => Err(trouble),
    };
    report.ended("the run", ended);
    println!("{}", report.summary());
    if report.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn scenarios_of(binaries: &Binaries, command: Command, report: &mut Report) -> Result<(), Trouble> {
    let began = Instant::now();
    let (Command::Kills { common, .. }
    | Command::Restart { common }
    | Command::Clocks { common }
    | Command::Barrier { common, .. }
    | Command::Snapshot { common }
    | Command::Locked { common }
    | Command::Import { common, .. }
    | Command::Regions { common, .. }
    | Command::Leaders { common, .. }
    | Command::Drill { common, .. }
    | Command::Faults { common, .. }
    | Command::Upgrade { common, .. }
    | Command::Rotations { common, .. }
    | Command::Evidence { common }
    | Command::Rekey { common, .. }
    | Command::Audit { common, .. }
    | Command::Usage { common, .. }
    | Command::Due { common, .. }
    | Command::All { common }) = command
    else {
        return Ok(());
    };
    let by = began + Duration::from_secs(common.seconds);
    // Another one each time: a run whose seed nobody chose should see what no run has seen.
    let seed = common.seed.unwrap_or_else(|| SystemClock.unix_millis().millis() % 1_000_000);
    println!("seed {seed}");
    let random = &mut Random::new(seed);
    match command {
        Command::Kills { count, .. } => kills::run(binaries, count, by, random, report).await,
        Command::Restart { .. } => restart::run(binaries, random, report).await,
        Command::Clocks { .. } => clocks::run(binaries, random, report).await,
        Command::Barrier { count, plant, .. } => {
            let plan = barrier::Plan { rounds: count, by, slow_clock: plant == Some(Plant::SlowClock) };
            barrier::run(binaries, plan, random, report).await
        }
        Command::Snapshot { .. } => snapshot::run(binaries, by, random, report).await,
        Command::Locked { .. } => locked::run(binaries, random, report).await,
        Command::Import { count, .. } => import::run(binaries, count, random, report).await,
        Command::Regions { count, cuts, place: Place { replicas, profile }, .. } => {
            let plan = regions::Plan { replicas: replicas.into(), profile, revocations: count, cuts, by };
            regions::run(binaries, plan, random, report).await
        }
        Command::Leaders { kills, stops, cuts, place: Place { replicas, profile }, .. } => {
            let plan = leaders::Plan { replicas: replicas.into(), profile, kills, stops, cuts, by };
            leaders::run(binaries, plan, random, report).await
        }
        Command::Drill { rounds, .. } => drill::run(binaries, rounds, random, report).await,
        Command::Faults { only, place: Place { replicas, profile }, .. } => {
            let lasts = by.saturating_duration_since(Instant::now());
            let plan = faults::Plan { replicas: replicas.into(), profile, only, lasts };
            faults::run(binaries, plan, random, report).await
        }
        Command::Upgrade { rate, other_binary, held_at, audit, .. } => {
            let plan = upgrade::Plan { rate, other: other_binary, held_at, audit };
            upgrade::run(binaries, plan, random, report).await
        }
        Command::Rotations { keys, rate, kills, services, rotated_by, .. } => {
            let plan = rotations::Plan { keys, rate, kills, services, rotated_by, by };
            rotations::run(binaries, plan, random, report).await
        }
        Command::Evidence { .. } => evidence::run(binaries, random, report).await,
        Command::Rekey { rate, .. } => rekey::run(binaries, rate, random, report).await,
        Command::Audit { entries, kills, keep, .. } => {
            let plan = audit::Plan { entries, kills, keep, by };
            audit::run(binaries, plan, random, report).await
        }
        Command::Usage { kills, .. } => usage::run(binaries, usage::Plan { kills, by }, random, report).await,
        Command::Due { keys, .. } => {
            let plan = due::Plan { keys, lasts: by.saturating_duration_since(Instant::now()) };
            due::run(binaries, plan, random, report).await
        }
        Command::All { .. } => all(binaries, by, random, report).await,
        Command::Replica { .. } => Ok(()),
    }
}

/// Each scenario, the short ones first; kills get half of what is left, and the snapshot the rest.
async fn all(binaries: &Binaries, by: Instant, random: &mut Random, report: &mut Report) -> Result<(), Trouble> {
    for name in ["restart", "locked", "barrier", "clocks", "kills", "snapshot"] {
        let left = by.saturating_duration_since(Instant::now());
        if left.is_zero() {
            println!("== {name}: not begun, the time is over");
            continue;
        }
        println!("== {name}");
        let half = Instant::now() + left / 2;
        let scenario = async {
            match name {
                "restart" => restart::run(binaries, random, report).await,
                "locked" => locked::run(binaries, random, report).await,
                "barrier" => {
                    let plan = barrier::Plan { rounds: 4, by: half, slow_clock: false };
                    barrier::run(binaries, plan, random, report).await
                }
                "clocks" => clocks::run(binaries, random, report).await,
                "kills" => kills::run(binaries, 1_000, half, random, report).await,
                _ => snapshot::run(binaries, by, random, report).await,
            }
        };
        match tokio::time::timeout(left + Duration::from_secs(30), scenario).await {
            Ok(ended) => report.ended(name, ended),
            Err(_) => println!("   {name}: cut off by the clock, nothing wrong until then"),
        }
    }
    Ok(())
}
