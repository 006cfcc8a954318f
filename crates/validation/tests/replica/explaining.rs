//! Why a validation has its outcome.

use crate::house::{ask, by, reason, stranger};
use latchkey_registry::Registry;
use latchkey_wire::pb::v1;
use latchkey_wire::pb::v1::validation_check::Result as CheckResult;
use latchkey_wire::pb::v1::validation_service_client::ValidationServiceClient;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

async fn explain(
    channel: &Channel,
    caller: &str,
    request: v1::ValidateKeyRequest,
) -> Result<v1::ExplainValidationResponse, Status> {
    let asked = v1::ExplainValidationRequest { request: Some(request), reason_text: "a customer calls".to_owned() };
    let mut client = ValidationServiceClient::new(channel.clone());
    client.explain_validation(by(caller, asked)).await.map(tonic::Response::into_inner)
}

pub(crate) async fn an_explanation_is_for_operators_and_leaves_an_entry(
    channel: &Channel,
    registry: &Registry,
    (root, operator, validator): (&str, &str, &str),
) {
    let entries = || registry.core().state().progress().frontier.size();
    let before = entries();
    let query = v1::ValidateKeyRequest { permission_query: "orders:read".to_owned(), ..ask(root) };
    let told = explain(channel, operator, query).await.unwrap();
    assert_eq!(told.outcome(), v1::Outcome::InsufficientPermissions);
    let failed: Vec<_> = told.checks.iter().filter(|check| check.result() == CheckResult::Failed).collect();
    let [failed] = &failed[..] else { panic!("{failed:?}") };
    assert_eq!((failed.outcome(), &failed.record), (v1::Outcome::InsufficientPermissions, &told.key));
    assert_eq!(entries(), before + 1);

    let unknown = explain(channel, operator, ask(&stranger())).await.unwrap();
    assert_eq!((unknown.outcome(), unknown.key.as_str()), (v1::Outcome::NotFound, ""));
    assert_eq!(entries(), before + 2, "that somebody looked is audited, whatever he found");

    let denied = explain(channel, validator, ask(root)).await.unwrap_err();
    assert_eq!((denied.code(), reason(&denied).as_str()), (Code::PermissionDenied, "PERMISSION_DENIED"));
    let wrong = explain(channel, operator, v1::ValidateKeyRequest { keyspace: "x".to_owned(), ..ask(root) }).await;
    let fields = wrong.unwrap_err().get_details_bad_request().unwrap().field_violations;
    assert_eq!(fields[0].field, "request.keyspace");
}
