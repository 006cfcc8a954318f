//! Lines as the API shows them.

use super::Line;
use super::search::client_text;
use latchkey_domain::{KeyId, UnixMillis, VersionId};
use latchkey_wire::pb::v1;
use latchkey_wire::time::write_time;

/// What the numbers of a line are called.
#[derive(Clone, Debug, Default)]
pub(crate) struct LineNames {
    pub(crate) tenant: String,
    pub(crate) keyspace: String,
}

/// The resource name of a line's key; empty: none was found.
pub(super) fn key_name(line: &Line, keyspace: &str) -> String {
    let key = <[u8; 12]>::try_from(&line.record.key_id[..]).ok().and_then(KeyId::from_bytes);
    key.map_or_else(String::new, |key| format!("{keyspace}/keys/{key}"))
}

/// A line as the API shows it.
pub(crate) fn line(line: Line, names: LineNames) -> v1::Access {
    let key = key_name(&line, &names.keyspace);
    let Line { key: place, region, record } = line;
    let version = <[u8; 12]>::try_from(&record.version_id[..]).ok().and_then(VersionId::from_bytes);
    v1::Access {
        id: place.iter().map(|byte| format!("{byte:02x}")).collect(),
        time: Some(write_time(UnixMillis::new(record.last_unix_ms))),
        kind: record.kind,
        counted_kind: record.counted_kind,
        outcome: record.outcome,
        tenant: names.tenant,
        keyspace: names.keyspace,
        version: version.map_or_else(String::new, |version| format!("{key}/versions/{version}")),
        key,
        caller: record.caller,
        client: client_text(&record.client),
        user_agent: record.user_agent,
        method: record.method,
        resource: record.resource,
        tags: record.tags,
        count: record.count,
        first_time: Some(write_time(UnixMillis::new(record.first_unix_ms))),
        region,
        sample_ppm: record.sample_ppm,
    }
}

const _: () = {
    use latchkey_wire::pb::internal::v1::access_record::Kind;
    use v1::access::Kind as Shown;
    assert!(Kind::Denied as i32 == Shown::Denied as i32 && Kind::WrongSecret as i32 == Shown::WrongSecret as i32);
    assert!(Kind::Stale as i32 == Shown::Stale as i32 && Kind::Sampled as i32 == Shown::Sampled as i32);
    assert!(Kind::NoIdentity as i32 == Shown::NoIdentity as i32 && Kind::Counted as i32 == Shown::Counted as i32);
};
