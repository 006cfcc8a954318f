//! `ListDueRotations`, and when a key says that it is due.

use crate::house::{House, KEYSPACE, complete, fields, is, prepare, rotate, why};
use latchkey_domain::DurationMillis;
use latchkey_wire::pb::v1;
use latchkey_wire::time::{read_time, write_time};
use prost_types::{Duration, FieldMask};
use tonic::Code;

const OTHER: &str = "tenants/acme/keyspaces/other";

fn policy() -> v1::RotationPolicy {
    v1::RotationPolicy {
        risk_class: v1::RiskClass::Moderate.into(),
        mode: v1::RotationMode::Notify.into(),
        ..Default::default()
    }
}

async fn give(house: &House, keyspace: &str, policy: v1::RotationPolicy) {
    let request = v1::UpdateKeyspaceRequest {
        keyspace: Some(v1::Keyspace { name: keyspace.to_owned(), rotation_policy: Some(policy), ..Default::default() }),
        update_mask: Some(FieldMask { paths: vec!["rotation_policy".to_owned()] }),
        ..Default::default()
    };
    house.root().directory.update_keyspace(request).await.unwrap();
}

/// All that is due, page by page.
async fn due(house: &House, parent: &str, within: Option<Duration>) -> Vec<v1::DueRotation> {
    let (mut root, mut seen, mut page_token) = (house.root(), Vec::new(), String::new());
    loop {
        let request = v1::ListDueRotationsRequest { parent: parent.to_owned(), page_size: 2, page_token, within };
        let page = root.rotation.list_due_rotations(request).await.unwrap().into_inner();
        assert!(page.due_rotations.len() <= 2 && page.revision.is_some());
        seen.extend(page.due_rotations);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return seen;
        }
    }
}

fn names(due: &[v1::DueRotation]) -> Vec<&str> {
    due.iter().map(|one| one.key.as_str()).collect()
}

#[tokio::test]
async fn a_key_is_due_once_its_version_is_as_old_as_its_policy_says_and_not_while_it_rotates() {
    let house = House::new().await;
    let mut root = house.root();
    let made_at = house.now();
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(house.key().await.0);
    }
    keys.sort_unstable();
    assert!(due(&house, KEYSPACE, None).await.is_empty(), "there is no policy");
    give(&house, KEYSPACE, policy()).await;
    house.advance(DurationMillis::new(90 * 86_400_000 - 1));
    assert!(due(&house, KEYSPACE, None).await.is_empty(), "a millisecond is left");
    let soon = Some(Duration { seconds: 1, nanos: 0 });
    assert_eq!(due(&house, KEYSPACE, soon).await.len(), 5);
    house.advance(DurationMillis::new(1));

    let listed = due(&house, KEYSPACE, None).await;
    assert_eq!(names(&listed), keys);
    let due_at = write_time(made_at.plus(DurationMillis::from_days(90)));
    assert!(listed.iter().all(|one| one.due_time == Some(due_at) && one.mode() == v1::RotationMode::Notify));
    let shown = root.keys.get_key(v1::GetKeyRequest { name: keys[0].clone() }).await.unwrap().into_inner();
    assert_eq!(shown.rotation_due_time, Some(due_at));

    let rotated = root.rotation.rotate_key(rotate(&keys[0])).await.unwrap().into_inner();
    assert_eq!(rotated.key.unwrap().rotation_due_time, None, "it rotates");
    root.rotation.prepare_standby(prepare(&keys[1])).await.unwrap();
    root.keys.suspend_key(v1::SuspendKeyRequest { name: keys[2].clone(), ..Default::default() }).await.unwrap();
    let left = due(&house, KEYSPACE, None).await;
    assert_eq!(names(&left), [&keys[1], &keys[3], &keys[4]], "a standby waits for whoever rotates");
    root.rotation.complete_rotation(complete(&rotated.rotation.unwrap().name)).await.unwrap();
    assert_eq!(due(&house, KEYSPACE, None).await.len(), 3, "its new version is young");
}

#[tokio::test]
async fn what_is_due_of_a_tenant_is_that_of_its_keyspaces_and_a_key_may_have_its_own_policy() {
    let house = House::new().await;
    let phase = v1::RotationPhase { name: "old".to_owned(), filter: "age > 1d".to_owned() };
    give(&house, KEYSPACE, v1::RotationPolicy { phases: vec![phase], ..policy() }).await;
    let own = Some(v1::RotationPolicy {
        risk_class: v1::RiskClass::High.into(),
        mode: v1::RotationMode::Automatic.into(),
        delivery: Some(v1::RotationDelivery { target: Some(v1::rotation_delivery::Target::Store("vault".to_owned())) }),
        ..Default::default()
    });
    let (plain, _) = house.key().await;
    let request = v1::CreateKeyRequest { parent: OTHER.to_owned(), rotation_policy: own, ..Default::default() };
    let (special, _) = house.key_of(request).await;
    house.advance(DurationMillis::from_days(30));
    let listed = due(&house, "tenants/acme", None).await;
    assert_eq!(names(&listed), [special.as_str()]);
    assert!(listed[0].own_policy && listed[0].mode() == v1::RotationMode::Automatic && listed[0].phase.is_empty());
    house.advance(DurationMillis::from_days(60));
    let listed = due(&house, "tenants/acme", None).await;
    assert_eq!(names(&listed), [plain.as_str(), special.as_str()]);
    assert_eq!((listed[0].phase.as_str(), listed[0].own_policy), ("old", false));
    assert_eq!(names(&due(&house, OTHER, None).await), [special.as_str()]);
}

#[tokio::test]
async fn keys_of_one_moment_are_due_spread_over_the_jitter() {
    let house = House::new().await;
    give(&house, KEYSPACE, v1::RotationPolicy { jitter: Some(Duration { seconds: 86_400, nanos: 0 }), ..policy() })
        .await;
    let made_at = house.now();
    for _ in 0..10 {
        house.key().await;
    }
    let year = Some(Duration { seconds: 365 * 86_400, nanos: 0 });
    let listed = due(&house, KEYSPACE, year).await;
    let last = made_at.plus(DurationMillis::from_days(90));
    let times: Vec<_> = listed.iter().map(|one| read_time(one.due_time.as_ref().unwrap()).unwrap()).collect();
    assert!(times.len() == 10 && times.iter().all(|time| *time <= last && last.since(*time).millis() < 86_400_000));
    assert!(times.iter().collect::<std::collections::BTreeSet<_>>().len() > 1, "all at one moment");
}

#[tokio::test]
async fn what_is_due_is_refused_to_strangers_and_for_what_is_not_there() {
    let house = House::new().await;
    let mut root = house.root();
    let ask = |parent: &str| v1::ListDueRotationsRequest { parent: parent.to_owned(), ..Default::default() };
    for parent in ["tenants/none", "tenants/acme/keyspaces/none"] {
        let refused = root.rotation.list_due_rotations(ask(parent)).await;
        assert_eq!(why(refused), is(Code::NotFound, "NOT_FOUND"), "{parent}");
    }
    let wrong = v1::ListDueRotationsRequest { page_size: -1, ..ask("acme") };
    assert_eq!(fields(root.rotation.list_due_rotations(wrong).await), ["parent", "page_size"]);
    let (_, mut reader) = house.identity("reader", &[(v1::Duty::Auditor, KEYSPACE)]).await;
    reader.rotation.list_due_rotations(ask(KEYSPACE)).await.unwrap();
    for parent in ["tenants/acme", OTHER] {
        let refused = why(reader.rotation.list_due_rotations(ask(parent)).await);
        assert_eq!(refused.0, Code::PermissionDenied, "{parent}");
    }
}
