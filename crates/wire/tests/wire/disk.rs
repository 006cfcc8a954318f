//! Bytes at rest: golden files, strictness, round trips.
//!
//! The golden files were written by the release that introduced the format. They are never written again: if one of
//! these tests fails, the format has changed, and replicas of two builds would fence each other.

use crate::{
    fixtures, fixtures_level_2, fixtures_level_3, fixtures_level_4, fixtures_level_5, fixtures_level_6, fixtures_ring,
};
use latchkey_state::{Command, Row};
use latchkey_wire::disk::{RowReader, decode_command, decode_message, encode_command, encode_row};
use latchkey_wire::pb::disk::v1 as disk;
use proptest::prelude::*;
use prost::Message as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::{env, fs};

/// The golden bytes of `name`; written once, when `LATCHKEY_WRITE_GOLDEN` is set and the file is not there.
fn golden(name: &str, bytes: &[u8]) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name).with_extension("bin");
    if env::var_os("LATCHKEY_WRITE_GOLDEN").is_some() && !path.exists() {
        fs::write(&path, bytes).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The commands of every feature level.
fn commands() -> Vec<(&'static str, Command)> {
    let later = [fixtures_level_3::commands(), fixtures_level_4::commands(), fixtures_level_5::commands()];
    let later = [later.concat(), fixtures_level_6::commands()];
    [fixtures::commands(), fixtures_level_2::commands(), later.concat(), fixtures_ring::commands()].concat()
}

/// The rows of every feature level.
fn rows() -> Vec<(&'static str, Row)> {
    let later = [fixtures_level_3::rows(), fixtures_level_4::rows(), fixtures_level_5::rows()];
    let later = [later.concat(), fixtures_level_6::rows()];
    [fixtures::rows(), fixtures_level_2::rows(), later.concat(), fixtures_ring::rows()].concat()
}

#[test]
fn commands_of_earlier_releases_still_read_and_write_alike() {
    for (name, command) in commands() {
        let bytes = encode_command(&command);
        let golden = golden(&format!("command_{name}"), &bytes);
        assert_eq!(decode_command(&golden).as_ref(), Ok(&command), "{name}");
        assert_eq!(bytes, golden, "{name}");
    }
}

#[test]
fn rows_of_earlier_releases_still_read_and_write_alike() {
    let mut reader = RowReader::default();
    for (name, row) in rows() {
        let bytes = encode_row(&row);
        let golden = golden(&format!("row_{name}"), &bytes);
        assert_eq!(reader.decode_row(row.id().table(), &golden).as_ref(), Ok(&row), "{name}");
        assert_eq!(bytes, golden, "{name}");
    }
}

#[test]
fn log_records_of_the_first_release_still_read_and_write_alike() {
    let log_id = || Some(disk::LogId { term: 7, node_id: 3, index: 1_042 });
    let node = |region: &str| disk::Node {
        region: region.to_owned(),
        raft_address: format!("{region}.example:7721"),
        address: format!("{region}.example:7720"),
    };
    let payloads = [
        ("blank", disk::log_record::Payload::Blank(disk::Blank {})),
        (
            "command",
            disk::log_record::Payload::Command(disk::SealedCommand {
                sealed: vec![0x5E; 200].into(),
                introduced: vec![disk::IntroducedKey {
                    number: 1,
                    id: vec![1; 16],
                    wrapped_by: 0,
                    wrapped: vec![1; 101],
                }],
            }),
        ),
        (
            "membership",
            disk::log_record::Payload::Membership(disk::Membership {
                configurations: vec![disk::VoterSet { node_ids: vec![1, 2, 3] }],
                nodes: [(1, node("eu")), (2, node("us")), (3, node("ap")), (4, node("sa"))].into(),
            }),
        ),
    ];
    for (name, payload) in payloads {
        let record = disk::LogRecord { log_id: log_id(), payload: Some(payload), ..Default::default() };
        let bytes = record.encode_to_vec();
        let golden = golden(&format!("record_{name}"), &bytes);
        assert_eq!(decode_message::<disk::LogRecord>(&golden).as_ref(), Ok(&record), "{name}");
        assert_eq!(bytes, golden, "{name}");
    }
}

#[test]
fn headers_of_backups_still_read_and_write_alike() {
    let header = disk::BackupHeader {
        format: 1,
        cluster_id: vec![0xC1; 16],
        epoch: 3,
        index: 1_042,
        taken_at_unix_ms: 1_700_000_000_500,
        clock_unix_ms: 1_700_000_000_000,
        next_sequence: 977,
        state_hash: vec![0x5A; 32],
        feature_level: 4,
        key_count: 1_000_000,
        node_id: 2,
    };
    let bytes = header.encode_to_vec();
    let golden = golden("backup_header", &bytes);
    assert_eq!(decode_message::<disk::BackupHeader>(&golden).as_ref(), Ok(&header));
    assert_eq!(bytes, golden);
}

#[test]
fn what_a_newer_build_wrote_is_an_error_and_is_never_skipped() {
    let mut reader = RowReader::default();
    for (name, row) in rows() {
        let mut bytes = encode_row(&row);
        // Field 1,000, a varint: nothing that this build knows.
        bytes.extend([0xC0, 0x3E, 0x01]);
        assert!(reader.decode_row(row.id().table(), &bytes).is_err(), "{name}");
    }
    for (name, command) in commands() {
        let mut bytes = encode_command(&command);
        bytes.extend([0xC0, 0x3E, 0x01]);
        assert!(decode_command(&bytes).is_err(), "{name}");
    }
    assert!(reader.decode_row(11, &[]).is_err());
}

#[test]
fn a_missing_part_is_an_error_and_never_a_default() {
    assert!(decode_command(&[]).is_err());
    let mut reader = RowReader::default();
    for table in 0..=10 {
        assert!(reader.decode_row(table, &[]).is_err(), "table {table}");
    }
    let (_, row) = rows().into_iter().find(|(name, _)| *name == "key").unwrap();
    let whole = disk::KeyRow::decode(encode_row(&row).as_slice()).unwrap();
    for broken in [
        disk::KeyRow { terms: None, ..whole.clone() },
        disk::KeyRow { versions: Vec::new(), ..whole.clone() },
        disk::KeyRow { created: None, ..whole.clone() },
        disk::KeyRow { id: vec![0; 11], ..whole.clone() },
        disk::KeyRow { id: vec![0xFF; 12], ..whole.clone() },
        disk::KeyRow { created_at_unix_ms: u64::MAX, ..whole.clone() },
        disk::KeyRow { revocation: Some(disk::Revocation { reason: 0, ..Default::default() }), ..whole.clone() },
        disk::KeyRow { revocation: Some(disk::Revocation { reason: 99, ..Default::default() }), ..whole },
    ] {
        assert!(reader.decode_row(7, &broken.encode_to_vec()).is_err(), "{broken:?}");
    }
}

#[test]
fn a_command_that_gives_a_key_roles_by_number_is_an_error() {
    let commands = commands();
    let (_, command) = commands.iter().find(|(name, _)| *name == "create_keys").unwrap();
    let mut command = disk::Command::decode(encode_command(command).as_slice()).unwrap();
    let Some(disk::command::Operation::CreateKeys(operation)) = &mut command.operation else { unreachable!() };
    operation.keys[0].terms.as_mut().unwrap().roles = vec![16];
    assert!(decode_command(&command.encode_to_vec()).is_err());
}

#[test]
fn a_cut_of_the_first_release_keeps_its_bytes_and_says_no_more_than_it_knows() {
    let rows = fixtures::rows();
    let (_, row) = rows.iter().find(|(name, _)| *name == "tenant").unwrap();
    let written = disk::TenantRow::decode(encode_row(row).as_slice()).unwrap();
    assert!(written.cut.is_some() && written.cut_details.is_none());
    let alone = disk::TenantRow { cut: None, cut_details: Some(disk::CutDetails::default()), ..written };
    assert!(RowReader::default().decode_row(3, &alone.encode_to_vec()).is_err());
}

#[test]
fn keys_that_say_the_same_share_their_terms_after_a_load() {
    let (_, row) = rows().into_iter().find(|(name, _)| *name == "key").unwrap();
    let mut reader = RowReader::default();
    let mut load = || match reader.decode_row(7, &encode_row(&row)).unwrap() {
        Row::Key(key) => key.terms.clone(),
        _ => unreachable!("table 7 holds keys"),
    };
    assert!(Arc::ptr_eq(&load(), &load()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_a_reader_panic_and_what_it_accepts_it_writes_alike(
        table in 0_u8..12,
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        if let Ok(command) = decode_command(&bytes) {
            prop_assert_eq!(encode_command(&command).len(), bytes.len());
        }
        if let Ok(row) = RowReader::default().decode_row(table, &bytes) {
            prop_assert_eq!(encode_row(&row).len(), bytes.len());
        }
    }

    #[test]
    fn a_changed_byte_never_makes_a_reader_panic(
        which in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let commands = commands();
        let mut bytes = encode_command(&which.get(&commands).1);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = decode_command(&bytes);
        let rows = rows();
        let row = &which.get(&rows).1;
        let mut bytes = encode_row(row);
        let at = at.min(bytes.len() - 1);
        bytes[at] = byte;
        let _ = RowReader::default().decode_row(row.id().table(), &bytes);
    }
}
