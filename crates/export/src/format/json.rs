//! Our own form: the JSON of the API, as every protobuf library reads it, with the leaf and the origin beside.

use super::object;
use crate::record::Record;
use latchkey_wire::pb::v1::entry::actor::Actor;
use serde_json::{Map, Value, json};

/// The entry: names in lowerCamelCase, numbers of 64 bits as texts, nothing that is empty.
#[must_use]
pub fn entry(record: &Record) -> Value {
    let entry = &record.entry;
    let revision = entry.revision.as_ref().map_or(
        Value::Null,
        |revision| json!({"epoch": revision.epoch.to_string(), "index": revision.index.to_string()}),
    );
    let actor = match record.actor() {
        Some(Actor::Identity(name)) => json!({"identity": name}),
        Some(Actor::Key(name)) => json!({"key": name}),
        Some(Actor::Replica(node)) => json!({"replica": node.to_string()}),
        Some(Actor::Service(word)) => json!({"service": word}),
        None => Value::Null,
    };
    let reason = if entry.reason == 0 { Value::Null } else { entry.reason().as_str_name().into() };
    object(vec![
        ("sequence", entry.sequence.to_string().into()),
        ("revision", revision),
        ("time", record.time().into()),
        ("actor", actor),
        ("action", entry.action.clone().into()),
        ("subject", entry.subject.clone().into()),
        ("tenant", entry.tenant.clone().into()),
        ("reason", reason),
        ("reasonText", entry.reason_text.clone().into()),
        ("requestId", entry.request_id.clone().into()),
        ("facts", facts(record)),
        ("leaf", record.leaf_hex().into()),
        ("origin", (*record.origin).into()),
    ])
}

pub(super) fn facts(record: &Record) -> Value {
    let facts: Map<_, _> = record.facts().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    Value::Object(facts)
}
