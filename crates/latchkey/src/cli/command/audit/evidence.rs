//! `latchkey audit evidence`: what an auditor takes home, and what proves it there.

use super::Which;
use crate::cli::api::Answer;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::span;
use crate::cli::verify::{Meter, evidence};
use clap::Args;
use latchkey_transparency::note::Note;
use latchkey_transparency::{Evidence as Content, Hash, ProofFile, proof_file_name};
use latchkey_wire::pb::v1 as pb;
use serde_json::{Value, json};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Entries that one folder has at most: beyond that an auditor is better off with a copy of the log.
const ENTRIES_MAX: usize = 100_000;

const PAGE_SIZE: i32 = 1_000;

/// Between two looks whether the newest entries are under a checkpoint.
const PAUSE: Duration = Duration::from_millis(500);

/// What the folder says of itself.
const README: &str = "\
Evidence from the audit log of a Latchkey cluster.

entries.jsonl     one entry a line: what happened, in canonical JSON; `event` is what was hashed, byte for byte, and `opening`
                  the 32 bytes before it: SHA-256(opening || event) is the commitment in the leaf. Both are in base64, and
                  missing where nobody may read the entry any more.
*.tlog-proof      for each entry the proof that it is in the log (c2sp.org/tlog-proof). `extra` is the leaf's preimage:
                  format (1 byte), sequence (8), epoch (8), index (8), commitment (32), and behind it opening and event.
checkpoint        the newest signed checkpoint (c2sp.org/tlog-checkpoint), cosigned by replicas (c2sp.org/tlog-cosignature).
keys              the keys that verify it, as the service told them. Compare them with keys that you have from elsewhere.

Verify all of it, without a network:   latchkey audit verify . --key YOUR-KEYS
";

/// Which entries, and where to.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey audit evidence acme --key acme/orders/0Jx5k3f9QmZ2aB7c --to evidence
  latchkey audit evidence --action 'key.*' --since 90d --to /media/auditor/2026-q4

The folder must not be there yet. Verify it, offline, with: latchkey audit verify FOLDER --key KEYS")]
pub(crate) struct Evidence {
    #[command(flatten)]
    which: Which,
    /// Not older than this.
    #[arg(long, value_name = "SPAN", value_parser = span::parse)]
    since: Option<Duration>,
    /// The folder to make.
    #[arg(long, value_name = "FOLDER")]
    to: PathBuf,
    /// How long to wait for a checkpoint over the newest of them. Seconds.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(0..=3_600))]
    wait_s: u64,
}

impl Evidence {
    pub(crate) async fn run(&self, context: &Context) -> Result<(), CliError> {
        if self.to.exists() {
            let what = format!("{} is there already", self.to.display());
            return Err(CliError::usage(what).remedy("name a folder that is to be made"));
        }
        let entries = self.entries(context).await?;
        let Some(last) = entries.last().map(|entry| entry.sequence) else {
            output::note("No entry matches: nothing was written.");
            return Ok(());
        };
        let checkpoint = self.checkpoint_over(last, context).await?;
        let folder = Folder::make(&self.to)?;
        let mut meter = Meter::new("entries", entries.len() as u64, !context.printer.is_for_people());
        let (mut lines, mut shown) = (String::new(), 0_usize);
        for (done, entry) in entries.iter().enumerate() {
            let request = pb::GetInclusionProofRequest { sequence: entry.sequence, tree_size: 0 };
            let proof = context.api.get_inclusion_proof(request).await?.message;
            let content = (!proof.opening.is_empty()).then_some((&proof.opening[..], &proof.event[..]));
            shown += usize::from(content.is_some());
            // What nothing proves is not told, though the entry was readable a moment ago.
            let line = match (&proof.entry, &entry.revision) {
                (Some(shown), _) if content.is_some() => evidence::entry_line(shown, content),
                (_, revision) => evidence::hidden_line(entry.sequence, revision.unwrap_or_default().into()),
            };
            lines.push_str(&Value::Object(line).to_string());
            lines.push('\n');
            folder.write(&proof_file_name(entry.sequence), proof_file(&proof)?.to_string().as_bytes())?;
            meter.show(done as u64 + 1);
        }
        drop(meter);
        folder.write(evidence::ENTRIES, lines.as_bytes())?;
        folder.write(evidence::CHECKPOINT, checkpoint.message.note.as_bytes())?;
        folder.write(evidence::KEYS, super::checkpoint::keys_text(&checkpoint.message)?.as_bytes())?;
        folder.write(evidence::README, README.as_bytes())?;
        folder.close()?;
        let told = json!({
            "folder": self.to.display().to_string(),
            "entries": entries.len().to_string(),
            "shownEntries": shown.to_string(),
            "size": checkpoint.message.size.to_string(),
        });
        match context.printer.program(&told) {
            Some(text) => output::print(&text),
            None => output::print(&format!(
                "{} entries with their proofs are in {}, {shown} of them with what they say.\n",
                entries.len(),
                self.to.display()
            )),
        }
    }

    /// All entries that match, in the order of the log.
    async fn entries(&self, context: &Context) -> Result<Vec<pb::Entry>, CliError> {
        let since = self.since.map(|since| format!("age < {}ms", since.as_millis()));
        let filter = [Some(self.which.filter(context)?).filter(|filter| !filter.is_empty()), since];
        let filter = filter.into_iter().flatten().collect::<Vec<_>>().join(" AND ");
        let (mut entries, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = pb::ListEntriesRequest {
                parent: self.which.parent(context)?,
                filter: filter.clone(),
                order_by: "sequence".to_owned(),
                page_size: PAGE_SIZE,
                page_token,
            };
            let page = context.api.list_entries(request).await?.message;
            entries.extend(page.entries);
            if entries.len() > ENTRIES_MAX {
                let what = format!("more than {ENTRIES_MAX} entries match");
                let remedy = "narrow the filter, or copy the archive and verify it whole";
                return Err(CliError::usage(what).remedy(remedy));
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(entries);
            }
        }
    }

    /// The newest checkpoint, once it is over the entry.
    async fn checkpoint_over(&self, sequence: u64, context: &Context) -> Result<Answer<pb::Checkpoint>, CliError> {
        let until = Instant::now() + Duration::from_secs(self.wait_s);
        loop {
            let checkpoint = context.api.get_checkpoint(pb::GetCheckpointRequest {}).await?;
            if checkpoint.message.size > sequence {
                return Ok(checkpoint);
            }
            if Instant::now() >= until {
                let size = checkpoint.message.size;
                let what = format!("entry {sequence} is not under the newest checkpoint, which is over {size} entries");
                return Err(CliError::Other(
                    format!("{what}: wait longer with --wait-s, or ask latchkey doctor").into(),
                ));
            }
            sleep(PAUSE).await;
        }
    }
}

/// The file that proves an entry alone.
fn proof_file(proof: &pb::GetInclusionProofResponse) -> Result<ProofFile, CliError> {
    let wrong =
        |what: &str| CliError::Other(format!("the audit service answered with a proof that is none: {what}").into());
    let hash =
        |bytes: &Vec<u8>| <[u8; 32]>::try_from(&bytes[..]).map(Hash::new).map_err(|_| wrong("a hash has 32 bytes"));
    let preimage = proof.leaf[..].try_into().map_err(|_| wrong("a leaf has 57 bytes"))?;
    let content = match proof.opening.len() {
        0 => None,
        _ => Some((proof.opening[..].try_into().map_err(|_| wrong("an opening has 32 bytes"))?, proof.event.clone())),
    };
    let note = proof.checkpoint.as_ref().map(|checkpoint| checkpoint.note.as_str()).unwrap_or_default();
    Ok(ProofFile {
        extra: Content { preimage, content }.write(),
        index: proof.sequence,
        proof: proof.hashes.iter().map(hash).collect::<Result<_, _>>()?,
        checkpoint: Note::parse(note).map_err(|error| wrong(&error.to_string()))?,
    })
}

/// A folder under another name until it is finished; dropped before, it leaves nothing.
struct Folder {
    beside: PathBuf,
    path: PathBuf,
    named: bool,
}

impl Folder {
    fn make(path: &Path) -> Result<Self, CliError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.new", std::process::id()));
        let beside = PathBuf::from(beside);
        // Entries name people and say what they did: the folder is for its owner.
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&beside);
        made.map_err(|source| CliError::File { verb: "make", path: beside.clone(), source })?;
        Ok(Self { beside, path: path.to_owned(), named: false })
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), CliError> {
        let path = self.beside.join(name);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let written = file.and_then(|mut file| file.write_all(bytes));
        written.map_err(|source| CliError::File { verb: "write", path, source })
    }

    fn close(mut self) -> Result<(), CliError> {
        let named = fs::rename(&self.beside, &self.path);
        named.map_err(|source| CliError::File { verb: "make", path: self.path.clone(), source })?;
        self.named = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.named {
            // What is half there helps nobody, and a failure to clear it away no one can mend.
            let _ = fs::remove_dir_all(&self.beside);
        }
    }
}
