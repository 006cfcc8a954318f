//! `latchkey-issuance`: arguments, settings, build, run, exit.

use clap::Parser;
use latchkey_config::{IssuanceSettings, Sources};
use latchkey_issuance::Issuance;
use latchkey_link::process::{self, Arguments};
use std::error::Error;
use std::process::ExitCode;

const PROGRAM: &str = "latchkey-issuance";

/// Makes, reads, changes and revokes keys, and keeps the directory.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

#[tokio::main]
async fn main() -> ExitCode {
    process::exit_code(PROGRAM, run(&Program::parse().arguments.sources()).await)
}

async fn run(sources: &Sources) -> Result<(), Box<dyn Error>> {
    let settings = IssuanceSettings::load(sources)?;
    let _guard = latchkey_telemetry::init(PROGRAM, &process::telemetry_options(&settings.telemetry))?;
    let running = Issuance::start(Issuance::options(&settings)?).await?;
    Ok(running.until(process::asked_to_stop()?).await?)
}
