//! `latchkey-audit`: arguments, settings, build, run, exit.

use clap::Parser;
use latchkey_audit::Audit;
use latchkey_config::{AuditSettings, LogFormat, Sources, TelemetrySettings};
use latchkey_telemetry as telemetry;
use std::error::Error;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

/// Follows, keeps and shows the audit log.
#[derive(Debug, Parser)]
#[command(name = "latchkey-audit", version)]
struct Arguments {
    /// The settings' file (TOML). Else the one that LATCHKEY_CONFIG names.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// One setting, over file and environment. May be given many times.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting)]
    set: Vec<(String, String)>,
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { config, set } = Arguments::parse();
    match run(&Sources::of_process(config, set)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = format!("latchkey-audit: {error}\n");
            let mut cause = error.source();
            while let Some(error) = cause {
                text.push_str(&format!("  because {error}\n"));
                cause = error.source();
            }
            // Where even stderr is gone there is nobody to tell.
            let _ = std::io::stderr().write_all(text.as_bytes());
            ExitCode::FAILURE
        }
    }
}

async fn run(sources: &Sources) -> Result<(), Box<dyn Error>> {
    let settings = AuditSettings::load(sources)?;
    let _guard = telemetry::init("latchkey-audit", &telemetry_options(&settings.telemetry))?;
    let running = Audit::start(Audit::options(&settings)?).await?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let asked_to_stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(running.until(asked_to_stop).await?)
}

fn telemetry_options(settings: &TelemetrySettings) -> telemetry::Options {
    telemetry::Options {
        log_format: match settings.log_format {
            LogFormat::Text => telemetry::LogFormat::Text,
            LogFormat::Json => telemetry::LogFormat::Json,
        },
        log_filter: settings.log_filter.clone(),
        otlp_endpoint: settings.otlp_endpoint.clone(),
        trace_sample_ratio: settings.trace_sample_ratio,
    }
}
