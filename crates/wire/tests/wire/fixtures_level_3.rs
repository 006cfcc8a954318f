//! One of everything that feature level 3 brought to what lies at rest, with every field set somewhere.

use crate::fixtures::{key_id, keyspace_name, new_key, rows as rows_of_level_1, settings, version_id};
use latchkey_domain::{
    IdentityName, IdentityNumber, ImportAlphabet, ImportDigest, ImportFormat, ImportFormatId, ImportPart,
    ImportRefusal, ImportStart, KeyspaceNumber, Revision, SourceId, UnixMillis,
};
use latchkey_state::{
    Actor, Command, CreateKeyspace, Details, Expiry, HolderName, ImportKeys, ImportOutcome, ImportRow, Imported, Key,
    KeyToImport, Keyspace, KeyspaceChanges, KeyspaceSettings, NewKey, Operation, Rare, RememberedRequest, RequestMark,
    RequestSubject, Row, UpdateKeyspace, WrappedKey,
};
use std::sync::Arc;

fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new(1_750_000_000_000 + seconds * 1_000)
}

pub(crate) fn formats() -> Box<[ImportFormat]> {
    let part = |alphabet, length_min, length_max| ImportPart { alphabet, length_min, length_max };
    let format = |id, digest, prefix, parts| {
        ImportFormat::new(ImportFormatId::parse(id).unwrap(), digest, prefix, parts).unwrap()
    };
    let seam = vec![part(ImportAlphabet::Base58, 8, 8), part(ImportAlphabet::Base64Url, 24, 32)];
    let mixed = vec![part(ImportAlphabet::Alphanumeric, 10, 10), part(ImportAlphabet::Hex, 40, 128)];
    Box::new([
        format("seam", ImportDigest::Sha256OfLastPart, "mycompany_", seam),
        format("mixed", ImportDigest::Sha256OfText, "", mixed),
    ])
}

pub(crate) fn imported() -> Imported {
    Imported {
        format: ImportFormatId::parse("seam").unwrap(),
        start: ImportStart::parse("mycompany_BRTRKFsL").unwrap(),
        source_id: SourceId::parse("key_2vGnR").unwrap(),
        source_created_at: Some(at(0)),
        version: version_id(),
    }
}

pub(crate) fn outcomes() -> Vec<ImportRow> {
    let outcomes = [
        ImportOutcome::Made(key_id(), version_id()),
        ImportOutcome::Existing(key_id(), version_id()),
        ImportOutcome::Refused(ImportRefusal::SourceIdTaken),
    ];
    (7..).zip(outcomes).map(|(index, outcome)| ImportRow { index, outcome }).collect()
}

pub(crate) fn commands() -> Vec<(&'static str, Command)> {
    let update = |formats| {
        let changes = KeyspaceChanges { import_formats: Some(formats), ..KeyspaceChanges::default() };
        Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name: keyspace_name(), changes, etag: None }))
    };
    let silent = Imported { start: ImportStart::default(), source_id: SourceId::default(), ..imported() };
    let full = new_key(HolderName::None, Expiry::At(at(9)));
    let plain = NewKey { not_before: None, expiry: Expiry::Default, ..full.clone() };
    let import = ImportKeys {
        keyspace: keyspace_name(),
        formats: formats().into_vec(),
        keys: vec![
            KeyToImport { index: 0, key: full, imported: imported(), suspended: true, also: Vec::new() },
            KeyToImport {
                index: 999,
                key: plain,
                imported: Imported { source_created_at: None, ..silent },
                suspended: false,
                also: Vec::new(),
            },
        ],
    };
    let create = CreateKeyspace {
        name: keyspace_name(),
        settings: settings_with_formats(),
        data_key: WrappedKey { id: [7; 16], wrapped: Box::new([7; 60]) },
    };
    let by_identity = |operation| {
        let actor = Actor::Identity(IdentityName::parse("tenants/acme/identities/deployer").unwrap());
        let request = Some(RequestMark { id: [0x1D; 16], hash: [0x4A; 32] });
        Command { at: at(0), request, ..Command::new(actor, [0x0E; 32], operation) }
    };
    [
        ("import_keys", Operation::ImportKeys(import)),
        ("create_keyspace_with_import_formats", Operation::CreateKeyspace(Box::new(create))),
        ("update_keyspace_import_formats", update(formats())),
        ("update_keyspace_no_import_formats", update(Box::default())),
    ]
    .map(|(name, operation)| (name, by_identity(operation)))
    .into()
}

fn settings_with_formats() -> KeyspaceSettings {
    KeyspaceSettings { import_formats: formats(), ..settings() }
}

pub(crate) fn rows() -> Vec<(&'static str, Row)> {
    let find = |name: &str| rows_of_level_1().into_iter().find(|(of, _)| *of == name).unwrap().1;
    let (Row::Keyspace(keyspace), Row::Key(key)) = (find("keyspace"), find("plain_key")) else {
        unreachable!("rows are named after their tables")
    };
    let keyspace = Keyspace { settings: settings_with_formats(), ..Keyspace::clone(&keyspace) };
    let details = Details { imported: Some(Box::new(imported())), ..Details::default() };
    let key = Key { details: Rare::from(details), ..Key::clone(&key) };
    let request = RememberedRequest {
        identity: IdentityNumber(5),
        id: [0x1D; 16],
        hash: [0x4A; 32],
        at: at(0),
        revision: Revision::new(3, 1_042),
        subject: RequestSubject::Imported(KeyspaceNumber(3), outcomes().into()),
        replay: None,
    };
    vec![
        ("keyspace_with_import_formats", Row::Keyspace(Arc::new(keyspace))),
        ("imported_key", Row::Key(Arc::new(key))),
        ("request_imported", Row::Request(Arc::new(request))),
    ]
}
