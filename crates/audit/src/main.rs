//! `latchkey-audit`: arguments, settings, build, run, exit.

use clap::Parser;
use latchkey_audit::Audit;
use latchkey_config::{AuditSettings, Sources};
use latchkey_link::process::{self, Arguments};
use std::error::Error;
use std::process::ExitCode;

const PROGRAM: &str = "latchkey-audit";

/// Follows, keeps and shows the audit log.
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
    let settings = AuditSettings::load(sources)?;
    let _guard = latchkey_telemetry::init(PROGRAM, &process::telemetry_options(&settings.telemetry))?;
    let running = Audit::start(Audit::options(&settings)?).await?;
    Ok(running.until(process::asked_to_stop()?).await?)
}
