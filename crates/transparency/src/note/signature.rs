//! One line below a note.
use super::VerifierKey;
use super::keys::is_name;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use core::fmt;

/// What each line begins with.
const BEGIN: &str = "— ";

/// A line `— name base64(key id || signature)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    name: String,
    key_id: u32,
    bytes: Vec<u8>,
}

impl Signature {
    pub(super) const fn new(name: String, key_id: u32, bytes: Vec<u8>) -> Self {
        Self { name, key_id, bytes }
    }

    /// Reads a line, without the line feed; `None` where it is no signature.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (name, text) = line.strip_prefix(BEGIN)?.split_once(' ')?;
        let bytes = STANDARD.decode(text).ok()?;
        let (key_id, signature) = bytes.split_first_chunk()?;
        if !is_name(name) || signature.is_empty() {
            return None;
        }
        Some(Self { name: name.to_string(), key_id: u32::from_be_bytes(*key_id), bytes: signature.to_vec() })
    }

    /// The name of the key that is said to have made it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of that key.
    #[must_use]
    pub const fn key_id(&self) -> u32 {
        self.key_id
    }

    /// The signature itself; for a cosignature, its time (8 bytes) before it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether it is said to be of that key.
    #[must_use]
    pub fn is_of(&self, key: &VerifierKey) -> bool {
        self.key_id == key.id() && self.name == key.name()
    }
}

impl fmt::Display for Signature {
    /// The line, without the line feed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = [&self.key_id.to_be_bytes()[..], &self.bytes].concat();
        write!(f, "{BEGIN}{} {}", self.name, STANDARD.encode(bytes))
    }
}
