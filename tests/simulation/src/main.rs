//! `latchkey-simulation`: replicas in simulated time, with faults by seed.
#![expect(clippy::print_stdout, reason = "what a harness has to say, it says to whoever started it")]

use clap::{Parser, Subcommand};
use latchkey_domain::planted::{self, Plant};
use latchkey_simulation::figures::{self, Figure};
use latchkey_simulation::ground::Profile;
use latchkey_simulation::random::{self, Tally};
use latchkey_simulation::scenarios::{SCENARIOS, Scenario};
use latchkey_simulation::world::{Failure, Outcome, Random};
use std::process::ExitCode;
use std::time::Duration;

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
    /// Runs random histories, one seed after another, for so long; prints how many cases there were.
    Run {
        /// For how long, in seconds of this machine.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// The first seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// At most so many histories.
        #[arg(long, default_value_t = u64::MAX)]
        count: u64,
        /// A bug to plant: it shows what random histories find.
        #[arg(long)]
        plant: Option<String>,
    },
    /// Measures what the product promises, in simulated time, and fails where a promise is not kept.
    Figures {
        /// The seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many revocations.
        #[arg(long, default_value_t = 1_000)]
        revocations: usize,
        /// How often each leader is killed.
        #[arg(long, default_value_t = 30)]
        kills: usize,
    },
    /// Plants so many bugs, chosen by the seed, one after another; fails where one is not found.
    Plants {
        /// How many; all where it is not said.
        #[arg(long)]
        count: Option<usize>,
        /// The seed.
        #[arg(long, default_value_t = 1)]
        seed: u64,
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
        Task::Run { seconds, seed, count, plant } => plant.as_deref().map(bug).transpose().and_then(|bug| {
            planted::plant(bug);
            run(Duration::from_secs(seconds), seed, count)
        }),
        Task::Figures { seed, revocations, kills } => figures(seed, revocations, kills),
        Task::Plants { count, seed } => plants(count, seed),
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

/// The time of this machine, which bounds a run and decides nothing in it.
#[expect(clippy::disallowed_methods, reason = "how long a run may take is a matter of this machine's time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn run(span: Duration, seed: u64, count: u64) -> Result<String, String> {
    let began = now();
    let mut tally = Tally::default();
    let mut next = seed;
    while tally.histories < count && (tally.histories == 0 || began.elapsed() < span) {
        let history = random::history(next).map_err(|failure| told("a random history", &failure))?;
        println!("seed {next}: {history:?}");
        tally.add(history);
        next += 1;
    }
    Ok(format!(
        "simulation: {} histories of {} simulated s with seeds {seed} to {}: {} writes, {} of them revocations, {} consistent \
         reads, {} faults, {} decisions; whole again within {} ms",
        tally.histories,
        tally.seconds,
        next - 1,
        tally.writes,
        tally.revocations,
        tally.reads,
        tally.faults,
        tally.decisions,
        tally.healed_ms
    ))
}

fn figures(seed: u64, revocations: usize, kills: usize) -> Result<String, String> {
    let figures: [Box<dyn FnOnce() -> Outcome<Figure>>; 4] = [
        Box::new(move || figures::visibility(seed, revocations)),
        Box::new(move || figures::region_cut_off(seed, 6)),
        Box::new(move || figures::leader_killed("one-site", Profile::ONE_SITE, 3_000, seed, kills)),
        Box::new(move || figures::leader_killed("wan", Profile::WAN, 8_000, seed, kills)),
    ];
    let count = figures.len();
    for figure in figures {
        let Figure { what, found, promised } = figure().map_err(|failure| told("figures", &failure))?;
        println!("{what}: {found} (promised: {promised})");
    }
    Ok(format!("figures: {count} promises kept in simulated time, seed {seed}"))
}

fn plants(count: Option<usize>, seed: u64) -> Result<String, String> {
    let count = count.unwrap_or(SCENARIOS.len()).min(SCENARIOS.len());
    let mut random = Random::new(seed);
    let mut left: Vec<_> = SCENARIOS.to_vec();
    for _ in 0..count {
        let place = usize::try_from(random.below(left.len() as u64)).unwrap_or(0);
        println!("{}", plant(left.swap_remove(place).finds.word(), seed)?);
    }
    Ok(format!("planted bugs: {count} planted, {count} found, seed {seed}"))
}

fn bug(word: &str) -> Result<Plant, String> {
    Plant::parse(word).ok_or_else(|| {
        let words: Vec<_> = Plant::all().map(Plant::word).collect();
        format!("expected one of {}, found {word}", words.join(", "))
    })
}

fn plant(word: &str, seed: u64) -> Result<String, String> {
    let bug = bug(word)?;
    let scenario = Scenario::finding(bug).ok_or_else(|| format!("{word} is found elsewhere: see tests/README.md"))?;
    match scenario.hunt(seed, SEEDS_PER_PLANT) {
        Some(failure) => Ok(format!("{word}: found by {} as: {failure}", scenario.name)),
        None => Err(format!("{word}: NOT FOUND by {} with {SEEDS_PER_PLANT} seeds from {seed} on", scenario.name)),
    }
}

fn told(name: &str, failure: &Failure) -> String {
    format!("{}\n{name}: {failure}", failure.events.join("\n"))
}
