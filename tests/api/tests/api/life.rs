//! The life of a key over all services.

use latchkey_api::requests::{self, KEYSPACE, OWNER, request_id, seconds};
use latchkey_api::{Clients, Furniture, House, Why, why};
use latchkey_wire::pb::v1::{self, Outcome};
use tonic::Code;

async fn validated(clients: &mut Clients, text: &str) -> v1::ValidateKeyResponse {
    clients.validation.validate_key(requests::validate(text)).await.unwrap().into_inner()
}

async fn outcome(clients: &mut Clients, text: &str) -> Outcome {
    validated(clients, text).await.outcome()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_changes_the_secret_and_nothing_else() {
    let (mut house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let (key, old) = (furniture.key_name(), furniture.made.key_text.clone());
    let before = validated(&mut root, &old).await;
    let asked = v1::RotateKeyRequest { request_id: request_id(1), ..requests::rotate(key) };
    let rotated = root.rotation.rotate_key(asked.clone()).await.unwrap().into_inner();
    let rotation = rotated.rotation.clone().unwrap();
    assert_eq!(rotation.state(), v1::rotation::State::Overlap);

    let (of_old, of_new) = (validated(&mut root, &old).await, validated(&mut root, &rotated.key_text).await);
    let hint = of_old.rotation.clone().expect("the old version is about to retire");
    assert_eq!((hint.rotation, hint.retire_time), (rotation.name.clone(), rotation.overlap_end_time));
    assert_eq!(of_new.rotation, None);
    for found in [&of_old, &of_new] {
        assert_eq!(found.outcome(), Outcome::Valid);
        assert_eq!((&found.key, &found.owner, &found.permissions), (&before.key, &before.owner, &before.permissions));
    }
    // A repeat shows the same text, also after a restart of everything.
    house.restart().await;
    let mut root = house.root();
    let again = root.rotation.rotate_key(asked).await.unwrap().into_inner();
    assert!(again.replayed);
    assert_eq!((again.key_text, again.version), (rotated.key_text.clone(), rotated.version.clone()));
    // Nobody begins another before this one is over.
    assert_eq!(why(root.rotation.rotate_key(requests::rotate(key)).await).reason, "ROTATION_IN_PROGRESS");

    let complete = v1::CompleteRotationRequest { name: rotation.name, ..Default::default() };
    let completed = root.rotation.complete_rotation(complete.clone()).await.unwrap().into_inner();
    assert_eq!(completed.rotation.unwrap().state(), v1::rotation::State::Completed);
    assert_eq!(
        (outcome(&mut root, &old).await, outcome(&mut root, &rotated.key_text).await),
        (Outcome::Expired, Outcome::Valid)
    );
    let entries = house.change_count().await;
    root.rotation.complete_rotation(complete).await.unwrap();
    assert_eq!(house.change_count().await, entries, "completing twice changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_is_shown_ahead_and_takes_its_place_without_being_shown_again() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let (key, old) = (furniture.key_name(), furniture.made.key_text.as_str());
    let prepare = v1::PrepareStandbyRequest { name: key.to_owned(), ..Default::default() };
    let standby = root.rotation.prepare_standby(prepare).await.unwrap().into_inner();
    assert_eq!(outcome(&mut root, &standby.key_text).await, Outcome::NotYetValid);
    let asked = v1::RotateKeyRequest { overlap: seconds(3_600), ..requests::rotate(key) };
    let rotated = root.rotation.rotate_key(asked).await.unwrap().into_inner();
    assert_eq!((rotated.key_text.as_str(), &rotated.version), ("", &standby.version));
    assert_eq!(outcome(&mut root, &standby.key_text).await, Outcome::Valid);

    // Rolled back, the old one is current again, and whoever has the new one is not refused at once.
    let name = rotated.rotation.unwrap().name;
    let back = v1::RollBackRotationRequest { name, ..Default::default() };
    root.rotation.roll_back_rotation(back).await.unwrap();
    let (of_old, of_new) = (validated(&mut root, old).await, validated(&mut root, &standby.key_text).await);
    assert_eq!((of_old.outcome(), of_old.rotation), (Outcome::Valid, None));
    assert_eq!(of_new.outcome(), Outcome::Valid);
    assert!(of_new.rotation.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_less_than_its_parent_and_dies_with_it() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let parent = furniture.key_name().to_owned();
    let beyond = v1::CreateKeyRequest {
        parent_key: parent.clone(),
        permissions: vec!["orders:write".to_owned()],
        ..requests::key()
    };
    assert_eq!(why(root.keys.create_key(beyond).await), Why::new(Code::FailedPrecondition, "EXCEEDS_KEY", &[]));
    let child = v1::CreateKeyRequest { parent_key: parent.clone(), ..requests::key() };
    let child = root.keys.create_key(child).await.unwrap().into_inner();
    assert_eq!(outcome(&mut root, &child.key_text).await, Outcome::Valid);
    let grandchild = v1::CreateKeyRequest { parent_key: child.key.unwrap().name, ..requests::key() };
    assert_eq!(why(root.keys.create_key(grandchild).await).reason, "PARENT_NOT_ALLOWED");

    root.keys.restrict_key(requests::restrict(&parent)).await.unwrap();
    assert_eq!(outcome(&mut root, &child.key_text).await, Outcome::InsufficientPermissions);
    root.keys.resume_key(requests::resume(&parent)).await.unwrap();
    root.keys.suspend_key(requests::suspend(&parent)).await.unwrap();
    assert_eq!(outcome(&mut root, &child.key_text).await, Outcome::Suspended);
    root.keys.resume_key(requests::resume(&parent)).await.unwrap();
    assert_eq!(outcome(&mut root, &child.key_text).await, Outcome::Valid);
    root.keys.revoke_key(requests::revoke(&parent)).await.unwrap();
    assert_eq!(outcome(&mut root, &child.key_text).await, Outcome::Revoked);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_holds_a_key_may_revoke_it_by_its_text_and_is_named_in_the_audit_log() {
    let (house, furniture) = Furniture::house().await;
    let mut nobody = house.with(None);
    let by_text = |text: &str| v1::RevokeKeyRequest { key_text: text.to_owned(), ..Default::default() };
    let (_, elsewhere) = Furniture::house().await;
    let unknown = why(nobody.revocation.revoke_key(by_text(&elsewhere.made.key_text)).await);
    assert_eq!((unknown.code, unknown.reason.as_str()), (Code::NotFound, "NOT_FOUND"));

    let off = v1::SelfRevocation::Off.into();
    let keyspace = v1::Keyspace { name: KEYSPACE.replace("acme", "rival"), self_revocation: off, ..Default::default() };
    let update = v1::UpdateKeyspaceRequest {
        keyspace: Some(keyspace),
        update_mask: requests::mask(&["self_revocation"]),
        ..Default::default()
    };
    house.root().directory.update_keyspace(update).await.unwrap();
    let refused = why(nobody.revocation.revoke_key(by_text(&furniture.rival.key_text)).await);
    assert_eq!(refused.reason, "SELF_REVOCATION_OFF");
    assert_eq!(outcome(&mut house.root(), &furniture.rival.key_text).await, Outcome::Valid);

    let answer = nobody.revocation.revoke_key(by_text(&furniture.made.key_text)).await.unwrap().into_inner();
    assert!(answer.immediate);
    assert_eq!(outcome(&mut house.root(), &furniture.made.key_text).await, Outcome::Revoked);
    let entries = house.entries().await;
    let entry = entries.iter().rfind(|entry| entry.action == "key.revoked").unwrap();
    let actor = entry.actor.clone().unwrap().actor.unwrap();
    assert_eq!(actor, v1::entry::actor::Actor::Key(furniture.key_name().to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_agrees_with_the_validation_and_is_in_the_audit_log() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let (asked, _) = crate::outcomes::requests_of_each(&house, &furniture).await;
    for request in asked {
        let explain = v1::ExplainValidationRequest { request: Some(request.clone()), reason_text: "why".to_owned() };
        // The outcome of a key that lives for a millisecond may change between the two.
        let explained = root.validation.explain_validation(explain).await.unwrap().into_inner();
        let found = root.validation.validate_key(request).await.unwrap().into_inner();
        assert!(explained.outcome() == found.outcome() || explained.outcome() == Outcome::Valid, "{explained:?}");
        let first_failed = explained.checks.iter().find(|check| check.result() == v1::validation_check::Result::Failed);
        let expected = first_failed.map_or(Outcome::Valid, v1::ValidationCheck::outcome);
        assert_eq!(explained.outcome(), expected, "{explained:?}");
    }
    let entries = house.entries().await;
    let explained = entries.iter().filter(|entry| entry.action == "validation.explained");
    assert!(explained.clone().count() >= 9, "{entries:#?}");
    for entry in explained {
        assert_eq!(entry.reason_text, "why", "{entry:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_answers_in_order_and_an_item_that_is_wrong_does_not_end_it() {
    let (house, furniture) = Furniture::house().await;
    let item = |id: usize, request| v1::StreamValidateKeysRequest { id: id.to_string(), request: Some(request) };
    let wrong = v1::ValidateKeyRequest { permission_query: "and".to_owned(), ..requests::validate("x") };
    let items: Vec<_> = (0..300)
        .map(|number| match number % 3 {
            0 => item(number, requests::validate(&furniture.made.key_text)),
            1 => item(number, wrong.clone()),
            _ => item(number, requests::validate("no key text")),
        })
        .collect();
    let mut answers =
        house.root().validation.stream_validate_keys(tokio_stream::iter(items)).await.unwrap().into_inner();
    for number in 0..300_usize {
        let result = answers.message().await.unwrap().expect("one for each item").result.unwrap();
        assert_eq!(result.id, number.to_string());
        match (number % 3, result.result.unwrap()) {
            (0, v1::validate_key_result::Result::Response(answer)) => assert_eq!(answer.outcome(), Outcome::Valid),
            (1, v1::validate_key_result::Result::Error(error)) => assert_eq!(error.code, Code::InvalidArgument as i32),
            (2, v1::validate_key_result::Result::Response(answer)) => assert_eq!(answer.outcome(), Outcome::Malformed),
            other => panic!("{other:?}"),
        }
    }
    assert!(answers.message().await.unwrap().is_none(), "it ends when the caller ends it");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_by_filter_is_what_the_dry_run_named() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let named = |number: usize| v1::CreateKeyRequest {
        parent: String::new(),
        display_name: format!("{}{number}", if number.is_multiple_of(2) { "till " } else { "door " }),
        ..requests::key()
    };
    let batch = v1::BatchCreateKeysRequest { requests: (0..60).map(named).collect(), ..requests::keys(0) };
    let made = root.keys.batch_create_keys(batch).await.unwrap().into_inner().keys;
    let asked = requests::revoke_matching("display_name = \"till*\" AND state = ACTIVE");
    let rehearsal = v1::RevokeKeysRequest { validate_only: true, ..asked.clone() };
    let dry = root.keys.revoke_keys(rehearsal).await.unwrap().into_inner();
    assert_eq!((dry.key_count, dry.sample.len(), dry.regions.len()), (30, 30, 0));
    assert_eq!(outcome(&mut root, &made[0].key_text).await, Outcome::Valid, "a dry run changes nothing");

    let with_selection = |selection: &str| {
        let mut asked = asked.clone();
        if let Some(v1::revoke_keys_request::Target::Selection(of)) = &mut asked.target {
            of.selection = selection.to_owned();
        }
        asked
    };
    // One more matches by now, so this is another set: nothing is revoked.
    let late = v1::CreateKeyRequest { display_name: "till late".to_owned(), ..requests::key() };
    let late = root.keys.create_key(late).await.unwrap().into_inner();
    assert_eq!(why(root.keys.revoke_keys(with_selection(&dry.selection)).await).code, Code::Aborted);
    assert_eq!(outcome(&mut root, &made[0].key_text).await, Outcome::Valid);
    root.keys.revoke_key(requests::revoke(&late.key.unwrap().name)).await.unwrap();
    // At validation, where no issuance is needed.
    let real = root.revocation.revoke_keys(with_selection(&dry.selection)).await.unwrap().into_inner();
    assert_eq!((real.key_count, &real.sample, &real.selection), (30, &dry.sample, &dry.selection));
    for (number, issued) in made.iter().enumerate() {
        let expected = if number.is_multiple_of(2) { Outcome::Revoked } else { Outcome::Valid };
        assert_eq!(outcome(&mut root, &issued.key_text).await, expected, "{number}");
    }
    assert_eq!(outcome(&mut root, &furniture.made.key_text).await, Outcome::Valid);
    let entries = house.entries().await;
    let of_operation = entries.iter().filter(|entry| entry.facts.get("operation") == Some(&real.operation_id));
    assert_eq!(of_operation.count(), 30);
    let filter = format!("operation = {}", real.operation_id);
    let listed = root.audit.list_entries(v1::ListEntriesRequest { filter, ..Default::default() }).await.unwrap();
    assert_eq!(listed.into_inner().entries.len(), 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_keys_of_an_owner_die_at_one_revision_and_those_made_later_live() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let made = root.keys.batch_create_keys(requests::keys(30)).await.unwrap().into_inner().keys;
    let asked = requests::revoke_scope(OWNER);
    let dry = root.keys.revoke_keys(v1::RevokeKeysRequest { validate_only: true, ..asked.clone() }).await.unwrap();
    assert_eq!(dry.into_inner().key_count, 31);
    let cut = root.revocation.revoke_keys(asked).await.unwrap().into_inner();
    assert!(cut.revision.is_some() && !cut.regions.is_empty());
    for issued in &made {
        assert_eq!(outcome(&mut root, &issued.key_text).await, Outcome::Revoked);
    }
    assert_eq!(outcome(&mut root, &furniture.rival.key_text).await, Outcome::Valid);
    let later = root.keys.create_key(requests::key()).await.unwrap().into_inner();
    assert_eq!(outcome(&mut root, &later.key_text).await, Outcome::Valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_somebody_known_is_an_entry_and_a_stranger_leaves_none() {
    let (house, _) = Furniture::house().await;
    let (_, mut guest) = house.identity("rival", "guest", &[]).await;
    let mut nobody = house.with(None);
    for _ in 0..3 {
        assert_eq!(why(guest.keys.list_keys(requests::list_keys(KEYSPACE)).await).code, Code::PermissionDenied);
        assert_eq!(why(nobody.keys.list_keys(requests::list_keys(KEYSPACE)).await).code, Code::Unauthenticated);
    }
    let watch = v1::WatchEntriesRequest {
        from_sequence: Some(0),
        filter: "action = access.refused".to_owned(),
        ..Default::default()
    };
    let mut stream = house.root().audit.watch_entries(watch).await.unwrap().into_inner();
    let mut count = 0;
    while count < 3 {
        let message = stream.message().await.unwrap().unwrap();
        let Some(v1::watch_entries_response::Item::Entry(entry)) = message.item else { continue };
        let guest = v1::entry::actor::Actor::Identity("tenants/rival/identities/guest".to_owned());
        assert_eq!(entry.actor.clone().unwrap().actor.unwrap(), guest, "{entry:?}");
        assert_eq!(entry.facts["reason"], "PERMISSION_DENIED", "{entry:?}");
        count += entry.facts["count"].parse::<u32>().unwrap();
    }
    assert_eq!(count, 3, "each refusal is counted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_auditor_of_a_tenant_sees_its_entries_and_no_others() {
    let (house, _) = Furniture::house().await;
    let (_, mut auditor) = house.identity("acme", "auditor", &[(v1::Duty::Auditor, "tenants/acme")]).await;
    let all = house.entries().await;
    let listed = auditor.audit.list_entries(v1::ListEntriesRequest::default()).await.unwrap().into_inner();
    let expected: Vec<_> =
        all.iter().filter(|entry| entry.tenant == "tenants/acme").map(|entry| entry.sequence).collect();
    let found: Vec<_> = listed.entries.iter().map(|entry| entry.sequence).collect();
    assert!(!expected.is_empty() && expected.len() < all.len());
    assert_eq!(found, expected);
    let theirs = v1::ListEntriesRequest { parent: "tenants/rival".to_owned(), ..Default::default() };
    assert_eq!(why(auditor.audit.list_entries(theirs).await).code, Code::PermissionDenied);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_living_keys_is_not_deleted_and_what_is_empty_is() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let not_empty = Why::new(Code::FailedPrecondition, "NOT_EMPTY", &[]);
    let owner = v1::DeleteOwnerRequest { name: OWNER.to_owned(), ..Default::default() };
    let keyspace = v1::DeleteKeyspaceRequest { name: KEYSPACE.to_owned(), ..Default::default() };
    let tenant = v1::DeleteTenantRequest { name: "tenants/acme".to_owned(), ..Default::default() };
    assert_eq!(why(root.directory.delete_owner(owner.clone()).await), not_empty);
    assert_eq!(why(root.directory.delete_keyspace(keyspace.clone()).await), not_empty);
    assert_eq!(why(root.directory.delete_tenant(tenant.clone()).await), not_empty);
    root.keys.revoke_key(requests::revoke(furniture.key_name())).await.unwrap();
    root.directory.delete_owner(owner).await.unwrap();
    root.directory.delete_keyspace(keyspace).await.unwrap();
    assert_eq!(outcome(&mut root, &furniture.made.key_text).await, Outcome::NotFound);
    root.directory.delete_tenant(tenant).await.unwrap();
    // Made again under the same name, it inherits nothing.
    root.directory.create_tenant(requests::tenant("acme")).await.unwrap();
    root.directory.create_keyspace(requests::keyspace("acme", "orders", "acme_live")).await.unwrap();
    assert_eq!(outcome(&mut root, &furniture.made.key_text).await, Outcome::NotFound);
    let _: &House = &house;
}
