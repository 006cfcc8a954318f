//! Keys of other systems, from the first batch to the validation of their texts.

use latchkey_api::requests::{self, KEYSPACE, OWNER, foreign_text, key_to_import, request_id, seconds};
use latchkey_api::{Clients, Furniture, House, Why};
use latchkey_crypto::Inner;
use latchkey_wire::pb::v1::imported_key::Material;
use latchkey_wire::pb::v1::{self, ImportRefusal, Outcome};
use prost_types::Timestamp;
use tonic::{Code, Status};

const SEAM: &str = "mycompany_BRTRKFsL_51FwqftsmMDHHbJAMEXXHCgG";

/// A house whose keyspace declares two formats.
async fn house() -> (House, Clients) {
    let (house, _) = Furniture::house().await;
    let mut root = house.root();
    root.directory.update_keyspace(requests::declare_formats(KEYSPACE)).await.unwrap();
    (house, root)
}

async fn send(
    clients: &mut Clients,
    batches: Vec<v1::ImportKeysRequest>,
) -> Result<Vec<v1::ImportKeysResponse>, Status> {
    let mut answers = clients.keys.import_keys(tokio_stream::iter(batches)).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        assert_eq!(answer.batch, all.len() as u64, "answers come in order");
        all.push(answer);
    }
    Ok(all)
}

async fn import(clients: &mut Clients, rows: Vec<v1::ImportedKey>) -> v1::ImportKeysResponse {
    let mut answers = send(clients, vec![requests::import(rows)]).await.unwrap();
    assert_eq!(answers.len(), 1);
    let answer = answers.remove(0);
    assert_eq!(answer.error, None);
    answer
}

async fn validate(clients: &mut Clients, text: &str, revision: Option<v1::Revision>) -> v1::ValidateKeyResponse {
    let request = v1::ValidateKeyRequest {
        keyspace: KEYSPACE.to_owned(),
        consistency: revision.map(|revision| v1::Consistency {
            requirement: Some(v1::consistency::Requirement::AtLeastAsFresh(v1::consistency::AtLeastAsFresh {
                revision: Some(revision),
            })),
        }),
        ..requests::validate(text)
    };
    clients.validation.validate_key(request).await.unwrap().into_inner()
}

fn by_digest(format: &str, hashed: &str, start: &str) -> v1::ImportedKey {
    let digest = Inner::of_foreign(hashed).expose().to_vec();
    let (format, start) = (format.to_owned(), start.to_owned());
    v1::ImportedKey { format, start, material: Some(Material::Digest(digest)), ..key_to_import(0) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_text_is_valid_in_its_keyspace_and_nowhere_else() {
    let (house, mut root) = house().await;
    let unkey =
        v1::ImportedKey { source_id: "a".to_owned(), ..by_digest("unkey", &foreign_text(1), "unkey_live_3ZZ7") };
    let seam = v1::ImportedKey { source_id: "b".to_owned(), ..by_digest("seam", &SEAM[19..], "mycompany_BRTRKFsL") };
    let by_value = key_to_import(3);
    let answer = import(&mut root, vec![unkey, seam, by_value]).await;
    assert_eq!((answer.imported.len(), answer.refused.len()), (3, 0), "{answer:?}");
    for (text, row) in [(foreign_text(1), 0), (SEAM.to_owned(), 1), (foreign_text(3), 2)] {
        let verdict = validate(&mut root, &text, answer.revision).await;
        assert_eq!((verdict.outcome(), &verdict.key), (Outcome::Valid, &answer.imported[row].key), "{row}");
        assert_eq!(verdict.version, answer.imported[row].version);
        // Without a keyspace root might mean any.
        let anywhere = root.validation.validate_key(requests::validate(&text)).await.unwrap().into_inner();
        assert_eq!(anywhere.outcome(), Outcome::Malformed);
        let elsewhere =
            v1::ValidateKeyRequest { keyspace: KEYSPACE.replace("acme", "rival"), ..requests::validate(&text) };
        let elsewhere = root.validation.validate_key(elsewhere).await.unwrap().into_inner();
        assert_eq!(elsewhere.outcome(), Outcome::Malformed, "a keyspace that declares no format looks nothing up");
    }
    for unknown in [foreign_text(9), SEAM.replace("BRTR", "BRTS"), SEAM.replace("51Fw", "51Fx")] {
        assert_eq!(validate(&mut root, &unknown, None).await.outcome(), Outcome::NotFound, "{unknown}");
    }
    for none in [format!("{SEAM}{SEAM}"), SEAM.replace("mycompany", "yourcompany"), SEAM[..40].to_owned()] {
        assert_eq!(validate(&mut root, &none, None).await.outcome(), Outcome::Malformed, "{none}");
    }
    // Whose grant holds one keyspace need not name it.
    let (_, mut gateway) = house.identity("acme", "gateway", &[(v1::Duty::Validator, KEYSPACE)]).await;
    let verdict = gateway.validation.validate_key(requests::validate(SEAM)).await.unwrap().into_inner();
    assert_eq!(verdict.outcome(), Outcome::Valid);
    let (_, mut stranger) = house.identity("rival", "gateway", &[(v1::Duty::Validator, "tenants/rival")]).await;
    assert_eq!(validate(&mut stranger, SEAM, None).await.outcome(), Outcome::Malformed);
    let explain = v1::ExplainValidationRequest {
        request: Some(v1::ValidateKeyRequest { keyspace: KEYSPACE.to_owned(), ..requests::validate(SEAM) }),
        ..Default::default()
    };
    assert!(root.validation.explain_validation(explain).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_shows_where_it_came_from_and_lives_as_any_other() {
    let (_house, mut root) = house().await;
    let row = v1::ImportedKey {
        suspended: true,
        source_create_time: Some(Timestamp { seconds: 1_600_000_000, nanos: 0 }),
        owner: OWNER.to_owned(),
        ..key_to_import(1)
    };
    let answer = import(&mut root, vec![row]).await;
    let name = answer.imported[0].key.clone();
    let key = root.keys.get_key(v1::GetKeyRequest { name: name.clone() }).await.unwrap().into_inner();
    let imported = key.imported.unwrap();
    assert_eq!((imported.format.as_str(), imported.start.as_str()), ("unkey", "unkey_live_3ZZ7"));
    assert_eq!((imported.source_id.as_str(), imported.import_time), ("key_1", key.create_time));
    assert_eq!(imported.source_create_time.unwrap().seconds, 1_600_000_000);
    assert_eq!(validate(&mut root, &foreign_text(1), answer.revision).await.outcome(), Outcome::Suspended);

    let resumed = root.keys.resume_key(requests::resume(&name)).await.unwrap().into_inner();
    assert_eq!(validate(&mut root, &foreign_text(1), resumed.revision).await.outcome(), Outcome::Valid);
    let rotate = v1::RotateKeyRequest { overlap: seconds(0), ..requests::rotate(&name) };
    let rotated = root.rotation.rotate_key(rotate).await.unwrap().into_inner();
    assert_eq!(validate(&mut root, &foreign_text(1), rotated.revision).await.outcome(), Outcome::Expired);
    assert_eq!(validate(&mut root, &rotated.key_text, rotated.revision).await.outcome(), Outcome::Valid);
    let revoked = root.keys.revoke_key(requests::revoke(&name)).await.unwrap().into_inner();
    assert_eq!(validate(&mut root, &foreign_text(1), revoked.revision).await.outcome(), Outcome::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_row_is_refused_with_its_reason_and_the_good_ones_come_in() {
    let (_house, mut root) = house().await;
    let narrow = v1::Keyspace {
        name: KEYSPACE.to_owned(),
        allowed_roles: vec!["standard".to_owned()],
        maximum_lifetime: seconds(3_600),
        ..Default::default()
    };
    let update_mask = requests::mask(&["allowed_roles", "maximum_lifetime"]);
    let update = v1::UpdateKeyspaceRequest { keyspace: Some(narrow), update_mask, ..Default::default() };
    root.directory.update_keyspace(update).await.unwrap();
    import(&mut root, vec![key_to_import(900)]).await;

    let row = || key_to_import(1);
    let text = |text: &str| Some(Material::KeyText(text.to_owned()));
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let far = 4_000_000_000;
    let bad = [
        (v1::ImportedKey { format: "other".to_owned(), ..row() }, ImportRefusal::FormatUnknown, "format"),
        (v1::ImportedKey { material: None, ..row() }, ImportRefusal::MaterialMissing, "material"),
        (
            v1::ImportedKey { material: Some(Material::Digest(vec![1; 20])), ..row() },
            ImportRefusal::DigestInvalid,
            "digest",
        ),
        (by_digest("unkey", "", ""), ImportRefusal::DigestInvalid, "digest"),
        (v1::ImportedKey { material: text("unkey_live_short"), ..row() }, ImportRefusal::ShapeMismatch, "key_text"),
        (v1::ImportedKey { start: "unkey_dead_".to_owned(), ..row() }, ImportRefusal::StartInvalid, "start"),
        (by_digest("seam", "x", ""), ImportRefusal::StartInvalid, "start"),
        (key_to_import(2), ImportRefusal::DuplicateInBatch, "keys"),
        (v1::ImportedKey { source_id: "z".to_owned(), ..key_to_import(900) }, ImportRefusal::DigestTaken, "digest"),
        (
            v1::ImportedKey { source_id: "key_900".to_owned(), ..key_to_import(901) },
            ImportRefusal::SourceIdTaken,
            "source_id",
        ),
        (
            v1::ImportedKey { owner: "tenants/acme/owners/no".to_owned(), ..key_to_import(902) },
            ImportRefusal::OwnerNotFound,
            "owner",
        ),
        (
            v1::ImportedKey { owner: "tenants/rival/owners/shop".to_owned(), ..key_to_import(903) },
            ImportRefusal::OwnerNotAllowed,
            "owner",
        ),
        (v1::ImportedKey { owner: "shop".to_owned(), ..row() }, ImportRefusal::FieldInvalid, "owner"),
        (
            v1::ImportedKey { roles: vec!["tenants/acme/roles/no".to_owned()], ..key_to_import(904) },
            ImportRefusal::RoleNotFound,
            "roles",
        ),
        (
            v1::ImportedKey { roles: vec!["tenants/acme/roles/admin".to_owned()], ..key_to_import(905) },
            ImportRefusal::RoleNotAllowed,
            "roles",
        ),
        (
            v1::ImportedKey { permissions: vec!["billing:read".to_owned()], ..key_to_import(906) },
            ImportRefusal::PermissionNotAllowed,
            "permissions",
        ),
        (
            v1::ImportedKey { permissions: vec!["a b".to_owned()], ..row() },
            ImportRefusal::FieldInvalid,
            "permissions[0]",
        ),
        (v1::ImportedKey { expire_time: time(1), ..key_to_import(907) }, ImportRefusal::ExpiryPast, "expire_time"),
        (
            v1::ImportedKey { expire_time: time(far), ..key_to_import(908) },
            ImportRefusal::LifetimeTooLong,
            "expire_time",
        ),
        (
            v1::ImportedKey { not_before: time(far), ..key_to_import(909) },
            ImportRefusal::NotBeforeAfterExpiry,
            "not_before",
        ),
        (
            v1::ImportedKey { networks: vec!["10.0.0.1/8".to_owned()], ..row() },
            ImportRefusal::FieldInvalid,
            "networks[0]",
        ),
    ];
    let rows = [key_to_import(2)].into_iter().chain(bad.iter().map(|(row, ..)| row.clone())).chain([key_to_import(3)]);
    let answer = import(&mut root, rows.collect()).await;
    let told: Vec<_> = answer.refused.iter().map(|row| (row.index, row.reason(), row.field.as_str())).collect();
    let expected: Vec<_> = (1..).zip(&bad).map(|(index, (_, reason, field))| (index, *reason, *field)).collect();
    assert_eq!(told, expected);
    assert!(answer.refused.iter().all(|row| !row.message.is_empty() && !row.message.contains("unkey_live_3")));
    let indices: Vec<_> = answer.imported.iter().map(|row| row.index).collect();
    assert_eq!(indices, [0, u32::try_from(bad.len() + 1).unwrap()]);
    assert!(answer.revision.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_may_begin_again_from_anywhere_and_each_key_is_there_once() {
    let (mut house, mut root) = house().await;
    let batch = |from: u32, request| v1::ImportKeysRequest {
        request_id: request_id(request),
        ..requests::import((from..from + 100).map(key_to_import).collect())
    };
    let first = send(&mut root, vec![batch(0, 1), batch(100, 2), batch(200, 3)]).await.unwrap();
    assert!(first.iter().all(|answer| answer.imported.len() == 100 && !answer.replayed));
    let again = send(&mut root, vec![batch(100, 2), batch(200, 3), batch(300, 4)]).await.unwrap();
    assert_eq!(again.iter().map(|answer| answer.replayed).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!((&again[0].imported, again[0].revision), (&first[1].imported, first[1].revision));

    house.restart().await;
    let mut root = house.root();
    // Without the request ids, in other batches.
    let rows = (0..500).map(key_to_import).collect();
    let answer = import(&mut root, rows).await;
    assert_eq!(answer.imported.iter().filter(|row| row.existing).count(), 400);
    assert_eq!(answer.imported[150].key, first[1].imported[50].key);
    let list = v1::ListKeysRequest { page_size: 1_000, ..requests::list_keys(KEYSPACE) };
    let keys = root.keys.list_keys(list).await.unwrap().into_inner().keys;
    assert_eq!(keys.iter().filter(|key| key.imported.is_some()).count(), 500);
    assert_eq!(validate(&mut root, &foreign_text(499), answer.revision).await.outcome(), Outcome::Valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_a_batch_is_its_answer_and_the_stream_goes_on() {
    let (house, mut root) = house().await;
    let bounded = v1::Keyspace {
        name: KEYSPACE.to_owned(),
        quotas: Some(v1::KeyspaceQuotas { keys: Some(3), ..Default::default() }),
        ..Default::default()
    };
    let update_mask = requests::mask(&["quotas"]);
    let update = v1::UpdateKeyspaceRequest { keyspace: Some(bounded), update_mask, ..Default::default() };
    root.directory.update_keyspace(update).await.unwrap();
    let elsewhere =
        v1::ImportKeysRequest { parent: "tenants/acme".to_owned(), ..requests::import(vec![key_to_import(1)]) };
    let nowhere = v1::ImportKeysRequest {
        parent: "tenants/acme/keyspaces/no".to_owned(),
        ..requests::import(vec![key_to_import(1)])
    };
    let many = requests::import((1..4).map(key_to_import).collect());
    let good = requests::import(vec![key_to_import(1)]);
    let rehearsal =
        v1::ImportKeysRequest { validate_only: true, ..requests::import(vec![key_to_import(1), key_to_import(2)]) };
    let answers = send(&mut root, vec![elsewhere, nowhere, many, requests::import(Vec::new())]).await.unwrap();
    let codes: Vec<_> = answers.iter().map(|answer| Code::from(answer.error.clone().unwrap().code)).collect();
    assert_eq!(codes, [Code::InvalidArgument, Code::NotFound, Code::ResourceExhausted, Code::InvalidArgument]);
    assert!(answers.iter().all(|answer| answer.imported.is_empty() && answer.revision.is_none()));
    let answers = send(&mut root, vec![good]).await.unwrap();
    assert_eq!(answers[0].imported.len(), 1);
    let answers = send(&mut root, vec![rehearsal]).await.unwrap();
    let told: Vec<_> = answers[0].imported.iter().map(|row| (row.existing, row.key.is_empty())).collect();
    assert_eq!((told, answers[0].revision), (vec![(true, false), (false, true)], None));

    let (_, mut reader) = house.identity("acme", "reader", &[(v1::Duty::Auditor, "tenants/acme")]).await;
    let denied = send(&mut reader, vec![requests::import(vec![key_to_import(2)])]).await.unwrap_err();
    assert_eq!(Why::read(&denied), Why::new(Code::PermissionDenied, "PERMISSION_DENIED", &[]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_format_stays_while_a_key_has_it() {
    let (_house, mut root) = house().await;
    import(&mut root, vec![key_to_import(1)]).await;
    let none = v1::UpdateKeyspaceRequest {
        keyspace: Some(v1::Keyspace { name: KEYSPACE.to_owned(), ..Default::default() }),
        ..requests::declare_formats(KEYSPACE)
    };
    let refused = root.directory.update_keyspace(none).await.unwrap_err();
    assert_eq!(Why::read(&refused), Why::new(Code::FailedPrecondition, "FORMAT_IN_USE", &[]));
    let shown = root.directory.get_keyspace(v1::GetKeyspaceRequest { name: KEYSPACE.to_owned() }).await.unwrap();
    let ids: Vec<_> = shown.into_inner().import_formats.into_iter().map(|format| format.id).collect();
    assert_eq!(ids, ["unkey", "seam"]);
}
