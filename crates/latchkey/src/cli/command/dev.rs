//! `latchkey dev`.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::{files, output};
use crate::{Dev as Services, DevError, Layout, Observer, Ports, Seed, env_file, guide};
use clap::Args;
use std::path::PathBuf;
use tokio::signal::unix::{SignalKind, signal};

/// Where, and with what.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey dev
  latchkey dev --data /tmp/try --listen-base 17710
  latchkey dev --seed-file deploy/local/seed.toml
  latchkey dev --observe

It prints what to try. In another terminal: . .latchkey-dev/env")]
pub(crate) struct Dev {
    /// Where it keeps all, in three folders: data, audit and secrets; made on the first start.
    #[arg(long, value_name = "DIR", default_value = ".latchkey-dev")]
    data: PathBuf,
    /// The port of issuance; the others lie as far from it as in the manuals.
    #[arg(long, value_name = "PORT", default_value_t = Ports::BASE,
          value_parser = clap::value_parser!(u16).range(1..=i64::from(Ports::BASE_MAX)))]
    listen_base: u16,
    /// A file with what the cluster begins with, key texts that are known beforehand among it: deploy/local/seed.toml is one.
    #[arg(long, value_name = "FILE")]
    seed_file: Option<PathBuf>,
    /// Prints what Prometheus is to scrape, and starts it on loopback where it is installed. It stops with the services.
    #[arg(long)]
    observe: bool,
    /// Which events are logged, to standard error, such as info,latchkey_registry=debug.
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    log: String,
}

impl Dev {
    pub(crate) async fn run(self) -> Result<Exit, CliError> {
        let options = latchkey_telemetry::Options { log_filter: self.log, ..latchkey_telemetry::Options::default() };
        let telemetry = latchkey_telemetry::init("latchkey-dev", &options).map_err(other)?;
        let ports = Ports::from_base(self.listen_base)
            .ok_or_else(|| CliError::usage("--listen-base leaves no room for the other ports"))?;
        let seed = self.seed_file.as_deref().map(Seed::read).transpose().map_err(other)?;
        let layout = Layout::new(std::path::absolute(self.data).map_err(other)?);

        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate()).map_err(other)?, signal(SignalKind::interrupt()).map_err(other)?);
        // In boxes: the services nest deeper than the compiler follows a future that holds them all.
        let services = Box::pin(Services::start(&layout, ports)).await.map_err(not_started)?;
        let observer = match tell(&services, seed.as_ref(), self.observe, &layout, ports).await {
            Ok(observer) => observer,
            Err(error) => {
                services.stop().await.map_err(other)?;
                return Err(error);
            }
        };
        let asked = async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        let ended = Box::pin(services.until(asked)).await;
        if let Some(observer) = observer {
            observer.stop().await;
        }
        ended.map_err(other)?;
        telemetry.shutdown();
        Ok(Exit::Done)
    }
}

/// Applies the seed, leaves the file for shells, has somebody watch if that is asked for, and prints what to try.
async fn tell(
    services: &Services,
    seed: Option<&Seed>,
    observe: bool,
    layout: &Layout,
    ports: Ports,
) -> Result<Option<Observer>, CliError> {
    let seeded = match seed {
        Some(seed) => services.seed(seed, layout, ports).await.map_err(other)?,
        None => Vec::new(),
    };
    let env = env_file::text(layout, ports, std::env::current_exe().ok().as_deref());
    files::write_private(&layout.env(), &env)?;
    let observer = if observe { Some(Observer::start(layout, ports).await.map_err(other)?) } else { None };
    let watched = observer.as_ref().map(|observer| format!("{}\n", observer.text())).unwrap_or_default();
    output::print(&format!("{watched}{}\n", guide::text(layout, ports, services.is_first(), &seeded)))?;
    Ok(observer)
}

/// Where another one is in the way, how both can run.
fn not_started(error: DevError) -> CliError {
    match &error {
        DevError::Taken { .. } => CliError::usage(error.to_string())
            .remedy("does another latchkey dev run? stop it, or give this one --listen-base PORT and --data DIR"),
        DevError::InUse { .. } => CliError::usage(error.to_string())
            .remedy("does another latchkey dev run on it? stop it, or give this one --data DIR"),
        _ => other(error),
    }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> CliError {
    CliError::Other(Box::new(error))
}
