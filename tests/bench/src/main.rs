//! `latchkey-bench`: measures a release build on the machine that it runs on, against what that machine can do.
//!
//! ```text
//! latchkey-bench -- starts itself again as parts --> replica, issuance, bare handler   (half of the processors)
//!       |---------- starts what others wrote ------> redis-server, etcd               (the same half, in turns)
//!       '---------- load over loopback ------------------^          ^                 (the other half)
//! ```
//! In: [`figures`], each with how it is measured; [`load`], calls at the lowest price; [`cluster`], a cluster that is made
//! and filled through its public API, in processes of its own; [`redis`] and [`etcd`], what we are compared with. Out:
//! what is right; nothing here fails for being slow.

mod clock;
mod cluster;
mod etcd;
mod figures;
mod load;
mod machine;
mod measure;
mod parts;
mod process;
mod redis;
mod rounds;
mod table;

use clap::Parser;
use measure::{Form, Pick};
use mimalloc::MiMalloc;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use table::{Output, say};

/// As the program that is measured has it.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures Latchkey on this machine. Build it with --release.
#[derive(Debug, Parser)]
#[command(name = "latchkey-bench", version)]
struct Arguments {
    /// About a minute, with fewer keys and rounds.
    #[arg(long)]
    quick: bool,
    /// Validating among 10,000,000 keys as well.
    #[arg(long, conflicts_with = "quick")]
    soak: bool,
    /// Measure only this; may be given again.
    #[arg(long, value_name = "FIGURES")]
    only: Vec<Pick>,
    /// Measure validating among so many keys instead; may be given again.
    #[arg(long, value_name = "COUNT")]
    keys: Vec<usize>,
    /// How the table is written.
    #[arg(long, value_enum, default_value = "text")]
    output: Output,
    /// Record with perf, once for each section of validating, what the replica does; a file each in this folder.
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,
    /// Where data folders are made, and removed at the end. Else where the system keeps what is temporary.
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Run as a part of a measurement instead.
    #[arg(value_enum, hide = true)]
    part: Option<parts::Kind>,
    #[arg(long, hide = true)]
    cpu: Vec<usize>,
    #[arg(long, hide = true, value_parser = setting)]
    set: Vec<(String, String)>,
    #[arg(last = true, hide = true)]
    command: Vec<String>,
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    let Arguments { quick, soak, only, keys, output, profile, folder, part, cpu, set, command } = Arguments::parse();
    let ended = match part {
        Some(kind) => parts::run(kind, &cpu, set, &command),
        None => measure::all(&Form::new(quick, soak, only, keys, profile), folder, output),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&*error);
            ExitCode::FAILURE
        }
    }
}

fn tell(error: &dyn Error) {
    say(&error.to_string());
    let mut source = error.source();
    while let Some(error) = source {
        say(&format!("because {error}"));
        source = error.source();
    }
}
