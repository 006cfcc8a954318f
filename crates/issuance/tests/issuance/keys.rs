//! `CreateKey`, `BatchCreateKeys`, `GetKey`, `ListKeys`.

use crate::house::{House, KEYSPACE, MANAGEMENT, REQUEST_ID, is, key, why};
use latchkey_crypto::parse;
use latchkey_domain::{DurationMillis, VersionName};
use latchkey_kms::testing::Switch;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::create_key_request::Expiry;
use tonic::Code;
use tonic_types::StatusExt as _;

#[tokio::test]
async fn a_stranger_is_told_nothing_not_even_what_is_wrong_with_his_request() {
    let house = House::new().await;
    let wrong = v1::CreateKeyRequest { parent: "nonsense".to_owned(), ..key() };
    let nobody = house.with(None).keys.create_key(wrong.clone()).await;
    assert_eq!(why(nobody), is(Code::Unauthenticated, "IDENTITY_MISSING"));
    let invented = house.with(Some("lkm_0000000000000000_x")).keys.create_key(wrong).await;
    assert_eq!(why(invented), is(Code::Unauthenticated, "IDENTITY_UNKNOWN"));
}

#[tokio::test]
async fn all_fields_that_are_wrong_are_told_at_once() {
    let house = House::new().await;
    let wrong = v1::CreateKeyRequest {
        owner: "shop".to_owned(),
        permissions: vec!["or*ders".to_owned()],
        networks: vec!["10.0.0.1/8".to_owned()],
        ..key()
    };
    let status = house.root().keys.create_key(wrong).await.unwrap_err();
    let fields = status.get_details_bad_request().unwrap().field_violations;
    let named: Vec<_> = fields.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(named, ["owner", "permissions[0]", "networks[0]"]);
}

#[tokio::test]
async fn the_text_is_shown_once_and_only_its_digest_is_kept() {
    let house = House::new().await;
    let mut root = house.root();
    let made = root.keys.create_key(key()).await.unwrap().into_inner();
    let presented = parse(&made.key_text).expect("it is a key text");
    assert_eq!(presented.prefix, "acme_live");
    assert_eq!(VersionName::parse(&made.version).unwrap().version, presented.version);
    let visible: Vec<_> = made.regions.iter().map(|one| (one.region.as_str(), one.visible)).collect();
    assert_eq!(visible, [("eu", true), ("us", true)]);

    let shown = made.key.unwrap();
    let read = root.keys.get_key(v1::GetKeyRequest { name: shown.name.clone() }).await.unwrap().into_inner();
    assert_eq!((read.name, read.etag, read.owner), (shown.name, shown.etag, shown.owner));
    let state = house.registry.state();
    assert!(state.version(presented.version).is_some());
    assert!(!format!("{state:?}").contains(&made.key_text[made.key_text.len() - 38..]));
}

#[tokio::test]
async fn a_repeat_shows_the_same_text_for_an_hour_and_then_none() {
    let house = House::new().await;
    let mut root = house.root();
    let request = v1::CreateKeyRequest { request_id: REQUEST_ID.to_owned(), ..key() };
    let first = root.keys.create_key(request.clone()).await.unwrap().into_inner();
    let again = root.keys.create_key(request.clone()).await.unwrap().into_inner();
    assert!(again.replayed && !first.replayed);
    assert_eq!((&again.key_text, &again.version, again.revision), (&first.key_text, &first.version, first.revision));

    let other = v1::CreateKeyRequest { display_name: "another".to_owned(), ..request.clone() };
    assert_eq!(why(root.keys.create_key(other).await), is(Code::AlreadyExists, "REQUEST_ID_REUSED"));

    house.registry.advance(DurationMillis::from_secs(3_600));
    // The clock of the cluster moves with its records.
    root.keys.create_key(key()).await.unwrap();
    let late = root.keys.create_key(request).await.unwrap().into_inner();
    assert!(late.replayed && late.key_text.is_empty());
    assert_eq!(late.version, first.version);
}

#[tokio::test]
async fn another_identity_s_request_id_is_another_request() {
    let house = House::new().await;
    let (_, mut deploy) = house.identity("deploy", &[(v1::Duty::Issuer, KEYSPACE)]).await;
    let request = v1::CreateKeyRequest { request_id: REQUEST_ID.to_owned(), ..key() };
    let mine = house.root().keys.create_key(request.clone()).await.unwrap().into_inner();
    let other = deploy.keys.create_key(request).await.unwrap().into_inner();
    assert!(!other.replayed);
    assert_ne!(mine.key_text, other.key_text);
}

#[tokio::test]
async fn a_batch_is_made_at_one_revision_or_not_at_all() {
    let house = House::new().await;
    let mut root = house.root();
    let item = v1::CreateKeyRequest { parent: String::new(), ..key() };
    let batch = |count: usize| v1::BatchCreateKeysRequest {
        parent: KEYSPACE.to_owned(),
        requests: vec![item.clone(); count],
        request_id: REQUEST_ID.to_owned(),
        ..Default::default()
    };
    let mut wrong = batch(10);
    wrong.requests[9].permissions = vec!["billing:read".to_owned()];
    let before = house.registry.state().key_count();
    assert_eq!(why(root.keys.batch_create_keys(wrong).await), is(Code::FailedPrecondition, "PERMISSION_NOT_ALLOWED"));
    assert_eq!(house.registry.state().key_count(), before);

    let made = root.keys.batch_create_keys(batch(1_000)).await.unwrap().into_inner();
    let again = root.keys.batch_create_keys(batch(1_000)).await.unwrap().into_inner();
    let texts = |answer: &v1::BatchCreateKeysResponse| {
        answer.keys.iter().map(|issued| issued.key_text.clone()).collect::<Vec<_>>()
    };
    assert_eq!((made.keys.len(), house.registry.state().key_count()), (1_000, before + 1_000));
    assert!(again.replayed && texts(&again) == texts(&made));
}

#[tokio::test]
async fn a_rehearsal_changes_nothing_and_judges_as_the_real_thing_does() {
    let house = House::new().await;
    house.identity("auditor", &[(v1::Duty::Auditor, "tenants/acme")]).await;
    let (_, mut deploy) = house.identity("deploy", &[(v1::Duty::Issuer, "tenants/acme")]).await;
    let past = prost_types::Timestamp { seconds: 1, nanos: 0 };
    let asked = [
        key(),
        v1::CreateKeyRequest { parent: "tenants/acme/keyspaces/none".to_owned(), ..key() },
        v1::CreateKeyRequest { owner: "tenants/acme/owners/nobody".to_owned(), ..key() },
        v1::CreateKeyRequest { owner: "tenants/system/identities/root".to_owned(), ..key() },
        v1::CreateKeyRequest { permissions: vec!["billing:read".to_owned()], ..key() },
        v1::CreateKeyRequest { expiry: Some(Expiry::ExpireTime(past)), ..key() },
        v1::CreateKeyRequest { parent: MANAGEMENT.to_owned(), owner: String::new(), ..key() },
        v1::CreateKeyRequest {
            parent: MANAGEMENT.to_owned(),
            owner: "tenants/acme/identities/auditor".to_owned(),
            ..key()
        },
        v1::CreateKeyRequest {
            parent: MANAGEMENT.to_owned(),
            owner: "tenants/acme/identities/deploy".to_owned(),
            ..Default::default()
        },
        v1::CreateKeyRequest {
            parent: MANAGEMENT.to_owned(),
            owner: "tenants/acme/identities/nobody".to_owned(),
            ..Default::default()
        },
    ];
    for (clients, who) in [(&mut house.root(), "root"), (&mut deploy, "deploy")] {
        for request in &asked {
            let before = house.registry.state().hashed_at();
            let rehearsal = v1::CreateKeyRequest { validate_only: true, ..request.clone() };
            let rehearsed = clients.keys.create_key(rehearsal).await;
            assert_eq!(house.registry.state().hashed_at(), before, "{request:?}");
            let real = clients.keys.create_key(request.clone()).await;
            match (rehearsed, real) {
                (Ok(rehearsed), Ok(real)) => {
                    let (rehearsed, real) = (rehearsed.into_inner(), real.into_inner());
                    let (would_be, is) = (rehearsed.key.unwrap(), real.key.unwrap());
                    assert_eq!((would_be.owner, would_be.permissions), (is.owner, is.permissions));
                    assert!(rehearsed.key_text.is_empty() && rehearsed.version.is_empty() && would_be.name.is_empty());
                }
                (rehearsed, real) => assert_eq!(why(rehearsed), why(real), "{who}: {request:?}"),
            }
        }
    }
}

#[tokio::test]
async fn an_issuer_makes_keys_in_his_scope_only() {
    let house = House::new().await;
    let mut root = house.root();
    root.directory.create_keyspace(crate::house::keyspace("acme", "test", "acme_test")).await.unwrap();
    let (_, mut deploy) = house.identity("deploy", &[(v1::Duty::Issuer, KEYSPACE)]).await;
    assert!(deploy.keys.create_key(key()).await.is_ok());
    let elsewhere = v1::CreateKeyRequest { parent: "tenants/acme/keyspaces/test".to_owned(), ..key() };
    assert_eq!(why(deploy.keys.create_key(elsewhere).await), is(Code::PermissionDenied, "PERMISSION_DENIED"));
    let (_, mut validator) = house.identity("validator", &[(v1::Duty::Validator, "")]).await;
    let list = v1::ListKeysRequest { parent: KEYSPACE.to_owned(), ..Default::default() };
    assert_eq!(why(validator.keys.list_keys(list).await), is(Code::PermissionDenied, "PERMISSION_DENIED"));
}

#[tokio::test]
async fn pages_follow_each_other_while_keys_are_made() {
    let house = House::new().await;
    let mut root = house.root();
    for _ in 0..25 {
        root.keys.create_key(key()).await.unwrap();
    }
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request =
            v1::ListKeysRequest { parent: KEYSPACE.to_owned(), page_size: 10, page_token, ..Default::default() };
        let page = root.keys.list_keys(request).await.unwrap().into_inner();
        seen.extend(page.keys.into_iter().map(|key| key.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        root.keys.create_key(key()).await.unwrap();
    }
    assert!(seen.len() >= 25 && seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]));
    let foreign = v1::ListKeysRequest {
        parent: KEYSPACE.to_owned(),
        page_size: 10,
        page_token: latchkey_wire::request::next_page_token("keys", &"tenants/acme/keyspaces/other", "x"),
        ..Default::default()
    };
    assert_eq!(why(root.keys.list_keys(foreign).await), is(Code::InvalidArgument, "PAGE_TOKEN_INVALID"));
}

#[tokio::test]
async fn without_the_key_encryption_key_nothing_is_made() {
    let house = House::new().await;
    house.kms.set(Switch::Unavailable);
    let locked = house.root().keys.create_key(key()).await;
    assert_eq!(why(locked), is(Code::Unavailable, "LOCKED"));
    assert_eq!(house.registry.state().key_count(), 1, "root's own");
    house.kms.set(Switch::Available);
    assert!(house.root().keys.create_key(key()).await.is_ok());
}

#[tokio::test]
async fn a_replica_that_is_late_is_told_with_the_moment_from_which_it_knows_the_key() {
    let house = House::new().await;
    house.registry.set_waiting(true);
    let made = house.root().keys.create_key(key()).await.unwrap().into_inner();
    let told: Vec<_> = made.regions.iter().map(|one| (one.visible, one.visible_by_time.is_some())).collect();
    assert_eq!(told, [(true, false), (false, true)]);
}
