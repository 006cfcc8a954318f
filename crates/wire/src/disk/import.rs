//! What became of the rows of an import, as a remembered request keeps it and as it travels.

use crate::disk::{DecodeError, key_id, parsed, required, version_id};
use crate::pb::disk::v1 as disk;
use crate::pb::disk::v1::imported_row::{Key, Outcome};
use crate::words;
use latchkey_domain::{KeyId, VersionId};
use latchkey_state::{ImportOutcome, ImportRow};

pub(crate) fn write_import_rows(rows: &[ImportRow]) -> Vec<disk::ImportedRow> {
    let write = |row: &ImportRow| disk::ImportedRow {
        index: row.index,
        outcome: Some(match row.outcome {
            ImportOutcome::Made(key, version) => Outcome::Made(write_key(key, version)),
            ImportOutcome::Existing(key, version) => Outcome::Existing(write_key(key, version)),
            ImportOutcome::Refused(word) => Outcome::Refused(disk::ImportRefusal::from(word).into()),
        }),
    };
    rows.iter().map(write).collect()
}

pub(crate) fn read_import_rows(rows: &[disk::ImportedRow]) -> Result<Vec<ImportRow>, DecodeError> {
    let read = |row: &disk::ImportedRow| {
        let outcome = match required(row.outcome.as_ref(), "import.row.outcome")? {
            Outcome::Made(key) => read_key(key).map(|(key, version)| ImportOutcome::Made(key, version))?,
            Outcome::Existing(key) => read_key(key).map(|(key, version)| ImportOutcome::Existing(key, version))?,
            Outcome::Refused(word) => {
                ImportOutcome::Refused(parsed(words::disk_import_refusal(*word), "import.row.refused")?)
            }
        };
        Ok(ImportRow { index: row.index, outcome })
    };
    rows.iter().map(read).collect()
}

fn write_key(key: KeyId, version: VersionId) -> Key {
    Key { key_id: key.bytes().to_vec(), version_id: version.bytes().to_vec() }
}

fn read_key(key: &Key) -> Result<(KeyId, VersionId), DecodeError> {
    Ok((key_id(&key.key_id, "import.row.key_id")?, version_id(&key.version_id, "import.row.version_id")?))
}
