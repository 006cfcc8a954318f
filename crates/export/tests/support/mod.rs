//! Records of tests.

#![allow(dead_code, reason = "each test uses its own part")]

use latchkey_config::{AuditSettings, SinkSettings, Sources};
use latchkey_domain::UnixMillis;
use latchkey_export::{Access, Place, Record, Reported, Usage};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::entry::actor::Actor;
use std::io::Write as _;

pub(crate) mod server;

/// A record with everything that an entry can have.
pub(crate) fn record(sequence: u64, action: &str) -> Record {
    let entry = v1::Entry {
        sequence,
        revision: Some(v1::Revision { epoch: 1, index: 40 + sequence }),
        time: Some(latchkey_wire::time::write_time(UnixMillis::new(1_795_420_800_500 + sequence))),
        actor: Some(v1::entry::Actor { actor: Some(Actor::Identity("tenants/acme/identities/ci".to_owned())) }),
        action: action.to_owned(),
        subject: "tenants/acme/keyspaces/live/keys/0Jx5k3f9QmZ2aB7c".to_owned(),
        tenant: "tenants/acme".to_owned(),
        ..v1::Entry::default()
    };
    Record { entry, leaf: [0xAB; 32], origin: "latchkey/0123456789abcdef0123456789abcdef".into() }
}

/// A key was created.
pub(crate) fn created() -> Record {
    let mut record = record(7, "key.created");
    record.entry.request_id = "00010203-0405-4607-8809-0a0b0c0d0e0f".to_owned();
    record.entry.facts =
        [("version", "2f"), ("name", "an orders key")].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
    record
}

/// Somebody was refused.
pub(crate) fn refused() -> Record {
    let mut record = record(8, "access.refused");
    let facts = [
        ("count", "3"),
        ("method", "IssuanceService/RevokeKey"),
        ("reason", "PERMISSION_DENIED"),
        ("service", "issuance"),
    ];
    record.entry.facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    record
}

/// Where something stands that a replica observed.
pub(crate) fn place(sequence: u64, at: u32) -> Place {
    let (origin, region) = ("latchkey/0123456789abcdef0123456789abcdef".into(), "eu".to_owned());
    Place { sequence, origin, node: 2, incarnation: 0xBEEF, batch: 40 + sequence, tenant: 3, at, region }
}

/// Sums of a minute.
pub(crate) fn usage(sequence: u64, at: u32) -> Usage {
    let keyspace = "tenants/acme/keyspaces/live".to_owned();
    let key = format!("{keyspace}/keys/0Jx5k3f9QmZ2aB7c");
    Usage {
        place: place(sequence, at),
        minute: UnixMillis::new(1_795_420_800_000),
        tenant: "tenants/acme".to_owned(),
        owner: "tenants/acme/owners/team".to_owned(),
        version: format!("{key}/versions/0Jx5k3f9QmZ2aB7d"),
        keyspace,
        key,
        outcomes: vec![("VALID".to_owned(), 10), ("EXPIRED".to_owned(), 2)],
        latency: vec![0, 0, 7, 5],
        networks: vec![("192.0.2.0/24".to_owned(), 9)],
        other_networks: 3,
        last_used: Some(UnixMillis::new(1_795_420_830_500)),
        reported: Some(Reported {
            requests: 4,
            status_classes: vec![0, 3, 0, 1],
            request_bytes: 100,
            response_bytes: 2_000,
            latency: vec![0, 4],
            load_milli: 1_500,
        }),
    }
}

/// A line of the access log: of a key that was denied, or of somebody without an identity.
pub(crate) fn access(sequence: u64, kind: v1::access::Kind, outcome: v1::Outcome) -> Access {
    let time = |at| Some(latchkey_wire::time::write_time(UnixMillis::new(at)));
    let mut line = v1::Access {
        kind: kind.into(),
        outcome: outcome.into(),
        time: time(1_795_420_830_500),
        first_time: time(1_795_420_830_500),
        count: 1,
        region: "eu".to_owned(),
        client: "192.0.2.7".to_owned(),
        method: "GET".to_owned(),
        ..v1::Access::default()
    };
    if kind != v1::access::Kind::NoIdentity {
        let usage = usage(0, 0);
        (line.tenant, line.keyspace, line.key, line.version) = (usage.tenant, usage.keyspace, usage.key, usage.version);
        line.caller = "tenants/acme/identities/gateway".to_owned();
        line.user_agent = "curl/8".to_owned();
        line.resource = "/orders".to_owned();
        line.tags = vec!["team=a".to_owned(), "app=b".to_owned()];
    }
    Access { place: place(sequence, 0), line }
}

/// The settings of one sink, as a file says them.
pub(crate) fn settings(text: &str) -> SinkSettings {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let head =
        "data_folder = '/data'\ncluster_secret_file = '/s'\nkek_file = '/k'\nregistry_endpoints = ['127.0.0.1:7720']\n";
    file.write_all(format!("{head}[[sink]]\nname = 'test'\n{text}").as_bytes()).unwrap();
    let sources = Sources { file: Some(file.path().to_owned()), ..Sources::default() };
    AuditSettings::load(&sources).unwrap_or_else(|mistakes| panic!("{mistakes}")).sink.remove(0)
}
