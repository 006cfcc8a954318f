//! What a row of a file comes to: a key to import, or why it is none.

use prost_types::Timestamp;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt;
use zeroize::Zeroizing;

/// A key of another system, as one row tells it. Nothing here is checked against Latchkey's rules: the service does that.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    /// Where it begins in the file, from 1.
    pub(crate) line: u64,
    /// Its id in the other system.
    pub(crate) source_id: String,
    /// What it is known by.
    pub(crate) material: Material,
    /// The first characters of the text, as the other system shows them.
    pub(crate) start: String,
    pub(crate) display_name: String,
    /// Whoever it belongs to, by the name that the other system has.
    pub(crate) owner: Option<String>,
    pub(crate) purpose: String,
    pub(crate) permissions: Vec<String>,
    /// By the names that the other system has.
    pub(crate) roles: Vec<String>,
    pub(crate) networks: Vec<String>,
    pub(crate) methods: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) expire_time: Option<Timestamp>,
    /// When the other system made it.
    pub(crate) source_create_time: Option<Timestamp>,
    pub(crate) suspended: bool,
}

/// What a key is known by.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Material {
    /// A SHA-256.
    Digest([u8; 32]),
    /// The text itself.
    Text(Zeroizing<String>),
}

impl Default for Material {
    fn default() -> Self {
        Self::Digest([0; 32])
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(_) => f.write_str("Digest(hidden)"),
            Self::Text(_) => f.write_str("Text(hidden)"),
        }
    }
}

/// A row that does not come in, and why. Never holds a key text or a digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Where the row begins in the file, from 1.
    pub(crate) line: u64,
    /// Its id in the other system, as far as it was read.
    pub(crate) source_id: String,
    /// Which field is wrong; empty where it is the row.
    pub(crate) field: String,
    /// The word of the reason.
    pub(crate) reason: String,
    /// What was expected. Never repeats what was found.
    pub(crate) message: String,
}

/// The line that a row begins on, and its fields by their names, or why it has none.
pub(crate) type Fields = (u64, Result<Map<String, Value>, Refused>);

/// Words of the reasons that are found here, before the service sees the row. The service has words of its own; where both
/// find the same thing the word is the same.
pub(crate) mod reason {
    /// The row cannot be read at all.
    pub(crate) const ROW_MALFORMED: &str = "ROW_MALFORMED";
    /// A field is not what it must be.
    pub(crate) const FIELD_INVALID: &str = "FIELD_INVALID";
    /// A field that this reader does not know.
    pub(crate) const FIELD_UNKNOWN: &str = "FIELD_UNKNOWN";
    /// Something that Latchkey cannot keep yet.
    pub(crate) const UNSUPPORTED: &str = "UNSUPPORTED";
    /// A digest that is no SHA-256.
    pub(crate) const DIGEST_INVALID: &str = "DIGEST_INVALID";
    /// Neither a digest nor a text.
    pub(crate) const MATERIAL_MISSING: &str = "MATERIAL_MISSING";
    /// No format of the keyspace is that of this key.
    pub(crate) const FORMAT_UNKNOWN: &str = "FORMAT_UNKNOWN";
    /// The key was deleted in the other system.
    pub(crate) const DELETED: &str = "DELETED";
}
