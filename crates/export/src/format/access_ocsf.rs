//! Lines of the access log in the Open Cybersecurity Schema Framework: Authentication (3002), a logon with a key.

use super::{access_ecs, last, object, ocsf};
use crate::item::Item as _;
use crate::observation::Access;
use latchkey_wire::pb::v1::access::Kind;
use serde_json::Value;
use std::net::IpAddr;

const CLASS: u32 = 3002;
const LOGON: u32 = 1;
/// The type of a user that is a program.
const SERVICE: u32 = 4;
const OTHER: u32 = 99;

/// The line as an event.
#[must_use]
pub fn event(access: &Access) -> Value {
    let line = &access.line;
    let (status, status_word) = match access.outcome() {
        "" => (0, "Unknown"),
        _ if access.is_success() => (1, "Success"),
        _ => (2, "Failure"),
    };
    // A secret that is tried is more than a key that has expired.
    let severity = match line.kind() {
        Kind::WrongSecret => 3,
        Kind::Denied | Kind::NoIdentity | Kind::Counted => 2,
        Kind::Stale | Kind::Sampled | Kind::Unspecified => 1,
    };
    let first = line.first_time.map_or(Value::Null, |time| time.seconds.saturating_mul(1_000).into());
    let address = line.client.parse::<IpAddr>().is_ok().then(|| line.client.clone());
    let endpoint = match address {
        Some(address) => object(vec![("ip", address.into())]),
        None if line.client.is_empty() => Value::Null,
        None => object(vec![("name", line.client.clone().into())]),
    };
    let request = object(vec![("user_agent", line.user_agent.clone().into())]);
    object(vec![
        ("class_uid", CLASS.into()),
        ("category_uid", (CLASS / 1_000).into()),
        ("activity_id", LOGON.into()),
        ("type_uid", (CLASS * 100 + LOGON).into()),
        ("time", access.millis().into()),
        ("start_time", first),
        ("end_time", access.millis().into()),
        ("count", line.count.into()),
        ("severity_id", severity.into()),
        ("status_id", status.into()),
        ("status", status_word.into()),
        ("status_code", access.outcome().into()),
        ("message", access.message().into()),
        ("auth_protocol_id", OTHER.into()),
        ("auth_protocol", "API key".into()),
        ("is_remote", true.into()),
        ("metadata", metadata(access)),
        ("user", user(access)),
        ("service", object(vec![("name", "latchkey".into())])),
        ("src_endpoint", endpoint),
        ("http_request", request),
        ("unmapped", access_ecs::labels(access)),
    ])
}

fn metadata(access: &Access) -> Value {
    let product =
        vec![("name", "Latchkey".into()), ("vendor_name", "Latchkey".into()), ("uid", (*access.place.origin).into())];
    object(vec![
        ("version", ocsf::VERSION.into()),
        ("product", object(product)),
        ("uid", access.id().into()),
        ("event_code", access.kind().into()),
        ("log_name", "access".into()),
        ("tenant_uid", access.line.tenant.clone().into()),
        ("original_time", access.time().into()),
    ])
}

/// Who logged on: the key; without one the identity that asked.
fn user(access: &Access) -> Value {
    let name = if access.line.key.is_empty() { &access.line.caller } else { &access.line.key };
    if name.is_empty() {
        return object(vec![("name", "unknown".into()), ("type_id", 0.into())]);
    }
    object(vec![("uid", name.as_str().into()), ("name", last(name).into()), ("type_id", SERVICE.into())])
}
