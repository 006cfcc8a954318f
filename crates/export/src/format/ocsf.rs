//! Open Cybersecurity Schema Framework. What happens to anything that is managed is Entity Management (3004); calls are API
//! Activity (6003).

use super::{json, last, object};
use crate::meaning::{Meaning, OcsfClass, Outcome};
use crate::record::Record;
use latchkey_wire::pb::v1::entry::actor::Actor;
use serde_json::Value;

/// The version of the schema.
pub const VERSION: &str = "1.8.0";
/// The type of a user that is a program.
const SERVICE: u32 = 4;
const SYSTEM: u32 = 3;
const OTHER: u32 = 99;

/// The record as an event.
#[must_use]
pub fn event(record: &Record) -> Value {
    let (entry, meaning) = (&record.entry, Meaning::of(&record.entry.action));
    let (class, category, activity) = match meaning.class {
        OcsfClass::EntityManagement(activity) => (3004, 3, activity),
        OcsfClass::ApiActivity(activity) => (6003, 6, activity),
    };
    let (status, status_word) = match meaning.outcome {
        Outcome::Success => (1, "Success"),
        Outcome::Failure => (2, "Failure"),
    };
    let mut fields = vec![
        ("class_uid", class.into()),
        ("category_uid", category.into()),
        ("activity_id", activity.into()),
        // What no number stands for is told by its name.
        ("activity_name", if activity == OTHER { entry.action.clone().into() } else { Value::Null }),
        ("type_uid", (class * 100 + activity).into()),
        ("time", record.millis().into()),
        ("severity_id", meaning.severity.into()),
        ("status_id", status.into()),
        ("status", status_word.into()),
        ("status_detail", record.reason().into()),
        ("message", record.line().into()),
        ("metadata", metadata(record)),
        ("actor", object(vec![("user", user(record)), ("app_name", "latchkey".into())])),
        ("unmapped", unmapped(record)),
    ];
    match meaning.class {
        OcsfClass::EntityManagement(_) => {
            fields.extend([("entity", entity(record)), ("comment", record.reason().into())]);
        }
        OcsfClass::ApiActivity(_) => fields.extend(call(record)),
    }
    object(fields)
}

fn metadata(record: &Record) -> Value {
    let product =
        vec![("name", "Latchkey".into()), ("vendor_name", "Latchkey".into()), ("uid", (*record.origin).into())];
    object(vec![
        ("version", VERSION.into()),
        ("product", object(product)),
        ("uid", record.id().into()),
        ("sequence", record.sequence().into()),
        ("correlation_uid", record.entry.request_id.clone().into()),
        ("event_code", record.entry.action.clone().into()),
        ("log_name", "audit".into()),
        ("tenant_uid", record.entry.tenant.clone().into()),
        ("original_time", record.time().into()),
    ])
}

fn user(record: &Record) -> Value {
    let name = record.actor_name();
    let key = |name: &str| object(vec![("uid", name.into()), ("type", "API key".into())]);
    let (kind, credentials) = match record.actor() {
        Some(Actor::Identity(_)) => (OTHER, Value::Null),
        Some(Actor::Key(key_name)) => (SERVICE, vec![key(key_name)].into()),
        Some(Actor::Replica(_) | Actor::Service(_)) => (SYSTEM, Value::Null),
        None => return object(vec![("name", "unknown".into()), ("type_id", 0.into())]),
    };
    let word = if kind == OTHER { "Management identity".into() } else { Value::Null };
    object(vec![
        ("uid", name.clone().into()),
        ("name", last(&name).into()),
        ("type_id", kind.into()),
        ("type", word),
        ("programmatic_credentials", credentials),
    ])
}

/// What is managed. A kind that has no number is told by its word.
fn entity(record: &Record) -> Value {
    let subject = record.subject();
    let kind = subject.rsplit('/').nth(1).unwrap_or("clusters");
    let (number, word) = match kind {
        "tenants" => (4, "Organization"),
        "identities" => (2, "User"),
        "keys" => (OTHER, "API key"),
        "versions" => (OTHER, "Version of an API key"),
        "rotations" => (OTHER, "Rotation of an API key"),
        "keyspaces" => (OTHER, "Keyspace"),
        "owners" => (OTHER, "Owner"),
        "roles" => (OTHER, "Role"),
        _ => (OTHER, "Cluster"),
    };
    object(vec![
        ("uid", subject.into()),
        ("name", last(subject).into()),
        ("type_id", number.into()),
        ("type", word.into()),
    ])
}

/// The call that an entry of API Activity is about.
fn call(record: &Record) -> Vec<(&'static str, Value)> {
    let fact = |name: &str| record.entry.facts.get(name).map(String::as_str).unwrap_or_default();
    let service = if fact("service").is_empty() { "validation" } else { fact("service") };
    let operation = if fact("method").is_empty() { record.entry.action.as_str() } else { fact("method") };
    let count = fact("count").parse().map_or(Value::Null, |count: u64| count.into());
    let named = |name: &str| object(vec![("name", name.into())]);
    vec![
        ("api", object(vec![("operation", operation.into()), ("service", named(service))])),
        (
            "resources",
            vec![object(vec![("uid", record.subject().into()), ("name", last(record.subject()).into())])].into(),
        ),
        // Where the caller is, the audit log does not say.
        ("src_endpoint", named("unknown")),
        ("status_code", fact("reason").into()),
        ("count", count),
    ]
}

fn unmapped(record: &Record) -> Value {
    let mut facts = json::facts(record);
    if let Value::Object(fields) = &mut facts {
        fields.insert("leaf".to_owned(), record.leaf_hex().into());
    }
    facts
}
