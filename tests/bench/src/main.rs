//! `latchkey-bench`: measures a release build on the machine that it runs on, against what that machine can do.
//!
//! ```text
//! latchkey-bench -- starts itself again as parts --> replica, issuance, bare handler   (half of the processors)
//!       '---------- load over loopback ------------------^          ^                   (the other half)
//! ```
//! In: [`figures`], each with how it is measured; [`load`], calls at the lowest price; [`cluster`], a cluster that is made
//! and filled through its public API, in processes of its own. Out: what is right; nothing here fails for being slow.

mod clock;
mod cluster;
mod figures;
mod load;
mod machine;
mod parts;
mod process;
mod table;

use clap::Parser;
use cluster::Cluster;
use figures::{creating, listing, loading, validating};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use table::{Table, say};

/// How many keys there are when validating is measured, and in the quick form.
const KEYS: [usize; 2] = [10_000, 1_000_000];
const KEYS_QUICK: [usize; 2] = [10_000, 100_000];

/// Keys that are asked for, of all: more than any cache near a processor holds.
const ASKED_MAX: usize = 100_000;

/// Rounds, of which the median counts, and in the quick form. Short and many: what else the machine does changes by the
/// second, and a ratio compares two neighbours.
const ROUNDS: usize = 15;
const ROUNDS_QUICK: usize = 5;

/// Measures Latchkey on this machine. Build it with --release.
#[derive(Debug, Parser)]
#[command(name = "latchkey-bench", version)]
struct Arguments {
    /// About a minute, with fewer keys and rounds.
    #[arg(long)]
    quick: bool,
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
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn main() -> ExitCode {
    let Arguments { quick, folder, part, cpu, set } = Arguments::parse();
    let ended = match part {
        Some(kind) => parts::run(kind, &cpu, set),
        None => measure(quick, folder),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&error.to_string());
            let mut source = error.source();
            while let Some(error) = source {
                say(&format!("because {error}"));
                source = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn measure(quick: bool, folder: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    if cfg!(debug_assertions) {
        say("this is not a release build: the figures are for trying this program out");
    }
    let temporary = match folder {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let mut table = Table::default();
    validate_and_load(temporary.path(), quick, &mut table).await?;
    for size in [1, 3] {
        creating::measure(temporary.path(), size, &mut table).await?;
    }
    table.print(&format!("{}, {}", clock::today(), machine::describe()));
    Ok(())
}

/// One cluster of one replica that gets more and more keys, with a restart before each measurement.
async fn validate_and_load(folder: &Path, quick: bool, table: &mut Table) -> Result<(), Box<dyn Error>> {
    let (keys, rounds) = if quick { (KEYS_QUICK, ROUNDS_QUICK) } else { (KEYS, ROUNDS) };
    let halves = machine::halves()?;
    let mut cluster = Cluster::found(&folder.join("validating"), 1).await?;
    cluster.start(&[])?;
    cluster.start_issuance()?;
    cluster.furnish().await?;
    cluster.stop()?;
    let root = cluster.root().to_owned();
    let none = loading::start(&mut cluster, &halves.servers, &root).await?;
    cluster.stop()?;

    let (mut there, mut key_texts) = (0, Vec::new());
    for count in keys {
        say(&format!("making {} keys", count - there));
        cluster.start(&[])?;
        cluster.start_issuance()?;
        cluster.first_valid(&root, clock::now()).await?;
        let (more, took) = cluster.fill(count - there, count.div_ceil(ASKED_MAX)).await?;
        say(&format!("made at {:.0} keys/s", (count - there) as f64 / took.as_secs_f64()));
        key_texts.extend(more);
        there = count;
        cluster.stop()?;

        let last = key_texts.last().ok_or("no key was made")?.clone();
        let loaded = loading::start(&mut cluster, &halves.servers, &last).await?;
        loading::tell(&none, &loaded, count, table);
        validating::measure(&cluster, &halves, folder, count, key_texts.clone(), rounds, table).await?;
        if count == keys[1] {
            cluster.start_issuance()?;
            listing::measure(&cluster, count, table).await?;
        }
        cluster.stop()?;
    }
    Ok(())
}
