//! Commands and rows, as they lie at rest. What is read is either exactly what a build of this format wrote, or an
//! error: nothing is skipped, defaulted or guessed.

mod command;
mod denials;
mod import;
mod node_key;
mod parts;
mod policy;
mod row;

pub(crate) use import::{read_import_rows, write_import_rows};

pub use command::{decode_command, encode_command, read_command, write_command};
pub use denials::{decode_denials, encode_denials};
pub use node_key::{NodeKey, decode_node_key, encode_node_key};
pub use policy::{read_policy as read_rotation_policy, write_policy as write_rotation_policy};
pub use row::{RowReader, TERMS_SHARED_MAX, encode_row, read_keyspace_row, read_ring_key_row, read_tenant_row};
pub use row::{read_checkpoint, write_checkpoint};
pub use row::{read_rotation_claim, read_rotation_row, write_rotation_claim, write_rotation_row};
pub use row::{write_keyspace_row, write_ring_key_row, write_tenant_row};

use latchkey_domain::{DurationMillis, KeyId, RotationId, UnixMillis, VersionId};
use prost::Message;
use std::fmt::Display;

/// Bytes that are not what this build writes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct DecodeError {
    /// Where: the path of the field within its message.
    pub field: &'static str,
    /// What is wrong there. Never the content of the field.
    pub problem: String,
}

impl DecodeError {
    pub(crate) fn new(field: &'static str, problem: impl Display) -> Self {
        Self { field, problem: problem.to_string() }
    }
}

/// Decodes a message of `latchkey.disk.v1` strictly: fields that this build does not know are an error, since a newer
/// build meant something by them.
///
/// # Errors
/// [`DecodeError`] for bytes that are no such message or hold more than it.
pub fn decode_message<M: Message + Default>(bytes: &[u8]) -> Result<M, DecodeError> {
    let message = M::decode(bytes).map_err(|error| DecodeError::new("message", error))?;
    if message.encoded_len() == bytes.len() {
        Ok(message)
    } else {
        let (found, known) = (bytes.len(), message.encoded_len());
        Err(DecodeError::new("message", format_args!("{found} bytes, of which this build understands {known}")))
    }
}

/// Passes a part on that has to be there.
pub(crate) fn required<T>(part: Option<T>, field: &'static str) -> Result<T, DecodeError> {
    part.ok_or_else(|| DecodeError::new(field, "missing"))
}

/// Passes a parsed value on.
pub(crate) fn parsed<T, E: Display>(result: Result<T, E>, field: &'static str) -> Result<T, DecodeError> {
    result.map_err(|error| DecodeError::new(field, error))
}

/// Bytes of a fixed length.
pub(crate) fn fixed<const N: usize>(bytes: &[u8], field: &'static str) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::new(field, format_args!("{} bytes instead of {N}", bytes.len())))
}

/// The id of a key.
pub(crate) fn key_id(bytes: &[u8], field: &'static str) -> Result<KeyId, DecodeError> {
    KeyId::from_bytes(fixed(bytes, field)?).ok_or_else(|| DecodeError::new(field, "beyond the last id"))
}

/// The id of a version.
pub(crate) fn version_id(bytes: &[u8], field: &'static str) -> Result<VersionId, DecodeError> {
    VersionId::from_bytes(fixed(bytes, field)?).ok_or_else(|| DecodeError::new(field, "beyond the last id"))
}

/// The id of a rotation.
pub(crate) fn rotation_id(bytes: &[u8], field: &'static str) -> Result<RotationId, DecodeError> {
    RotationId::from_bytes(fixed(bytes, field)?).ok_or_else(|| DecodeError::new(field, "beyond the last id"))
}

/// A time.
pub(crate) fn time(millis: u64, field: &'static str) -> Result<UnixMillis, DecodeError> {
    let time = UnixMillis::new(millis);
    if time.millis() == millis { Ok(time) } else { Err(DecodeError::new(field, "beyond the last time")) }
}

/// A span.
pub(crate) fn span(millis: u64, field: &'static str) -> Result<DurationMillis, DecodeError> {
    let span = DurationMillis::new(millis);
    if span.millis() == millis { Ok(span) } else { Err(DecodeError::new(field, "beyond the longest span")) }
}
