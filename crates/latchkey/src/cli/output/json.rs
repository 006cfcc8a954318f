//! Answers as canonical proto JSON, by the descriptors that the services show too: fields in `lowerCamelCase`, 64-bit
//! numbers as text, times in RFC 3339. One thing differs: words of enums are without their prefix, `ACTIVE` for
//! `STATE_ACTIVE`, as in the manuals.

use crate::cli::span;
use latchkey_wire::FILE_DESCRIPTOR_SET;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor};
use prost_reflect::{ReflectMessage as _, SerializeOptions};
use serde_json::Value;
use std::sync::LazyLock;

static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).expect("our own descriptors decode"));

/// The descriptor of a message of `latchkey.v1`.
///
/// # Panics
/// Where there is none of that name, which a test over all calls excludes.
pub(crate) fn descriptor(message: &str) -> MessageDescriptor {
    let name = format!("latchkey.v1.{message}");
    POOL.get_message_by_name(&name).unwrap_or_else(|| panic!("{name} is a message of the API"))
}

/// A message of `latchkey.v1` as JSON. Fields with their default are left out.
///
/// # Panics
/// As [`descriptor`].
pub(crate) fn value(name: &str, message: &impl Message) -> Value {
    let descriptor = descriptor(name);
    let dynamic = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())
        .expect("what was encoded by its descriptors decodes by them");
    let mut value = dynamic
        .serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new())
        .expect("a message is a tree of maps with text keys");
    shorten(&mut value, &dynamic.descriptor());
    value
}

/// Reads a message of `latchkey.v1` from JSON as [`value`] writes it; spans may also be written as `90d`, and words in small
/// letters.
///
/// # Errors
/// Why it is none.
///
/// # Panics
/// As [`descriptor`].
pub(crate) fn read<M: Message + Default>(name: &str, text: &str) -> Result<M, String> {
    let mut value: Value = serde_json::from_str(text).map_err(|error| format!("expected JSON: {error}"))?;
    let descriptor = descriptor(name);
    lengthen(&mut value, &descriptor)?;
    let dynamic =
        DynamicMessage::deserialize(descriptor, value).map_err(|error| format!("expected a {name}: {error}"))?;
    Ok(M::decode(dynamic.encode_to_vec().as_slice()).expect("what its descriptor reads, the message decodes"))
}

/// Gives each word of an enum its prefix, and each span its canonical form.
fn lengthen(value: &mut Value, descriptor: &MessageDescriptor) -> Result<(), String> {
    let Value::Object(fields) = value else { return Ok(()) };
    for (name, value) in fields {
        let named = descriptor.get_field_by_json_name(name).or_else(|| descriptor.get_field_by_name(name));
        let Some(field) = named else { continue };
        let kind = field.kind();
        let done = match value {
            Value::Array(items) => items.iter_mut().try_for_each(|item| lengthen_one(item, &kind)),
            _ => lengthen_one(value, &kind),
        };
        done.map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn lengthen_one(value: &mut Value, kind: &Kind) -> Result<(), String> {
    match (kind, &mut *value) {
        // Parts of seconds are written as canonical JSON does.
        (Kind::Message(message), Value::String(text))
            if message.full_name() == "google.protobuf.Duration" && !text.contains('.') =>
        {
            let span = span::parse(text).map_err(|expected| format!("{expected}, found {text:?}"))?;
            *text = format!("{}.{:03}s", span.as_secs(), span.subsec_millis());
        }
        (Kind::Message(message), _) => return lengthen(value, message),
        (Kind::Enum(words), Value::String(word)) => {
            let given = word.to_ascii_uppercase().replace('-', "_");
            let whole = words.values().find(|value| short_word(value.name(), words) == given);
            if let Some(whole) = whole {
                whole.name().clone_into(word);
            }
        }
        _ => {}
    }
    Ok(())
}

/// The words of an enum of `latchkey.v1` without their prefix, and their numbers; without `UNSPECIFIED`, which nobody gives.
///
/// # Panics
/// Where there is no enum of that name: a mistake that the first look at `--help` shows.
pub(crate) fn enum_words(name: &str) -> Vec<(String, i32)> {
    let name = format!("latchkey.v1.{name}");
    let words = POOL.get_enum_by_name(&name).unwrap_or_else(|| panic!("{name} is an enum of the API"));
    let known = words.values().filter(|word| word.number() != 0);
    known.map(|word| (short_word(word.name(), &words).to_owned(), word.number())).collect()
}

/// Takes the prefix off each word of an enum.
fn shorten(value: &mut Value, descriptor: &MessageDescriptor) {
    // Well-known types are written as one text.
    let Value::Object(fields) = value else { return };
    for field in descriptor.fields() {
        let Some(value) = fields.get_mut(field.json_name()) else { continue };
        if field.is_map() {
            let Value::Object(entries) = value else { continue };
            let kind = entry_value(&field);
            entries.iter_mut().for_each(|(_, entry)| shorten_one(entry, &kind));
        } else if let Value::Array(items) = value {
            items.iter_mut().for_each(|item| shorten_one(item, &field.kind()));
        } else {
            shorten_one(value, &field.kind());
        }
    }
}

fn entry_value(field: &FieldDescriptor) -> Kind {
    let Kind::Message(entry) = field.kind() else { return field.kind() };
    entry.map_entry_value_field().kind()
}

fn shorten_one(value: &mut Value, kind: &Kind) {
    match kind {
        Kind::Message(message) => shorten(value, message),
        Kind::Enum(words) => {
            if let Value::String(word) = value {
                *word = short_word(word, words).to_owned();
            }
        }
        _ => {}
    }
}

/// The first value of every enum of ours is its prefix and `UNSPECIFIED`.
fn short_word<'a>(word: &'a str, words: &EnumDescriptor) -> &'a str {
    let first = words.default_value();
    let prefix = first.name().strip_suffix("UNSPECIFIED").unwrap_or_default();
    word.strip_prefix(prefix).unwrap_or(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_wire::pb::v1 as pb;
    use prost_types::Timestamp;

    #[test]
    fn words_lose_their_prefix_wherever_they_are() {
        let key = pb::Key {
            name: "tenants/acme/keyspaces/orders/keys/0000000000000001".to_owned(),
            state: pb::key::State::Active.into(),
            create_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            revocation: Some(pb::Revocation {
                reason: pb::RevocationReason::OwnerLeft.into(),
                ..pb::Revocation::default()
            }),
            versions: vec![pb::Version { state: pb::version::State::Active.into(), ..pb::Version::default() }],
            revision: Some(pb::Revision { epoch: 1, index: 42 }),
            ..pb::Key::default()
        };
        let value = value("Key", &key);
        assert_eq!(value["state"], "ACTIVE");
        assert_eq!(value["versions"][0]["state"], "ACTIVE");
        assert_eq!(value["revocation"]["reason"], "OWNER_LEFT");
        assert_eq!(value["createTime"], "2023-11-14T22:13:20Z");
        assert_eq!(value["revision"]["index"], "42");
        assert!(value.get("purpose").is_none(), "a default is left out: {value}");
    }

    #[test]
    fn every_enum_of_the_api_has_a_prefix_to_take_off() {
        for words in POOL.all_enums().filter(|words| words.parent_file().package_name() == "latchkey.v1") {
            let first = words.default_value();
            assert!(first.name().ends_with("_UNSPECIFIED"), "{}", words.full_name());
            for word in words.values() {
                let short = short_word(word.name(), &words);
                assert!(short.len() < word.name().len() && !short.is_empty(), "{}", word.full_name());
            }
        }
    }
}
