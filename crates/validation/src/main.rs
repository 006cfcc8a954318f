//! `latchkey-validation`: one replica of the validation service.

use clap::{Parser, Subcommand};
use latchkey_config::{Sources, ValidationSettings};
use latchkey_domain::ClusterId;
use latchkey_validation::{Purpose, Validation, init, plant_by_environment, telemetry_options};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// One replica of the validation service.
#[derive(Debug, Parser)]
#[command(name = "latchkey-validation", version)]
struct Arguments {
    /// The settings file; else the one that `LATCHKEY_CONFIG` names.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, such as `raft.heartbeat_ms=200`. Wins over file and environment.
    #[arg(long = "set", global = true, value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<(String, String)>,
    /// What to do; `serve` where nothing is said.
    #[command(subcommand)]
    task: Option<Task>,
}

#[derive(Debug, Default, Subcommand)]
enum Task {
    /// Serves until SIGTERM or SIGINT.
    #[default]
    Serve,
    /// Makes the data folder, once, and prints the id of the cluster.
    Init {
        /// Found a cluster, and write the text of the first key of `root` to this new file.
        #[arg(long, value_name = "FILE", required_unless_present = "cluster", conflicts_with = "cluster")]
        bootstrap_file: Option<PathBuf>,
        /// Join the cluster with this id.
        #[arg(long, value_name = "ID", value_parser = cluster)]
        cluster: Option<ClusterId>,
    },
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the last words of a process that could not log them")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latchkey-validation: {error}");
            let mut source = error.source();
            while let Some(error) = source {
                eprintln!("  because: {error}");
                source = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the id of the cluster is what `init` is asked for")]
async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let settings = ValidationSettings::load(&Sources::of_process(arguments.config, arguments.settings))?;
    let telemetry = latchkey_telemetry::init("latchkey-validation", &telemetry_options(&settings.telemetry))?;
    plant_by_environment()?;
    match arguments.task.unwrap_or_default() {
        Task::Serve => serve(&settings).await?,
        Task::Init { bootstrap_file: Some(bootstrap_file), .. } => {
            println!("{}", init(&settings, &Purpose::Found { bootstrap_file }).await?);
        }
        Task::Init { cluster, .. } => {
            let cluster = cluster.ok_or("expected --bootstrap-file or --cluster")?;
            println!("{}", init(&settings, &Purpose::Join { cluster }).await?);
        }
    }
    telemetry.shutdown();
    Ok(())
}

async fn serve(settings: &ValidationSettings) -> Result<(), Box<dyn Error>> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut running = Validation::start(settings).await?;
    tokio::select! {
        ended = running.ended() => return Ok(ended?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(running.shutdown().await?)
}

fn setting(text: &str) -> Result<(String, String), &'static str> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn cluster(text: &str) -> Result<ClusterId, &'static str> {
    ClusterId::parse(text).ok_or("expected 32 hexadecimal digits")
}
