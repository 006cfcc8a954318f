//! The bytes of what level 3 brought, in files of its own: those of levels 1 and 2 must not change.

use crate::golden::{check, key, keyspace_with, request};
use crate::support::{START, import_formats, key_id, key_to_import, settings, version_id};
use latchkey_domain::{ImportRefusal, KeyspaceNumber};
use latchkey_state::{
    Details, ImportOutcome, ImportRow, Imported, Key, KeyspaceSettings, Rare, RequestSubject, Row, Suspension,
};
use std::sync::Arc;

#[test]
fn the_bytes_of_rows_of_level_3_do_not_change() {
    let declaring = KeyspaceSettings { import_formats: import_formats(), ..settings("acme_live") };
    check("row/keyspace_level_3", &[keyspace_with(declaring, None).canonical_bytes()]);

    let imported = key_to_import(1, 1).imported;
    let silent = Imported { start: Default::default(), source_id: Default::default(), ..imported.clone() };
    let examples = [Imported { source_created_at: Some(START), ..imported }, silent].map(|imported| {
        let suspension = imported.source_created_at.map(|at| Box::new(Suspension { at, text: Default::default() }));
        let details = Details { imported: Some(Box::new(imported)), suspension, ..Details::default() };
        Row::Key(Arc::new(Key { details: Rare::from(details), ..key() })).canonical_bytes()
    });
    check("row/key_level_3", &examples);

    let outcomes = [
        ImportOutcome::Made(key_id(1), version_id(1)),
        ImportOutcome::Existing(key_id(2), version_id(2)),
        ImportOutcome::Refused(ImportRefusal::DigestTaken),
    ];
    let rows = (5..).zip(outcomes).map(|(index, outcome)| ImportRow { index, outcome }).collect();
    let subject = RequestSubject::Imported(KeyspaceNumber(3), rows);
    check("row/request_level_3", &[request(subject).canonical_bytes()]);
}

#[test]
fn every_word_of_a_refused_row_is_hashed_as_it_is_spelled() {
    let words = ImportRefusal::ALL.map(|word| {
        let rows = Box::new([ImportRow { index: 0, outcome: ImportOutcome::Refused(word) }]);
        request(RequestSubject::Imported(KeyspaceNumber(3), rows)).canonical_bytes()
    });
    check("row/request_import_refusals", &words);
}
