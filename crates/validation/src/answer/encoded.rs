//! The same answers, encoded as they are written. A batch has two hundred of them, and as messages each would be a dozen
//! small allocations. A test holds the bytes against those of the messages.

use super::{Basis, NAME_BYTES_FIXED, holder_name, member_name, push_id, rotation_name};
use bytes::{BufMut as _, BytesMut};
use latchkey_decision::{Content, Verdict};
use latchkey_state::{Found, Holder, Tenant};
use latchkey_wire::pb::v1;
use latchkey_wire::time::write_time;
use latchkey_wire::verdict::write_basis;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, int32, message};

/// Writes answers one after the other, in buffers of its own.
#[derive(Default)]
pub(crate) struct Encoder {
    answer: BytesMut,
    name: String,
}

impl Encoder {
    /// Appends one `BatchValidateKeysResponse.results`: the answer to the item `id`.
    pub(crate) fn push_result(&mut self, id: &str, basis: Basis<'_>, verdict: Verdict<'_>, results: &mut BytesMut) {
        self.answer.clear();
        self.encode(basis, verdict);
        let answer_bytes = self.answer.len();
        let id_bytes = if id.is_empty() { 0 } else { nested_bytes(id.len()) };
        encode_key(1, WireType::LengthDelimited, results);
        encode_varint((id_bytes + nested_bytes(answer_bytes)) as u64, results);
        text(1, id, results);
        bytes(2, &self.answer, results);
    }

    /// The bytes of one `ValidateKeyResponse`.
    fn encode(&mut self, basis: Basis<'_>, verdict: Verdict<'_>) {
        let Self { answer, name } = self;
        let outcome = v1::Outcome::from(verdict.outcome()).into();
        int32::encode(1, &outcome, answer);
        if let Some(found) = verdict.named() {
            names(found, name, answer);
            if let Some(content) = verdict.content() {
                contents(basis, found.tenant, content, name, answer);
            }
        }
        message::encode(11, &v1::Revision::from(basis.state.revision()), answer);
        message::encode(12, &write_basis(verdict.freshness(), basis.age), answer);
    }
}

/// The longest name is put together once. `name` is left with that of the key.
fn names(found: Found<'_>, name: &mut String, answer: &mut BytesMut) {
    let (tenant, keyspace) = (found.tenant.id.as_str(), found.keyspace.id.as_str());
    name.clear();
    name.reserve(NAME_BYTES_FIXED + tenant.len() + keyspace.len());
    for part in ["tenants/", tenant, "/keyspaces/", keyspace] {
        name.push_str(part);
    }
    let keyspace_bytes = name.len();
    name.push_str("/keys/");
    push_id(name, found.key.id.chars());
    let key_bytes = name.len();
    name.push_str("/versions/");
    push_id(name, found.version.id.chars());
    text(2, &name[..key_bytes], answer);
    text(3, name, answer);
    text(4, &name[..keyspace_bytes], answer);
    name.truncate(key_bytes);
}

fn contents(basis: Basis<'_>, tenant: &Tenant, content: Content<'_>, key_name: &str, answer: &mut BytesMut) {
    let key = content.key();
    match key.holder {
        Holder::None => {}
        holder => text(5, &holder_name(basis.state, holder), answer),
    }
    for permission in content.permissions().iter() {
        // What repeats is written even where it is empty.
        bytes(6, permission.as_str().as_bytes(), answer);
    }
    let mut roles: Vec<_> = content.roles().map(|role| member_name(tenant, "roles", role)).collect();
    roles.sort_unstable();
    for role in &roles {
        bytes(7, role.as_bytes(), answer);
    }
    for (word, value) in key.metadata() {
        let field_bytes = |text: &str| if text.is_empty() { 0 } else { nested_bytes(text.len()) };
        encode_key(8, WireType::LengthDelimited, answer);
        encode_varint((field_bytes(word) + field_bytes(value)) as u64, answer);
        text(1, word, answer);
        text(2, value, answer);
    }
    if let Some(expires_at) = content.expires_at() {
        message::encode(9, &write_time(expires_at), answer);
    }
    if let Some(hint) = content.rotation() {
        let hint = v1::RotationHint {
            rotation: hint.rotation.map(|rotation| rotation_name(key_name, rotation)).unwrap_or_default(),
            retire_time: hint.retires_at.map(write_time),
        };
        message::encode(10, &hint, answer);
    }
}

/// A field of a message: left out where it is empty.
fn text(tag: u32, value: &str, answer: &mut BytesMut) {
    if !value.is_empty() {
        bytes(tag, value.as_bytes(), answer);
    }
}

fn bytes(tag: u32, value: &[u8], answer: &mut BytesMut) {
    encode_key(tag, WireType::LengthDelimited, answer);
    encode_varint(value.len() as u64, answer);
    answer.put_slice(value);
}

/// What a nested field takes with its key, as long as its tag is below 16, and its length.
fn nested_bytes(length: usize) -> usize {
    1 + encoded_len_varint(length as u64) + length
}

#[cfg(test)]
impl Encoder {
    pub(super) fn bytes_of(basis: Basis<'_>, verdict: Verdict<'_>) -> Vec<u8> {
        let mut encoder = Self::default();
        encoder.encode(basis, verdict);
        encoder.answer.to_vec()
    }
}
