//! The commands: a file for each noun.

mod access;
mod audit;
mod backup;
mod backups_left;
mod cluster;
mod completions;
mod destroy_data;
mod destruction;
mod dev;
mod doctor;
mod explain;
mod health;
mod identity;
mod key;
mod keyring;
mod keyspace;
mod login;
mod man;
mod open_sealed;
mod owner;
mod pki;
mod plan;
mod recipient;
mod replica;
mod report;
mod role;
mod rotation;
mod run;
mod tenant;
mod usage;
mod validate;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::Printer;
use crate::cli::settings::GlobalArguments;
use clap::Subcommand;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Task {
    /// Runs every service in this process, on loopback: for developing and trying, not for serving.
    Dev(dev::Dev),
    /// Writes where the services are and your management key into a profile, once for all.
    Login(login::Login),
    /// Takes a profile away.
    Logout(login::Logout),
    /// The life of keys.
    #[command(subcommand)]
    Key(key::KeyTask),
    /// Checks a key text: exit code 0 where it is VALID, 3 where it is not.
    Validate(validate::Validate),
    /// Tells each check of a validation, with what it found: exit codes as validate.
    Explain(explain::Explain),
    /// Reports what only an API knows of requests that it served: status, latency, bytes, load.
    Report(report::Report),
    /// Organisations; nothing crosses their borders.
    #[command(subcommand)]
    Tenant(tenant::TenantTask),
    /// The keys of one API in one environment.
    #[command(subcommand)]
    Keyspace(keyspace::KeyspaceTask),
    /// Whoever keys belong to.
    #[command(subcommand)]
    Owner(owner::OwnerTask),
    /// Named sets of permissions and methods, given to keys.
    #[command(subcommand)]
    Role(role::RoleTask),
    /// Who calls Latchkey, and what they may do.
    #[command(subcommand)]
    Identity(identity::IdentityTask),
    /// Rotations in progress and past.
    #[command(subcommand)]
    Rotation(rotation::RotationTask),
    /// Keys that new secrets are sealed to.
    #[command(subcommand)]
    Recipient(recipient::RecipientTask),
    /// Opens a key text that was sealed to a recipient.
    OpenSealed(open_sealed::OpenSealed),
    /// The audit log: who did what, when, and why.
    #[command(subcommand)]
    Audit(audit::AuditTask),
    /// What keys were used for: requests, denials, latencies, over time.
    Usage(usage::Usage),
    /// The replicas of validation.
    #[command(subcommand)]
    Cluster(cluster::ClusterTask),
    /// The keys that the cluster itself seals and digests with.
    #[command(subcommand)]
    Keyring(keyring::KeyringTask),
    /// Certificates, for those who have no authority of their own.
    #[command(subcommand)]
    Pki(pki::PkiTask),
    /// Backups of the cluster.
    #[command(subcommand)]
    Backup(backup::BackupTask),
    /// A replica whose folder is lost.
    #[command(subcommand)]
    Replica(replica::ReplicaTask),
    /// Looks at everything and tells what is wrong and what to do.
    Doctor(doctor::Doctor),
    /// Asks a process whether it serves, at its port of the metrics: for whoever starts and ends it.
    Health(health::Health),
    /// Tells what memory, disks and time a cluster takes, from measured figures.
    Plan(plan::Plan),
    /// Runs a command with a key in its environment.
    Run(run::Run),
    /// Prints completions for a shell.
    Completions(completions::Completions),
    /// Writes manual pages into a folder.
    Man(man::Man),
}

impl Task {
    /// Carries it out. `connect` reads the settings, which not every command needs.
    pub(crate) async fn run(
        self,
        global: &GlobalArguments,
        printer: Printer,
        connect: impl FnOnce() -> Result<Context, CliError>,
    ) -> Result<Exit, CliError> {
        match self {
            // The longest ways are boxed: without it the compiler gives the whole program up.
            Self::Dev(dev) => Box::pin(dev.run()).await,
            Self::Login(login) => login.run(global).await,
            Self::Logout(logout) => logout.run(global),
            Self::Doctor(doctor) => doctor.run(global, printer).await,
            Self::Pki(task) => task.run(printer),
            Self::Recipient(task) => task.run(),
            Self::OpenSealed(task) => task.run(global),
            Self::Health(health) => health.run().await,
            Self::Plan(plan) => plan.run(printer),
            Self::Completions(completions) => completions.run(),
            Self::Man(man) => man.run(),
            Self::Run(run) => run.run(global, printer).await,
            Self::Validate(validate) => validate.run(&connect()?).await,
            Self::Explain(explain) => explain.run(&connect()?).await,
            Self::Report(report) => report.run(&connect()?).await,
            Self::Key(task) => task.run(&connect()?).await,
            Self::Tenant(task) => task.run(&connect()?).await,
            Self::Keyspace(task) => task.run(&connect()?).await,
            Self::Owner(task) => task.run(&connect()?).await,
            Self::Role(task) => task.run(&connect()?).await,
            Self::Rotation(task) => task.run(&connect()?).await,
            Self::Usage(usage) => Box::pin(usage.run(&connect()?)).await,
            Self::Audit(task) => Box::pin(task.run(printer, connect)).await,
            Self::Identity(task) => task.run(&connect()?).await,
            Self::Cluster(task) => Box::pin(task.run(&connect()?)).await,
            Self::Keyring(task) => Box::pin(task.run(&connect()?)).await,
            Self::Backup(task) => Box::pin(task.run(printer, connect)).await,
            Self::Replica(task) => Box::pin(task.run(&connect()?)).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::{View, json::descriptor};
    use prost_reflect::Kind;

    /// Every table, with the message that a row of it shows.
    const VIEWS: [(&str, &View); 16] = [
        ("LocalDenial", &key::DENIALS),
        ("Key", &key::VIEW),
        ("Tenant", &tenant::VIEW),
        ("Keyspace", &keyspace::VIEW),
        ("Owner", &owner::VIEW),
        ("Role", &role::VIEW),
        ("Identity", &identity::VIEW),
        ("Rotation", &rotation::VIEW),
        ("DueRotation", &rotation::DUE),
        ("Access", &access::VIEW),
        ("Entry", &audit::VIEW),
        ("Entry", &audit::TAIL),
        ("Export", &audit::EXPORTS),
        ("Replica", &cluster::VIEW),
        ("RingKey", &keyring::VIEW),
        ("ValidationCheck", &explain::VIEW),
    ];

    #[test]
    fn every_column_shows_a_field_that_there_is() {
        for (message, view) in VIEWS {
            for column in view.columns {
                let mut within = Some(descriptor(message));
                for name in column.path.split('.') {
                    let holder = within.unwrap_or_else(|| panic!("{message}: {} is below a scalar", column.path));
                    let field = holder.get_field_by_json_name(name);
                    let field = field.unwrap_or_else(|| panic!("{message} has no {}", column.path));
                    within = if let Kind::Message(inner) = field.kind() { Some(inner) } else { None };
                }
            }
        }
    }
}
