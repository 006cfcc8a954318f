//! Lines of the access log in Elastic Common Schema: authentication by a key.

use super::{ecs, last, object};
use crate::item::Item as _;
use crate::observation::Access;
use serde_json::{Map, Value};
use std::net::IpAddr;

/// `event.dataset`, and the middle of the usual name of a data stream.
pub const DATASET: &str = "latchkey.access";

/// The line as a document.
#[must_use]
pub fn document(access: &Access) -> Value {
    let line = &access.line;
    let outcome = match access.outcome() {
        "" => "unknown",
        _ if access.is_success() => "success",
        _ => "failure",
    };
    let user = if line.key.is_empty() { &line.caller } else { &line.key };
    let named = |name: &str| object(vec![("id", name.into()), ("name", last(name).into())]);
    // A field of addresses takes no network.
    let address = line.client.parse::<IpAddr>().is_ok().then(|| line.client.clone());
    let source =
        object(vec![("ip", address.clone().unwrap_or_default().into()), ("address", line.client.clone().into())]);
    object(vec![
        ("@timestamp", access.time().into()),
        ("ecs", object(vec![("version", ecs::VERSION.into())])),
        ("message", access.message().into()),
        (
            "event",
            object(vec![
                ("kind", "event".into()),
                ("category", vec!["authentication"].into()),
                ("type", vec!["start"].into()),
                ("action", access.kind().to_lowercase().into()),
                ("outcome", outcome.into()),
                ("reason", access.outcome().into()),
                ("id", access.id().into()),
                ("start", line.first_time.map_or(Value::Null, |time| time.to_string().into())),
                ("end", access.time().into()),
                ("dataset", DATASET.into()),
                ("module", "latchkey".into()),
                ("provider", (*access.place.origin).into()),
            ]),
        ),
        ("user", named(user)),
        ("source", source),
        ("user_agent", object(vec![("original", line.user_agent.clone().into())])),
        ("organization", named(&line.tenant)),
        (
            "service",
            object(vec![
                ("name", "latchkey".into()),
                ("type", "latchkey".into()),
                ("node", object(vec![("name", access.place.node.to_string().into())])),
            ]),
        ),
        ("cloud", object(vec![("region", line.region.clone().into())])),
        (
            "related",
            object(vec![
                ("ip", address.into_iter().collect::<Vec<_>>().into()),
                ("user", Some(user.clone()).into_iter().filter(|user| !user.is_empty()).collect::<Vec<_>>().into()),
            ]),
        ),
        ("labels", labels(access)),
    ])
}

/// What the schema has no field for.
pub(super) fn labels(access: &Access) -> Value {
    let line = &access.line;
    let sample = if line.sample_ppm == 0 { String::new() } else { line.sample_ppm.to_string() };
    let counted = line.counted_kind().as_str_name().trim_start_matches("KIND_");
    let counted = if counted == "UNSPECIFIED" { "" } else { counted };
    let labels = [
        ("count", line.count.to_string()),
        ("counted_kind", counted.to_owned()),
        ("keyspace", line.keyspace.clone()),
        ("version", line.version.clone()),
        ("caller", line.caller.clone()),
        ("method", line.method.clone()),
        ("resource", line.resource.clone()),
        ("sample_ppm", sample),
        ("tags", line.tags.join(" ")),
    ];
    let told = labels.into_iter().filter(|(_, value)| !value.is_empty());
    Value::Object(told.map(|(name, value)| (name.to_owned(), value.into())).collect::<Map<_, _>>())
}
