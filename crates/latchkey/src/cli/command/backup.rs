//! `latchkey backup`: taking one, and proving one without any server.

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::{self, Printer};
use crate::cli::service::Service;
use clap::{Args, Subcommand};
use latchkey_domain::NodeId;
use latchkey_validation::{BackupFile, BackupHeader, verify_backup};
use latchkey_wire::pb::v1 as pb;
use pb::create_backup_response::Part;
use serde_json::{Value, json};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tonic::Streaming;

/// Backups of the cluster.
#[derive(Debug, Subcommand)]
pub(crate) enum BackupTask {
    /// Writes the state of a replica at one revision to a new file.
    Create(Create),
    /// Proves that a backup can be restored: opens every row, and compares the hash of the state. Calls nobody.
    Verify(Verify),
    /// Tells what a backup is of, and whether all of it is there. Needs no key, and calls nobody.
    Show(Show),
}

/// Where to.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey backup create --out /mnt/backups/monday.latchkey
  latchkey backup create --out monday.latchkey --verify --kek-file /etc/latchkey/kek\n\n\
The rows are sealed: without the key-encryption key a backup tells no more than `backup show` does.\n\
Keep that key elsewhere: whoever loses it has no backup.")]
pub(crate) struct Create {
    /// The new file; it must not exist.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Prove it when it is written, as `backup verify` does.
    #[arg(long, requires = "kek_file")]
    verify: bool,
    /// The file with the key-encryption key. Given several times: any of them may be the one of when it was made.
    #[arg(long, value_name = "FILE", requires = "verify")]
    kek_file: Vec<PathBuf>,
}

/// Which.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  latchkey backup verify monday.latchkey --kek-file /etc/latchkey/kek
  latchkey backup verify march.latchkey --kek-file /etc/latchkey/kek --kek-file /mnt/offline/kek-of-march")]
pub(crate) struct Verify {
    /// The backup.
    #[arg(value_name = "FILE")]
    backup: PathBuf,
    /// The file with the key-encryption key. Given several times: any of them may be the one of when it was made.
    #[arg(long, value_name = "FILE", required = true)]
    kek_file: Vec<PathBuf>,
}

/// Which.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  latchkey backup show monday.latchkey")]
pub(crate) struct Show {
    /// The backup.
    #[arg(value_name = "FILE")]
    backup: PathBuf,
}

impl BackupTask {
    pub(crate) async fn run(
        self,
        printer: Printer,
        connect: impl FnOnce() -> Result<Context, CliError>,
    ) -> Result<Exit, CliError> {
        match self {
            Self::Create(create) => create.run(printer, &connect()?).await,
            Self::Verify(Verify { backup, kek_file }) => {
                let header = verify_backup(&backup, &kek_file).await?;
                print(printer, &backup, &header, "verified")
            }
            Self::Show(Show { backup }) => {
                let file = BackupFile::open(&backup).map_err(other)?;
                print(printer, &backup, file.header(), "whole")
            }
        }
    }
}

impl Create {
    async fn run(self, printer: Printer, context: &Context) -> Result<Exit, CliError> {
        let failed = |status| CliError::Call(Box::new(context.api.error(Service::Validation, "CreateBackup", &status)));
        if self.out.exists() {
            let found = self.out.display();
            return Err(CliError::usage(format!("expected a new file, found {found}")).remedy("name another one"));
        }
        let part = part_of(&self.out);
        let parts = context.api.create_backup().await.map_err(failed)?;
        let received = receive(parts, &part).await;
        let kept = match received {
            Ok(()) => keep(&part, &self.out),
            Err(Received::File(source)) => Err(file("write", &part)(source)),
            Err(Received::Call(status)) => Err(failed(*status)),
        };
        if kept.is_err() {
            // What came is no backup.
            drop(fs::remove_file(&part));
        }
        let header = kept?;
        if self.verify {
            verify_backup(&self.out, &self.kek_file).await?;
        }
        print(printer, &self.out, &header, if self.verify { "verified" } else { "whole" })
    }
}

/// Why the parts did not come to their end.
enum Received {
    File(io::Error),
    Call(Box<tonic::Status>),
}

async fn receive(mut parts: Streaming<pb::CreateBackupResponse>, part: &Path) -> Result<(), Received> {
    drop(fs::remove_file(part));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part);
    let mut file = file.map_err(Received::File)?;
    while let Some(message) = parts.message().await.map_err(|status| Received::Call(Box::new(status)))? {
        if let Some(Part::Piece(piece)) = message.part {
            file.write_all(&piece).map_err(Received::File)?;
        }
    }
    file.sync_all().map_err(Received::File)
}

/// Checks the whole, and gives it its name.
fn keep(part: &Path, out: &Path) -> Result<BackupHeader, CliError> {
    let header = BackupFile::open(part).map_err(other)?.header().clone();
    fs::rename(part, out).map_err(file("rename", part))?;
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(file("sync", folder))?;
    Ok(header)
}

fn part_of(out: &Path) -> PathBuf {
    let mut part = out.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

fn file(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::File { verb, path, source }
}

fn other(error: impl std::error::Error + Send + Sync + 'static) -> CliError {
    CliError::Other(Box::new(error))
}

fn print(printer: Printer, path: &Path, header: &BackupHeader, state: &str) -> Result<Exit, CliError> {
    let value = value(path, header, state);
    let text = if printer.is_for_people() { text(&value) } else { printer.one(&value) };
    output::print(&text)?;
    Ok(Exit::Done)
}

fn value(path: &Path, header: &BackupHeader, state: &str) -> Value {
    let NodeId(node) = header.node;
    json!({
        "file": path.display().to_string(),
        "state": state,
        "name": header.backup().to_string(),
        "clusterId": header.cluster.to_string(),
        "epoch": header.revision.epoch,
        "revision": header.revision.to_string(),
        "takeTime": header.taken_at.to_string(),
        "nextSequence": header.next.0,
        "featureLevel": header.feature_level,
        "keyCount": header.keys,
        "replica": node,
        "stateHash": header.hash.bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>(),
    })
}

/// A line for each field.
fn text(value: &Value) -> String {
    let fields = value.as_object().into_iter().flatten();
    let lines = fields.map(|(name, value)| match value {
        Value::String(text) => format!("{name:<14} {text}\n"),
        other => format!("{name:<14} {other}\n"),
    });
    lines.collect()
}
