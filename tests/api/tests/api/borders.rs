//! Nothing crosses the border of a tenant.

use latchkey_api::requests::{self, KEYSPACE, MANAGEMENT};
use latchkey_api::{Clients, Furniture, Why, why};
use latchkey_wire::pb::v1::{self, Outcome};
use prost::Message as _;
use tonic::Code;

/// An answer as its bytes, without what tells the moment.
async fn answer(clients: &mut Clients, request: v1::ValidateKeyRequest) -> (Outcome, Vec<u8>) {
    let mut answer = clients.validation.validate_key(request).await.unwrap().into_inner();
    if let Some(basis) = &mut answer.decision_basis {
        basis.age = None;
    }
    answer.checked_at = None;
    (answer.outcome(), answer.encode_to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_of_another_tenant_reads_like_one_that_never_was_and_like_a_wrong_secret() {
    let (house, furniture) = Furniture::house().await;
    let (_, mut theirs) = house.identity("rival", "validator", &[(v1::Duty::Validator, "tenants/rival")]).await;
    assert_eq!(answer(&mut theirs, requests::validate(&furniture.rival.key_text)).await.0, Outcome::Valid);

    // Key texts whose checksum is right: one that another cluster made, and so is known to nobody here.
    let (_, elsewhere) = Furniture::house().await;
    let unknown = answer(&mut theirs, requests::validate(&elsewhere.made.key_text)).await;
    assert_eq!(unknown.0, Outcome::NotFound);
    assert_eq!(answer(&mut theirs, requests::validate(&furniture.made.key_text)).await, unknown);
    let asked =
        v1::ValidateKeyRequest { keyspace: KEYSPACE.to_owned(), ..requests::validate(&furniture.made.key_text) };
    let not_theirs = v1::ValidateKeyRequest { key_text: elsewhere.made.key_text.clone(), ..asked.clone() };
    assert_eq!(answer(&mut theirs, asked).await, answer(&mut theirs, not_theirs).await);

    // A revoked key of another is no more to be seen than a live one.
    house.root().keys.revoke_key(requests::revoke(furniture.key_name())).await.unwrap();
    assert_eq!(answer(&mut theirs, requests::validate(&furniture.made.key_text)).await, unknown);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validator_of_a_sibling_or_of_another_tenant_gets_the_same_bytes_for_every_outcome() {
    let (house, furniture) = Furniture::house().await;
    let sibling = "tenants/acme/keyspaces/sibling";
    house.root().directory.create_keyspace(requests::keyspace("acme", "sibling", "sibling")).await.unwrap();
    house.root().directory.create_keyspace(requests::keyspace("rival", "other", "other")).await.unwrap();
    let (_, of_sibling) = house.identity("acme", "sibling", &[(v1::Duty::Validator, sibling)]).await;
    let (_, of_nobody) =
        house.identity("rival", "elsewhere", &[(v1::Duty::Validator, "tenants/rival/keyspaces/other")]).await;
    let (asked, brief) = crate::outcomes::requests_of_each(&house, &furniture).await;
    let (_, elsewhere) = Furniture::house().await;
    let unknown_text = &elsewhere.made.key_text;
    // The key that lives for a millisecond is dead before anybody else asks for it.
    while answer(&mut house.root(), requests::validate(&brief)).await.0 == Outcome::Valid {}

    let mut compared = 0;
    for mut validator in [of_sibling, of_nobody] {
        for keyspace in ["", KEYSPACE, sibling] {
            for request in &asked {
                // Of another length is what anybody sees by himself, and what is malformed is not looked up.
                let malformed = !request.key_text.contains("_live_") || request.key_text == furniture.rival.key_text;
                if malformed {
                    continue;
                }
                let request = v1::ValidateKeyRequest { keyspace: keyspace.to_owned(), ..request.clone() };
                let unknown = v1::ValidateKeyRequest { key_text: unknown_text.clone(), ..request.clone() };
                let found = tried(&mut validator, request.clone()).await;
                assert_eq!(found, tried(&mut validator, unknown).await, "asked for {keyspace:?}: {request:?}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 2 * 3 * 9, "only {compared} answers were compared");
}

/// An answer as its bytes, or why there is none.
async fn tried(clients: &mut Clients, request: v1::ValidateKeyRequest) -> Result<(Outcome, Vec<u8>), Why> {
    match clients.validation.validate_key(request.clone()).await {
        Ok(_) => Ok(answer(clients, request).await),
        Err(status) => Err(Why::read(&status)),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_admin_of_one_tenant_reads_and_changes_nothing_of_another() {
    let (house, furniture) = Furniture::house().await;
    let grants = [(v1::Duty::Admin, "tenants/rival"), (v1::Duty::Issuer, "tenants/rival")];
    let (_, mut theirs) = house.identity("rival", "admin", &grants).await;
    let denied = Why::new(Code::PermissionDenied, "PERMISSION_DENIED", &[]);
    let name = || furniture.key_name().to_owned();

    assert_eq!(why(theirs.keys.create_key(requests::key()).await), denied);
    assert_eq!(why(theirs.keys.get_key(v1::GetKeyRequest { name: name() }).await), denied);
    assert_eq!(why(theirs.keys.list_keys(requests::list_keys(KEYSPACE)).await), denied);
    assert_eq!(why(theirs.keys.revoke_key(requests::revoke(&name())).await), denied);
    assert_eq!(why(theirs.revocation.revoke_key(requests::revoke(&name())).await), denied);
    assert_eq!(why(theirs.directory.create_owner(requests::owner("acme", "new")).await), denied);
    // What is not there is denied in the same words, so that nobody finds out which tenants there are.
    assert_eq!(why(theirs.directory.create_owner(requests::owner("nobody", "new")).await), denied);

    let root_key = house.root().keys.list_keys(requests::list_keys(MANAGEMENT)).await.unwrap().into_inner();
    let root_key = root_key.keys.iter().find(|key| key.owner.ends_with("/root")).unwrap();
    assert_eq!(why(theirs.revocation.revoke_key(requests::revoke(&root_key.name)).await), denied);

    let mixed = v1::CreateKeyRequest {
        parent: KEYSPACE.replace("acme", "rival"),
        owner: requests::OWNER.to_owned(),
        ..requests::key()
    };
    let refused = why(theirs.keys.create_key(mixed).await);
    assert_eq!(refused.code, Code::FailedPrecondition, "an owner of another tenant: {refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gives_away_more_than_he_holds() {
    let (house, _) = Furniture::house().await;
    let (_, mut admin) = house.identity("acme", "admin", &[(v1::Duty::Admin, "tenants/acme")]).await;
    let exceeds = Why::new(Code::PermissionDenied, "GRANT_EXCEEDS_CALLER", &[]);
    for grant in [
        (v1::Duty::Root, "tenants/acme"),
        (v1::Duty::Root, ""),
        (v1::Duty::Issuer, "tenants/rival"),
        (v1::Duty::Auditor, ""),
    ] {
        let asked = requests::identity("acme", "new", &[grant]);
        assert_eq!(why(admin.directory.create_identity(asked).await), exceeds, "{grant:?}");
    }
    let asked = requests::identity("acme", "new", &[(v1::Duty::Issuer, "tenants/acme")]);
    assert!(admin.directory.create_identity(asked).await.is_ok());
}
