//! `latchkey`: the command line.

use clap::{Parser, Subcommand};
use latchkey::{Dev, Layout, Ports, guide};
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Latchkey: API keys that are issued, validated and revoked.
#[derive(Debug, Parser)]
#[command(name = "latchkey", version)]
struct Arguments {
    /// What to do.
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Runs every service in this process, on loopback, with an embedded store: for developing and trying, not for serving.
    Dev {
        /// Where data and secrets lie, in two folders; made on the first start.
        #[arg(long, value_name = "DIR", default_value = ".latchkey-dev")]
        data: PathBuf,
        /// The port of issuance; the others lie as far from it as in the manuals: +9, +10, +11, +19.
        #[arg(long, value_name = "PORT", default_value_t = Ports::BASE,
              value_parser = clap::value_parser!(u16).range(1..=i64::from(Ports::BASE_MAX)))]
        listen_base: u16,
        /// Which events are logged, to stderr, such as `info,latchkey_registry=debug`.
        #[arg(long, value_name = "FILTER", default_value = "warn")]
        log: String,
    },
}

#[tokio::main]
#[expect(clippy::print_stderr, reason = "the last words of a process that could not log them")]
async fn main() -> ExitCode {
    let Arguments { task } = Arguments::parse();
    match run(task).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("latchkey: {error}");
            let mut source = error.source();
            while let Some(error) = source {
                eprintln!("  because: {error}");
                source = error.source();
            }
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "the guide is what a person who starts this wants to read")]
async fn run(task: Task) -> Result<(), Box<dyn Error>> {
    let Task::Dev { data, listen_base, log } = task;
    let options = latchkey_telemetry::Options { log_filter: log, ..latchkey_telemetry::Options::default() };
    let telemetry = latchkey_telemetry::init("latchkey-dev", &options)?;
    let ports = Ports::from_base(listen_base).ok_or("--listen-base leaves no room for the other ports")?;
    let layout = Layout::new(std::path::absolute(data)?);

    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let dev = Dev::start(&layout, ports).await?;
    println!("{}", guide::text(&layout, ports, dev.is_first()));
    let asked = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    dev.until(asked).await?;
    telemetry.shutdown();
    Ok(())
}
