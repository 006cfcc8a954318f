//! A proof that stands alone, in a file: `.tlog-proof`. Source: c2sp.org/tlog-proof.
use crate::checkpoint::{hash_from_text, text_of_hash};
use crate::note::Note;
use crate::{Checkpoint, Hash, LEAF_BYTES, commitment, leaf::Leaf};
use crate::{Unproven, verify_inclusion};
use alloc::string::String;
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;

const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Hashes that a proof has at most.
const HASHES_MAX: usize = 64;

/// Bytes that a file has at most: an event is far smaller than this.
pub const PROOF_BYTES_MAX: usize = 4 << 20;

/// That an entry is in a log, with the checkpoint under which it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofFile {
    /// What goes with it, which nothing vouches for by itself; ours is an [`Evidence`].
    pub extra: Vec<u8>,
    /// The index of the leaf.
    pub index: u64,
    /// From the leaf's sibling up.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: Note,
}

impl ProofFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`ProofFileError`].
    pub fn parse(text: &str) -> Result<Self, ProofFileError> {
        let wrong = |expected| ProofFileError { expected };
        if text.len() > PROOF_BYTES_MAX {
            return Err(wrong("a file of at most 4 MiB"));
        }
        let (head, note) = text.split_once("\n\n").ok_or(wrong("an empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(wrong("`c2sp.org/tlog-proof@v1` in the first line"));
        }
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            Some(line) => STANDARD.decode(&line["extra ".len()..]).map_err(|_| wrong("base64 behind `extra`"))?,
            None => Vec::new(),
        };
        let line = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(wrong("a line `index <number>`"))?;
        let number: Option<u64> = line.parse().ok().filter(|number: &u64| alloc::format!("{number}") == line);
        let index = number.ok_or(wrong("a decimal number behind `index`"))?;
        let mut proof = Vec::new();
        for line in lines {
            proof.push(hash_from_text(line).ok_or(wrong("a hash in base64 in each line of the proof"))?);
            if proof.len() > HASHES_MAX {
                return Err(wrong("at most 64 hashes"));
            }
        }
        let checkpoint = Note::parse(note).map_err(|_| wrong("a signed checkpoint behind the empty line"))?;
        Ok(Self { extra, index, proof, checkpoint })
    }

    /// Checks that the leaf is where the proof says, under the root that the checkpoint says. Who signed the checkpoint is
    /// another question: [`Checkpoint::open`].
    ///
    /// # Errors
    /// [`Unproven`].
    pub fn verify(&self, leaf: &Hash, checkpoint: &Checkpoint) -> Result<(), Unproven> {
        verify_inclusion(leaf, self.index, checkpoint.size, &self.proof, &checkpoint.root)
    }
}

impl fmt::Display for ProofFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEADER)?;
        if !self.extra.is_empty() {
            write!(f, "\nextra {}", STANDARD.encode(&self.extra))?;
        }
        write!(f, "\nindex {}\n", self.index)?;
        for hash in &self.proof {
            writeln!(f, "{}", text_of_hash(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// The file is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofFileError {
    /// What had to be there.
    pub expected: &'static str,
}

impl fmt::Display for ProofFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}, found something else", self.expected)
    }
}

impl core::error::Error for ProofFileError {}

/// What a proof is about: the leaf, and its content where it may be shown.
///
/// As bytes: `preimage (57)`, and where the content is shown `o (32) || event` behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What the leaf is the hash of.
    pub preimage: [u8; LEAF_BYTES],
    /// What opens the commitment, and the event that it is to; absent where nobody may read it.
    pub content: Option<([u8; 32], Vec<u8>)>,
}

impl Evidence {
    /// Reads the bytes; `None` where they are none.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (preimage, rest) = bytes.split_first_chunk()?;
        let content = match rest {
            [] => None,
            rest => rest.split_first_chunk().map(|(o, event)| (*o, event.to_vec())).map(Some)?,
        };
        Some(Self { preimage: *preimage, content })
    }

    /// The bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = self.preimage.to_vec();
        if let Some((o, event)) = &self.content {
            bytes.extend(o);
            bytes.extend(event);
        }
        bytes
    }

    /// Whether the content is what the leaf commits to; also where none is shown.
    #[must_use]
    pub fn content_holds(&self) -> bool {
        let expected = Leaf::read(&self.preimage).commitment;
        self.content.as_ref().is_none_or(|(o, event)| commitment(o, event) == expected)
    }
}

/// The name of the file of the proof of an entry: `00000000000000000042.tlog-proof`, so that names are in order.
#[must_use]
pub fn proof_file_name(sequence: u64) -> String {
    alloc::format!("{sequence:020}.tlog-proof")
}
