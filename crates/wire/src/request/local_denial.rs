//! `DenyKeyLocally` and `AllowKeyLocally`.

use super::revoke_key::key_or_version;
use super::write::reason_text;
use crate::pb::v1;
use crate::time::write_time;
use crate::violation::{FieldViolations, Fields};
use crate::words;
use latchkey_domain::{KeyName, NodeId, ReasonText, RevocationReason, VersionId, VersionName};
use latchkey_state::{FollowUp, LocalDenial};

/// What to deny on one replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyKeyLocally {
    /// The key.
    pub key: KeyName,
    /// Only this version of it.
    pub version: Option<VersionId>,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text.
    pub text: ReasonText,
    /// What is to become of the key.
    pub then: FollowUp,
}

/// Reads `DenyKeyLocally`.
///
/// # Errors
/// All violations.
pub fn read_deny_key_locally(request: &v1::DenyKeyLocallyRequest) -> Result<DenyKeyLocally, FieldViolations> {
    let mut fields = Fields::default();
    let name = fields.take("name", key_or_version(&request.name));
    let reason = fields.take("reason", words::revocation_reason(request.reason));
    let text = reason_text(&mut fields, &request.reason_text);
    let then = fields.take("then", words::follow_up(request.then));
    let read = || {
        let (key, version) = name?;
        Some(DenyKeyLocally { key, version, reason: reason?, text: text?, then: then? })
    };
    fields.finish(read())
}

/// Reads `AllowKeyLocally`: the key or version that was denied.
///
/// # Errors
/// All violations.
pub fn read_allow_key_locally(
    request: &v1::AllowKeyLocallyRequest,
) -> Result<(KeyName, Option<VersionId>), FieldViolations> {
    let mut fields = Fields::default();
    let name = fields.take("name", key_or_version(&request.name));
    fields.finish(name)
}

/// Shows a denial.
#[must_use]
pub fn write_local_denial(denial: &LocalDenial, replica: NodeId) -> v1::LocalDenial {
    let name = match denial.version {
        Some(version) => VersionName { key: denial.key.clone(), version }.to_string(),
        None => denial.key.to_string(),
    };
    v1::LocalDenial {
        name,
        reason: v1::RevocationReason::from(denial.reason).into(),
        reason_text: denial.text.to_string(),
        then: v1::local_denial::FollowUp::from(denial.then).into(),
        denied_by: denial.by.to_string(),
        deny_time: Some(write_time(denial.at)),
        replica: replica.0,
        recorded: denial.told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_with_a_denial_is_named_all_at_once() {
        let wrong = v1::DenyKeyLocallyRequest {
            name: "tenants/acme".to_owned(),
            reason_text: "two\nlines".to_owned(),
            ..Default::default()
        };
        let violations = read_deny_key_locally(&wrong).unwrap_err();
        let named: Vec<_> = violations.list().iter().map(|one| one.field.as_str()).collect();
        assert_eq!(named, ["name", "reason", "reason_text", "then"]);
        assert!(read_allow_key_locally(&v1::AllowKeyLocallyRequest::default()).is_err());
    }

    #[test]
    fn a_key_is_denied_whole_or_one_version_of_it() {
        let key = "tenants/acme/keyspaces/live/keys/0123456789abcdef";
        for (name, version) in [(key.to_owned(), false), (format!("{key}/versions/0123456789abcdef"), true)] {
            let request = v1::DenyKeyLocallyRequest {
                name,
                reason: v1::RevocationReason::Compromised.into(),
                then: v1::local_denial::FollowUp::Suspend.into(),
                ..Default::default()
            };
            let read = read_deny_key_locally(&request).unwrap();
            assert_eq!((read.version.is_some(), read.then), (version, FollowUp::Suspend));
        }
    }
}
