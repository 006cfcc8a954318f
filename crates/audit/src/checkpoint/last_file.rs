//! What was signed last: a signed note in a file beside the key, written whole before the signature leaves this process.

use crate::whole_file::write_whole;
use latchkey_transparency::Checkpoint;
use latchkey_transparency::note::{Algorithm, Note, VerifierKey};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file of one key.
#[derive(Debug)]
pub(super) struct LastFile {
    path: PathBuf,
}

impl LastFile {
    pub(super) fn beside(key: &Path) -> Self {
        Self { path: key.with_added_extension("last") }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What was signed last by `public`; `None` where nothing was yet.
    ///
    /// # Errors
    /// A sentence: it cannot be read, or is nothing that this key signed. To go on then could be to sign a fork.
    pub(super) fn read(&self, public: [u8; 32]) -> Result<Option<Checkpoint>, String> {
        let path = self.path.display();
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {path}, which tells what was signed last: {error}")),
        };
        let damaged = |error: &dyn std::fmt::Display| {
            format!("{path} is no checkpoint that our key signed ({error}); put back the file that belongs to the key")
        };
        let note = Note::parse(&text).map_err(|error| damaged(&error))?;
        let origin = note.text().lines().next().unwrap_or_default();
        let key = VerifierKey::new(origin, Algorithm::Ed25519, &public).map_err(|error| damaged(&error))?;
        Checkpoint::open(&note, &key, &[]).map(|(last, _)| Some(last)).map_err(|error| damaged(&error))
    }

    /// Durable on return.
    pub(super) fn write(&self, note: &Note) -> io::Result<()> {
        write_whole(&self.path, note.to_string())
    }
}
