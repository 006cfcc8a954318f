//! `SuspendKey`, `ResumeKey` and `RestrictKey`.

use super::key_details::{positive_span, set};
use super::wait::{CREATE_WAIT_DEFAULT, REVOKE_WAIT_DEFAULT};
use super::write::{AwaitedWrite, etag, reason_text, said};
use crate::pb::v1;
use crate::pb::v1::restrict_key_request::End as PbEnd;
use crate::time::read_time;
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{KeyName, Network, NetworkSet, PermissionPattern};
use latchkey_state::{End, RESTRICTION_MAX, RestrictKey, ResumeKey, SuspendKey};

/// Reads `SuspendKey`.
///
/// # Errors
/// All violations.
pub fn read_suspend_key(request: &v1::SuspendKeyRequest) -> Result<AwaitedWrite<SuspendKey>, FieldViolations> {
    let mut fields = Fields::default();
    let key = fields.take("name", KeyName::parse(&request.name));
    let text = reason_text(&mut fields, &request.reason_text);
    let operation = || Some(SuspendKey { key: key?, text: text?, etag: etag(&request.etag) });
    let asked = v1::SuspendKeyRequest { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() };
    let write = said!("SuspendKey", request, REVOKE_WAIT_DEFAULT).read(&mut fields, &asked, operation);
    fields.finish(write)
}

/// Reads `ResumeKey`.
///
/// # Errors
/// All violations.
pub fn read_resume_key(request: &v1::ResumeKeyRequest) -> Result<AwaitedWrite<ResumeKey>, FieldViolations> {
    let mut fields = Fields::default();
    let key = fields.take("name", KeyName::parse(&request.name));
    let text = reason_text(&mut fields, &request.reason_text);
    let operation = || Some(ResumeKey { key: key?, text: text?, etag: etag(&request.etag) });
    let asked = v1::ResumeKeyRequest { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() };
    let write = said!("ResumeKey", request, CREATE_WAIT_DEFAULT).read(&mut fields, &asked, operation);
    fields.finish(write)
}

/// Reads `RestrictKey`.
///
/// # Errors
/// All violations.
pub fn read_restrict_key(request: &v1::RestrictKeyRequest) -> Result<AwaitedWrite<RestrictKey>, FieldViolations> {
    let mut fields = Fields::default();
    let key = fields.take("name", KeyName::parse(&request.name));
    let permissions = match &request.permissions {
        None => Some(None),
        Some(list) => {
            set(&mut fields, "permissions.permissions", &list.permissions, PermissionPattern::parse).map(Some)
        }
    };
    let networks: Option<NetworkSet> = set(&mut fields, "networks", &request.networks, Network::parse);
    if request.permissions.is_none() && request.networks.is_empty() {
        fields.refuse("permissions", "must be set where no networks are: a restriction restricts something");
    }
    let end = end(&mut fields, request.end.as_ref());
    let text = reason_text(&mut fields, &request.reason_text);
    let operation = || {
        let (permissions, networks) = (permissions?, networks?);
        Some(RestrictKey { key: key?, permissions, networks, end: end?, text: text?, etag: etag(&request.etag) })
    };
    let asked =
        v1::RestrictKeyRequest { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() };
    let write = said!("RestrictKey", request, REVOKE_WAIT_DEFAULT).read(&mut fields, &asked, operation);
    fields.finish(write)
}

/// When it ends. Whether a moment lies in the future, and not too far in it, only the time of the cluster can tell.
fn end(fields: &mut Fields, end: Option<&PbEnd>) -> Option<End> {
    match end {
        None => {
            fields.refuse("end_time", "must be set, or else duration: a restriction ends");
            None
        }
        Some(PbEnd::EndTime(time)) => fields.take("end_time", read_time(time)).map(End::At),
        Some(PbEnd::Duration(span)) => {
            let span = positive_span(fields, "duration", span)?;
            if span > RESTRICTION_MAX {
                fields.refuse("duration", format_args!("must be at most {RESTRICTION_MAX}"));
                return None;
            }
            Some(End::After(span))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Wait;
    use latchkey_domain::DurationMillis;
    use prost_types::{Duration, Timestamp};

    const KEY: &str = "tenants/acme/keyspaces/live/keys/0000000000000001";

    fn restrict() -> v1::RestrictKeyRequest {
        v1::RestrictKeyRequest {
            name: KEY.to_owned(),
            networks: vec!["10.0.0.0/8".to_owned()],
            end: Some(PbEnd::Duration(Duration { seconds: 60, nanos: 0 })),
            ..Default::default()
        }
    }

    fn named(violations: &FieldViolations) -> Vec<&str> {
        violations.list().iter().map(|one| one.field.as_str()).collect()
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let violations = read_suspend_key(&v1::SuspendKeyRequest {
            name: "tenants/acme".to_owned(),
            reason_text: "x".repeat(513),
            wait_for: 9,
            request_id: "1".to_owned(),
            ..Default::default()
        });
        assert_eq!(named(&violations.unwrap_err()), ["name", "reason_text", "wait_for", "request_id"]);
        let violations = read_resume_key(&v1::ResumeKeyRequest {
            name: format!("{KEY}/versions/0000000000000001"),
            wait_timeout: Some(Duration { seconds: 61, nanos: 0 }),
            ..Default::default()
        });
        assert_eq!(named(&violations.unwrap_err()), ["name", "wait_timeout"]);
        let violations = read_restrict_key(&v1::RestrictKeyRequest {
            permissions: Some(v1::PermissionList { permissions: vec!["a".to_owned(), "*a".to_owned()] }),
            networks: vec!["everywhere".to_owned()],
            end: Some(PbEnd::EndTime(Timestamp { seconds: 0, nanos: 1 })),
            ..Default::default()
        });
        assert_eq!(named(&violations.unwrap_err()), ["name", "permissions.permissions[1]", "networks[0]", "end_time"]);
    }

    #[test]
    fn a_restriction_without_content_or_without_an_end_is_refused() {
        let empty = v1::RestrictKeyRequest { networks: Vec::new(), end: None, ..restrict() };
        assert_eq!(named(&read_restrict_key(&empty).unwrap_err()), ["permissions", "end_time"]);
        for seconds in [0, 90 * 86_400 + 1] {
            let end = Some(PbEnd::Duration(Duration { seconds, nanos: 0 }));
            let violations = read_restrict_key(&v1::RestrictKeyRequest { end, ..restrict() }).unwrap_err();
            assert_eq!(named(&violations), ["duration"], "{seconds}");
        }
    }

    #[test]
    fn no_permissions_and_permissions_not_said_are_two_things() {
        let read = read_restrict_key(&restrict()).unwrap();
        assert_eq!((read.operation.permissions, read.wait), (None, Wait::AllRegions(REVOKE_WAIT_DEFAULT)));
        assert_eq!(read.operation.end, End::After(DurationMillis::from_secs(60)));
        let nothing = Some(v1::PermissionList::default());
        let read = read_restrict_key(&v1::RestrictKeyRequest { permissions: nothing, ..restrict() }).unwrap();
        assert!(read.operation.permissions.is_some_and(|permissions| permissions.is_empty()));
    }

    #[test]
    fn what_takes_away_waits_longer_than_what_gives_back() {
        let name = || KEY.to_owned();
        let suspend = read_suspend_key(&v1::SuspendKeyRequest { name: name(), ..Default::default() }).unwrap();
        let resume = read_resume_key(&v1::ResumeKeyRequest { name: name(), ..Default::default() }).unwrap();
        assert_eq!(suspend.wait, Wait::AllRegions(REVOKE_WAIT_DEFAULT));
        assert_eq!(resume.wait, Wait::AllRegions(CREATE_WAIT_DEFAULT));
    }
}
