//! People paste keys into any field. No error may repeat what it was given: errors are logged by whoever gets them.

use crate::shown;
use latchkey_api::{House, methods, raw};
use latchkey_transport::channel;
use latchkey_wire::FILE_DESCRIPTOR_SET;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};
use prost_types::field_descriptor_proto::Type;
use prost_types::{DescriptorProto, FileDescriptorSet};
use std::collections::BTreeMap;
use tonic::Code;
use tonic::metadata::{MetadataMap, MetadataValue};

/// How deep messages are in messages that hold text: `requests[0].owner`.
const DEPTH_MAX: usize = 2;

/// Calls each public method, as root, once for each field that holds text, with a key text in it. Returns what the
/// errors for a field of a wrong form show.
pub(crate) async fn into_every_field(house: &House, key_text: &str) -> Vec<Vec<u8>> {
    let set = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let mut messages = BTreeMap::new();
    for file in &set.file {
        for message in &file.message_type {
            messages.insert(format!(".{}.{}", file.package(), message.name()), message);
        }
    }
    let mut metadata = MetadataMap::new();
    metadata.insert("authorization", format!("Bearer {}", house.root_text()).parse::<MetadataValue<_>>().unwrap());
    let mut errors = Vec::new();
    for method in methods::all().into_iter().filter(|method| !method.is_internal()) {
        let request = messages[&format!(".{}.{}Request", method.package, method.name)];
        for message in pasted(&messages, request, key_text, DEPTH_MAX) {
            let address = method.served_by(house.ports())[0];
            let answer = raw::call(channel(address), &method.path(), metadata.clone(), message).await;
            if let Err(status) = answer {
                // A key is revoked by its text at validation only.
                let elsewhere = method.name == "RevokeKey" && status.code() == Code::Unimplemented;
                assert!(elsewhere || status.code() == Code::InvalidArgument, "{}: {status:?}", method.path());
                errors.push(shown(&status));
            }
        }
    }
    assert!(errors.len() > 40, "only {} fields were tried", errors.len());
    errors
}

/// The message with the text in one of its fields, for each field.
fn pasted(
    messages: &BTreeMap<String, &DescriptorProto>,
    message: &DescriptorProto,
    text: &str,
    depth: usize,
) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for field in &message.field {
        let number = u32::try_from(field.number()).unwrap();
        match field.r#type() {
            Type::String => all.push(delimited(number, text.as_bytes())),
            Type::Message if depth > 0 => {
                let Some(inner) = messages.get(field.type_name()) else { continue };
                all.extend(pasted(messages, inner, text, depth - 1).iter().map(|inner| delimited(number, inner)));
            }
            _ => {}
        }
    }
    all
}

/// A field of bytes as it lies on the wire.
fn delimited(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    encode_key(number, WireType::LengthDelimited, &mut field);
    encode_varint(bytes.len() as u64, &mut field);
    field.extend_from_slice(bytes);
    field
}
