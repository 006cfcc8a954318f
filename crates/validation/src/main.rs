//! `latchkey-validation`: one replica of the validation service.

use clap::{Parser, Subcommand};
use latchkey_config::{Sources, ValidationSettings};
use latchkey_domain::ClusterId;
use latchkey_validation::{
    Purpose, RestoreOptions, Restored, Validation, init, made, plant_by_environment, recover, restore,
    telemetry_options,
};
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
        /// The epoch of that cluster, as `latchkey cluster show` tells it: above 1 where it was restored or recovered.
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
        epoch: u64,
        /// Do nothing where the folder is made already for this node and this cluster.
        #[arg(long)]
        if_absent: bool,
    },
    /// Makes the data folder from a backup, in a new epoch of the cluster: this replica, whose `node.id` was never used,
    /// becomes the only one. Stop all other replicas, and the audit service, before.
    Restore {
        /// The backup.
        #[arg(long, value_name = "FILE")]
        backup: PathBuf,
        /// The data folder of the audit service, or a copy: what was revoked after the backup is revoked again.
        #[arg(long, value_name = "FOLDER", required_unless_present = "accept_lost_revocations")]
        audit_folder: Option<PathBuf>,
        /// There is no audit log any more: keys that were revoked after the backup will be accepted again.
        #[arg(long, conflicts_with = "audit_folder")]
        accept_lost_revocations: bool,
        /// Suspend every key that changed after the backup, also where that took nothing away.
        #[arg(long, requires = "audit_folder")]
        suspend_changed: bool,
        /// The new epoch; else the one after the last that is known of. Name a higher one where another restore was lost.
        #[arg(long, value_name = "N")]
        epoch: Option<u64>,
    },
    /// Makes a cluster of one of this replica, in a new epoch, with every record that it has: for when the majority is lost
    /// for good. Do it on one survivor only, the one that is furthest, and stop all others before.
    Recover {
        /// The data folder of the audit service, or a copy: it may be further than this replica.
        #[arg(long, value_name = "FOLDER")]
        audit_folder: Option<PathBuf>,
        /// The new epoch; else the one after the last that is known of.
        #[arg(long, value_name = "N")]
        epoch: Option<u64>,
        /// All other replicas are gone for good, and will never be started again.
        #[arg(long, required = true)]
        yes: bool,
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
        Task::Init { if_absent: true, cluster, .. } if is_made_for(&settings, cluster).await? => {}
        Task::Init { bootstrap_file: Some(bootstrap_file), .. } => {
            println!("{}", init(&settings, &Purpose::Found { bootstrap_file }).await?);
        }
        Task::Init { cluster, epoch, .. } => {
            let cluster = cluster.ok_or("expected --bootstrap-file or --cluster")?;
            println!("{}", init(&settings, &Purpose::Join { cluster, epoch }).await?);
        }
        Task::Restore { backup, audit_folder, suspend_changed, epoch, .. } => {
            let options = RestoreOptions { backup, audit_folder, suspend_changed, epoch };
            tell(&restore(&settings, &options).await?);
        }
        Task::Recover { audit_folder, epoch, .. } => tell(&recover(&settings, audit_folder, epoch).await?),
    }
    telemetry.shutdown();
    Ok(())
}

/// Whether the folder is made already. Says for which cluster, as making it would.
#[expect(clippy::print_stdout, reason = "the id of the cluster is what `init` is asked for")]
async fn is_made_for(settings: &ValidationSettings, cluster: Option<ClusterId>) -> Result<bool, Box<dyn Error>> {
    let Some(found) = made(settings).await? else { return Ok(false) };
    match cluster.filter(|cluster| *cluster != found) {
        Some(expected) => Err(format!("the data folder is of cluster {found}, expected {expected}").into()),
        None => {
            println!("{found}");
            Ok(true)
        }
    }
}

/// What came of a restore or a recovery, for whoever goes on from there.
#[expect(clippy::print_stdout, reason = "what came of it is what was asked for")]
fn tell(restored: &Restored) {
    let Restored { gone_on, later, sealed } = restored;
    println!("cluster {}", gone_on.cluster);
    println!("epoch {}", gone_on.revision.epoch);
    println!("went on from revision {}, stands at {}", gone_on.from, gone_on.revision);
    match later {
        None => println!("the audit log was not asked: what was revoked since is accepted again"),
        Some(later) => {
            println!("revoked or suspended again: {}", gone_on.taken_away);
            for (action, count) in later {
                println!("later in the audit log: {count} {action}");
            }
            if *sealed > 0 {
                println!("later in the audit log: {sealed} of tenants that are not known here");
            }
        }
    }
    for left in &gone_on.left {
        println!("not taken away: {left}");
    }
    println!(
        "next: start this replica, then the audit service; init the others with --epoch {}",
        gone_on.revision.epoch
    );
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
