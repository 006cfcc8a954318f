//! `RevokeKey` and `RevokeKeys`.

use crate::house::{House, KEYSPACE, is, key, why};
use latchkey_domain::DurationMillis;
use latchkey_link::Registry as _;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::create_key_request::Expiry;
use latchkey_wire::pb::v1::region_status::Acceptance;
use latchkey_wire::pb::v1::revoke_keys_request::{Selection, Target};
use prost_types::Duration;
use tonic::Code;

fn revoke(name: &str) -> v1::RevokeKeyRequest {
    v1::RevokeKeyRequest {
        name: name.to_owned(),
        reason: v1::RevocationReason::Compromised.into(),
        ..Default::default()
    }
}

#[tokio::test]
async fn each_region_says_when_it_stopped_accepting() {
    let house = House::new().await;
    let mut root = house.root();
    let made = root.keys.create_key(key()).await.unwrap().into_inner();
    let name = made.key.unwrap().name;
    let revoked = root.keys.revoke_key(revoke(&name)).await.unwrap().into_inner();
    assert!(revoked.immediate && !revoked.replayed && revoked.revoke_time.is_some());
    assert_eq!(revoked.versions, [made.version]);
    let regions: Vec<_> = revoked.regions.iter().map(|one| one.region.as_str()).collect();
    assert_eq!(regions, ["eu", "us"]);
    assert!(revoked.regions.iter().all(|one| matches!(one.acceptance, Some(Acceptance::StopTime(_)))));

    let again = root.keys.revoke_key(revoke(&name)).await.unwrap().into_inner();
    assert_eq!((again.revoke_time, again.immediate), (revoked.revoke_time, true));
}

#[tokio::test]
async fn a_region_that_is_late_says_by_when_it_stops_and_the_revocation_holds() {
    let house = House::new().await;
    let mut root = house.root();
    let name = root.keys.create_key(key()).await.unwrap().into_inner().key.unwrap().name;
    house.registry.set_waiting(true);
    let revoked = root.keys.revoke_key(revoke(&name)).await.unwrap().into_inner();
    assert!(matches!(revoked.regions[0].acceptance, Some(Acceptance::StopTime(_))));
    assert!(matches!(revoked.regions[1].acceptance, Some(Acceptance::StopByTime(_))));
}

#[tokio::test]
async fn a_grace_is_not_immediate_and_no_region_stops_before_it_is_over() {
    let house = House::new().await;
    let mut root = house.root();
    let name = root.keys.create_key(key()).await.unwrap().into_inner().key.unwrap().name;
    let request = v1::RevokeKeyRequest { grace: Some(Duration { seconds: 60, nanos: 0 }), ..revoke(&name) };
    let revoked = root.keys.revoke_key(request).await.unwrap().into_inner();
    assert!(!revoked.immediate);
    let ends = revoked.revoke_time.unwrap();
    assert!(revoked.regions.iter().all(|one| one.acceptance == Some(Acceptance::StopByTime(ends))));
    assert_eq!(revoked.key.unwrap().state(), v1::key::State::Active);

    let sooner = root.keys.revoke_key(revoke(&name)).await.unwrap().into_inner();
    assert!(sooner.immediate && sooner.revoke_time.unwrap().seconds < ends.seconds);
}

#[tokio::test]
async fn a_version_is_revoked_without_its_key() {
    let house = House::new().await;
    let mut root = house.root();
    let made = root.keys.create_key(key()).await.unwrap().into_inner();
    let revoked = root.keys.revoke_key(revoke(&made.version)).await.unwrap().into_inner();
    let key = revoked.key.unwrap();
    assert!(revoked.immediate && key.revocation.is_none());
    assert_eq!(revoked.versions, [made.version]);
    assert_eq!(key.versions[0].state(), v1::version::State::Revoked);
}

#[tokio::test]
async fn a_rehearsal_shows_the_impact_and_changes_nothing() {
    let house = House::new().await;
    let mut root = house.root();
    let made = root.keys.create_key(key()).await.unwrap().into_inner();
    let name = made.key.unwrap().name;
    let before = house.registry.state().hashed_at();
    let request = v1::RevokeKeyRequest { validate_only: true, ..revoke(&name) };
    let shown = root.keys.revoke_key(request.clone()).await.unwrap().into_inner();
    assert!(shown.immediate && shown.regions.is_empty());
    assert_eq!(shown.versions, [made.version]);
    assert_eq!(shown.key.unwrap().state(), v1::key::State::Revoked);
    let stale = v1::RevokeKeyRequest { etag: "0-0".to_owned(), ..request };
    assert_eq!(why(root.keys.revoke_key(stale).await), is(Code::Aborted, "ETAG_MISMATCH"));
    assert_eq!(house.registry.state().hashed_at(), before);
}

#[tokio::test]
async fn an_operator_revokes_in_his_scope_and_an_auditor_nowhere() {
    let house = House::new().await;
    let name = house.root().keys.create_key(key()).await.unwrap().into_inner().key.unwrap().name;
    let (_, mut auditor) = house.identity("auditor", &[(v1::Duty::Auditor, "")]).await;
    assert_eq!(why(auditor.keys.revoke_key(revoke(&name)).await), is(Code::PermissionDenied, "PERMISSION_DENIED"));
    let (_, mut operator) = house.identity("operator", &[(v1::Duty::Operator, KEYSPACE)]).await;
    assert!(operator.keys.revoke_key(revoke(&name)).await.is_ok());
}

#[tokio::test]
async fn a_revoked_management_key_proves_nobody_and_only_its_tenant_s_operators_revoke_it() {
    let house = House::new().await;
    let (deploy_key, mut deploy) = house.identity("deploy", &[(v1::Duty::Issuer, KEYSPACE)]).await;
    let (_, mut operator) = house.identity("operator", &[(v1::Duty::Operator, "tenants/acme")]).await;
    let deploy_name = deploy_key.key.unwrap().name;
    let root_key = root_key(&house).await;
    assert_eq!(why(operator.keys.revoke_key(revoke(&root_key)).await), is(Code::PermissionDenied, "PERMISSION_DENIED"));
    assert_eq!(
        why(deploy.keys.revoke_key(revoke(&deploy_name)).await),
        is(Code::PermissionDenied, "PERMISSION_DENIED")
    );
    assert!(operator.keys.revoke_key(revoke(&deploy_name)).await.unwrap().into_inner().immediate);
    assert_eq!(why(deploy.keys.create_key(key()).await), is(Code::Unauthenticated, "IDENTITY_UNKNOWN"));
}

fn revoke_all(target: Target) -> v1::RevokeKeysRequest {
    let reason = v1::RevocationReason::Compromised.into();
    v1::RevokeKeysRequest { target: Some(target), reason, ..Default::default() }
}

#[tokio::test]
async fn all_keys_of_an_owner_die_at_one_revision_and_those_made_later_live() {
    let house = House::new().await;
    let mut root = house.root();
    let mut names = Vec::new();
    for _ in 0..3 {
        names.push(root.keys.create_key(key()).await.unwrap().into_inner().key.unwrap().name);
    }
    names.sort_unstable();
    let request = revoke_all(Target::Scope("tenants/acme/owners/shop".to_owned()));
    let before = house.registry.state();
    let rehearsal = v1::RevokeKeysRequest { validate_only: true, ..request.clone() };
    let shown = root.keys.revoke_keys(rehearsal).await.unwrap().into_inner();
    assert_eq!((shown.key_count, &shown.sample, house.registry.state()), (3, &names, before));
    let revoked = root.keys.revoke_keys(request).await.unwrap().into_inner();
    assert_eq!((revoked.key_count, revoked.regions.len()), (3, 2));
    assert!(revoked.regions.iter().all(|one| matches!(one.acceptance, Some(Acceptance::StopTime(_)))));
    for name in names {
        let read = root.keys.get_key(v1::GetKeyRequest { name }).await.unwrap().into_inner();
        assert_eq!(read.state(), v1::key::State::Revoked);
    }
    let later = root.keys.create_key(key()).await.unwrap().into_inner().key.unwrap();
    assert_eq!(later.state(), v1::key::State::Active);
}

#[tokio::test]
async fn keys_that_match_a_filter_are_revoked_as_the_dry_run_named_them_or_not_at_all() {
    let house = House::new().await;
    let mut root = house.root();
    let named = |display_name: &str| v1::CreateKeyRequest { display_name: display_name.to_owned(), ..key() };
    for display_name in ["night-1", "night-2", "day"] {
        root.keys.create_key(named(display_name)).await.unwrap();
    }
    let selection = |selection: &str| {
        revoke_all(Target::Selection(Selection {
            parent: KEYSPACE.to_owned(),
            filter: r#"display_name = "night-*""#.to_owned(),
            selection: selection.to_owned(),
        }))
    };
    let rehearsal = v1::RevokeKeysRequest { validate_only: true, ..selection("") };
    let shown = root.keys.revoke_keys(rehearsal.clone()).await.unwrap().into_inner();
    assert_eq!((shown.key_count, shown.sample.len()), (2, 2));
    root.keys.create_key(named("night-3")).await.unwrap();
    let stale = root.keys.revoke_keys(selection(&shown.selection)).await;
    assert_eq!(why(stale), is(Code::Aborted, "ETAG_MISMATCH"));
    let shown = root.keys.revoke_keys(rehearsal.clone()).await.unwrap().into_inner();
    let revoked = root.keys.revoke_keys(selection(&shown.selection)).await.unwrap().into_inner();
    assert_eq!((revoked.key_count, revoked.selection), (3, shown.selection));
    assert_eq!(root.keys.revoke_keys(rehearsal).await.unwrap().into_inner().key_count, 0, "dead keys never match");
    let (_, mut auditor) = house.identity("auditor", &[(v1::Duty::Auditor, "")]).await;
    assert_eq!(why(auditor.keys.revoke_keys(selection("")).await), is(Code::PermissionDenied, "PERMISSION_DENIED"));
}

#[tokio::test]
async fn what_is_dead_by_a_cut_or_by_its_time_is_revoked_again_without_harm() {
    let house = House::new().await;
    let mut root = house.root();
    let cut = root.keys.create_key(key()).await.unwrap().into_inner();
    let owner = Target::Scope("tenants/acme/owners/shop".to_owned());
    root.keys.revoke_keys(revoke_all(owner)).await.unwrap();
    let expiry = Some(Expiry::Lifetime(Duration { seconds: 30, nanos: 0 }));
    let expired = root.keys.create_key(v1::CreateKeyRequest { expiry, ..key() }).await.unwrap().into_inner();
    house.registry.advance(DurationMillis::from_secs(30));
    for made in [cut, expired] {
        for name in [made.key.unwrap().name, made.version] {
            let rehearsal = v1::RevokeKeyRequest { validate_only: true, ..revoke(&name) };
            let shown = root.keys.revoke_key(rehearsal).await.unwrap().into_inner();
            let revoked = root.keys.revoke_key(revoke(&name)).await.unwrap().into_inner();
            assert!(shown.immediate && revoked.immediate, "{name}");
            assert_eq!(shown.revoke_time, revoked.revoke_time);
        }
    }
}

/// The name of root's own key.
async fn root_key(house: &House) -> String {
    let by = tokio::time::Instant::now();
    house.registry.authenticate(house.root_text.expose(), None, by).await.unwrap().key.to_string()
}
