//! Whose signatures count.

use crate::cli::error::CliError;
use crate::cli::verify::Wrong;
use latchkey_transparency::note::{Algorithm, Note, NoteError, VerifierKey, Voucher};
use latchkey_transparency::{Checkpoint, CheckpointError, Handover};
use std::path::Path;

/// Verifier keys, and how many cosigners must vouch.
#[derive(Clone, Debug)]
pub(crate) struct Trusted {
    log: VerifierKey,
    /// Keys that signed before, each for trees of so many entries at most.
    before: Vec<(VerifierKey, u64)>,
    /// The last trees of those that handed the log over to the next, as they say themselves.
    handed_over: Vec<Believed>,
    cosigners: Vec<VerifierKey>,
    quorum: usize,
}

/// A checkpoint that is believed, and who vouches for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Believed {
    /// What it says.
    pub(crate) checkpoint: Checkpoint,
    /// The names of the keys, the log's own first; a cosigner's with its time in seconds since 1970.
    pub(crate) vouchers: Vec<(String, Option<u64>)>,
}

impl Trusted {
    /// Of keys as they were given: texts of keys, or files with one a line. The log's own is the one that is no cosigner's.
    ///
    /// # Errors
    /// [`CliError::Usage`], [`CliError::File`].
    pub(crate) fn read(given: &[String], quorum: Option<usize>) -> Result<Self, CliError> {
        let (mut keys, mut before) = (Vec::<VerifierKey>::new(), Vec::<(VerifierKey, u64)>::new());
        for text in given {
            let path = Path::new(text);
            let lines = if path.is_file() {
                let read = std::fs::read_to_string(path);
                read.map_err(|source| CliError::File { verb: "read", path: path.to_owned(), source })?
            } else {
                text.clone()
            };
            for line in lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
                let (key, until) = parse(line)?;
                if let Some(until) = until {
                    before.push((key, until));
                } else if !keys.contains(&key) {
                    keys.push(key);
                }
            }
        }
        let (logs, cosigners): (Vec<_>, Vec<_>) =
            keys.into_iter().partition(|key| key.algorithm() == Algorithm::Ed25519);
        let [log] = &logs[..] else {
            return Err(CliError::usage(format!("expected the key of one log, found {}", logs.len()))
                .remedy("give it with --key: it is the first line of `latchkey audit checkpoint --keys`"));
        };
        if let Some((other, _)) = before.iter().find(|(key, _)| key.name() != log.name() || key == log) {
            return Err(CliError::usage(format!("expected a key that signed before {log}, found {other}"))
                .remedy("give the keys of one log, as `latchkey audit checkpoint --keys` prints them"));
        }
        // One is the least that shows that somebody besides audit saw this log.
        let quorum = quorum.unwrap_or(usize::from(!cosigners.is_empty()));
        if quorum > cosigners.len() {
            let what = format!("a quorum of {quorum} cosigners cannot be met with the keys of {}", cosigners.len());
            return Err(CliError::usage(what).remedy("give more keys with --key, or a smaller --quorum"));
        }
        Ok(Self { log: log.clone(), before, handed_over: Vec::new(), cosigners, quorum })
    }

    /// Goes from the key that is known to the one that it handed the log over to, and on from there. What leads elsewhere is passed
    /// over: it is of another log, or of before.
    ///
    /// # Errors
    /// [`CliError::Usage`]: it is no file of handovers.
    pub(crate) fn follow(&mut self, place: &str, text: &str) -> Result<(), CliError> {
        let notes = Handover::open_all(text).map_err(|error| {
            CliError::usage(format!("{place}: {error}"))
                .remedy("give a file as `latchkey audit checkpoint --handovers` prints it")
        })?;
        for (_, Handover { last, old, new }) in notes {
            if old == self.log {
                self.before.push((old, last.size));
                let vouchers = [&self.log, &new].map(|key| (key.name().to_owned(), None)).to_vec();
                self.handed_over.push(Believed { checkpoint: last, vouchers });
                self.log = new;
            }
        }
        Ok(())
    }

    /// The trees that a log of `size` entries has to begin with, since a key before the one that signs now handed it over with them.
    /// A larger one was handed over and is not shown yet.
    pub(crate) fn handed_over(&self, size: u64) -> impl Iterator<Item = &Believed> {
        self.handed_over.iter().filter(move |last| last.checkpoint.size <= size)
    }

    /// Believes a checkpoint that the log has signed, and enough cosigners with it.
    pub(crate) fn believe(&self, place: &str, note: &Note) -> Result<Believed, Wrong> {
        let opened = self.open(note);
        let (checkpoint, vouchers) = opened.map_err(|what| Wrong::at(place, what))?;
        let vouchers: Vec<_> = vouchers.into_iter().map(|one| (one.key.name().to_owned(), one.unix_seconds)).collect();
        let cosigned = vouchers.len() - 1;
        if cosigned < self.quorum {
            let what = format!("{cosigned} of the known cosigners vouch for it, expected {}", self.quorum);
            return Err(Wrong::at(place, what));
        }
        Ok(Believed { checkpoint, vouchers })
    }

    /// By the key that signs now, or by one of those before it, where that may have signed so much.
    fn open(&self, note: &Note) -> Result<(Checkpoint, Vec<Voucher>), String> {
        let now = Checkpoint::open(note, &self.log, &self.cosigners);
        if !matches!(now, Err(CheckpointError::Note(NoteError::Unknown))) {
            let handed_over = self.before.iter().map(|(_, until)| *until).max().unwrap_or(0);
            if let Ok((checkpoint, _)) = &now
                && checkpoint.size < handed_over
            {
                return Err(format!(
                    "it is of {} entries and signed by a key that the log was handed over to at {handed_over}: it was rolled back",
                    checkpoint.size
                ));
            }
            return now.map_err(|error| error.to_string());
        }
        for (key, until) in &self.before {
            match Checkpoint::open(note, key, &self.cosigners) {
                Ok((checkpoint, _)) if checkpoint.size > *until => {
                    return Err(format!(
                        "it is of {} entries and signed by a key that handed the log over at {until}: expected the signature of {}",
                        checkpoint.size, self.log
                    ));
                }
                Err(CheckpointError::Note(NoteError::Unknown)) => {}
                opened => return opened.map_err(|error| error.to_string()),
            }
        }
        now.map_err(|error| error.to_string())
    }

    /// Believes the text of a checkpoint.
    pub(crate) fn believe_text(&self, place: &str, bytes: &[u8]) -> Result<Believed, Wrong> {
        let text = std::str::from_utf8(bytes).map_err(|_| Wrong::at(place, "expected text, found other bytes"))?;
        let note = Note::parse(text).map_err(|error| Wrong::at(place, error))?;
        self.believe(place, &note)
    }
}

/// A line with a key: the log's own, a cosigner's, or `KEY until N`, which signed trees of N entries at most.
fn parse(line: &str) -> Result<(VerifierKey, Option<u64>), CliError> {
    let remedy = "give the text of a verifier key, or a file as `latchkey audit checkpoint --keys` prints it";
    let wrong = |what: String| CliError::usage(what).remedy(remedy);
    let (text, until) = match line.split_once(" until ") {
        Some((text, until)) => (text, Some(until)),
        None => (line, None),
    };
    let key = VerifierKey::parse(text).map_err(|error| wrong(format!("a key is none: {error}")))?;
    let Some(until) = until else { return Ok((key, None)) };
    let size = until.parse::<u64>().ok().filter(|size| size.to_string() == until);
    let size = size.ok_or_else(|| wrong(format!("expected a number of entries after `until`, found {until}")))?;
    if key.algorithm() != Algorithm::Ed25519 {
        return Err(wrong(format!("expected a key of a log before `until`, found that of a cosigner: {text}")));
    }
    Ok((key, Some(size)))
}
