//! Signed notes: a text, and lines that vouch for it. Source: c2sp.org/signed-note, c2sp.org/tlog-cosignature.
mod error;
mod keys;
mod signature;

pub use error::{KeyTextError, NoteError};
pub use keys::{Algorithm, SignerKey, VerifierKey};
pub use signature::Signature;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

/// Signatures that a note has at most; the specification asks for no less than 16.
pub const SIGNATURES_MAX: usize = 128;

/// Bytes that a note has at most.
pub const NOTE_BYTES_MAX: usize = 64 << 10;

/// What parts the text from the signatures: the last empty line.
const PARTING: &str = "\n\n";

/// A text and what stands below it. Nothing in it is believed before [`Note::open`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// A signature that is right: who vouches for the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voucher {
    /// By this key.
    pub key: VerifierKey,
    /// For a cosignature: when, in seconds since 1970.
    pub unix_seconds: Option<u64>,
}

impl Note {
    /// A note without signatures so far.
    ///
    /// # Errors
    /// [`NoteError::Text`] where the text is empty, does not end with a line feed, or has control characters.
    pub fn new(text: &str) -> Result<Self, NoteError> {
        let whole = text.ends_with('\n') && text.len() > 1 && text.len() < NOTE_BYTES_MAX;
        if !whole || text.chars().any(|char| char < ' ' && char != '\n') {
            return Err(NoteError::Text);
        }
        Ok(Self { text: text.to_string(), signatures: Vec::new() })
    }

    /// Reads a note. That it reads says nothing of who signed it.
    ///
    /// # Errors
    /// [`NoteError`]
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Long { found: note.len() });
        }
        let parting = note.rfind(PARTING).ok_or(NoteError::Unsigned)?;
        let (text, signatures) = (&note[..=parting], &note[parting + PARTING.len()..]);
        let mut read = Self::new(text)?;
        let lines = signatures.strip_suffix('\n').ok_or(NoteError::Unsigned)?;
        for (at, line) in lines.split('\n').enumerate() {
            if at == SIGNATURES_MAX {
                return Err(NoteError::Signatures);
            }
            read.signatures.push(Signature::parse(line).ok_or(NoteError::Line { at })?);
        }
        Ok(read)
    }

    /// The text, with the line feed at its end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The lines below it, in their order.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds a line; one of the same key goes.
    pub fn add(&mut self, signature: Signature) {
        self.signatures.retain(|known| known.name() != signature.name() || known.key_id() != signature.key_id());
        self.signatures.push(signature);
    }

    /// Signs the text with a key of [`Algorithm::Ed25519`], and adds the line.
    pub fn sign(&mut self, signer: &SignerKey) {
        self.add(signer.sign(&self.text));
    }

    /// Who of these keys vouches for the text, in the order of `keys`.
    ///
    /// # Errors
    /// [`NoteError::Wrong`] where a line under the name and id of one of the keys was not made by it: somebody has tampered.
    /// [`NoteError::Unknown`] where there is no line of any of them.
    pub fn open(&self, keys: &[VerifierKey]) -> Result<Vec<Voucher>, NoteError> {
        let mut vouchers = Vec::new();
        for key in keys {
            // A second line of the same key adds nothing, but a wrong one is no less wrong.
            for signature in self.signatures.iter().filter(|signature| signature.is_of(key)) {
                let unix_seconds = key
                    .verify(&self.text, signature)
                    .ok_or_else(|| NoteError::Wrong { key: key.name().to_string() })?;
                if vouchers.iter().all(|known: &Voucher| known.key != *key) {
                    vouchers.push(Voucher { key: key.clone(), unix_seconds });
                }
            }
        }
        if vouchers.is_empty() { Err(NoteError::Unknown) } else { Ok(vouchers) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

#[cfg(test)]
mod tests;
