//! Changing and deleting what the directory holds, and roles.

use crate::house::{House, KEYSPACE, REQUEST_ID, is, key, keyspace, owner, role, tenant, why};
use latchkey_wire::pb::v1;
use prost_types::{Duration, FieldMask};
use tonic::Code;

#[expect(clippy::unnecessary_wraps, reason = "as the requests hold it")]
fn mask(paths: &[&str]) -> Option<FieldMask> {
    Some(FieldMask { paths: paths.iter().map(ToString::to_string).collect() })
}

/// Calls with `validate_only`, and then really; both are refused alike, or both change to the same.
macro_rules! alike {
    ($house:ident, $clients:expr, $method:ident, $request:expr) => {{
        let request = $request;
        let mut rehearsal = request.clone();
        rehearsal.validate_only = true;
        let before = $house.registry.state();
        let rehearsed = $clients.directory.$method(rehearsal).await.map(|answer| answer.into_inner());
        assert_eq!($house.registry.state(), before, "a rehearsal changes nothing: {request:?}");
        let real = $clients.directory.$method(request.clone()).await.map(|answer| answer.into_inner());
        match (rehearsed, real) {
            (Ok(_), Ok(real)) => Ok(real),
            (rehearsed, real) => {
                let reason = why(real);
                assert_eq!(why(rehearsed), reason, "{request:?}");
                Err(reason)
            }
        }
    }};
}

#[tokio::test]
async fn each_kind_is_changed_where_the_mask_says_so() {
    let house = House::new().await;
    let mut root = house.root();
    root.directory.create_role(role("acme", "reader", &["orders:read"])).await.unwrap();
    let name = |name: &str| name.to_owned();
    let quotas = v1::TenantQuotas { owners: Some(1), ..Default::default() };
    let changed = v1::Tenant { name: name("tenants/acme"), quotas: Some(quotas), ..Default::default() };
    let request =
        v1::UpdateTenantRequest { tenant: Some(changed), update_mask: mask(&["quotas"]), ..Default::default() };
    let tenant = alike!(house, root, update_tenant, request).unwrap();
    assert_eq!(tenant.quotas, Some(quotas));
    assert_eq!(why(root.directory.create_owner(owner("acme", "second")).await).1, "QUOTA_EXCEEDED");

    let staleness_max = Some(Duration { seconds: 7, nanos: 0 });
    let changed = v1::Keyspace { name: name(KEYSPACE), staleness_max, ..Default::default() };
    let update_mask = mask(&["staleness_max", "allowed_permissions"]);
    let request = v1::UpdateKeyspaceRequest { keyspace: Some(changed), update_mask, ..Default::default() };
    let keyspace = alike!(house, root, update_keyspace, request).unwrap();
    assert_eq!((keyspace.staleness_max, keyspace.allowed_permissions.len()), (staleness_max, 0), "cleared: any");
    assert_eq!(keyspace.prefix, "acme_live");

    let contacts = vec![name("ops@acme.example")];
    let changed =
        v1::Owner { name: name("tenants/acme/owners/shop"), contacts: contacts.clone(), ..Default::default() };
    let request =
        v1::UpdateOwnerRequest { owner: Some(changed), update_mask: mask(&["contacts"]), ..Default::default() };
    assert_eq!(alike!(house, root, update_owner, request).unwrap().contacts, contacts);

    let permissions = vec![name("orders:*")];
    let changed =
        v1::Role { name: name("tenants/acme/roles/reader"), permissions: permissions.clone(), ..Default::default() };
    let request =
        v1::UpdateRoleRequest { role: Some(changed), update_mask: mask(&["permissions"]), ..Default::default() };
    assert_eq!(alike!(house, root, update_role, request).unwrap().permissions, permissions);

    house.identity("deploy", &[(v1::Duty::Issuer, KEYSPACE)]).await;
    let changed = v1::Identity { name: name("tenants/acme/identities/deploy"), ..Default::default() };
    let request =
        v1::UpdateIdentityRequest { identity: Some(changed), update_mask: mask(&["grants"]), ..Default::default() };
    assert!(alike!(house, root, update_identity, request).unwrap().grants.is_empty());
}

#[tokio::test]
async fn an_etag_and_a_request_id_hold_for_changes_and_deletions() {
    let house = House::new().await;
    let mut root = house.root();
    let shop = "tenants/acme/owners/shop".to_owned();
    let read = root.directory.get_owner(v1::GetOwnerRequest { name: shop.clone() }).await.unwrap().into_inner();
    let changed = v1::Owner { display_name: "Shop".to_owned(), ..read.clone() };
    let request = v1::UpdateOwnerRequest {
        owner: Some(changed),
        update_mask: mask(&["display_name"]),
        request_id: REQUEST_ID.to_owned(),
        ..Default::default()
    };
    let first = root.directory.update_owner(request.clone()).await.unwrap().into_inner();
    assert_ne!(first.etag, read.etag);
    assert_eq!(root.directory.update_owner(request.clone()).await.unwrap().into_inner().etag, first.etag);
    let stale = v1::UpdateOwnerRequest { request_id: String::new(), ..request };
    assert_eq!(why(root.directory.update_owner(stale).await), is(Code::Aborted, "ETAG_MISMATCH"));

    let stale = v1::DeleteOwnerRequest { name: shop.clone(), etag: read.etag, ..Default::default() };
    assert_eq!(why(root.directory.delete_owner(stale).await), is(Code::Aborted, "ETAG_MISMATCH"));
    let request_id = "6f1c6f0e-8a53-4c55-9c7b-9b2b2f0f3a52".to_owned();
    let current = v1::DeleteOwnerRequest { name: shop, etag: first.etag, request_id, ..Default::default() };
    root.directory.delete_owner(current.clone()).await.unwrap();
    root.directory.delete_owner(current.clone()).await.unwrap();
    let again = v1::DeleteOwnerRequest { request_id: String::new(), ..current };
    assert_eq!(why(root.directory.delete_owner(again).await), is(Code::NotFound, "NOT_FOUND"));
}

#[tokio::test]
async fn what_holds_something_that_lives_is_not_deleted_and_what_is_reserved_never() {
    let house = House::new().await;
    let mut root = house.root();
    root.directory.create_role(role("acme", "reader", &["orders:read"])).await.unwrap();
    house.identity("deploy", &[]).await;
    let roles = vec!["tenants/acme/roles/reader".to_owned()];
    let made = root.keys.create_key(v1::CreateKeyRequest { roles, ..key() }).await.unwrap().into_inner();
    let not_empty = Err(is(Code::FailedPrecondition, "NOT_EMPTY"));
    let reserved = Err(is(Code::FailedPrecondition, "RESERVED"));
    macro_rules! delete {
        ($method:ident, $request:ident, $name:expr) => {
            alike!(house, root, $method, v1::$request { name: $name.to_owned(), ..Default::default() })
        };
    }
    assert_eq!(delete!(delete_owner, DeleteOwnerRequest, "tenants/acme/owners/shop"), not_empty);
    assert_eq!(delete!(delete_keyspace, DeleteKeyspaceRequest, KEYSPACE), not_empty);
    assert_eq!(delete!(delete_role, DeleteRoleRequest, "tenants/acme/roles/reader"), not_empty);
    assert_eq!(delete!(delete_identity, DeleteIdentityRequest, "tenants/acme/identities/deploy"), not_empty);
    assert_eq!(delete!(delete_tenant, DeleteTenantRequest, "tenants/acme"), not_empty);
    assert_eq!(delete!(delete_role, DeleteRoleRequest, "tenants/acme/roles/admin"), reserved);
    assert_eq!(delete!(delete_tenant, DeleteTenantRequest, "tenants/system"), reserved);
    assert_eq!(delete!(delete_identity, DeleteIdentityRequest, "tenants/system/identities/root"), reserved);
    assert_eq!(delete!(delete_keyspace, DeleteKeyspaceRequest, crate::house::MANAGEMENT), reserved);

    let reason = v1::RevocationReason::OwnerLeft.into();
    let name = made.key.unwrap().name;
    root.keys.revoke_key(v1::RevokeKeyRequest { name, reason, ..Default::default() }).await.unwrap();
    assert_eq!(delete!(delete_keyspace, DeleteKeyspaceRequest, KEYSPACE), Ok(()));
    assert_eq!(delete!(delete_owner, DeleteOwnerRequest, "tenants/acme/owners/shop"), Ok(()));
    assert_eq!(delete!(delete_role, DeleteRoleRequest, "tenants/acme/roles/reader"), Ok(()));
    // The prefix is free again.
    assert!(root.directory.create_keyspace(keyspace("acme", "live", "acme_live")).await.is_ok());
}

#[tokio::test]
async fn an_admin_of_a_tenant_neither_deletes_it_nor_lifts_its_bounds_and_no_issuer_changes_anything() {
    let house = House::new().await;
    let denied = is(Code::PermissionDenied, "PERMISSION_DENIED");
    let (_, mut admin) = house.identity("admin", &[(v1::Duty::Admin, "tenants/acme")]).await;
    let (_, mut issuer) = house.identity("issuer", &[(v1::Duty::Issuer, "tenants/acme")]).await;
    let delete = v1::DeleteTenantRequest { name: "tenants/acme".to_owned(), ..Default::default() };
    assert_eq!(why(admin.directory.delete_tenant(delete).await), denied);
    let update = |paths: &[&str]| v1::UpdateTenantRequest {
        tenant: Some(v1::Tenant { name: "tenants/acme".to_owned(), ..Default::default() }),
        update_mask: mask(paths),
        ..Default::default()
    };
    assert_eq!(why(admin.directory.update_tenant(update(&["quotas"])).await), denied);
    assert!(admin.directory.update_tenant(update(&["display_name"])).await.is_ok());
    assert_eq!(why(issuer.directory.update_tenant(update(&["display_name"])).await), denied);
    assert_eq!(why(issuer.directory.create_role(role("acme", "reader", &[])).await), denied);
    let delete = v1::DeleteOwnerRequest { name: "tenants/acme/owners/shop".to_owned(), ..Default::default() };
    assert_eq!(why(issuer.directory.delete_owner(delete.clone()).await), denied);
    assert!(admin.directory.delete_owner(delete).await.is_ok());

    // He may not take from root what he could not give.
    let root = v1::Identity { name: "tenants/system/identities/root".to_owned(), ..Default::default() };
    let update =
        v1::UpdateIdentityRequest { identity: Some(root), update_mask: mask(&["grants"]), ..Default::default() };
    assert_eq!(why(admin.directory.update_identity(update).await), denied);
}

#[tokio::test]
async fn roles_are_listed_with_those_that_every_tenant_has() {
    let house = House::new().await;
    let mut root = house.root();
    for id in ["writer", "reader"] {
        root.directory.create_role(role("acme", id, &["orders:read"])).await.unwrap();
    }
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListRolesRequest { parent: "tenants/acme".to_owned(), page_size: 2, page_token };
        let page = root.directory.list_roles(request).await.unwrap().into_inner();
        seen.extend(page.roles.into_iter().map(|role| (role.name, role.built_in)));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let role_name = |id: &str| format!("tenants/acme/roles/{id}");
    let expected = [("admin", true), ("read-only", true), ("reader", false), ("standard", true), ("writer", false)];
    assert_eq!(seen, expected.map(|(id, built_in)| (role_name(id), built_in)));
    let read = root.directory.get_role(v1::GetRoleRequest { name: role_name("read-only") }).await.unwrap().into_inner();
    assert_eq!((read.built_in, read.methods), (true, vec!["GET".to_owned(), "HEAD".to_owned()]));
    let taken = root.directory.create_role(role("acme", "standard", &[])).await;
    assert_eq!(why(taken), is(Code::FailedPrecondition, "RESERVED"));
}

#[tokio::test]
async fn a_rehearsal_knows_prefixes_and_quotas() {
    let house = House::new().await;
    let mut root = house.root();
    root.directory.create_tenant(tenant("other")).await.unwrap();
    let taken = alike!(house, root, create_keyspace, keyspace("other", "live", "acme_live"));
    assert_eq!(taken.map(|keyspace| keyspace.name), Err(is(Code::AlreadyExists, "PREFIX_TAKEN")));
    let quotas = Some(v1::TenantQuotas { keyspaces: Some(0), ..Default::default() });
    let other = v1::Tenant { name: "tenants/other".to_owned(), quotas, ..Default::default() };
    let update = v1::UpdateTenantRequest { tenant: Some(other), update_mask: mask(&["quotas"]), ..Default::default() };
    root.directory.update_tenant(update).await.unwrap();
    let full = alike!(house, root, create_keyspace, keyspace("other", "live", "other_live"));
    assert_eq!(full.map(|keyspace| keyspace.name), Err(is(Code::ResourceExhausted, "QUOTA_EXCEEDED")));
}
