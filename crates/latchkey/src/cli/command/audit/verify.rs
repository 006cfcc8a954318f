//! `latchkey audit verify`: needs no service, and believes none.

use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::output::{self, Printer};
use crate::cli::verify::{Believed, Failure, Source, Trusted, Wrong, evidence, whole};
use clap::Args;
use latchkey_transparency::Resource;
use prost_types::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// What to verify, and by whose signatures.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  latchkey audit verify http://127.0.0.1:7741 --key keys              # a whole log, where it is served
  latchkey audit verify /var/lib/latchkey/audit/archive --key keys    # a whole log, or a copy of one, offline
  latchkey audit verify evidence/ --quorum 2                          # entries with their proofs
  latchkey audit verify --entry 00000000000000000042.tlog-proof --key keys

Exit codes: 0 all of it holds, 3 something is wrong, and the first thing is told")]
pub(crate) struct Verify {
    /// A folder with a log of tiles or with evidence, or where tiles are served: http://HOST:PORT.
    #[arg(value_name = "FOLDER|URL", required_unless_present = "entry", conflicts_with = "entry")]
    place: Option<String>,
    /// One proof alone.
    #[arg(long, value_name = "FILE.tlog-proof")]
    entry: Option<PathBuf>,
    /// A verifier key, or a file with some: the log's and its cosigners'. May be repeated [default: the file `keys` there, which
    /// proves no more than that whoever made the folder is of one mind].
    #[arg(long = "key", value_name = "KEY|FILE")]
    keys: Vec<String>,
    /// A file with handovers, as `latchkey audit checkpoint --handovers` prints them: the key that was given hands the log over to
    /// the one that signs now. May be repeated.
    #[arg(long, value_name = "FILE")]
    handover: Vec<PathBuf>,
    /// How many cosigners must vouch [default: 1 where a key of one is known].
    #[arg(long, value_name = "N")]
    quorum: Option<usize>,
    /// A checkpoint that was seen earlier: the log must begin with it. May be repeated.
    #[arg(long, value_name = "FILE", conflicts_with = "entry")]
    earlier: Vec<PathBuf>,
    /// The roots to trust, for an address with https.
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
}

/// What held.
struct Held {
    believed: Believed,
    what: String,
    told: Value,
}

impl Verify {
    pub(crate) async fn run(&self, printer: Printer) -> Result<Exit, CliError> {
        match self.verdict(printer).await {
            Ok(held) => {
                let vouchers: Vec<Value> = held
                    .believed
                    .vouchers
                    .iter()
                    .map(|(name, at)| json!({ "key": name, "cosignedTime": at.and_then(time) }))
                    .collect();
                let mut told = held.told;
                told["verified"] = Value::Bool(true);
                told["size"] = Value::String(held.believed.checkpoint.size.to_string());
                told["root"] = Value::String(held.believed.checkpoint.root.to_string());
                told["origin"] = Value::String(held.believed.checkpoint.origin.clone());
                told["vouchers"] = Value::Array(vouchers);
                if let Some(text) = printer.program(&told) {
                    output::print(&text)?;
                } else {
                    output::print(&text(&held.what, &held.believed))?;
                }
                Ok(Exit::Done)
            }
            Err(Failure::Wrong(Wrong { place, what })) => {
                let told = json!({ "verified": false, "place": place, "wrong": what });
                match printer.program(&told) {
                    Some(text) => output::print(&text)?,
                    None => output::print(&format!("WRONG  {place}: {what}\n"))?,
                }
                Ok(Exit::No)
            }
            Err(Failure::Cannot(error)) => Err(error),
        }
    }

    async fn verdict(&self, printer: Printer) -> Result<Held, Failure> {
        let quiet = !printer.is_for_people();
        if let Some(file) = &self.entry {
            let trusted = self.trusted(file.parent())?;
            let proved = evidence::verify_file(file, &trusted)?;
            let shown = if proved.event.is_some() { "with what it says" } else { "its content is not shown" };
            let what = format!("entry {} is in the log, {shown}", proved.sequence);
            let told =
                json!({ "entries": "1", "sequence": proved.sequence.to_string(), "content": proved.event.is_some() });
            return Ok(Held { believed: proved.believed, what, told });
        }
        let place = self.place.as_deref().ok_or_else(|| CliError::usage("expected a folder or an address"))?;
        let folder = Path::new(place);
        let trusted = self.trusted(Some(folder))?;
        if folder.join(evidence::ENTRIES).is_file() {
            return evidence(folder, &trusted, quiet);
        }
        let source = Source::of(place, self.trust.as_deref())?;
        let stored = source.read(Resource::Checkpoint).await?;
        let Some(stored) = stored else {
            let what = format!("{place} has neither a `checkpoint` nor an `{}`", evidence::ENTRIES);
            let remedy =
                "name the folder of an archive, a copy of one, a folder of evidence, or where tiles are served";
            return Err(CliError::usage(what).remedy(remedy).into());
        };
        let newest = trusted.believe_text("checkpoint", &stored)?;
        let mut earlier = Vec::new();
        for path in &self.earlier {
            let read = std::fs::read(path);
            let read = read.map_err(|source| CliError::File { verb: "read", path: path.clone(), source })?;
            earlier.push(trusted.believe_text(&path.display().to_string(), &read)?);
        }
        // What a key says as it hands the log over binds the one after it.
        earlier.extend(trusted.handed_over(newest.checkpoint.size).cloned());
        let verified = whole::verify(&source, &newest, &earlier, quiet).await?;
        let unknown = match verified.unknown {
            0 => String::new(),
            some => {
                format!(
                    "; of {some} only the leaf is left: their tenant was destroyed before they were archived, or somebody took \
                     them out, and nothing here tells which"
                )
            }
        };
        let what =
            format!("{} entries in {} files, each leaf up to the root{unknown}", verified.leaves, verified.files);
        let told = json!({
            "entries": verified.leaves.to_string(),
            "unknownEntries": verified.unknown.to_string(),
            "files": verified.files.to_string(),
            "earlierCheckpoints": self.earlier.len().to_string(),
        });
        Ok(Held { believed: newest, what, told })
    }

    /// The keys that were given, or else those that lie beside what is verified.
    fn trusted(&self, folder: Option<&Path>) -> Result<Trusted, CliError> {
        let beside = folder.map(|folder| folder.join(evidence::KEYS)).filter(|path| path.is_file());
        let (keys, found) = match beside {
            Some(beside) if self.keys.is_empty() => (vec![beside.display().to_string()], true),
            _ => (self.keys.clone(), false),
        };
        if found {
            output::note(
                "The keys are those that lie beside what is verified. Whoever made it could have made them too: compare them with \
                 keys that you have from elsewhere, or give those with --key.",
            );
        }
        if keys.is_empty() {
            return Err(CliError::usage("expected the keys that the log is verified by")
                .remedy("give --key, with a file as `latchkey audit checkpoint --keys` prints it"));
        }
        let mut trusted = Trusted::read(&keys, self.quorum)?;
        for path in &self.handover {
            let read = std::fs::read_to_string(path);
            let read = read.map_err(|source| CliError::File { verb: "read", path: path.clone(), source })?;
            trusted.follow(&path.display().to_string(), &read)?;
        }
        Ok(trusted)
    }
}

fn evidence(folder: &Path, trusted: &Trusted, quiet: bool) -> Result<Held, Failure> {
    let proved = evidence::verify_folder(folder, trusted, quiet)?;
    let shown = proved.iter().filter(|one| one.event.is_some()).count();
    let Some(last) = proved.iter().max_by_key(|one| one.believed.checkpoint.size) else {
        return Err(Wrong::at(evidence::ENTRIES, "there is no entry in it").into());
    };
    let hidden = match proved.len() - shown {
        0 => String::new(),
        some => format!("; what {some} of them say is not shown, and so is not proved"),
    };
    let what = format!("{} entries are in the log, {shown} of them with what they say{hidden}", proved.len());
    let told = json!({ "entries": proved.len().to_string(), "shownEntries": shown.to_string() });
    Ok(Held { believed: last.believed.clone(), what, told })
}

fn text(what: &str, believed: &Believed) -> String {
    let Believed { checkpoint, vouchers } = believed;
    let mut text = format!(
        "VERIFIED  {what}\n\n  log   {}\n  size  {}\n  root  {}\n",
        checkpoint.origin, checkpoint.size, checkpoint.root
    );
    for (at, (name, cosigned)) in vouchers.iter().enumerate() {
        let did = if at == 0 { "signed by   " } else { "cosigned by " };
        let when = cosigned.and_then(time).map(|time| format!("  at {time}")).unwrap_or_default();
        text.push_str(&format!("  {did}{name}{when}\n"));
    }
    text
}

fn time(unix_seconds: u64) -> Option<String> {
    let seconds = i64::try_from(unix_seconds).ok()?;
    Some(Timestamp { seconds, nanos: 0 }.to_string())
}
