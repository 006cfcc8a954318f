//! CloudEvents 1.0: structured, in batches, and as headers (the binary mode of HTTP).

use super::{Format, object};
use crate::item::Item;
use crate::record::Record;
use latchkey_wire::pb::v1::entry::actor::Actor;
use serde_json::Value;

/// What a body with one event is.
pub const STRUCTURED: &str = "application/cloudevents+json";
/// What a body with several is.
pub const BATCH: &str = "application/cloudevents-batch+json";
/// What the types of our events begin with.
pub(crate) const TYPE: &str = "example.latchkey.";

/// The attributes of an entry, by their names; each a text.
///
/// `sequence` has as many digits for each event, since receivers compare texts.
#[must_use]
pub fn attributes(record: &Record) -> Vec<(&'static str, String)> {
    let authtype = match record.actor() {
        Some(Actor::Identity(_)) => "user",
        Some(Actor::Key(_)) => "api_key",
        Some(Actor::Replica(_) | Actor::Service(_)) => "system",
        None => "unknown",
    };
    filled([
        ("specversion", "1.0".to_owned()),
        ("id", record.id()),
        ("source", record.origin.to_string()),
        ("type", format!("{TYPE}{}", record.entry.action)),
        ("subject", record.entry.subject.clone()),
        ("time", record.time()),
        ("authtype", authtype.to_owned()),
        ("authid", record.actor_name()),
        ("sequence", format!("{:020}", record.sequence())),
        ("partitionkey", record.entry.tenant.clone()),
    ])
}

/// Attributes without those that say nothing.
pub(crate) fn filled<const N: usize>(all: [(&'static str, String); N]) -> Vec<(&'static str, String)> {
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// The event with its data.
#[must_use]
pub fn structured(item: &impl Item) -> Value {
    let mut fields: Vec<_> = item.attributes().into_iter().map(|(name, value)| (name, value.into())).collect();
    fields.extend([("datacontenttype", "application/json".into()), ("data", data(item))]);
    object(fields)
}

/// Several events.
#[must_use]
pub fn batch<T: Item>(items: &[T]) -> Value {
    items.iter().map(structured).collect()
}

/// The data alone: our own JSON.
#[must_use]
pub fn data(item: &impl Item) -> Value {
    item.value(Format::Json)
}

/// A value as that of a header: what is not visible in ASCII is percent-encoded, as are `"` and `%`.
#[must_use]
pub fn header(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'"' | b'%' | 0..=0x20 | 0x7f.. => text.push_str(&format!("%{byte:02X}")),
            _ => text.push(char::from(byte)),
        }
    }
    text
}
