//! Keys of other systems: which rows come in, which do not, and how a text leads to its key.

use crate::support::{
    START, World, as_request, by, by_root, create_keys, create_keyspace, create_role, cut, declare_formats, delete,
    import_formats, import_keys, key_id, key_name, key_to_import, keyspace, later, new_key, owner, revoke, settings,
    slug, stamped, terms, version_id,
};
use latchkey_crypto::Digest;
use latchkey_domain::{
    DurationMillis, ImportFormatId, ImportRefusal, ImportStart, Metadata, Quota, ReasonText, Refusal, ResourceKind,
    RotationId, SourceId,
};
use latchkey_state::{
    Answer, CutScope, DirectoryName, Expiry, Found, HolderName, ImportKeys, ImportOutcome, KeyToImport,
    KeyspaceChanges, KeyspaceSettings, NewKey, NewVersion, Operation, RotateKey, UpdateKeyspace, Worth, bootstrap_ring,
};

const LIVE: &str = "acme/live";

fn world() -> World {
    let mut world = World::furnished();
    world.done(by_root(declare_formats(LIVE)));
    world
}

fn import(world: &mut World, keys: Vec<KeyToImport>) -> Vec<ImportOutcome> {
    match world.done(by("acme/issuer", import_keys(LIVE, keys))) {
        Answer::Imported { rows, .. } => rows.into_iter().map(|row| row.outcome).collect(),
        answer => panic!("{answer:?}"),
    }
}

fn made(number: u8) -> ImportOutcome {
    ImportOutcome::Made(key_id(number), version_id(number))
}

fn existing(number: u8) -> ImportOutcome {
    ImportOutcome::Existing(key_id(number), version_id(number))
}

fn refused(word: ImportRefusal) -> ImportOutcome {
    ImportOutcome::Refused(word)
}

fn found(world: &World, digest: u8) -> Option<Found<'_>> {
    let keyspace = world.state.keyspace(&keyspace(LIVE)).unwrap().number;
    world.state.imported(keyspace, &Digest::new([digest; 32]))
}

fn changes(change: KeyspaceChanges) -> Operation {
    Operation::UpdateKeyspace(Box::new(UpdateKeyspace { name: keyspace(LIVE), changes: change, etag: None }))
}

#[test]
fn a_key_comes_in_with_all_that_was_said_of_it_and_is_found_by_its_text() {
    let mut world = world();
    let key = KeyToImport { suspended: true, ..key_to_import(1, 11) };
    assert_eq!(import(&mut world, vec![key.clone()]), [made(1)]);
    let found = found(&world, 11).unwrap();
    assert_eq!((found.key.id, found.version.id), (key_id(1), version_id(1)));
    assert_eq!(found.key.imported(), Some(&key.imported));
    assert_eq!(found.key.created_at, world.state.clock());
    assert!(matches!(world.state.worth(&found, world.state.clock()), Worth::Suspended(_)));
    assert!(self::found(&world, 12).is_none());
    let other = world.state.keyspace(&keyspace("acme/test")).unwrap().number;
    assert!(world.state.imported(other, &Digest::new([11; 32])).is_none(), "another keyspace knows nothing of it");
}

#[test]
fn the_same_row_again_changes_nothing_and_leads_to_the_same_key() {
    let mut world = world();
    import(&mut world, vec![key_to_import(1, 11)]);
    let before = world.state.hash();
    let again = world.apply(by("acme/issuer", import_keys(LIVE, vec![key_to_import(2, 11)])));
    assert!(again.entries.is_empty());
    assert_eq!(again.answer.unwrap(), {
        let keyspace = world.state.keyspace(&keyspace(LIVE)).unwrap().number;
        let row = latchkey_state::ImportRow { index: 2, outcome: existing(1) };
        Answer::Imported { keyspace, rows: vec![row] }
    });
    assert_eq!(import(&mut world, vec![key_to_import(3, 12), key_to_import(4, 12)]), [made(3), existing(3)]);
    assert_ne!(world.state.hash(), before);
    assert_eq!(world.state.key_count(), 3, "one of root, and two");
}

#[test]
fn a_text_and_a_source_id_belong_to_one_key_each() {
    let mut world = world();
    import(&mut world, vec![key_to_import(1, 11)]);
    let with_source = |text: &str, key: KeyToImport| {
        let mut key = key;
        key.imported.source_id = SourceId::parse(text).unwrap();
        key
    };
    let rows = vec![
        with_source("key_9", key_to_import(2, 11)),
        with_source("", key_to_import(2, 11)),
        with_source("key_11", key_to_import(2, 12)),
        with_source("", key_to_import(2, 13)),
        with_source("", key_to_import(3, 14)),
        with_source("", key_to_import(4, 13)),
    ];
    assert_eq!(
        import(&mut world, rows),
        [
            refused(ImportRefusal::DigestTaken),
            refused(ImportRefusal::DigestTaken),
            refused(ImportRefusal::SourceIdTaken),
            made(2),
            made(3),
            existing(2)
        ]
    );
}

#[test]
fn a_row_that_is_not_good_is_refused_by_its_word_and_holds_up_no_other() {
    let mut world = world();
    world.done(by_root(create_role("acme/clerk", &["orders:*"])));
    world.done(by_root(changes(KeyspaceChanges {
        allowed_permissions: Some(terms(&["orders:*"]).permissions),
        allowed_roles: Some(Box::new([slug("clerk")])),
        maximum_lifetime: Some(Some(DurationMillis::from_secs(60))),
        ..KeyspaceChanges::default()
    })));
    let now = world.state.clock();
    let with = |change: &dyn Fn(&mut KeyToImport)| {
        let mut key = key_to_import(9, 9);
        change(&mut key);
        key
    };
    let of_key = |change: &dyn Fn(&mut NewKey)| with(&|key| change(&mut key.key));
    let format = |id: &str, start: &str| {
        with(&|key| {
            key.imported.format = ImportFormatId::parse(id).unwrap();
            key.imported.start = ImportStart::parse(start).unwrap();
        })
    };
    let cases = [
        (format("other", ""), ImportRefusal::FormatUnknown),
        (format("unkey", "unkey_aaaaaaaaaaaaaaa"), ImportRefusal::StartInvalid),
        (format("seam", ""), ImportRefusal::StartInvalid),
        (of_key(&|key| key.holder = HolderName::Owner(owner("acme/none"))), ImportRefusal::OwnerNotFound),
        (of_key(&|key| key.holder = HolderName::Owner(owner("globex/shop"))), ImportRefusal::OwnerNotAllowed),
        (of_key(&|key| key.roles = vec![slug("none")]), ImportRefusal::RoleNotFound),
        (of_key(&|key| key.roles = vec![slug("admin")]), ImportRefusal::RoleNotAllowed),
        (of_key(&|key| key.terms = terms(&["refunds:read"])), ImportRefusal::PermissionNotAllowed),
        (of_key(&|key| key.expiry = Expiry::At(now)), ImportRefusal::ExpiryPast),
        (of_key(&|key| key.expiry = Expiry::At(later(now, 60_001))), ImportRefusal::LifetimeTooLong),
        (of_key(&|key| key.not_before = Some(later(now, 60_000))), ImportRefusal::NotBeforeAfterExpiry),
    ];
    let expected: Vec<_> = cases.iter().map(|(_, word)| refused(*word)).chain([made(1), made(9)]).collect();
    let roles =
        KeyToImport { key: NewKey { roles: vec![slug("clerk")], ..key_to_import(9, 9).key }, ..key_to_import(9, 9) };
    let rows = cases.into_iter().map(|(row, _)| row).chain([key_to_import(1, 1), roles]).collect();
    assert_eq!(import(&mut world, rows), expected);
    assert_eq!(world.state.keyspace(&keyspace(LIVE)).unwrap().keys, 2);
}

#[test]
fn what_is_wrong_with_the_whole_lets_nothing_in() {
    let mut world = world();
    world.done(by_root(changes(KeyspaceChanges { keys_max: Some(1), ..KeyspaceChanges::default() })));
    let two = || import_keys(LIVE, vec![key_to_import(1, 1), key_to_import(2, 2)]);
    let limit = Refusal::QuotaExceeded { quota: Quota::KeysOfKeyspace, limit: 1 };
    assert_eq!(world.refused(by("acme/issuer", two())), limit);
    assert!(found(&world, 1).is_none());
    let metadata = Metadata::from_pairs([("team", "checkout")]).unwrap();
    let key = KeyToImport { key: NewKey { metadata, ..key_to_import(1, 1).key }, ..key_to_import(1, 1) };
    world.done(by_root(changes(KeyspaceChanges { metadata_bytes_max: Some(3), ..KeyspaceChanges::default() })));
    let refusal = world.refused(by("acme/issuer", import_keys(LIVE, vec![key])));
    assert_eq!(refusal, Refusal::QuotaExceeded { quota: Quota::MetadataBytesOfKeyspace, limit: 3 });
    let many = (0..=1_000).map(|_| key_to_import(1, 1)).collect();
    assert!(matches!(world.refused(by_root(import_keys(LIVE, many))), Refusal::QuotaExceeded { .. }));
    let management = world.refused(by_root(import_keys("system/management", vec![key_to_import(1, 1)])));
    assert!(matches!(management, Refusal::Reserved { .. }));
    assert!(matches!(world.refused(by("acme/operator", two())), Refusal::PermissionDenied { .. }));
    assert!(matches!(world.refused(by("globex/issuer", two())), Refusal::PermissionDenied { .. }));
}

#[test]
fn a_batch_that_came_before_is_answered_as_it_was_then() {
    let mut world = world();
    let mut other = key_to_import(3, 3);
    other.imported.format = ImportFormatId::parse("other").unwrap();
    let batch = || as_request(by("acme/issuer", import_keys(LIVE, vec![key_to_import(1, 1), other.clone()])), 1, 1);
    let first = world.apply(batch());
    world.done(by("acme/issuer", Operation::RevokeKey(revoke(LIVE, 1))));
    let repeat = world.apply(batch());
    assert!(repeat.repeated && repeat.entries.is_empty());
    assert_eq!((repeat.answer, repeat.revision), (first.answer, first.revision));
    let same_id = as_request(by("acme/issuer", import_keys(LIVE, vec![key_to_import(5, 5)])), 1, 2);
    assert_eq!(world.refused(same_id), Refusal::RequestIdReused);
}

#[test]
fn a_batch_of_a_keyspace_that_is_gone_is_not_told_to_be_in_the_one_made_anew() {
    let mut world = world();
    let declaring = || KeyspaceSettings { import_formats: import_formats(), ..settings("brief") };
    let batch = || as_request(by_root(import_keys("acme/brief", vec![key_to_import(1, 1)])), 1, 1);
    world.done(by_root(create_keyspace("acme/brief", declaring())));
    world.done(batch());
    world.done(by_root(Operation::RevokeKey(revoke("acme/brief", 1))));
    world.done(by_root(delete(DirectoryName::Keyspace(keyspace("acme/brief")))));
    world.done(by_root(create_keyspace("acme/brief", declaring())));
    let refusal = world.refused(batch());
    assert!(matches!(refusal, Refusal::NotFound { kind: ResourceKind::Keyspace, .. }), "{refusal:?}");
}

#[test]
fn a_format_that_was_read_otherwise_than_it_is_lets_no_row_in() {
    let mut world = world();
    let formats = import_formats().into_vec();
    let fewer = formats[1..].to_vec();
    let read = ImportKeys { keyspace: keyspace(LIVE), formats: fewer, keys: vec![key_to_import(1, 1)] };
    let answer = world.done(by("acme/issuer", Operation::ImportKeys(read)));
    let Answer::Imported { rows, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(rows[0].outcome, refused(ImportRefusal::FormatUnknown));
}

#[test]
fn a_format_stays_while_a_key_has_it() {
    let mut world = world();
    import(&mut world, vec![key_to_import(1, 1), key_to_import(2, 2)]);
    let only = |formats: &[usize]| {
        let formats = formats.iter().map(|at| import_formats()[*at].clone()).collect();
        changes(KeyspaceChanges { import_formats: Some(formats), ..KeyspaceChanges::default() })
    };
    let in_use = Refusal::FormatInUse { format: ImportFormatId::parse("unkey").unwrap(), count: 2 };
    assert_eq!(world.refused(by_root(only(&[1]))), in_use);
    world.done(by_root(only(&[0])));
    assert_eq!(world.refused(by_root(only(&[]))), in_use);
    world.done(by_root(declare_formats(LIVE)));
}

#[test]
fn an_imported_text_gives_way_to_a_version_made_here_and_leaves_with_its_retention() {
    let mut world = world();
    import(&mut world, vec![key_to_import(1, 11)]);
    world.done(by_root(changes(KeyspaceChanges {
        dead_retention: Some(DurationMillis::from_secs(1)),
        ..KeyspaceChanges::default()
    })));
    let new = NewVersion {
        id: version_id(50),
        pepper: bootstrap_ring::PEPPER,
        digest: Digest::new([50; 32]),
        inner: [50; 101],
    };
    let rotation = RotationId::from_random([3; 12]);
    let overlap = DurationMillis::from_secs(60);
    let key = key_name(LIVE, 1);
    let rotate = RotateKey {
        key,
        rotation,
        new,
        overlap,
        text: ReasonText::default(),
        etag: None,
        replay: None,
        emergency: false,
        course: None,
    };
    world.done(by("acme/issuer", Operation::RotateKey(Box::new(rotate))));
    let now = world.state.clock();
    let worth = |world: &World, at| world.state.worth(&found(world, 11).unwrap(), at);
    assert_eq!(worth(&world, now), Worth::Accepted);
    assert!(matches!(worth(&world, later(now, 60_000)), Worth::Expired(_)));
    assert!(found(&world, 50).is_none(), "a version made here is found by its own text alone");

    let number = world.state.keyspace(&keyspace(LIVE)).unwrap().number;
    let settle = crate::support::by_replica(Operation::Settle);
    world.done(stamped(settle, later(now, 60_000)));
    let remove = crate::support::by_replica(Operation::RemoveDead(vec![(number, key_id(1))]));
    world.done(stamped(remove, later(now, 62_000)));
    assert!(found(&world, 11).is_none());
    // Its id in the other system is the key's still, whatever its text is.
    assert_eq!(import(&mut world, vec![key_to_import(2, 11)]), [refused(ImportRefusal::SourceIdTaken)]);
}

#[test]
fn a_cut_takes_what_was_imported_before_it_and_nothing_after() {
    let mut world = world();
    import(&mut world, vec![key_to_import(1, 1)]);
    world.done(by_root(cut(CutScope::Keyspace(keyspace(LIVE)))));
    assert_eq!(import(&mut world, vec![key_to_import(2, 2), key_to_import(3, 1)]), [made(2), existing(1)]);
    let worth = |digest| world.state.worth(&found(&world, digest).unwrap(), world.state.clock());
    assert!(matches!(worth(1), Worth::Revoked(_)));
    assert_eq!(worth(2), Worth::Accepted);
}

#[test]
fn a_key_made_here_is_never_found_by_a_foreign_text() {
    let mut world = world();
    world.done(by_root(create_keys(LIVE, vec![new_key(7)])));
    assert!(found(&world, 7).is_none());
    // Not even where the same 32 bytes are imported besides.
    assert_eq!(import(&mut world, vec![key_to_import(8, 7)]), [made(8)]);
    assert_eq!(found(&world, 7).unwrap().key.id, key_id(8));
}

#[test]
fn an_import_needs_the_level_that_brought_it() {
    assert_eq!(by_root(import_keys(LIVE, Vec::new())).feature_level, 3);
    assert_eq!(by_root(declare_formats(LIVE)).feature_level, 3);
    let declaring = KeyspaceSettings { import_formats: import_formats(), ..settings("x") };
    assert_eq!(by_root(create_keyspace("acme/x", declaring)).feature_level, 3);
    // That no format shall be is what older builds know anyway.
    let none = changes(KeyspaceChanges { import_formats: Some(Box::default()), ..KeyspaceChanges::default() });
    assert_eq!(by_root(none).feature_level, 2);
    assert_eq!(START, World::bootstrapped().state.clock());
}
