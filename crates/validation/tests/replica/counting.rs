//! The use of a key that rotates is counted on each way that leads to an answer, and of no other key.

use crate::house::{ask, by};
use latchkey_crypto::{Inner, Secret, compose, draw, draw_rotation_id, draw_version_id, parse};
use latchkey_domain::{DurationMillis, IdentityName, KeyName, Prefix, ReasonText, VersionId};
use latchkey_registry::Registry;
use latchkey_state::{Actor, Command, NewVersion, Operation, RotateKey, bootstrap_ring};
use latchkey_telemetry::OsEntropy;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::consistency::{FullyConsistent, Requirement};
use latchkey_wire::pb::v1::validation_service_client::ValidationServiceClient;
use std::time::Duration;
use tokio::time::Instant;
use tokio_stream::StreamExt as _;
use tonic::Request;
use tonic::transport::Channel;

/// Gives the key of this text another version, beside which the old one is accepted for an hour: the new text.
async fn rotate(registry: &Registry, key_text: &str) -> String {
    let soon = Instant::now() + Duration::from_secs(30);
    let key: KeyName = latchkey_link::Registry::authenticate(registry, key_text, None, soon).await.unwrap().key;
    let (new, secret) = (draw_version_id(&mut OsEntropy), Secret::draw(&mut OsEntropy));
    let digest = registry.core().peppers()[&bootstrap_ring::PEPPER].digest(&Inner::of(new, &secret));
    let rotate = RotateKey {
        key,
        rotation: draw_rotation_id(&mut OsEntropy),
        new: NewVersion { id: new, pepper: bootstrap_ring::PEPPER, digest, inner: [0; 101] },
        overlap: DurationMillis::from_secs(3_600),
        text: ReasonText::default(),
        etag: None,
        replay: None,
        emergency: false,
        course: None,
    };
    let root = Actor::Identity(IdentityName::parse("tenants/system/identities/root").unwrap());
    let command = Command::new(root, draw(&mut OsEntropy), Operation::RotateKey(Box::new(rotate)));
    let proposed = latchkey_link::Registry::propose(registry, &command, soon).await.unwrap();
    assert!(proposed.answer.is_ok(), "{:?}", proposed.answer);
    compose(&Prefix::parse("lkm").unwrap(), new, &secret).expose().to_owned()
}

fn asked(key_text: &str, user_agent: &str) -> v1::ValidateKeyRequest {
    let context = v1::RequestContext {
        client_ip: "192.0.2.77".to_owned(),
        user_agent: user_agent.to_owned(),
        tags: [("job".to_owned(), "nightly".to_owned())].into(),
        ..Default::default()
    };
    v1::ValidateKeyRequest { context: Some(context), ..ask(key_text) }
}

/// Validates on each way, and looks at what was counted. `rotating` and `other` are keys that may not validate.
pub(crate) async fn each_use_of_a_key_that_rotates_is_counted_once(
    channel: &Channel,
    registry: &Registry,
    (root, validator, rotating, other): (&str, &str, &str, &str),
) {
    let id = |text: &str| -> VersionId { parse(text).unwrap().version };
    let count = |text: &str| registry.own_evidence().of(id(text)).count;
    let mut client = ValidationServiceClient::new(channel.clone());
    client.validate_key(by(validator, asked(rotating, "before"))).await.unwrap();
    assert_eq!(count(rotating), 0, "it does not rotate yet");
    let new = rotate(registry, rotating).await;

    // At once, and the way of those who ask for a recent state.
    let valid = client.validate_key(by(validator, asked(rotating, "one"))).await.unwrap().into_inner();
    assert!(valid.rotation.is_some(), "whoever sends it is told to move");
    let consistency = Some(v1::Consistency { requirement: Some(Requirement::FullyConsistent(FullyConsistent {})) });
    let recent = v1::ValidateKeyRequest { consistency, ..asked(rotating, "one") };
    client.validate_key(by(validator, recent.clone())).await.unwrap();
    assert_eq!(count(rotating), 2);

    // Whatever the outcome.
    let refused = v1::ValidateKeyRequest { permission_query: "orders:read".to_owned(), ..asked(rotating, "refused") };
    let refused = client.validate_key(by(validator, refused)).await.unwrap().into_inner();
    assert_eq!((refused.outcome(), count(rotating)), (v1::Outcome::InsufficientPermissions, 3));

    // Batches on both ways, and a stream.
    let item = |request| v1::BatchValidateKeysItem { id: "a".to_owned(), request: Some(request) };
    for request in [asked(rotating, "batch"), recent] {
        let other = v1::BatchValidateKeysItem { id: "b".to_owned(), request: Some(ask(other)) };
        let items = vec![item(request), other];
        client.batch_validate_keys(by(validator, v1::BatchValidateKeysRequest { items })).await.unwrap();
    }
    assert_eq!(count(rotating), 5);
    let items = [asked(rotating, "stream"), asked(&new, "stream")]
        .map(|request| v1::StreamValidateKeysRequest { id: "a".to_owned(), request: Some(request) });
    let answers = client.stream_validate_keys(by(validator, tokio_stream::iter(items))).await.unwrap().into_inner();
    let answers: Vec<_> = answers.collect().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 2);
    assert_eq!((count(rotating), count(&new)), (6, 1));

    // Whoever calls with it uses it, whether he may or not.
    client.validate_key(by(rotating, ask(other))).await.unwrap_err();
    assert_eq!(count(rotating), 7);

    // What is explained is used by nobody, and neither is what is not proved.
    let explain =
        v1::ExplainValidationRequest { request: Some(asked(rotating, "explain")), reason_text: String::new() };
    client.explain_validation(by(root, explain)).await.unwrap();
    let (start, last) = rotating.split_at(rotating.len() - 1);
    let forged = format!("{start}{}", if last == "0" { "1" } else { "0" });
    client.validate_key(by(validator, asked(&forged, "forged"))).await.unwrap();
    client.validate_key(Request::new(asked(rotating, "nobody"))).await.unwrap_err();
    assert_eq!((count(rotating), count(other), count(validator)), (7, 0, 0));

    let seen = registry.own_evidence().of(id(rotating));
    let mut agents: Vec<_> = seen.callers.iter().map(|one| (&*one.user_agent, one.count)).collect();
    agents.sort_unstable();
    assert_eq!(agents, [("", 1), ("batch", 1), ("one", 3), ("refused", 1), ("stream", 1)]);
    let named = seen.callers.iter().find(|one| &*one.user_agent == "one").unwrap();
    assert_eq!(named.network.unwrap().to_string(), "192.0.2.0/24");
    assert_eq!(named.tags, ["job=nightly".into()]);
}
