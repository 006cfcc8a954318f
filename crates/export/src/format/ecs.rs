//! Elastic Common Schema. Each field is one that Elastic publishes; what it has no field for lies under `labels`.

use super::{json, last, object};
use crate::meaning::Meaning;
use crate::record::Record;
use latchkey_wire::pb::v1::entry::actor::Actor;
use serde_json::Value;

/// The version of the schema.
pub const VERSION: &str = "9.4.0";
/// `event.dataset`, and the middle of the usual name of a data stream.
pub const DATASET: &str = "latchkey.audit";

/// The record as a document.
#[must_use]
pub fn document(record: &Record) -> Value {
    let (entry, meaning) = (&record.entry, Meaning::of(&record.entry.action));
    let actor = record.actor_name();
    let (leaf, subject) = (record.leaf_hex(), record.subject());
    // Who a user is to others: whoever acts, and an identity that something happens to.
    let is_user = subject.contains("/identities/");
    let target = if is_user { named(subject) } else { Value::Null };
    let user = match record.actor() {
        Some(Actor::Identity(name) | Actor::Key(name)) => {
            vec![("id", name.clone().into()), ("name", last(name).into()), ("target", target)]
        }
        Some(Actor::Replica(_) | Actor::Service(_)) => vec![("id", actor.clone().into()), ("target", target)],
        None => vec![("target", target)],
    };
    let node = match record.actor() {
        Some(Actor::Replica(node)) => object(vec![("name", node.to_string().into())]),
        _ => Value::Null,
    };
    let mut users: Vec<Value> = vec![actor.into()];
    users.extend(is_user.then(|| Value::from(subject)));
    users.dedup();
    object(vec![
        ("@timestamp", record.time().into()),
        ("ecs", object(vec![("version", VERSION.into())])),
        ("message", record.line().into()),
        (
            "event",
            object(vec![
                ("kind", "event".into()),
                ("category", vec![meaning.category.as_str()].into()),
                ("type", meaning.types.into()),
                ("action", entry.action.clone().into()),
                ("outcome", meaning.outcome.as_str().into()),
                ("id", record.id().into()),
                ("sequence", entry.sequence.into()),
                ("hash", leaf.clone().into()),
                ("reason", record.reason().into()),
                ("dataset", DATASET.into()),
                ("module", "latchkey".into()),
                ("provider", (*record.origin).into()),
            ]),
        ),
        ("user", object(user)),
        ("organization", named(&entry.tenant)),
        ("service", object(vec![("name", "latchkey".into()), ("type", "latchkey".into()), ("node", node)])),
        ("related", object(vec![("user", users.into()), ("hash", vec![leaf].into())])),
        ("labels", labels(record)),
    ])
}

fn named(name: &str) -> Value {
    object(vec![("id", name.into()), ("name", last(name).into())])
}

/// What the schema has no field for: the subject, the request, and the facts.
fn labels(record: &Record) -> Value {
    let mut labels = json::facts(record);
    if let Value::Object(fields) = &mut labels {
        fields.insert("subject".to_owned(), record.subject().into());
        if !record.entry.request_id.is_empty() {
            fields.insert("request_id".to_owned(), record.entry.request_id.clone().into());
        }
    }
    labels
}
