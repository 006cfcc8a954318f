//! `RevokeKey`.

use super::wait::{self, REVOKE_WAIT_DEFAULT, Wait};
use super::write::{AwaitedWrite, etag, reason_text, said};
use crate::pb::v1;
use crate::time::read_span;
use crate::violation::{FieldViolations, Fields};
use crate::words;
use latchkey_domain::{DurationMillis, KeyName, NameError, ReasonText, RevocationReason, VersionId, VersionName};
use std::fmt;

/// The longest grace: as long as the most patient rotation.
pub const GRACE_MAX: DurationMillis = DurationMillis::from_days(90);

/// What to revoke, and how.
pub type RevokeKey = AwaitedWrite<latchkey_state::RevokeKey>;

/// A revocation by whoever holds the key: its text is the proof, and no identity is needed.
#[derive(Clone, PartialEq, Eq)]
pub struct SelfRevocation<'a> {
    /// The key text, as it was received.
    pub key_text: &'a str,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text.
    pub text: ReasonText,
    /// How long to wait.
    pub wait: Wait,
}

impl fmt::Debug for SelfRevocation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key_text, reason, text, wait } = self;
        f.debug_struct("SelfRevocation")
            .field("key_text", &format_args!("hidden ({} bytes)", key_text.len()))
            .field("reason", reason)
            .field("text", text)
            .field("wait", wait)
            .finish()
    }
}

/// Reads `RevokeKey` by name. One by key text is [`read_self_revocation`]'s.
///
/// # Errors
/// All violations.
pub fn read_revoke_key(request: &v1::RevokeKeyRequest) -> Result<RevokeKey, FieldViolations> {
    let mut fields = Fields::default();
    let name = fields.take("name", key_or_version(&request.name));
    if !request.key_text.is_empty() {
        fields.refuse("key_text", "must not be set besides name");
    }
    let reason = fields.take("reason", words::revocation_reason(request.reason));
    let text = reason_text(&mut fields, &request.reason_text);
    let grace = fields.take_optional("grace", request.grace.as_ref().map(read_span));
    if grace.flatten().is_some_and(|grace| grace > GRACE_MAX) {
        fields.refuse("grace", format_args!("must be at most {GRACE_MAX}"));
    }
    let operation = || {
        let (key, version) = name?;
        Some(latchkey_state::RevokeKey {
            key,
            version,
            reason: reason?,
            text: text?,
            grace: grace?.unwrap_or(DurationMillis::ZERO),
            etag: etag(&request.etag),
        })
    };
    let asked = v1::RevokeKeyRequest { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() };
    let write = said!("RevokeKey", request, REVOKE_WAIT_DEFAULT).read(&mut fields, &asked, operation);
    fields.finish(write)
}

/// Reads `RevokeKey` by key text: where `key_text` is set. The text itself is not looked at here.
///
/// # Errors
/// All violations.
pub fn read_self_revocation(request: &v1::RevokeKeyRequest) -> Result<SelfRevocation<'_>, FieldViolations> {
    let mut fields = Fields::default();
    for (field, set) in [
        ("name", !request.name.is_empty()),
        ("grace", request.grace.is_some()),
        ("etag", !request.etag.is_empty()),
        ("validate_only", request.validate_only),
        ("request_id", !request.request_id.is_empty()),
    ] {
        if set {
            fields.refuse(field, "must not be set besides key_text");
        }
    }
    let reason = match request.reason {
        0 => Some(RevocationReason::Compromised),
        number => fields.take("reason", words::revocation_reason(number)),
    };
    let text = reason_text(&mut fields, &request.reason_text);
    let wait = wait::read(&mut fields, request.wait_for, request.wait_timeout.as_ref(), REVOKE_WAIT_DEFAULT);
    let read = || Some(SelfRevocation { key_text: &request.key_text, reason: reason?, text: text?, wait: wait? });
    fields.finish(read())
}

pub(super) fn key_or_version(text: &str) -> Result<(KeyName, Option<VersionId>), NameError> {
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
    fn a_revocation_is_by_name_or_by_key_text_and_shows_the_text_nowhere() {
        let both = v1::RevokeKeyRequest { key_text: "acme_live_secret".to_owned(), ..request() };
        let violations = read_revoke_key(&both).unwrap_err();
        assert_eq!(violations.list()[0].field, "key_text");
        let wrong = v1::RevokeKeyRequest {
            reason: 99,
            reason_text: "x".repeat(513),
            grace: Some(Duration::default()),
            wait_for: 9,
            validate_only: true,
            etag: "3-7".to_owned(),
            request_id: "1".to_owned(),
            ..both.clone()
        };
        let violations = read_self_revocation(&wrong).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(
            named,
            ["name", "grace", "etag", "validate_only", "request_id", "reason", "reason_text", "wait_for"]
        );
        assert!(!format!("{violations:?}").contains("secret"));
        let right = v1::RevokeKeyRequest { key_text: both.key_text, ..Default::default() };
        let read = read_self_revocation(&right).unwrap();
        assert_eq!((read.key_text, read.reason), ("acme_live_secret", RevocationReason::Compromised));
        assert_eq!(read.wait, Wait::AllRegions(REVOKE_WAIT_DEFAULT));
        assert!(!format!("{read:?}").contains("secret"));
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
