//! The forms, byte by byte as they were: receivers are built on them. `LATCHKEY_WRITE_GOLDEN=1` writes those that are missing.

#![allow(clippy::unwrap_used)]

mod support;

use latchkey_export::format::{Format, cloud_events, rfc5424};
use latchkey_export::{Item, webhook};
use latchkey_state::Action;
use latchkey_wire::pb::v1::Outcome;
use latchkey_wire::pb::v1::access::Kind;
use serde_json::Value;
use std::path::Path;
use support::{access, created, record, refused, usage};

fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if !path.exists() && std::env::var_os("LATCHKEY_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap(), "{name}");
}

fn shown<T: Item>(format: Format, records: &[T]) -> String {
    let values: Vec<_> = records.iter().map(|record| format.value(record)).collect();
    serde_json::to_string_pretty(&values).unwrap() + "\n"
}

#[test]
fn each_form_is_as_it_was() {
    let records = [created(), refused()];
    golden("ecs.json", &shown(Format::Ecs, &records));
    golden("ocsf.json", &shown(Format::Ocsf, &records));
    golden("cloud_events.json", &shown(Format::CloudEvents, &records));
    golden("json.json", &shown(Format::Json, &records));
    let lines: Vec<_> = records.iter().map(|record| rfc5424::message(record) + "\n").collect();
    golden("rfc5424.txt", &lines.concat());
}

#[test]
fn each_form_of_what_replicas_observed_is_as_it_was() {
    let mut counted = access(9, Kind::Counted, Outcome::Unspecified);
    (counted.line.counted_kind, counted.line.count) = (Kind::Denied.into(), 70);
    counted.line.client = "192.0.2.0/24".to_owned();
    let mut sampled = access(9, Kind::Sampled, Outcome::Valid);
    sampled.line.sample_ppm = 1_000;
    let lines = [
        access(9, Kind::Denied, Outcome::Expired),
        access(9, Kind::WrongSecret, Outcome::NotFound),
        access(9, Kind::NoIdentity, Outcome::Unspecified),
        counted,
        sampled,
    ];
    golden("access-ecs.json", &shown(Format::Ecs, &lines));
    golden("access-ocsf.json", &shown(Format::Ocsf, &lines));
    golden("access-cloud_events.json", &shown(Format::CloudEvents, &lines[..1]));
    golden("access-json.json", &shown(Format::Json, &lines));
    let mut unnamed = usage(9, 1);
    (unnamed.owner, unnamed.reported, unnamed.last_used) = (String::new(), None, None);
    golden("usage-json.json", &shown(Format::Json, &[usage(9, 0), unnamed]));
    golden("usage-cloud_events.json", &shown(Format::CloudEvents, &[usage(9, 0)]));
}

#[test]
fn no_form_of_any_action_has_an_empty_field() {
    fn empty(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty() || items.iter().any(empty),
            Value::Object(fields) => fields.is_empty() || fields.values().any(empty),
            Value::Bool(_) | Value::Number(_) => false,
        }
    }
    for (sequence, action) in (0..).zip(Action::ALL) {
        let record = record(sequence, action.as_str());
        for format in [Format::Ecs, Format::Ocsf, Format::CloudEvents, Format::Json] {
            let value = format.value(&record);
            assert!(!empty(&value), "{format:?} {action:?}: {value}");
        }
    }
}

#[test]
fn structured_data_is_escaped_and_no_control_letter_reaches_a_terminal() {
    let mut record = created();
    record.entry.reason_text = "a\"b\\c]d\n\u{1b}[31m\u{e9}".to_owned();
    let message = rfc5424::message(&record);
    assert!(message.contains(r#"reason="a\"b\\c\]d  [31mé""#), "{message}");
    assert!(!message.contains(['\n', '\u{1b}']), "{message}");
    let framed = rfc5424::framed(&record);
    let at = framed.iter().position(|byte| *byte == b' ').unwrap();
    let length: usize = std::str::from_utf8(&framed[..at]).unwrap().parse().unwrap();
    assert_eq!(framed.len() - at - 1, length, "octets, not letters");
}

#[test]
fn attributes_are_headers_whatever_they_say() {
    assert_eq!(cloud_events::header("tenants/acme \"é%"), "tenants/acme%20%22%C3%A9%25");
    let sequences: Vec<_> = [9, 10]
        .map(|sequence| cloud_events::attributes(&record(sequence, "key.created")))
        .into_iter()
        .map(|all| all.into_iter().find(|(name, _)| *name == "sequence").unwrap().1)
        .collect();
    assert!(sequences[0] < sequences[1], "compared as texts");
    assert!(webhook::headers(&[], "id", 1, b"").iter().all(|(name, _)| *name != "webhook-signature"));
}
