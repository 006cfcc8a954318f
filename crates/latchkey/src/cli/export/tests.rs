//! The same keys in each format.

use super::columns::{COLUMNS, Cell};
use super::*;
use crate::cli::import::csv_rows::{CsvRows, Manner};
use latchkey_domain::UnixMillis;
use latchkey_wire::pb::v1 as pb;
use prost_types::Timestamp;
use std::fs;

const DAY_SECONDS: i64 = 86_400;

fn at(seconds: i64) -> Option<Timestamp> {
    Some(Timestamp { seconds, nanos: 0 })
}

/// One with everything that matters, one with nothing.
fn rows() -> Vec<Row> {
    use pb::version::State;
    let name = "tenants/acme/keyspaces/orders/keys/0000000000000001";
    let version = |id: &str, state: State, created: i64, ends: Option<i64>| pb::Version {
        name: format!("{name}/versions/{id}"),
        state: state.into(),
        create_time: at(created),
        retire_time: ends.and_then(at),
        ..pb::Version::default()
    };
    let key = pb::Key {
        name: name.to_owned(),
        display_name: "=HYPERLINK(\"x\")".to_owned(),
        owner: "tenants/acme/owners/shop".to_owned(),
        state: pb::key::State::Active.into(),
        permissions: vec!["orders:read".to_owned(), "orders:write".to_owned()],
        metadata: [("team".to_owned(), "a, b".to_owned())].into(),
        create_time: at(0),
        expire_time: at(100 * DAY_SECONDS),
        imported: Some(pb::Imported {
            format: "old".to_owned(),
            source_id: "key_1".to_owned(),
            import_time: at(0),
            ..pb::Imported::default()
        }),
        versions: vec![
            version("a", State::Retiring, 0, Some(4 * DAY_SECONDS)),
            version("b", State::Active, 2 * DAY_SECONDS, None),
        ],
        rotation: format!("{name}/rotations/r"),
        revocation: Some(pb::Revocation {
            reason: pb::RevocationReason::OwnerLeft.into(),
            revoke_time: at(3),
            ..pb::Revocation::default()
        }),
        ..pb::Key::default()
    };
    let now = UnixMillis::new(3 * 86_400_000 + 1);
    vec![
        row(&key, now),
        row(&pb::Key { name: "tenants/acme/keyspaces/orders/keys/2".to_owned(), ..pb::Key::default() }, now),
    ]
}

/// What lies in the file once both rows are written, and how many bytes were told.
fn written(format: Format) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys");
    let mut sheet = begin(format, Target::open(&path).unwrap()).unwrap();
    sheet.add(&rows()).unwrap();
    assert!(!path.exists(), "it is there whole or not at all");
    let bytes = sheet.finish().unwrap().close().unwrap();
    let read = fs::read(&path).unwrap();
    assert_eq!((read.len() as u64, fs::read_dir(folder.path()).unwrap().count()), (bytes, 1));
    read
}

#[test]
fn an_export_that_does_not_end_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.csv");
    fs::write(&path, "before").unwrap();
    let mut sheet = begin(Format::Csv, Target::open(&path).unwrap()).unwrap();
    sheet.add(&rows()).unwrap();
    drop(sheet);
    assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn every_column_is_named_once_and_holds_what_it_says() {
    for (index, column) in COLUMNS.iter().enumerate() {
        assert!(COLUMNS[..index].iter().all(|other| other.name != column.name), "{}", column.name);
        let secret = ["secret", "digest", "key_text"].iter().any(|word| column.name.contains(word));
        assert!(!secret, "{}", column.name);
    }
    let row = &rows()[0];
    let cell = |name: &str| row[COLUMNS.iter().position(|column| column.name == name).unwrap()].clone();
    let text = |text: &str| Cell::Text(text.to_owned());
    assert_eq!((cell("keyspace"), cell("state")), (text("tenants/acme/keyspaces/orders"), text("ACTIVE")));
    assert_eq!((cell("age_days"), cell("rotation_state")), (Cell::Number(3), text("OVERLAP")));
    assert_eq!(cell("last_rotate_time"), Cell::Time(Some(2 * DAY_SECONDS * 1_000)));
    assert_eq!(cell("overlap_end_time"), Cell::Time(Some(4 * DAY_SECONDS * 1_000)));
    assert_eq!(cell("version_states"), Cell::Texts(vec!["RETIRING".to_owned(), "ACTIVE".to_owned()]));
    assert_eq!((cell("source_id"), cell("revocation_reason")), (text("key_1"), text("OWNER_LEFT")));
}

#[test]
fn csv_is_read_back_and_no_cell_is_a_formula() {
    let text = written(Format::Csv);
    let mut reader = CsvRows::new(text.as_slice(), b',', Manner::default()).unwrap().unwrap();
    assert_eq!(reader.heading().len(), COLUMNS.len());
    let (_, first) = reader.next().unwrap().unwrap();
    let first = first.unwrap();
    assert_eq!(first["display_name"], "'=HYPERLINK(\"x\")");
    assert_eq!(first["permissions"], "orders:read; orders:write");
    assert_eq!(first["create_time"], "1970-01-01T00:00:00Z");
    assert!(reader.next().unwrap().unwrap().1.is_ok() && reader.next().unwrap().is_none());
}

#[test]
fn json_lines_have_every_column_in_each() {
    let text = String::from_utf8(written(Format::Jsonl)).unwrap();
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        (lines[0]["display_name"].as_str(), lines[0]["permissions"][1].as_str()),
        (Some("=HYPERLINK(\"x\")"), Some("orders:write"))
    );
    assert_eq!((&lines[1]["owner"], &lines[1]["permissions"]), (&serde_json::Value::Null, &serde_json::json!([])));
    assert!(lines.iter().all(|line| line.as_object().unwrap().len() == COLUMNS.len()));
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_is_read_back_with_its_types() {
    use ::parquet::file::reader::{FileReader as _, SerializedFileReader};
    use ::parquet::record::RowAccessor as _;
    let bytes = bytes::Bytes::from(written(Format::Parquet));
    let reader = SerializedFileReader::new(bytes).unwrap();
    let rows: Vec<_> = reader.get_row_iter(None).unwrap().map(Result::unwrap).collect();
    let at = |name: &str| COLUMNS.iter().position(|column| column.name == name).unwrap();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].get_string(at("display_name")).unwrap(), "=HYPERLINK(\"x\")");
    assert_eq!(rows[0].get_timestamp_millis(at("expire_time")).unwrap(), 100 * DAY_SECONDS * 1_000);
    assert_eq!(rows[0].get_long(at("age_days")).unwrap(), 3);
    assert_eq!(rows[0].get_list(at("permissions")).unwrap().len(), 2);
    assert_eq!(rows[1].get_list(at("permissions")).unwrap().len(), 0);
    assert!(rows[1].get_string(at("owner")).is_err(), "null");
}

#[cfg(not(feature = "parquet"))]
#[test]
fn a_format_that_was_not_built_in_says_how_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let refused = begin(Format::Parquet, Target::open(&folder.path().join("keys")).unwrap()).err().unwrap();
    assert!(refused.text().contains("--features parquet"));
}
