//! What takes a key out of use, without issuance.

use crate::house::{ask, by, reason, stranger};
use crate::validating::{refused, validate};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::issuance_service_client::IssuanceServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;

/// Attempts of one address in a minute.
const ATTEMPTS: usize = 10;

pub(crate) async fn a_key_is_revoked_without_issuance(channel: &Channel, root: &str, validator: &str) {
    let name = validate(channel, root, ask(validator)).await.key;
    let mut client = IssuanceServiceClient::new(channel.clone());
    let elsewhere = client.create_key(by(root, v1::CreateKeyRequest::default())).await.unwrap_err();
    assert_eq!((elsewhere.code(), reason(&elsewhere).as_str()), (Code::Unimplemented, "NOT_SERVED_HERE"));

    let reason = v1::RevocationReason::Compromised.into();
    let request = v1::RevokeKeyRequest { name, reason, ..Default::default() };
    let revoked = client.revoke_key(by(root, request)).await.unwrap().into_inner();
    assert!(revoked.immediate);
    let answer = validate(channel, root, ask(validator)).await;
    assert_eq!(answer.outcome(), v1::Outcome::Revoked);
    let caller = refused(channel, by(validator, ask(root))).await;
    assert_eq!(caller, (Code::Unauthenticated, "IDENTITY_UNKNOWN".to_owned()));
}

pub(crate) async fn a_key_is_suspended_without_issuance(channel: &Channel, root: &str, suspended: &str) {
    let name = validate(channel, root, ask(suspended)).await.key;
    let mut client = IssuanceServiceClient::new(channel.clone());
    let request = v1::SuspendKeyRequest { name, ..Default::default() };
    let told = client.suspend_key(by(root, request)).await.unwrap().into_inner();
    assert_eq!(told.key.unwrap().state(), v1::key::State::Suspended);
    assert_eq!(validate(channel, root, ask(suspended)).await.outcome(), v1::Outcome::Suspended);
}

/// As somebody without an identity.
async fn revoke_by_text(channel: &Channel, key_text: &str) -> Result<v1::RevokeKeyResponse, Status> {
    let request = v1::RevokeKeyRequest { key_text: key_text.to_owned(), ..Default::default() };
    IssuanceServiceClient::new(channel.clone()).revoke_key(Request::new(request)).await.map(tonic::Response::into_inner)
}

/// The name of the key that was revoked.
pub(crate) async fn whoever_holds_a_key_revokes_it_by_its_text(channel: &Channel, root: &str, found: &str) -> String {
    let revoked = revoke_by_text(channel, found).await.unwrap();
    assert!(revoked.immediate && !revoked.regions.is_empty());
    let key = revoked.key.unwrap();
    assert_eq!((key.state(), key.owner.as_str()), (v1::key::State::Revoked, ""), "whose it was is not told");
    let validated = validate(channel, root, ask(found)).await;
    assert_eq!((validated.outcome(), &validated.key), (v1::Outcome::Revoked, &key.name));

    let unknown = revoke_by_text(channel, &stranger()).await.unwrap_err();
    let told = (unknown.code(), unknown.message(), reason(&unknown));
    assert_eq!(told, (Code::NotFound, "there is no such key", "NOT_FOUND".to_owned()));
    for text in [found, "nonsense", "lkm_0000000000000000_secret"] {
        let other = revoke_by_text(channel, text).await.unwrap_err();
        let bytes = |status: &Status| (status.code(), status.message().to_owned(), status.details().to_vec());
        assert_eq!(bytes(&other), bytes(&unknown), "a text that was good once reads as any other");
    }
    for _ in 5..ATTEMPTS {
        assert_eq!(revoke_by_text(channel, "nonsense").await.unwrap_err().code(), Code::NotFound);
    }
    let held_up = revoke_by_text(channel, "nonsense").await.unwrap_err();
    assert_eq!((held_up.code(), reason(&held_up).as_str()), (Code::ResourceExhausted, "TOO_MANY_ATTEMPTS"));
    let retry = held_up.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(retry.as_secs() <= 60 && !retry.is_zero());
    let named = v1::RevokeKeyRequest { name: "nobody".to_owned(), ..Default::default() };
    let named = IssuanceServiceClient::new(channel.clone()).revoke_key(by(root, named)).await.unwrap_err();
    assert_eq!(named.code(), Code::InvalidArgument, "who proves an identity is not counted");
    key.name
}
