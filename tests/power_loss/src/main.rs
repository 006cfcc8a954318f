//! The store after a kill at any system call, and after a cut of power.
//!
//! A writer works on a store in a process of its own and says what was acknowledged, as it is acknowledged. The
//! harness ends it in one of two ways, opens what is left, and checks that every acknowledged write is there:
//!
//! - `crash-points`: `strace` kills the writer at the Nth call of a system call, also while it creates and opens, or
//!   fails a sync, after which the writer must end by itself;
//! - `power-cuts`: the writer works on a file system in an image; it is stopped, and the image is copied as it is, so
//!   that all is lost that was not written to the "disk"; the copy is mounted, which replays its journal, and opened.
//!
//! `--plant skipped-sync` takes the one call away that makes sled durable: `power-cuts` must then fail.
#![expect(clippy::print_stdout, reason = "a program that reports to whoever runs it")]

mod content;
mod crash_points;
mod expect;
mod harness;
mod power_cuts;
mod random;
mod volume;
mod writer;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use latchkey_storage::Planted;

/// Ends a writer in bad moments, and checks what it leaves.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Kill the writer at system calls, for so many seconds.
    CrashPoints {
        /// When to begin no further run.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Repeats the choices of an earlier run.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Cut the power so many times.
    PowerCuts {
        /// How many cuts.
        #[arg(long, default_value_t = 20)]
        count: u64,
        /// Repeats the choices of an earlier run.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// A bug that is to be found.
        #[arg(long)]
        plant: Option<Plant>,
    },
    /// What the harness starts.
    #[command(hide = true)]
    Write {
        folder: PathBuf,
        /// Choices of the writer; also the first round of its records, which must rise from one life to the next.
        #[arg(long)]
        round: u64,
        #[arg(long)]
        operations: u64,
        #[arg(long)]
        plant: Option<Plant>,
    },
}

/// A bug that is there on purpose.
#[derive(Clone, Copy, ValueEnum)]
enum Plant {
    /// sled's own flush is trusted.
    SkippedSync,
    /// A promised purge is kept before the state below it is durable.
    EagerPurge,
}

impl From<Plant> for Planted {
    fn from(plant: Plant) -> Self {
        match plant {
            Plant::SkippedSync => Self::SkippedSync,
            Plant::EagerPurge => Self::EagerPurge,
        }
    }
}

/// The bug as the writer takes it on its command line.
fn plant_argument(plant: Plant) -> String {
    plant.to_possible_value().map(|value| format!("--plant={}", value.get_name())).unwrap_or_default()
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::CrashPoints { seconds, seed } => crash_points::run(seconds, seed),
        Command::PowerCuts { count, seed, plant } => power_cuts::run(count, seed, plant),
        Command::Write { folder, round, operations, plant } => {
            // Standard output is for what was acknowledged.
            let ended = writer::run(&folder, round, operations, plant.map(Planted::from));
            return ended.map_or_else(|why| complain(&why), |()| ExitCode::SUCCESS);
        }
    };
    match outcome {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(found) => {
            println!("{found}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stderr, reason = "the writer's last word, which the harness passes on")]
fn complain(why: &str) -> ExitCode {
    eprintln!("writer: {why}");
    ExitCode::FAILURE
}
