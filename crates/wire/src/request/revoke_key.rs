//! `RevokeKey`.

use super::mark;
use super::wait::{self, REVOKE_WAIT_DEFAULT, Wait};
use crate::pb::v1;
use crate::time::read_span;
use crate::violation::{FieldViolations, Fields};
use crate::words;
use latchkey_domain::{DurationMillis, KeyName, NameError, ReasonText, VersionId, VersionName};
use latchkey_state::RequestMark;

/// The longest grace: as long as the most patient rotation.
pub const GRACE_MAX: DurationMillis = DurationMillis::from_days(90);

/// What to revoke, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeKey {
    /// What the state machine is asked.
    pub operation: latchkey_state::RevokeKey,
    /// Set where a repeat has to get the first answer.
    pub request: Option<RequestMark>,
    /// Whether to show the impact only.
    pub validate_only: bool,
    /// How long to wait.
    pub wait: Wait,
}

/// Reads `RevokeKey`.
///
/// # Errors
/// All violations.
pub fn read_revoke_key(request: &v1::RevokeKeyRequest) -> Result<RevokeKey, FieldViolations> {
    let mut fields = Fields::default();
    let name = fields.take("name", key_or_version(&request.name));
    let reason = fields.take("reason", words::revocation_reason(request.reason));
    let text = fields.take("reason_text", ReasonText::parse(&request.reason_text));
    let grace = fields.take_optional("grace", request.grace.as_ref().map(read_span));
    if grace.flatten().is_some_and(|grace| grace > GRACE_MAX) {
        fields.refuse("grace", format_args!("must be at most {GRACE_MAX}"));
    }
    let wait = wait::read(&mut fields, request.wait_for, request.wait_timeout.as_ref(), REVOKE_WAIT_DEFAULT);
    let asked = v1::RevokeKeyRequest { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() };
    let mark = mark::read(&mut fields, &request.request_id, "RevokeKey", &asked);
    let read = || {
        let (key, version) = name?;
        let operation = latchkey_state::RevokeKey {
            key,
            version,
            reason: reason?,
            text: text?,
            grace: grace?.unwrap_or(DurationMillis::ZERO),
            etag: (!request.etag.is_empty()).then(|| request.etag.as_str().into()),
        };
        Some(RevokeKey { operation, request: mark?, validate_only: request.validate_only, wait: wait? })
    };
    fields.finish(read())
}

fn key_or_version(text: &str) -> Result<(KeyName, Option<VersionId>), NameError> {
    if let Ok(name) = VersionName::parse(text) {
        return Ok((name.key, Some(name.version)));
    }
    KeyName::parse(text).map(|key| (key, None)).map_err(|error| NameError {
        expected: "tenants/{tenant}/keyspaces/{keyspace}/keys/{key}, with or without /versions/{version}",
        ..error
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::RevocationReason;
    use prost_types::Duration;

    const KEY: &str = "tenants/acme/keyspaces/live/keys/0000000000000001";

    fn request() -> v1::RevokeKeyRequest {
        v1::RevokeKeyRequest {
            name: KEY.to_owned(),
            reason: v1::RevocationReason::Compromised.into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_revocation_without_a_reason_or_with_an_endless_grace_is_refused() {
        let wrong = v1::RevokeKeyRequest {
            reason: 0,
            grace: Some(Duration { seconds: 90 * 86_400 + 1, nanos: 0 }),
            ..request()
        };
        let violations = read_revoke_key(&wrong).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named, ["reason", "grace"]);
    }

    #[test]
    fn a_key_and_a_version_are_told_apart() {
        let key = read_revoke_key(&request()).unwrap();
        assert_eq!((key.operation.version, key.operation.grace), (None, DurationMillis::ZERO));
        assert_eq!(key.operation.reason, RevocationReason::Compromised);
        assert_eq!(key.wait, Wait::AllRegions(REVOKE_WAIT_DEFAULT));
        let name = format!("{KEY}/versions/zzzzzzzzzzzzzzzz");
        let version = read_revoke_key(&v1::RevokeKeyRequest { name, ..request() }).unwrap();
        assert_eq!(version.operation.version, Some(VersionId::HIGHEST));
    }
}
