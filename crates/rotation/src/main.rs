//! `latchkey-rotation`: arguments, settings, build, run, exit.

use clap::Parser;
use latchkey_config::{RotationSettings, Sources};
use latchkey_link::process::{self, Arguments};
use latchkey_rotation::Rotation;
use std::error::Error;
use std::process::ExitCode;
use tokio::runtime::Builder;

const PROGRAM: &str = "latchkey-rotation";

/// Rotates keys.
#[derive(Debug, Parser)]
#[command(name = PROGRAM, version)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

fn main() -> ExitCode {
    let sources = Program::parse().arguments.sources();
    let runtime = Builder::new_multi_thread().enable_all().build().expect("threads can be started");
    let ended = runtime.block_on(run(&sources));
    // A thread that writes to a disk which hangs would be waited for, and for ever.
    runtime.shutdown_background();
    process::exit_code(PROGRAM, ended)
}

async fn run(sources: &Sources) -> Result<(), Box<dyn Error>> {
    let settings = RotationSettings::load(sources)?;
    let _guard = latchkey_telemetry::init(PROGRAM, &process::telemetry_options(&settings.telemetry))?;
    let running = Rotation::start(Rotation::options(&settings)?).await?;
    Ok(running.until(process::asked_to_stop()?).await?)
}
