//! What a checkpoint says: how large the tree is, and its root. Source: c2sp.org/tlog-checkpoint.
use crate::Hash;
use crate::note::{Note, NoteError, VerifierKey, Voucher};
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;

/// The size and the root of a log's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The name of the log, of one line.
    pub origin: String,
    /// How many leaves the tree has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
}

impl Checkpoint {
    /// The text to be signed: three lines.
    #[must_use]
    pub fn text(&self) -> String {
        self.to_string()
    }

    /// Reads the text of a note. More lines than three are refused: nobody here could say what they mean, and they
    /// would be vouched for.
    ///
    /// # Errors
    /// [`CheckpointError::Shape`].
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let mut lines = text.strip_suffix('\n').ok_or(CheckpointError::Shape)?.split('\n');
        let (Some(origin), Some(size), Some(root), None) = (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::Shape);
        };
        let read = Self {
            origin: origin.to_string(),
            size: size.parse().map_err(|_| CheckpointError::Shape)?,
            root: hash_from_text(root).ok_or(CheckpointError::Shape)?,
        };
        // `+7` and `007` are numbers as well, and a checkpoint has one form.
        if !origin.is_empty() && read.text() == text { Ok(read) } else { Err(CheckpointError::Shape) }
    }

    /// What a signed checkpoint says, and who of `keys` vouches for it; the key of the log itself must, and is named as the
    /// origin is.
    ///
    /// # Errors
    /// [`CheckpointError`].
    pub fn open(
        note: &Note,
        log: &VerifierKey,
        others: &[VerifierKey],
    ) -> Result<(Self, Vec<Voucher>), CheckpointError> {
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != log.name() {
            let (expected, found) = (log.name().to_string(), checkpoint.origin);
            return Err(CheckpointError::Origin { expected, found });
        }
        let mut vouchers = note.open(core::slice::from_ref(log))?;
        match note.open(others) {
            Ok(more) => vouchers.extend(more),
            Err(NoteError::Unknown) => {}
            Err(error) => return Err(error.into()),
        }
        Ok((checkpoint, vouchers))
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, text_of_hash(&self.root))
    }
}

/// Why a checkpoint is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointError {
    /// It is not three lines: origin, size, root.
    Shape,
    /// It is of another log than its key.
    Origin {
        /// The log whose key is known.
        expected: String,
        /// The log that it names.
        found: String,
    },
    /// Its signatures.
    Note(NoteError),
}

impl From<NoteError> for CheckpointError {
    fn from(error: NoteError) -> Self {
        Self::Note(error)
    }
}

impl fmt::Display for CheckpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => f.write_str("expected three lines: the log's name, the size in decimal, the root in base64"),
            Self::Origin { expected, found } => write!(f, "expected a checkpoint of {expected}, found one of {found}"),
            Self::Note(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for CheckpointError {}

/// A hash in base64, as checkpoints and proofs write it.
pub(crate) fn text_of_hash(hash: &Hash) -> String {
    STANDARD.encode(hash.as_bytes())
}

pub(crate) fn hash_from_text(text: &str) -> Option<Hash> {
    Some(Hash::new(STANDARD.decode(text).ok()?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::note::{Algorithm, SignerKey};
    use proptest::prelude::*;

    const TEXT: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";

    #[test]
    fn the_example_of_the_specification_reads_as_it_was_written() {
        let checkpoint = Checkpoint::parse(TEXT).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.text(), TEXT);
    }

    #[test]
    fn another_form_of_a_checkpoint_is_refused() {
        let wrong = ["20852163 ", "+20852163", "020852163", "-1", "18446744073709551616", ""];
        for size in wrong {
            assert_eq!(Checkpoint::parse(&TEXT.replace("20852163", size)), Err(CheckpointError::Shape), "{size}");
        }
        let wrong = [
            "",
            "\n",
            TEXT.trim_end(),
            &[TEXT, "more\n"].concat(),
            &TEXT.replace("q2I=", "q2J="),
            &TEXT.replace("q2I=", ""),
        ];
        assert!(wrong.into_iter().all(|text| Checkpoint::parse(text).is_err()));
        assert!(Checkpoint::parse(&TEXT.replace("example.com/behind-the-sofa", "")).is_err());
    }

    #[test]
    fn a_checkpoint_is_believed_by_its_own_logs_key_alone() {
        let signer = |name: &str, seed| SignerKey::new(name, Algorithm::Ed25519, &[seed; 32]).unwrap();
        let (log, other) = (signer("example.com/behind-the-sofa", 1), signer("other", 2));
        let cosigner = SignerKey::new("w1", Algorithm::CosignatureV1, &[3; 32]).unwrap();
        let mut note = Note::new(TEXT).unwrap();
        note.sign(&other);
        note.add(cosigner.cosign(5, TEXT));
        let open = |note: &Note, key: &SignerKey| {
            Checkpoint::open(note, key.verifier(), &[cosigner.verifier().clone()]).map(|(_, vouchers)| vouchers.len())
        };
        assert_eq!(open(&note, &log), Err(CheckpointError::Note(NoteError::Unknown)));
        assert!(matches!(open(&note, &other), Err(CheckpointError::Origin { .. })));
        note.sign(&log);
        assert_eq!(open(&note, &log), Ok(2));
    }

    proptest! {
        #[test]
        fn a_checkpoint_reads_as_it_was_written(origin in "[!-~]{1,40}", size in any::<u64>(), root in any::<[u8; 32]>()) {
            let checkpoint = Checkpoint { origin, size, root: Hash::new(root) };
            prop_assert_eq!(Checkpoint::parse(&checkpoint.text()), Ok(checkpoint));
        }

        #[test]
        fn no_text_panics(text in "[a-z0-9+/=\n]{0,120}") {
            let _ = Checkpoint::parse(&text);
        }
    }
}
