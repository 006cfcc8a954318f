//! That one key of a log goes on where another ends: a note that both sign.
//!
//! ```text
//! latchkey handover/v1
//! <origin>
//! <size of the last tree of the old key>
//! <its root, in base64>
//! <the old verifier key>
//! <the new verifier key>
//! ```
//! Six lines, so that none is ever taken for a checkpoint, which has three. What the old key signs beyond that size counts no more.

use crate::checkpoint::Checkpoint;
use crate::note::{Algorithm, Note, SignerKey, VerifierKey};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

/// The first line.
const HEAD: &str = "latchkey handover/v1";

/// What a handover says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The last tree of the old key.
    pub last: Checkpoint,
    /// The key that signs nothing beyond it.
    pub old: VerifierKey,
    /// The key that signs from there on.
    pub new: VerifierKey,
}

/// Why a handover is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandoverError {
    /// It is not the six lines that a handover has.
    Shape,
    /// Not both keys, and nobody else, have signed it.
    Signatures,
}

impl Handover {
    /// Signed by both keys, which are named as the log is.
    #[must_use]
    pub fn sign(last: &Checkpoint, old: &SignerKey, new: &SignerKey) -> Note {
        let said = Self { last: last.clone(), old: old.verifier().clone(), new: new.verifier().clone() };
        let mut note = Note::new(&said.to_string()).expect("a handover is six lines of text");
        note.sign(old);
        note.sign(new);
        note
    }

    /// What a handover says, once both keys are found to have signed it.
    ///
    /// # Errors
    /// [`HandoverError`].
    pub fn open(note: &Note) -> Result<Self, HandoverError> {
        let said = Self::parse(note.text()).ok_or(HandoverError::Shape)?;
        let vouchers = note.open(&[said.old.clone(), said.new.clone()]).map_err(|_| HandoverError::Signatures)?;
        if vouchers.len() == 2 && note.signatures().len() == 2 { Ok(said) } else { Err(HandoverError::Signatures) }
    }

    /// Reads the notes of a file with any number of them, one behind the other.
    ///
    /// # Errors
    /// [`HandoverError`]: one of them is none.
    pub fn open_all(text: &str) -> Result<Vec<(Note, Self)>, HandoverError> {
        let mut notes = Vec::<String>::new();
        for line in text.split_inclusive('\n') {
            if line.strip_suffix('\n') == Some(HEAD) {
                notes.push(String::new());
            }
            notes.last_mut().ok_or(HandoverError::Shape)?.push_str(line);
        }
        let read = notes.iter().map(|text| {
            let note = Note::parse(text).map_err(|_| HandoverError::Shape)?;
            let said = Self::open(&note)?;
            Ok((note, said))
        });
        read.collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(HEAD)?.strip_prefix('\n')?;
        let (at, _) = rest.match_indices('\n').nth(2)?;
        let (checkpoint, keys) = rest.split_at(at + 1);
        let last = Checkpoint::parse(checkpoint).ok()?;
        let (old, new) = keys.strip_suffix('\n')?.split_once('\n')?;
        let said = Self { last, old: VerifierKey::parse(old).ok()?, new: VerifierKey::parse(new).ok()? };
        let is_of_log = |key: &VerifierKey| key.algorithm() == Algorithm::Ed25519 && key.name() == said.last.origin;
        let is_one = is_of_log(&said.old) && is_of_log(&said.new) && said.old != said.new;
        // One form for each, as a checkpoint has.
        (is_one && said.to_string() == text).then_some(said)
    }
}

impl fmt::Display for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { last, old, new } = self;
        write!(f, "{HEAD}\n{last}{old}\n{new}\n")
    }
}

impl fmt::Display for HandoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shape => {
                "expected a handover: six lines, which name the log, its last tree under the old key, and both keys"
            }
            Self::Signatures => "expected the signatures of the old and of the new key, and no other",
        })
    }
}

impl core::error::Error for HandoverError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hash;
    use crate::checkpoint::CheckpointError;
    use alloc::format;

    fn key(seed: u8) -> SignerKey {
        SignerKey::new("latchkey/test", Algorithm::Ed25519, &[seed; 32]).unwrap()
    }

    fn last() -> Checkpoint {
        Checkpoint { origin: "latchkey/test".to_string(), size: 42, root: Hash::new([5; 32]) }
    }

    #[test]
    fn what_both_keys_signed_is_believed_and_reads_as_it_was_written() {
        let note = Handover::sign(&last(), &key(1), &key(2));
        let said = Handover { last: last(), old: key(1).verifier().clone(), new: key(2).verifier().clone() };
        assert_eq!(Handover::open(&Note::parse(&note.to_string()).unwrap()), Ok(said.clone()));
        // Nobody can show one as a checkpoint, whoever signed it.
        assert_eq!(Checkpoint::open(&note, key(1).verifier(), &[]), Err(CheckpointError::Shape));
        let next = Handover::sign(&Checkpoint { size: 50, ..last() }, &key(2), &key(3));
        let all = Handover::open_all(&format!("{note}{next}")).unwrap();
        assert_eq!((all.len(), &all[0].1, all[1].1.last.size), (2, &said, 50));
        assert_eq!(Handover::open_all(""), Ok(Vec::new()));
    }

    #[test]
    fn what_one_key_alone_or_a_stranger_says_is_not_believed() {
        let whole = Handover::sign(&last(), &key(1), &key(2));
        for (left, line) in whole.signatures().iter().enumerate() {
            let mut one = Note::new(whole.text()).unwrap();
            one.add(line.clone());
            assert_eq!(Handover::open(&one), Err(HandoverError::Signatures), "{left} alone");
        }
        let mut three = whole.clone();
        three.sign(&key(3));
        assert_eq!(Handover::open(&three), Err(HandoverError::Signatures));
        // The new key named by somebody else than the old one.
        let forged = Handover::sign(&last(), &key(9), &key(2)).to_string();
        let forged = forged.replace(&key(9).verifier().to_string(), &key(1).verifier().to_string());
        assert_eq!(Handover::open(&Note::parse(&forged).unwrap()), Err(HandoverError::Signatures));
    }

    #[test]
    fn another_form_is_refused() {
        let text = Handover::sign(&last(), &key(1), &key(2)).text().to_string();
        let signed = |text: &str| {
            let mut note = Note::new(text).unwrap();
            note.sign(&key(1));
            note.sign(&key(2));
            note
        };
        assert!(Handover::open(&signed(&text)).is_ok());
        for other in [
            text.replace("\n42\n", "\n042\n"),
            text.replace("v1", "v2"),
            text.replace("latchkey/test\n42", "latchkey/other\n42"),
            format!("{text}more\n"),
            Handover { new: key(1).verifier().clone(), ..Handover::open(&signed(&text)).unwrap() }.to_string(),
        ] {
            assert_eq!(Handover::open(&signed(&other)), Err(HandoverError::Shape), "{other}");
        }
        assert_eq!(Handover::open_all("something\n"), Err(HandoverError::Shape));
    }
}
