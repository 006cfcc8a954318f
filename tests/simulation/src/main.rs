//! `latchkey-simulation`: replicas in simulated time, with faults by seed.
#![expect(clippy::print_stdout, reason = "what a harness has to say, it says to whoever started it")]

use clap::{Parser, Subcommand};
use latchkey_domain::planted::Plant;
use latchkey_simulation::scenarios::{SCENARIOS, Scenario};
use latchkey_simulation::world::Failure;
use std::process::ExitCode;

/// Replicas in simulated time, with faults by seed.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs each named scenario, or one.
    Scenarios {
        /// Which.
        name: Option<String>,
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many seeds.
        #[arg(long, default_value_t = 1)]
        seeds: u64,
    },
    /// Plants a bug and hunts it with the scenario that is about it; fails where it is not found.
    Plant {
        /// Its word.
        word: String,
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

/// Seeds with which a planted bug is hunted at most.
const SEEDS_PER_PLANT: u64 = 4;

fn main() -> ExitCode {
    if std::env::var_os("LATCHKEY_LOG").is_some() {
        tracing_subscriber::fmt().with_env_filter(tracing_subscriber::EnvFilter::from_env("LATCHKEY_LOG")).init();
    }
    let done = match Arguments::parse().task {
        Task::Scenarios { name, seed, seeds } => scenarios(name.as_deref(), seed, seeds),
        Task::Plant { word, seed } => plant(&word, seed),
    };
    match done {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn scenarios(name: Option<&str>, seed: u64, seeds: u64) -> Result<String, String> {
    let chosen: Vec<_> = SCENARIOS.into_iter().filter(|one| name.is_none_or(|name| name == one.name)).collect();
    if chosen.is_empty() {
        let names: Vec<_> = SCENARIOS.iter().map(|one| one.name).collect();
        return Err(format!("expected one of {}, found {}", names.join(", "), name.unwrap_or_default()));
    }
    let mut count = 0;
    for scenario in chosen {
        for seed in seed..seed + seeds {
            (scenario.run)(seed).map_err(|failure| told(scenario.name, &failure))?;
            println!("{}: right with seed {seed}", scenario.name);
            count += 1;
        }
    }
    Ok(format!("scenarios: {count} runs, all right"))
}

fn plant(word: &str, seed: u64) -> Result<String, String> {
    let bug = Plant::parse(word).ok_or_else(|| {
        let words: Vec<_> = Plant::all().map(Plant::word).collect();
        format!("expected one of {}, found {word}", words.join(", "))
    })?;
    let scenario = Scenario::finding(bug).ok_or_else(|| format!("{word} is found elsewhere: see tests/README.md"))?;
    match scenario.hunt(seed, SEEDS_PER_PLANT) {
        Some(failure) => Ok(format!("{word}: found by {} as: {failure}", scenario.name)),
        None => Err(format!("{word}: NOT FOUND by {} with {SEEDS_PER_PLANT} seeds from {seed} on", scenario.name)),
    }
}

fn told(name: &str, failure: &Failure) -> String {
    format!("{}\n{name}: {failure}", failure.events.join("\n"))
}
