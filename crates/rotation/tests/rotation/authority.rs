//! Who may rotate, and who may read rotations.

use crate::house::{House, KEYSPACE, complete, is, rotate, why};
use latchkey_wire::pb::v1;
use tonic::Code;

#[tokio::test]
async fn an_issuer_rotates_in_his_scope_and_others_only_read() {
    let house = House::new().await;
    let denied = is(Code::PermissionDenied, "PERMISSION_DENIED");
    let (key, _) = house.key().await;
    let (_, mut issuer) = house.identity("issuer", &[(v1::Duty::Issuer, KEYSPACE)]).await;
    let (_, mut elsewhere) = house.identity("elsewhere", &[(v1::Duty::Issuer, "tenants/acme/keyspaces/other")]).await;
    let (_, mut operator) = house.identity("operator", &[(v1::Duty::Operator, "tenants/acme")]).await;
    let (_, mut validator) = house.identity("validator", &[(v1::Duty::Validator, "")]).await;

    for clients in [&mut elsewhere, &mut operator, &mut validator] {
        assert_eq!(why(clients.rotation.rotate_key(rotate(&key)).await), denied);
    }
    let rotation = issuer.rotation.rotate_key(rotate(&key)).await.unwrap().into_inner().rotation.unwrap().name;
    let get = v1::GetRotationRequest { name: rotation.clone() };
    let list = v1::ListRotationsRequest { parent: KEYSPACE.to_owned(), ..Default::default() };
    assert!(operator.rotation.get_rotation(get.clone()).await.is_ok());
    assert_eq!(operator.rotation.list_rotations(list.clone()).await.unwrap().into_inner().rotations.len(), 1);
    for clients in [&mut elsewhere, &mut validator] {
        assert_eq!(why(clients.rotation.get_rotation(get.clone()).await), denied);
        assert_eq!(why(clients.rotation.list_rotations(list.clone()).await), denied);
    }
    assert_eq!(why(operator.rotation.complete_rotation(complete(&rotation)).await), denied);
    assert!(issuer.rotation.complete_rotation(complete(&rotation)).await.is_ok());
}

#[tokio::test]
async fn an_identity_rotates_its_own_management_key_without_any_duty() {
    let house = House::new().await;
    let (made, mut auditor) = house.identity("auditor", &[(v1::Duty::Auditor, "tenants/acme")]).await;
    let (other, _) = house.identity("other", &[]).await;
    let own = made.key.unwrap().name;
    let rotated = auditor.rotation.rotate_key(rotate(&own)).await.unwrap().into_inner();
    assert!(rotated.key_text.starts_with("lkm_"));
    // Both texts prove the identity, and the new one goes on with the rotation.
    let mut again = house.with(Some(&rotated.key_text));
    let rotation = rotated.rotation.unwrap().name;
    assert!(again.rotation.complete_rotation(complete(&rotation)).await.is_ok());
    let late = auditor.rotation.complete_rotation(complete(&rotation)).await;
    assert_eq!(why(late), is(Code::Unauthenticated, "IDENTITY_UNKNOWN"));

    let denied = again.rotation.rotate_key(rotate(&other.key.unwrap().name)).await;
    assert_eq!(why(denied), is(Code::PermissionDenied, "PERMISSION_DENIED"));
}

#[tokio::test]
async fn whoever_rotates_another_s_management_key_must_be_able_to_give_all_that_it_proves() {
    let house = House::new().await;
    let (_, mut issuer) = house.identity("issuer", &[(v1::Duty::Issuer, "tenants/acme")]).await;
    let (admin, _) = house.identity("admin", &[(v1::Duty::Admin, "tenants/acme")]).await;
    let (deploy, _) = house.identity("deploy", &[(v1::Duty::Issuer, KEYSPACE)]).await;
    let refused = issuer.rotation.rotate_key(rotate(&admin.key.unwrap().name)).await;
    assert_eq!(why(refused), is(Code::PermissionDenied, "GRANT_EXCEEDS_CALLER"));
    assert!(issuer.rotation.rotate_key(rotate(&deploy.key.unwrap().name)).await.is_ok());
}
