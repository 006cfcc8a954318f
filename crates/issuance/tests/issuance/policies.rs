//! Rotation policies of keyspaces and keys, and key texts that are sealed to a recipient.

use crate::house::{House, KEYSPACE, REQUEST_ID, key, keyspace};
use latchkey_crypto::parse;
use latchkey_delivery::{RecipientSecret, open};
use latchkey_domain::{RecipientKey, VersionName};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::recipient_key::Key;
use latchkey_wire::pb::v1::rotation_delivery::Target;
use prost_types::{Duration, FieldMask};
use tonic::Status;
use tonic_types::StatusExt as _;

#[expect(clippy::unnecessary_wraps, reason = "as messages hold it")]
fn days(days: i64) -> Option<Duration> {
    Some(Duration { seconds: days * 86_400, nanos: 0 })
}

fn automatic() -> v1::RotationPolicy {
    v1::RotationPolicy {
        risk_class: v1::RiskClass::High.into(),
        mode: v1::RotationMode::Automatic.into(),
        delivery: Some(v1::RotationDelivery { target: Some(Target::Store("vault".to_owned())) }),
        maximum_lifetime: days(40),
        windows: vec![v1::RotationWindow {
            cron: "0 2 * * MON-FRI".to_owned(),
            time_zone: "Europe/Zurich".to_owned(),
            length: Some(Duration { seconds: 7_200, nanos: 0 }),
        }],
        ..Default::default()
    }
}

fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() })
}

fn fields<T: std::fmt::Debug>(answer: Result<T, Status>) -> Vec<String> {
    let details = answer.unwrap_err().get_details_bad_request().expect("fields are named");
    details.field_violations.into_iter().map(|one| one.field).collect()
}

#[tokio::test]
async fn a_policy_of_a_keyspace_is_kept_shown_changed_and_cleared_as_a_whole() {
    let house = House::new().await;
    let mut root = house.root();
    let mut request = keyspace("acme", "rotating", "acme_rotating");
    request.keyspace.as_mut().unwrap().rotation_policy = Some(automatic());
    let made = root.directory.create_keyspace(request).await.unwrap().into_inner();
    let shown = made.rotation_policy.clone().unwrap();
    assert_eq!((shown.interval, shown.at_once_max, shown.delivery), (days(30), Some(100), automatic().delivery));
    assert_eq!(shown.terms.unwrap().overlap, days(1));

    let change = |policy: Option<v1::RotationPolicy>| v1::UpdateKeyspaceRequest {
        keyspace: Some(v1::Keyspace { name: made.name.clone(), rotation_policy: policy, ..Default::default() }),
        update_mask: mask(&["rotation_policy"]),
        ..Default::default()
    };
    let calmer = v1::RotationPolicy {
        risk_class: v1::RiskClass::Moderate.into(),
        mode: v1::RotationMode::Notify.into(),
        ..Default::default()
    };
    let changed = root.directory.update_keyspace(change(Some(calmer))).await.unwrap().into_inner();
    let policy = changed.rotation_policy.unwrap();
    assert_eq!((policy.interval, policy.windows.len(), policy.delivery), (days(90), 0, None));
    assert_ne!(changed.etag, made.etag);
    let cleared = root.directory.update_keyspace(change(None)).await.unwrap().into_inner();
    assert_eq!(cleared.rotation_policy, None);
}

#[tokio::test]
async fn a_policy_that_contradicts_itself_is_refused_with_every_field_and_changes_nothing() {
    let house = House::new().await;
    let mut root = house.root();
    let wrong = v1::RotationPolicy {
        interval: days(31),
        jitter: days(31),
        at_once_max: Some(0),
        maximum_lifetime: days(1),
        delivery: None,
        windows: vec![v1::RotationWindow { cron: "0 0 30 2 *".to_owned(), length: days(1), ..Default::default() }],
        ..automatic()
    };
    let update = v1::UpdateKeyspaceRequest {
        keyspace: Some(v1::Keyspace { name: KEYSPACE.to_owned(), rotation_policy: Some(wrong), ..Default::default() }),
        update_mask: mask(&["rotation_policy"]),
        ..Default::default()
    };
    let told = fields(root.directory.update_keyspace(update).await);
    let named = ["windows[0].cron", "interval", "jitter", "at_once_max", "maximum_lifetime", "delivery"];
    assert_eq!(told, named.map(|field| format!("keyspace.rotation_policy.{field}")));
    let get = v1::GetKeyspaceRequest { name: KEYSPACE.to_owned() };
    assert_eq!(root.directory.get_keyspace(get).await.unwrap().into_inner().rotation_policy, None);
}

#[tokio::test]
async fn a_key_may_have_its_own_policy_without_phases_and_its_versions_end_with_it() {
    let house = House::new().await;
    let mut root = house.root();
    let phase = v1::RotationPhase { name: "low".to_owned(), filter: "age > 1d".to_owned() };
    let phased = v1::RotationPolicy { phases: vec![phase], ..automatic() };
    let refused = root.keys.create_key(v1::CreateKeyRequest { rotation_policy: Some(phased), ..key() }).await;
    assert_eq!(fields(refused), ["rotation_policy.phases"]);

    let request = v1::CreateKeyRequest { rotation_policy: Some(automatic()), ..key() };
    let made = root.keys.create_key(request).await.unwrap().into_inner().key.unwrap();
    let created = made.create_time.unwrap();
    assert_eq!(made.rotation_policy.as_ref().unwrap().interval, days(30));
    let ends_at = made.versions[0].expire_time.unwrap();
    assert_eq!(ends_at.seconds - created.seconds, 40 * 86_400);
    assert_eq!(made.rotation_due_time.unwrap().seconds - created.seconds, 30 * 86_400);

    let clear = v1::UpdateKeyRequest {
        key: Some(v1::Key { name: made.name, ..Default::default() }),
        update_mask: mask(&["rotation_policy"]),
        ..Default::default()
    };
    let cleared = root.keys.update_key(clear).await.unwrap().into_inner();
    assert_eq!((cleared.rotation_policy, cleared.rotation_due_time), (None, None));
    assert_eq!(cleared.versions[0].expire_time, Some(ends_at), "nothing lengthens it afterwards");
}

#[tokio::test]
async fn a_text_that_is_sealed_to_a_recipient_is_in_no_answer_and_a_repeat_seals_it_again() {
    let house = House::new().await;
    let mut root = house.root();
    let secret = RecipientSecret::generate();
    let Ok(RecipientKey::X25519(bytes)) = secret.public() else { panic!("a drawn key is X25519") };
    let recipient = Some(v1::RecipientKey { key: Some(Key::X25519(bytes.to_vec())) });
    let request = v1::CreateKeyRequest { recipient, request_id: REQUEST_ID.to_owned(), ..key() };
    let mut texts = Vec::new();
    for replayed in [false, true] {
        let made = root.keys.create_key(request.clone()).await.unwrap().into_inner();
        assert_eq!((made.key_text.as_str(), made.replayed), ("", replayed));
        let version = VersionName::parse(&made.version).unwrap();
        let text = open(&secret, &version, &made.sealed_key_text).unwrap();
        assert_eq!(parse(&text).expect("it is a key text").version, version.version);
        texts.push(text.to_string());
    }
    assert_eq!(texts[0], texts[1]);

    let item = |recipient| v1::CreateKeyRequest { parent: String::new(), recipient, ..key() };
    let batch = v1::BatchCreateKeysRequest {
        parent: KEYSPACE.to_owned(),
        requests: vec![item(None), item(request.recipient)],
        ..Default::default()
    };
    let keys = root.keys.batch_create_keys(batch).await.unwrap().into_inner().keys;
    assert!(!keys[0].key_text.is_empty() && keys[0].sealed_key_text.is_empty());
    assert!(keys[1].key_text.is_empty() && !keys[1].sealed_key_text.is_empty());
    let rsa = v1::RecipientKey { key: Some(Key::Rsa(vec![0x30; 294])) };
    let refused = root.keys.create_key(v1::CreateKeyRequest { recipient: Some(rsa), ..key() }).await;
    assert_eq!(fields(refused), ["recipient.rsa"]);
}
