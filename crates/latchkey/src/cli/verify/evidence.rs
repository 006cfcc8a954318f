//! Single entries: proofs that stand alone, and what the entries say.

use crate::cli::error::CliError;
use crate::cli::output::json;
use crate::cli::verify::{Believed, Failure, Meter, Trusted, Wrong};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey_domain::{Revision, Sequence};
use latchkey_transparency::{Checkpoint, Evidence, Hash, Leaf, ProofFile, hash_preimage, proof_file_name};
use latchkey_wire::pb::v1 as pb;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The files of a folder of evidence.
pub(crate) const ENTRIES: &str = "entries.jsonl";
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const KEYS: &str = "keys";
pub(crate) const README: &str = "README";

/// What a line of entries has besides what the API shows.
const OPENING: &str = "opening";
const EVENT: &str = "event";

/// One entry that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proved {
    /// Which.
    pub(crate) sequence: u64,
    /// The event, where it is shown: what the leaf commits to.
    pub(crate) event: Option<Vec<u8>>,
    /// Under which checkpoint, and who vouches for that.
    pub(crate) believed: Believed,
    revision: Revision,
    opening: Option<[u8; 32]>,
}

/// Verifies one proof file.
///
/// # Errors
/// [`Failure`].
pub(crate) fn verify_file(path: &Path, trusted: &Trusted) -> Result<Proved, Failure> {
    let place = path.display().to_string();
    let text = read(path)?;
    Ok(verify_text(&place, &text, trusted)?)
}

fn verify_text(place: &str, text: &str, trusted: &Trusted) -> Result<Proved, Wrong> {
    let proof = ProofFile::parse(text).map_err(|error| Wrong::at(place, error))?;
    let believed = trusted.believe(place, &proof.checkpoint)?;
    let evidence = Evidence::read(&proof.extra)
        .ok_or_else(|| Wrong::at(place, "expected the preimage of a leaf behind `extra`, found something else"))?;
    let leaf = Leaf::read(&evidence.preimage);
    if leaf.sequence != Sequence(proof.index) {
        let what = format!("it is of entry {}, and its leaf says that it is entry {}", proof.index, leaf.sequence.0);
        return Err(Wrong::at(place, what));
    }
    let proved = proof.verify(&hash_preimage(&evidence.preimage), &believed.checkpoint);
    proved.map_err(|error| Wrong::at(place, error))?;
    if !evidence.content_holds() {
        return Err(Wrong::at(place, "the event is not the one that the leaf commits to: it was changed"));
    }
    let (opening, event) = evidence.content.unzip();
    Ok(Proved { sequence: leaf.sequence.0, event, believed, revision: leaf.revision, opening })
}

/// Verifies a folder of evidence: each line of its entries against its proof, and that neither has more than the other.
///
/// # Errors
/// [`Failure`]: the first thing that is wrong.
pub(crate) fn verify_folder(folder: &Path, trusted: &Trusted, quiet: bool) -> Result<Vec<Proved>, Failure> {
    let lines = read(&folder.join(ENTRIES))?;
    let lines: Vec<&str> = lines.lines().collect();
    let mut meter = Meter::new("entries", lines.len() as u64, quiet);
    let (mut proved, mut names) = (Vec::new(), BTreeSet::new());
    let mut roots = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let place = format!("{ENTRIES}, line {}", at + 1);
        let line: Map<String, Value> =
            serde_json::from_str(line).map_err(|_| Wrong::at(&place, "expected an object of JSON"))?;
        let sequence = number(line.get("sequence")).ok_or_else(|| Wrong::at(&place, "expected a `sequence`"))?;
        let name = proof_file_name(sequence);
        if !names.insert(name.clone()) {
            return Err(Wrong::at(&place, format!("entry {sequence} is there twice")).into());
        }
        let file = folder.join(&name);
        if !file.is_file() {
            return Err(Wrong::at(&place, format!("entry {sequence} has no proof: {name} is missing")).into());
        }
        let one = verify_file(&file, trusted)?;
        compare(&place, line, &one)?;
        agree(&mut roots, &name, &one.believed)?;
        proved.push(one);
        meter.show(at as u64 + 1);
    }
    let cannot = |source| CliError::File { verb: "read", path: folder.to_owned(), source };
    for file in fs::read_dir(folder).map_err(cannot)? {
        let name = file.map_err(cannot)?.file_name().to_string_lossy().into_owned();
        if name.ends_with(".tlog-proof") && !names.contains(&name) {
            return Err(Wrong::at(&name, format!("it proves an entry that {ENTRIES} leaves out")).into());
        }
    }
    let checkpoint = folder.join(CHECKPOINT);
    if checkpoint.is_file() {
        let believed = trusted.believe_text(CHECKPOINT, read(&checkpoint)?.as_bytes())?;
        agree(&mut roots, CHECKPOINT, &believed)?;
    }
    Ok(proved)
}

/// That two checkpoints of one size are of one tree.
fn agree(roots: &mut BTreeMap<u64, (Hash, String)>, place: &str, believed: &Believed) -> Result<(), Wrong> {
    let Checkpoint { size, root, .. } = believed.checkpoint;
    let (expected, other) = roots.entry(size).or_insert_with(|| (root, place.to_owned()));
    if *expected == root {
        return Ok(());
    }
    let what = format!("the root of {size} entries is {root}, and {expected} in {other}: one of the two is a fork");
    Err(Wrong::at(place, what))
}

/// Whether a line says what the proved event says. The tenant's name alone is not in the event, which has its number.
fn compare(place: &str, mut line: Map<String, Value>, proved: &Proved) -> Result<(), Wrong> {
    let decoded = |value: Option<Value>| {
        let text = value.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        STANDARD.decode(text).map_err(|_| Wrong::at(place, "expected base64 in `opening` and `event`"))
    };
    let (opening, event) = (decoded(line.remove(OPENING))?, decoded(line.remove(EVENT))?);
    let expected = (proved.opening.map(Vec::from).unwrap_or_default(), proved.event.clone().unwrap_or_default());
    if (opening, event) != expected {
        return Err(Wrong::at(place, "its opening and event are not those of its proof"));
    }
    let Some(event) = &proved.event else { return compare_hidden(place, &line, proved) };
    let tenant = line.get("tenant").and_then(Value::as_str).unwrap_or_default().to_owned();
    let shown = latchkey_audit::entry_of(Sequence(proved.sequence), proved.revision, event, tenant);
    let shown = shown.map_err(|error| Wrong::at(place, error))?;
    let expected = entry_line(&shown, None);
    for (name, value) in &expected {
        if line.get(name) != Some(value) {
            let what = format!("`{name}` is not what the event says, which is {value}");
            return Err(Wrong::at(place, what));
        }
    }
    match line.keys().find(|name| !expected.contains_key(*name)) {
        Some(more) => Err(Wrong::at(place, format!("the event says nothing of `{more}`"))),
        None => Ok(()),
    }
}

/// Whether a line says no more than the leaf of an entry whose event is not shown.
fn compare_hidden(place: &str, line: &Map<String, Value>, proved: &Proved) -> Result<(), Wrong> {
    let expected = hidden_line(proved.sequence, proved.revision);
    match line.iter().find(|(name, value)| expected.get(*name) != Some(*value)) {
        Some((name, _)) => {
            Err(Wrong::at(place, format!("nothing proves its `{name}`: the event of this entry is not shown")))
        }
        None => Ok(()),
    }
}

/// A line about an entry whose event is not shown: what its leaf says, and so is proved.
pub(crate) fn hidden_line(sequence: u64, revision: Revision) -> Map<String, Value> {
    entry_line(&pb::Entry { sequence, revision: Some(revision.into()), ..pb::Entry::default() }, None)
}

/// A line of the entries: what the API shows, and with `content` what opens the commitment.
pub(crate) fn entry_line(entry: &pb::Entry, content: Option<(&[u8], &[u8])>) -> Map<String, Value> {
    let Value::Object(mut line) = json::value("Entry", entry) else { return Map::new() };
    // The first entry of all has the sequence 0, which JSON of messages leaves out.
    line.insert("sequence".to_owned(), Value::String(entry.sequence.to_string()));
    if let Some((opening, event)) = content {
        line.insert(OPENING.to_owned(), Value::String(STANDARD.encode(opening)));
        line.insert(EVENT.to_owned(), Value::String(STANDARD.encode(event)));
    }
    line
}

fn number(value: Option<&Value>) -> Option<u64> {
    match value? {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64(),
    }
}

fn read(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|source| CliError::File { verb: "read", path: path.to_owned(), source })
}
