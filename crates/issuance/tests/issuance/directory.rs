//! `DirectoryService`.

use crate::house::{House, KEYSPACE, REQUEST_ID, is, keyspace, owner, tenant, why};
use latchkey_wire::pb::v1;
use prost_types::Duration;
use tonic::Code;

#[tokio::test]
async fn what_was_made_is_read_by_its_name() {
    let house = House::new().await;
    let mut root = house.root();
    let name = |name: &str| name.to_owned();
    let read = root.directory.get_tenant(v1::GetTenantRequest { name: name("tenants/acme") }).await.unwrap();
    assert!(read.into_inner().revision.is_some());
    let read = root.directory.get_keyspace(v1::GetKeyspaceRequest { name: name(KEYSPACE) }).await.unwrap();
    assert_eq!(read.into_inner().staleness_max, Some(Duration { seconds: 5, nanos: 0 }), "the one in force");
    let read = root.directory.get_owner(v1::GetOwnerRequest { name: name("tenants/acme/owners/shop") }).await;
    assert_eq!(read.unwrap().into_inner().name, "tenants/acme/owners/shop");
    let absent = root.directory.get_identity(v1::GetIdentityRequest { name: name("tenants/acme/identities/x") }).await;
    assert_eq!(why(absent), is(Code::NotFound, "NOT_FOUND"));
}

#[tokio::test]
async fn a_name_and_a_prefix_are_taken_once() {
    let house = House::new().await;
    let mut root = house.root();
    let again = root.directory.create_tenant(tenant("acme")).await;
    assert_eq!(why(again), is(Code::AlreadyExists, "ALREADY_EXISTS"));
    let again = root.directory.create_keyspace(keyspace("acme", "other", "acme_live")).await;
    assert_eq!(why(again), is(Code::AlreadyExists, "PREFIX_TAKEN"));
}

#[tokio::test]
async fn a_repeat_makes_no_second_tenant() {
    let house = House::empty().await;
    let mut root = house.root();
    let request = v1::CreateTenantRequest { request_id: REQUEST_ID.to_owned(), ..tenant("acme") };
    let first = root.directory.create_tenant(request.clone()).await.unwrap().into_inner();
    let again = root.directory.create_tenant(request).await.unwrap().into_inner();
    assert_eq!(first.name, again.name);
    let reused = v1::CreateTenantRequest { request_id: REQUEST_ID.to_owned(), ..tenant("other") };
    assert_eq!(why(root.directory.create_tenant(reused).await), is(Code::AlreadyExists, "REQUEST_ID_REUSED"));
}

#[tokio::test]
async fn a_rehearsal_changes_nothing_and_judges_as_the_real_thing_does() {
    let house = House::new().await;
    let (_, mut admin) = house.identity("admin", &[(v1::Duty::Admin, "tenants/acme")]).await;
    let mut short = keyspace("acme", "short", "short");
    short.keyspace.as_mut().unwrap().staleness_max = Some(Duration { seconds: 1, nanos: 0 });
    let grant = |duty: v1::Duty, scope: &str| v1::CreateIdentityRequest {
        parent: "tenants/acme".to_owned(),
        identity_id: "new".to_owned(),
        identity: Some(v1::Identity {
            grants: vec![v1::Grant { duty: duty.into(), scope: scope.to_owned() }],
            ..Default::default()
        }),
        ..Default::default()
    };
    let before = house.registry.state().hashed_at();
    macro_rules! alike {
        ($method:ident, $($request:expr),+) => {$(
            let request = $request;
            let mut rehearsal = request.clone();
            rehearsal.validate_only = true;
            let rehearsed = admin.directory.$method(rehearsal).await.map(|answer| answer.into_inner().name);
            assert_eq!(house.registry.state().hashed_at(), before);
            let clone = house_like(&house).await;
            let mut admin = clone.1;
            let real = admin.directory.$method(request.clone()).await.map(|answer| answer.into_inner().name);
            match (rehearsed, real) {
                (Ok(rehearsed), Ok(real)) => assert_eq!(rehearsed, real),
                (rehearsed, real) => assert_eq!(why(rehearsed), why(real), "{request:?}"),
            }
        )+};
    }
    alike!(create_tenant, tenant("new"), tenant("acme"), tenant("system"));
    alike!(
        create_keyspace,
        keyspace("acme", "new", "new"),
        keyspace("acme", "live", "other"),
        keyspace("other", "new", "new"),
        keyspace("system", "new", "new"),
        short
    );
    alike!(create_owner, owner("acme", "new"), owner("acme", "shop"), owner("other", "new"));
    alike!(
        create_identity,
        grant(v1::Duty::Issuer, "tenants/acme"),
        grant(v1::Duty::Root, "tenants/acme"),
        grant(v1::Duty::Issuer, "tenants/other")
    );
}

/// Another house of the same shape, so that the real thing does not change what is rehearsed next.
async fn house_like(_: &House) -> (House, crate::house::As) {
    let house = House::new().await;
    let (_, admin) = house.identity("admin", &[(v1::Duty::Admin, "tenants/acme")]).await;
    (house, admin)
}

#[tokio::test]
async fn a_page_shows_what_the_grants_cover_and_nothing_else() {
    let house = House::new().await;
    let mut root = house.root();
    root.directory.create_tenant(tenant("other")).await.unwrap();
    root.directory.create_keyspace(keyspace("acme", "test", "acme_test")).await.unwrap();
    let (_, mut acme) = house.identity("auditor", &[(v1::Duty::Auditor, "tenants/acme")]).await;
    let (_, mut live) = house.identity("deploy", &[(v1::Duty::Issuer, KEYSPACE)]).await;

    let tenants = |answer: v1::ListTenantsResponse| answer.tenants.into_iter().map(|one| one.name).collect::<Vec<_>>();
    let all = root.directory.list_tenants(v1::ListTenantsRequest::default()).await.unwrap().into_inner();
    assert_eq!(tenants(all), ["tenants/acme", "tenants/other", "tenants/system"]);
    let own = acme.directory.list_tenants(v1::ListTenantsRequest::default()).await.unwrap().into_inner();
    assert_eq!(tenants(own), ["tenants/acme"]);

    let list = |parent: &str| v1::ListKeyspacesRequest { parent: parent.to_owned(), ..Default::default() };
    let shown = live.directory.list_keyspaces(list("tenants/acme")).await.unwrap().into_inner().keyspaces;
    assert_eq!(shown.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), [KEYSPACE]);
    let denied = is(Code::PermissionDenied, "PERMISSION_DENIED");
    assert_eq!(why(live.directory.list_keyspaces(list("tenants/other")).await), denied);
    let owners = v1::ListOwnersRequest { parent: "tenants/acme".to_owned(), ..Default::default() };
    assert_eq!(why(live.directory.list_owners(owners.clone()).await), denied);
    assert_eq!(acme.directory.list_owners(owners).await.unwrap().into_inner().owners.len(), 1);
}

#[tokio::test]
async fn pages_of_tenants_are_walked_by_their_tokens() {
    let house = House::empty().await;
    let mut root = house.root();
    for id in ["c", "a", "b"] {
        root.directory.create_tenant(tenant(id)).await.unwrap();
    }
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListTenantsRequest { page_size: 2, page_token };
        let page = root.directory.list_tenants(request).await.unwrap().into_inner();
        seen.extend(page.tenants.into_iter().map(|one| one.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, ["tenants/a", "tenants/b", "tenants/c", "tenants/system"]);
}
