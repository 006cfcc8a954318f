//! `UpdateKey`, `SuspendKey`, `ResumeKey`, `RestrictKey`, and keys with roles and parents.

use crate::house::{House, KEYSPACE, REQUEST_ID, is, key, owner, role, why};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::region_status::Acceptance;
use latchkey_wire::pb::v1::restrict_key_request::End;
use prost_types::{Duration, FieldMask};
use tonic::Code;

fn update(key: v1::Key, paths: &[&str]) -> v1::UpdateKeyRequest {
    let paths = paths.iter().map(ToString::to_string).collect();
    v1::UpdateKeyRequest { key: Some(key), update_mask: Some(FieldMask { paths }), ..Default::default() }
}

fn suspend(name: &str) -> v1::SuspendKeyRequest {
    v1::SuspendKeyRequest { name: name.to_owned(), ..Default::default() }
}

fn resume(name: &str) -> v1::ResumeKeyRequest {
    v1::ResumeKeyRequest { name: name.to_owned(), ..Default::default() }
}

fn restrict(name: &str) -> v1::RestrictKeyRequest {
    v1::RestrictKeyRequest {
        name: name.to_owned(),
        permissions: Some(v1::PermissionList::default()),
        end: Some(End::Duration(Duration { seconds: 60, nanos: 0 })),
        ..Default::default()
    }
}

async fn made(house: &House) -> v1::Key {
    house.root().keys.create_key(key()).await.unwrap().into_inner().key.unwrap()
}

async fn revoked(house: &House) -> v1::Key {
    let key = made(house).await;
    let reason = v1::RevocationReason::Unused.into();
    let request = v1::RevokeKeyRequest { name: key.name.clone(), reason, ..Default::default() };
    house.root().keys.revoke_key(request).await.unwrap();
    key
}

#[tokio::test]
async fn an_update_changes_what_the_mask_names_and_nothing_else() {
    let house = House::new().await;
    let mut root = house.root();
    root.directory.create_owner(owner("acme", "other")).await.unwrap();
    let before = made(&house).await;
    let changed = v1::Key {
        owner: "tenants/acme/owners/other".to_owned(),
        purpose: "the night job".to_owned(),
        permissions: vec!["orders:write".to_owned()],
        display_name: "is not named".to_owned(),
        ..before.clone()
    };
    let after = root.keys.update_key(update(changed, &["owner", "purpose", "permissions"])).await.unwrap().into_inner();
    assert_eq!((after.owner.as_str(), after.purpose.as_str()), ("tenants/acme/owners/other", "the night job"));
    assert_eq!(
        (after.permissions.as_slice(), after.display_name),
        (&["orders:write".to_owned()][..], before.display_name)
    );
    assert_ne!(after.etag, before.etag);
    assert!(after.update_time.is_some() && after.versions == before.versions);
    let read = root.keys.get_key(v1::GetKeyRequest { name: before.name.clone() }).await.unwrap().into_inner();
    assert_eq!((read.etag, read.owner), (after.etag, after.owner));
}

#[tokio::test]
async fn an_update_knows_its_repeat_and_the_etag() {
    let house = House::new().await;
    let mut root = house.root();
    let before = made(&house).await;
    let changed = v1::Key { purpose: "first".to_owned(), ..before.clone() };
    let request = v1::UpdateKeyRequest { request_id: REQUEST_ID.to_owned(), ..update(changed, &["purpose"]) };
    let first = root.keys.update_key(request.clone()).await.unwrap().into_inner();
    let again = root.keys.update_key(request.clone()).await.unwrap().into_inner();
    assert_eq!((again.purpose, &again.etag), (first.purpose, &first.etag));
    let stale = v1::UpdateKeyRequest { request_id: String::new(), ..request.clone() };
    assert_eq!(why(root.keys.update_key(stale).await), is(Code::Aborted, "ETAG_MISMATCH"));
    let reused = v1::UpdateKeyRequest { update_mask: Some(FieldMask { paths: vec!["*".to_owned()] }), ..request };
    assert_eq!(why(root.keys.update_key(reused).await), is(Code::AlreadyExists, "REQUEST_ID_REUSED"));
}

#[tokio::test]
async fn a_rehearsal_of_an_update_judges_as_the_real_thing_does() {
    let house = House::new().await;
    let (base, dead) = (made(&house).await, revoked(&house).await);
    let base = v1::Key { etag: String::new(), ..base };
    let absent = format!("{KEYSPACE}/keys/0000000000000000");
    let asked = [
        update(v1::Key { permissions: vec!["billing:read".to_owned()], ..base.clone() }, &["permissions"]),
        update(v1::Key { owner: "tenants/acme/owners/nobody".to_owned(), ..base.clone() }, &["owner"]),
        update(v1::Key { roles: vec!["tenants/acme/roles/nothing".to_owned()], ..base.clone() }, &["roles"]),
        update(v1::Key { etag: "0-0".to_owned(), ..base.clone() }, &["purpose"]),
        update(v1::Key { etag: String::new(), ..dead }, &["purpose"]),
        update(v1::Key { name: absent, ..base.clone() }, &["purpose"]),
        update(v1::Key { purpose: "new".to_owned(), ..base.clone() }, &["state"]),
        update(v1::Key { purpose: "new".to_owned(), ..base.clone() }, &["purpose"]),
        update(v1::Key { display_name: "new".to_owned(), ..base }, &["display_name"]),
    ];
    let mut root = house.root();
    let mut refused = 0;
    for request in asked {
        let before = house.registry.state();
        let rehearsed = root.keys.update_key(v1::UpdateKeyRequest { validate_only: true, ..request.clone() }).await;
        assert_eq!(house.registry.state(), before, "{request:?}");
        match (rehearsed, root.keys.update_key(request.clone()).await) {
            (Ok(would_be), Ok(is)) => {
                let (would_be, is) = (would_be.into_inner(), is.into_inner());
                assert_eq!((would_be.purpose, would_be.display_name), (is.purpose, is.display_name));
            }
            (rehearsed, real) => {
                assert_eq!(why(rehearsed), why(real), "{request:?}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 7);
}

#[tokio::test]
async fn a_suspension_is_told_of_each_region_and_is_lifted_again() {
    let house = House::new().await;
    let mut root = house.root();
    let name = made(&house).await.name;
    let suspended = root.keys.suspend_key(suspend(&name)).await.unwrap().into_inner();
    let key = suspended.key.unwrap();
    assert_eq!(key.state(), v1::key::State::Suspended);
    assert!(key.suspension.is_some() && suspended.regions.len() == 2);
    assert!(suspended.regions.iter().all(|one| matches!(one.acceptance, Some(Acceptance::StopTime(_)))));
    let again = root.keys.suspend_key(suspend(&name)).await.unwrap().into_inner();
    assert_eq!(again.key.unwrap().suspension, key.suspension, "once more changes nothing");

    let resumed = root.keys.resume_key(resume(&name)).await.unwrap().into_inner();
    let visible: Vec<_> = resumed.regions.iter().map(|one| (one.region.as_str(), one.visible)).collect();
    assert_eq!(visible, [("eu", true), ("us", true)]);
    let key = resumed.key.unwrap();
    assert!(key.state() == v1::key::State::Active && key.suspension.is_none());
}

#[tokio::test]
async fn a_restriction_holds_until_its_end_or_until_the_key_is_resumed() {
    let house = House::new().await;
    let mut root = house.root();
    let name = made(&house).await.name;
    let restricted = root.keys.restrict_key(restrict(&name)).await.unwrap().into_inner();
    assert!(restricted.regions.iter().all(|one| matches!(one.acceptance, Some(Acceptance::StopTime(_)))));
    let restriction = restricted.key.unwrap().restriction.unwrap();
    assert_eq!((restriction.permissions, restriction.networks), (Some(v1::PermissionList::default()), Vec::new()));
    let lifted = root.keys.resume_key(resume(&name)).await.unwrap().into_inner();
    assert!(lifted.key.unwrap().restriction.is_none());

    root.keys.restrict_key(restrict(&name)).await.unwrap();
    house.registry.advance(latchkey_domain::DurationMillis::from_secs(60));
    let read = root.keys.get_key(v1::GetKeyRequest { name: name.clone() }).await.unwrap().into_inner();
    assert!(read.restriction.is_none(), "its end has come");
    let more = v1::RestrictKeyRequest {
        permissions: Some(v1::PermissionList { permissions: vec!["orders:write".to_owned()] }),
        ..restrict(&name)
    };
    assert_eq!(why(root.keys.restrict_key(more).await), is(Code::FailedPrecondition, "EXCEEDS_KEY"));
}

#[tokio::test]
async fn what_is_dead_or_absent_or_stale_is_neither_suspended_nor_resumed_nor_restricted() {
    let house = House::new().await;
    let mut root = house.root();
    let (name, dead) = (made(&house).await.name, revoked(&house).await.name);
    let absent = format!("{KEYSPACE}/keys/0000000000000000");
    for (name, etag, expected) in [
        (&dead, "", is(Code::FailedPrecondition, "KEY_REVOKED")),
        (&absent, "", is(Code::NotFound, "NOT_FOUND")),
        (&name, "0-0", is(Code::Aborted, "ETAG_MISMATCH")),
    ] {
        for validate_only in [true, false] {
            let etag = etag.to_owned();
            let request = v1::SuspendKeyRequest { etag: etag.clone(), validate_only, ..suspend(name) };
            assert_eq!(why(root.keys.suspend_key(request).await), expected);
            let request = v1::ResumeKeyRequest { etag: etag.clone(), validate_only, ..resume(name) };
            assert_eq!(why(root.keys.resume_key(request).await), expected);
            let request = v1::RestrictKeyRequest { etag, validate_only, ..restrict(name) };
            assert_eq!(why(root.keys.restrict_key(request).await), expected);
        }
    }
}

#[tokio::test]
async fn an_operator_restricts_and_an_issuer_changes_in_his_scope_only() {
    let house = House::new().await;
    let before = made(&house).await;
    let denied = is(Code::PermissionDenied, "PERMISSION_DENIED");
    let (_, mut operator) = house.identity("operator", &[(v1::Duty::Operator, KEYSPACE)]).await;
    let (_, mut issuer) = house.identity("issuer", &[(v1::Duty::Issuer, KEYSPACE)]).await;
    let (_, mut auditor) = house.identity("auditor", &[(v1::Duty::Auditor, "")]).await;
    let change = update(v1::Key { purpose: "new".to_owned(), etag: String::new(), ..before.clone() }, &["purpose"]);
    for clients in [&mut operator, &mut auditor] {
        assert_eq!(why(clients.keys.update_key(change.clone()).await), denied);
    }
    assert!(issuer.keys.update_key(change).await.is_ok());
    assert_eq!(why(auditor.keys.suspend_key(suspend(&before.name)).await), denied);
    assert_eq!(why(auditor.keys.restrict_key(restrict(&before.name)).await), denied);
    assert_eq!(why(auditor.keys.resume_key(resume(&before.name)).await), denied);
    assert!(operator.keys.suspend_key(suspend(&before.name)).await.is_ok());
    assert!(operator.keys.restrict_key(restrict(&before.name)).await.is_ok());
    assert!(operator.keys.resume_key(resume(&before.name)).await.is_ok());
}

#[tokio::test]
async fn a_management_key_is_changed_by_whoever_can_give_what_it_proves_and_not_by_its_identity() {
    let house = House::new().await;
    let (made, mut auditor) = house.identity("auditor", &[(v1::Duty::Auditor, "tenants/acme")]).await;
    let (_, mut other) = house.identity("other", &[(v1::Duty::Issuer, KEYSPACE)]).await;
    let own = v1::Key { purpose: "new".to_owned(), etag: String::new(), ..made.key.unwrap() };
    let denied = other.keys.update_key(update(own.clone(), &["purpose"])).await;
    assert_eq!(why(denied), is(Code::PermissionDenied, "PERMISSION_DENIED"));
    let lifted = auditor.keys.update_key(update(own.clone(), &["networks"])).await;
    assert_eq!(why(lifted), is(Code::PermissionDenied, "PERMISSION_DENIED"));
    assert!(house.root().keys.update_key(update(own, &["purpose"])).await.is_ok());
}

#[tokio::test]
async fn a_key_has_roles_and_a_child_is_within_its_parent() {
    let house = House::new().await;
    let mut root = house.root();
    root.directory.create_role(role("acme", "reader", &["orders:read"])).await.unwrap();
    let reader = vec!["tenants/acme/roles/reader".to_owned()];
    let request = v1::CreateKeyRequest { roles: reader.clone(), ..key() };
    let parent = root.keys.create_key(request).await.unwrap().into_inner().key.unwrap();
    assert_eq!(parent.roles, reader);
    let child = v1::CreateKeyRequest { parent_key: parent.name.clone(), ..key() };
    let made = root.keys.create_key(child.clone()).await.unwrap().into_inner().key.unwrap();
    assert_eq!(made.parent_key, parent.name);

    for (request, reason) in [
        (v1::CreateKeyRequest { permissions: vec!["orders:write".to_owned()], ..child.clone() }, "EXCEEDS_KEY"),
        (v1::CreateKeyRequest { parent_key: made.name, ..child }, "PARENT_NOT_ALLOWED"),
    ] {
        let rehearsal = v1::CreateKeyRequest { validate_only: true, ..request.clone() };
        assert_eq!(why(root.keys.create_key(rehearsal).await), is(Code::FailedPrecondition, reason));
        assert_eq!(why(root.keys.create_key(request).await), is(Code::FailedPrecondition, reason));
    }
    let unknown = v1::CreateKeyRequest { roles: vec!["tenants/acme/roles/none".to_owned()], ..key() };
    assert_eq!(why(root.keys.create_key(unknown).await), is(Code::NotFound, "NOT_FOUND"));
}
