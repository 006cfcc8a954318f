//! What is wrong with a note or with the text of a key.
use super::{NOTE_BYTES_MAX, SIGNATURES_MAX};
use alloc::string::String;
use core::fmt;

/// Why a note is not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoteError {
    /// It is longer than any of ours.
    Long {
        /// Bytes.
        found: usize,
    },
    /// The text is empty, does not end with a line feed, or has control characters.
    Text,
    /// There is no empty line with signatures below it.
    Unsigned,
    /// There are more signatures than anybody needs.
    Signatures,
    /// A line below the text is no signature.
    Line {
        /// Which, from 0.
        at: usize,
    },
    /// A signature under the name and id of a known key is not that key's.
    Wrong {
        /// The key's name.
        key: String,
    },
    /// None of the known keys has signed.
    Unknown,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Long { found } => write!(f, "expected a note of at most {NOTE_BYTES_MAX} bytes, found {found}"),
            Self::Text => f.write_str("expected a text of whole lines without control characters"),
            Self::Unsigned => f.write_str("expected an empty line and signatures below it, found none"),
            Self::Signatures => write!(f, "expected at most {SIGNATURES_MAX} signatures, found more"),
            Self::Line { at } => {
                write!(f, "expected `— name base64`, found something else in line {} of the signatures", at + 1)
            }
            Self::Wrong { key } => write!(f, "a signature in the name of {key} was not made with its key"),
            Self::Unknown => f.write_str("none of the keys that are known has signed"),
        }
    }
}

impl core::error::Error for NoteError {}

/// The text names no verifier key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyTextError {
    /// It has not the three parts.
    Shape,
    /// Its name is empty, or has spaces, `+` or control characters.
    Name,
    /// It is of a kind that is not known here.
    Algorithm {
        /// The byte that says so.
        found: u8,
    },
    /// The id is not that of name and key: one of the three was altered.
    Id,
    /// The bytes are no public key of Ed25519.
    Key,
}

impl fmt::Display for KeyTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shape => f.write_str("expected a verifier key `name+id+base64`, the id in eight hexadecimal digits"),
            Self::Name => f.write_str("expected the name of a key without spaces, `+` and control characters"),
            Self::Algorithm { found } => {
                write!(f, "expected a key of kind 1 (Ed25519) or 4 (cosignature/v1), found kind {found}")
            }
            Self::Id => f.write_str("expected the id that belongs to this name and key, found another"),
            Self::Key => f.write_str("expected the 32 bytes of a public key of Ed25519"),
        }
    }
}

impl core::error::Error for KeyTextError {}
