//! From one key to the next: what the old one signed binds the new one, and both sign that the log goes on.
//!
//! Beside a key lies `<key>.handovers`, the notes that lead to it from the first key of all. They are public, and shown with each
//! checkpoint: whoever trusts an older key follows them to the one that signs now.

use super::key_file::CheckpointKey;
use super::last_file::LastFile;
use super::signer::Fork;
use crate::whole_file::write_whole;
use latchkey_state::AuditCheckpoint;
use latchkey_transparency::note::Note;
use latchkey_transparency::{Checkpoint, Handover};
use std::fs;
use std::io;
use std::path::PathBuf;

/// The notes that lead to one key.
#[derive(Debug)]
pub(super) struct HandoverFile {
    path: PathBuf,
    pub(super) notes: Vec<(Note, Handover)>,
}

/// The key that signed before, for as long as its file is given.
#[derive(Debug)]
pub(super) struct Previous {
    key: CheckpointKey,
    /// What it signed last.
    pub(super) last: Option<Checkpoint>,
    /// What leads to it.
    handovers: HandoverFile,
}

impl HandoverFile {
    /// Those of a key.
    ///
    /// # Errors
    /// [`Fork`]: they cannot be read, or do not lead to it.
    pub(super) fn open(key: &CheckpointKey) -> Result<Self, Fork> {
        let path = key.path().with_added_extension("handovers");
        let wrong = |what: &dyn std::fmt::Display| {
            let path = path.display();
            Fork {
                what: format!("{path} does not lead to our key ({what}); put back the file that belongs to the key"),
            }
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(wrong(&error)),
        };
        let notes = Handover::open_all(&text).map_err(|error| wrong(&error))?;
        let follow = notes.windows(2).all(|pair| pair[0].1.new.public() == pair[1].1.old.public());
        if !follow || notes.last().is_some_and(|(_, said)| said.new.public() != key.public()) {
            return Err(wrong(&"its notes lead to another key"));
        }
        Ok(Self { path, notes })
    }

    fn write(&mut self, notes: Vec<(Note, Handover)>) -> io::Result<()> {
        let text: String = notes.iter().map(|(note, _)| note.to_string()).collect();
        write_whole(&self.path, &text)?;
        self.notes = notes;
        Ok(())
    }
}

impl Previous {
    /// With what it signed last, and what leads to it.
    ///
    /// # Errors
    /// [`Fork`]: that cannot be told.
    pub(super) fn open(key: CheckpointKey) -> Result<Self, Fork> {
        let last = LastFile::beside(key.path()).read(key.public()).map_err(|what| Fork { what })?;
        let handovers = HandoverFile::open(&key)?;
        Ok(Self { key, last, handovers })
    }

    /// Whether these notes end with that of this key, of what it signed last.
    pub(super) fn has_handed_over(&self, file: &HandoverFile) -> bool {
        let is_ours = |said: &Handover| said.old.public() == self.public() && Some(&said.last) == self.last.as_ref();
        file.notes.last().is_some_and(|(_, said)| is_ours(said))
    }

    /// Lets both keys sign that the new one goes on from what the old one signed last, where it signed anything of this log.
    /// Durable on return.
    pub(super) fn hand_over(&self, to: &CheckpointKey, origin: &str, file: &mut HandoverFile) -> io::Result<()> {
        let Some(last) = self.last.as_ref().filter(|last| last.origin == origin) else { return Ok(()) };
        let note = Handover::sign(last, &self.key.signer(origin), &to.signer(origin));
        let said = Handover::open(&note).expect("both keys have just signed it");
        tracing::info!(old = %said.old, new = %said.new, size = last.size, "the log is handed over to another key");
        file.write(self.handovers.notes.iter().cloned().chain([(note, said)]).collect())
    }

    /// Why this key cannot hand the log over, where the cluster knows of more than what lies beside the key: what it signed last would
    /// bind nobody, and whoever trusts it could not go on from there.
    pub(super) fn lacks(&self, origin: &str, recorded: Option<&AuditCheckpoint>) -> Option<String> {
        let (recorded, path) = (recorded?, LastFile::beside(self.key.path()));
        let told = self.last.as_ref().filter(|last| last.origin == origin).map(|last| last.size);
        let is_ours = recorded.key == self.public();
        if told.is_some_and(|told| !is_ours || told >= recorded.size) {
            return None;
        }
        let (size, path, told) = (recorded.size, path.path().display(), told.unwrap_or(0));
        let remedy = if is_ours {
            "put back the file that belongs to the key"
        } else {
            "name the key that signed as checkpoint_key_file_previous"
        };
        Some(format!(
            "the cluster recorded a checkpoint of {size} entries, and {path} tells of {told}, so the log cannot be handed over: {remedy}, \
             and start audit anew"
        ))
    }

    /// The public key.
    pub(super) const fn public(&self) -> [u8; 32] {
        self.key.public()
    }
}
