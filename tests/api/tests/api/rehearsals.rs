//! `validate_only` checks everything and changes nothing.

use latchkey_api::requests::{self, request_id};
use latchkey_api::{Furniture, World, why};
use latchkey_wire::pb::v1::{self, Outcome};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_answers_and_leaves_the_world_as_it_was() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    let (world, events) = (World::see(&mut root).await, house.change_count().await);

    macro_rules! rehearse {
        ($service:ident.$method:ident($request:expr)) => {{
            let mut request = $request;
            request.validate_only = true;
            request.request_id = request_id(1);
            root.$service.$method(request).await.expect(stringify!($method)).into_inner()
        }};
    }
    assert_eq!(rehearse!(directory.create_tenant(requests::tenant("new"))).name, "tenants/new");
    assert_eq!(
        rehearse!(directory.create_keyspace(requests::keyspace("acme", "new", "new"))).name,
        "tenants/acme/keyspaces/new"
    );
    assert_eq!(rehearse!(directory.create_owner(requests::owner("acme", "new"))).name, "tenants/acme/owners/new");
    let grants = [(v1::Duty::Issuer, "tenants/acme")];
    assert_eq!(
        rehearse!(directory.create_identity(requests::identity("acme", "new", &grants))).name,
        "tenants/acme/identities/new"
    );
    let one = rehearse!(keys.create_key(requests::key()));
    assert!(one.key_text.is_empty() && one.version.is_empty() && one.regions.is_empty() && !one.replayed);
    assert!(one.key.unwrap().name.is_empty() && one.revision.is_some());
    let many = rehearse!(keys.batch_create_keys(requests::keys(3)));
    assert!(many.keys.len() == 3 && many.keys.iter().all(|one| one.key_text.is_empty()));
    let revoked = rehearse!(keys.revoke_key(requests::revoke(furniture.key_name())));
    assert_eq!(revoked.key.as_ref().unwrap().state(), v1::key::State::Revoked);
    assert!(revoked.immediate && revoked.regions.is_empty() && !revoked.replayed);
    let at_validation = rehearse!(revocation.revoke_key(requests::revoke(furniture.key_name())));
    assert_eq!(at_validation.versions, revoked.versions);

    assert_eq!(World::see(&mut root).await, world);
    assert_eq!(house.change_count().await, events);
    let answer = root.validation.validate_key(requests::validate(&furniture.made.key_text)).await.unwrap();
    assert_eq!(answer.into_inner().outcome(), Outcome::Valid);
    // A rehearsal is not the first try of anything: its id is free.
    let real = v1::CreateKeyRequest { request_id: request_id(1), ..requests::key() };
    assert!(!root.keys.create_key(real).await.unwrap().into_inner().key_text.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rehearsal_is_refused_as_the_real_thing_would_be() {
    let (house, furniture) = Furniture::house().await;
    let mut root = house.root();
    macro_rules! alike {
        ($service:ident.$method:ident($request:expr), $code:ident) => {{
            let real = $request;
            let mut rehearsal = real.clone();
            rehearsal.validate_only = true;
            let rehearsed = why(root.$service.$method(rehearsal).await);
            assert_eq!(rehearsed.code, Code::$code, "{rehearsed:?}");
            assert_eq!(rehearsed, why(root.$service.$method(real).await));
        }};
    }
    alike!(directory.create_tenant(requests::tenant("acme")), AlreadyExists);
    alike!(directory.create_tenant(requests::tenant("Acme")), InvalidArgument);
    alike!(directory.create_keyspace(requests::keyspace("acme", "orders", "new")), AlreadyExists);
    alike!(directory.create_keyspace(requests::keyspace("nobody", "new", "new")), NotFound);
    alike!(directory.create_owner(requests::owner("acme", "shop")), AlreadyExists);
    let beyond = v1::CreateKeyRequest { permissions: vec!["billing:read".to_owned()], ..requests::key() };
    alike!(keys.create_key(beyond), FailedPrecondition);
    let nobody = v1::CreateKeyRequest { owner: "tenants/acme/owners/nobody".to_owned(), ..requests::key() };
    alike!(keys.create_key(nobody), NotFound);
    let stale = v1::RevokeKeyRequest { etag: "stale".to_owned(), ..requests::revoke(furniture.key_name()) };
    alike!(keys.revoke_key(stale), Aborted);
    let nothing = requests::revoke("tenants/acme/keyspaces/orders/keys/0000000000000000");
    alike!(keys.revoke_key(nothing), NotFound);
}
