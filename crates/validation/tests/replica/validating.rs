//! One key, and a batch of them.

use crate::house::{ask, by, reason, stranger};
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::consistency::{AtLeastAsFresh, FullyConsistent, Requirement};
use latchkey_wire::pb::v1::validate_key_result::Result as ItemResult;
use latchkey_wire::pb::v1::validation_service_client::ValidationServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Request};
use tonic_types::StatusExt as _;

pub(crate) async fn validate(
    channel: &Channel,
    caller: &str,
    request: v1::ValidateKeyRequest,
) -> v1::ValidateKeyResponse {
    ValidationServiceClient::new(channel.clone()).validate_key(by(caller, request)).await.unwrap().into_inner()
}

pub(crate) async fn refused(channel: &Channel, request: Request<v1::ValidateKeyRequest>) -> (Code, String) {
    let status = ValidationServiceClient::new(channel.clone()).validate_key(request).await.unwrap_err();
    (status.code(), reason(&status))
}

pub(crate) async fn callers_are_told_apart(channel: &Channel, root: &str, auditor: &str) {
    let missing = refused(channel, Request::new(ask(root))).await;
    assert_eq!(missing, (Code::Unauthenticated, "IDENTITY_MISSING".to_owned()));
    let unknown = refused(channel, by("lkm_nobody", ask(root))).await;
    assert_eq!(unknown, (Code::Unauthenticated, "IDENTITY_UNKNOWN".to_owned()));
    let denied = refused(channel, by(auditor, ask(root))).await;
    assert_eq!(denied.0, Code::PermissionDenied);

    let bad = v1::ValidateKeyRequest {
        keyspace: "payments".to_owned(),
        permission_query: "and".to_owned(),
        context: Some(v1::RequestContext { client_ip: "10.0.0".to_owned(), ..Default::default() }),
        ..ask(root)
    };
    let status = ValidationServiceClient::new(channel.clone()).validate_key(by(root, bad.clone())).await.unwrap_err();
    let fields = status.get_details_bad_request().unwrap().field_violations;
    let fields: Vec<_> = fields.iter().map(|violation| violation.field.as_str()).collect();
    assert_eq!(fields, ["keyspace", "permission_query", "context.client_ip"]);
    let stranger = refused(channel, Request::new(bad)).await;
    assert_eq!(stranger.0, Code::Unauthenticated, "who is nobody does not learn what is wrong with his request");
}

pub(crate) async fn keys_are_validated(channel: &Channel, root: &str, validator: &str) {
    let valid = validate(channel, validator, ask(root)).await;
    assert_eq!(valid.outcome(), v1::Outcome::Valid);
    assert_eq!(valid.owner, "tenants/system/identities/root");
    let basis = valid.decision_basis.unwrap();
    assert_eq!(basis.kind(), v1::decision_basis::Kind::Current);
    assert!(basis.age.unwrap().seconds < 5);

    assert_eq!(validate(channel, validator, ask("nonsense")).await.outcome(), v1::Outcome::Malformed);
    assert_eq!(validate(channel, validator, ask(&stranger())).await.outcome(), v1::Outcome::NotFound);

    for requirement in [
        Requirement::FullyConsistent(FullyConsistent {}),
        Requirement::AtLeastAsFresh(AtLeastAsFresh { revision: valid.checked_at }),
    ] {
        let consistency = Some(v1::Consistency { requirement: Some(requirement) });
        let asked = v1::ValidateKeyRequest { consistency, ..ask(root) };
        let answer = validate(channel, validator, asked).await;
        assert_eq!(answer.outcome(), v1::Outcome::Valid);
        assert!(answer.checked_at.unwrap().index >= valid.checked_at.unwrap().index);
    }
    let ahead = Requirement::AtLeastAsFresh(AtLeastAsFresh { revision: Some(v1::Revision { epoch: 9, index: 1 }) });
    let consistency = Some(v1::Consistency { requirement: Some(ahead) });
    let ahead = refused(channel, by(validator, v1::ValidateKeyRequest { consistency, ..ask(root) })).await;
    assert_eq!(ahead, (Code::Unavailable, "EPOCH_AHEAD".to_owned()));
}

pub(crate) async fn batches_are_validated(channel: &Channel, root: &str, validator: &str) {
    let mut client = ValidationServiceClient::new(channel.clone());
    let item = |id: &str, request: v1::ValidateKeyRequest| v1::BatchValidateKeysItem {
        id: id.to_owned(),
        request: Some(request),
    };
    let ahead = Requirement::AtLeastAsFresh(AtLeastAsFresh { revision: Some(v1::Revision { epoch: 9, index: 1 }) });
    let consistency = Some(v1::Consistency { requirement: Some(ahead) });
    let items = vec![
        item("good", ask(root)),
        item("malformed", ask("")),
        item("wrong field", v1::ValidateKeyRequest { keyspace: "payments".to_owned(), ..ask(root) }),
        item("wrong epoch", v1::ValidateKeyRequest { consistency, ..ask(root) }),
    ];
    let request = by(validator, v1::BatchValidateKeysRequest { items });
    let results = client.batch_validate_keys(request).await.unwrap().into_inner().results;
    let told: Vec<_> = results
        .iter()
        .map(|result| match result.result.as_ref().unwrap() {
            ItemResult::Response(answer) => (result.id.as_str(), Ok(answer.outcome())),
            ItemResult::Error(error) => (result.id.as_str(), Err((Code::from(error.code), error.details.len()))),
        })
        .collect();
    assert_eq!(
        told,
        [
            ("good", Ok(v1::Outcome::Valid)),
            ("malformed", Ok(v1::Outcome::Malformed)),
            ("wrong field", Err((Code::InvalidArgument, 2))),
            ("wrong epoch", Err((Code::Unavailable, 2))),
        ]
    );
    let many = (0..201).map(|number| item(&number.to_string(), ask(root))).collect();
    let status = client.batch_validate_keys(by(validator, v1::BatchValidateKeysRequest { items: many })).await;
    assert_eq!(status.unwrap_err().code(), Code::InvalidArgument);
}
