//! `RotateKey`, `PrepareStandby`, and the steps of a rotation.

use super::rotation_policy::{read_delivery, read_recipient, read_terms};
use super::wait::{CREATE_WAIT_DEFAULT, REVOKE_WAIT_DEFAULT};
use super::write::{AwaitedWrite, etag, reason_text, said};
use crate::pb::v1;
use crate::time::{read_span, read_time};
use crate::violation::{FieldViolations, Fields};
use latchkey_domain::{DurationMillis, KeyName, OVERLAP_MAX, ReasonText, RecipientKey, RotationName, RotationTerms};
use latchkey_state::{NewCourse, OVERLAP_DEFAULT, RotationStep, StepRotation};

/// A key that shall get a new version. What is minted for it is not yet there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotateKey {
    /// Which.
    pub key: KeyName,
    /// How long the old version is accepted still; at most [`OVERLAP_MAX`].
    pub overlap: DurationMillis,
    /// Why.
    pub text: ReasonText,
    /// Refuse unless this is the etag of the key.
    pub etag: Option<Box<str>>,
    /// Whether all other versions end at once, whatever is in progress.
    pub emergency: bool,
    /// How it goes on, where the rotation service takes the steps.
    pub course: Option<Box<NewCourse>>,
    /// Whom the key text is sealed to, rather than shown.
    pub recipient: Option<RecipientKey>,
}

/// A key that shall get a standby. What is minted for it is not yet there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrepareStandby {
    /// Which.
    pub key: KeyName,
    /// Why.
    pub text: ReasonText,
    /// Refuse unless this is the etag of the key.
    pub etag: Option<Box<str>>,
    /// Whom the key text is sealed to, rather than shown.
    pub recipient: Option<RecipientKey>,
}

/// Reads `RotateKey`.
///
/// # Errors
/// All violations.
pub fn read_rotate_key(request: &v1::RotateKeyRequest) -> Result<AwaitedWrite<RotateKey>, FieldViolations> {
    let mut fields = Fields::default();
    let key = fields.take("name", KeyName::parse(&request.name));
    let overlap = overlap(&mut fields, request.overlap.as_ref());
    let text = reason_text(&mut fields, &request.reason_text);
    let recipient = read_recipient(&mut fields, "recipient", request.recipient.as_ref());
    let course = course(&mut fields, request);
    refuse_what_contradicts(&mut fields, request);
    let operation = || {
        let (course, asked) = (course?, overlap?.unwrap_or(OVERLAP_DEFAULT));
        let of_course = course.as_ref().map(|course| course.terms.overlap);
        let overlap = if request.emergency { DurationMillis::ZERO } else { of_course.unwrap_or(asked) };
        Some(RotateKey {
            key: key?,
            overlap,
            text: text?,
            etag: etag(&request.etag),
            emergency: request.emergency,
            course,
            recipient: recipient?,
        })
    };
    let asked = v1::RotateKeyRequest { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() };
    let write = said!("RotateKey", request, CREATE_WAIT_DEFAULT).read(&mut fields, &asked, operation);
    fields.finish(write)
}

/// Reads `PrepareStandby`.
///
/// # Errors
/// All violations.
pub fn read_prepare_standby(
    request: &v1::PrepareStandbyRequest,
) -> Result<AwaitedWrite<PrepareStandby>, FieldViolations> {
    let mut fields = Fields::default();
    let key = fields.take("name", KeyName::parse(&request.name));
    let text = reason_text(&mut fields, &request.reason_text);
    let recipient = read_recipient(&mut fields, "recipient", request.recipient.as_ref());
    let operation =
        || Some(PrepareStandby { key: key?, text: text?, etag: etag(&request.etag), recipient: recipient? });
    let asked =
        v1::PrepareStandbyRequest { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() };
    let write = said!("PrepareStandby", request, CREATE_WAIT_DEFAULT).read(&mut fields, &asked, operation);
    fields.finish(write)
}

/// What of a request makes it one that goes on by itself; none where nothing does.
#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
fn course(fields: &mut Fields, request: &v1::RotateKeyRequest) -> Option<Option<Box<NewCourse>>> {
    let terms = match &request.terms {
        Some(terms) => read_terms(fields, terms),
        // The overlap of such a request is the one that it names, or the default.
        None => overlap(&mut Fields::default(), request.overlap.as_ref())
            .map(|overlap| RotationTerms::of_overlap(overlap.unwrap_or(OVERLAP_DEFAULT))),
    };
    let delivery = read_delivery(fields, request.delivery.as_ref());
    let activate_at = fields.take_optional("activate_time", request.activate_time.as_ref().map(read_time));
    if request.terms.is_none() && request.delivery.is_none() && request.activate_time.is_none() {
        return Some(None);
    }
    Some(Some(Box::new(NewCourse { terms: terms?, delivery: delivery?, activate_at: activate_at? })))
}

/// Notes each pair of fields of which only one can be meant.
fn refuse_what_contradicts(fields: &mut Fields, request: &v1::RotateKeyRequest) {
    let said = [
        ("overlap", request.overlap.is_some()),
        ("terms", request.terms.is_some()),
        ("delivery", request.delivery.is_some()),
        ("activate_time", request.activate_time.is_some()),
    ];
    if request.emergency {
        for (field, _) in said.into_iter().filter(|(_, said)| *said) {
            fields.refuse(field, "must not be set with `emergency`, which ends all other versions at once");
        }
        return;
    }
    if request.terms.is_some() && request.overlap.is_some() {
        fields.refuse("overlap", "must not be set with `terms`, whose `overlap` it is");
    }
    if request.delivery.is_some() && request.recipient.is_some() {
        fields.refuse("recipient", "must not be set with `delivery`, which shows the text to nobody else");
    }
}

macro_rules! read_step {
    ($($reader:ident, $request:ident, $method:literal, |$fields:ident, $asked:ident| $step:expr;)+) => {$(
        #[doc = concat!("Reads `", $method, "`.")]
        ///
        /// # Errors
        /// All violations.
        pub fn $reader(request: &v1::$request) -> Result<AwaitedWrite<StepRotation>, FieldViolations> {
            let mut fields = Fields::default();
            let rotation = fields.take("name", RotationName::parse(&request.name));
            let text = reason_text(&mut fields, &request.reason_text);
            let ($fields, $asked) = (&mut fields, request);
            let step = $step;
            let operation = || {
                Some(StepRotation { rotation: rotation?, step: step?, text: text?, etag: etag(&request.etag) })
            };
                    let asked =
                v1::$request { request_id: String::new(), wait_for: 0, wait_timeout: None, ..request.clone() };
            let write = said!($method, request, REVOKE_WAIT_DEFAULT).read(&mut fields, &asked, operation);
            fields.finish(write)
        }
    )+};
}
read_step! {
    read_complete_rotation, CompleteRotationRequest, "CompleteRotation",
        |_fields, _request| Some(RotationStep::Complete);
    read_cancel_rotation, CancelRotationRequest, "CancelRotation",
        |_fields, _request| Some(RotationStep::Cancel);
    read_hold_rotation, HoldRotationRequest, "HoldRotation",
        |_fields, _request| Some(RotationStep::Hold);
    read_resume_rotation, ResumeRotationRequest, "ResumeRotation",
        |_fields, _request| Some(RotationStep::Resume);
    read_roll_back_rotation, RollBackRotationRequest, "RollBackRotation",
        |fields, request| overlap(fields, request.overlap.as_ref()).map(|overlap| RotationStep::RollBack { overlap });
}

#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
fn overlap(fields: &mut Fields, span: Option<&prost_types::Duration>) -> Option<Option<DurationMillis>> {
    let overlap = fields.take_optional("overlap", span.map(read_span))?;
    if overlap.is_some_and(|overlap| overlap > OVERLAP_MAX) {
        fields.refuse("overlap", format_args!("must be at most {OVERLAP_MAX}"));
        return None;
    }
    Some(overlap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Wait;
    use prost_types::Duration;

    const KEY: &str = "tenants/acme/keyspaces/live/keys/0000000000000001";
    const ROTATION: &str = "tenants/acme/keyspaces/live/keys/0000000000000001/rotations/0000000000000002";
    const TOO_LONG: Option<Duration> = Some(Duration { seconds: 90 * 86_400 + 1, nanos: 0 });

    fn named(violations: &FieldViolations) -> Vec<&str> {
        violations.list().iter().map(|one| one.field.as_str()).collect()
    }

    fn rotate() -> v1::RotateKeyRequest {
        v1::RotateKeyRequest { name: KEY.to_owned(), ..Default::default() }
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let wrong = v1::RotateKeyRequest {
            name: ROTATION.to_owned(),
            overlap: TOO_LONG,
            reason_text: "x".repeat(513),
            wait_for: 9,
            request_id: "1".to_owned(),
            ..Default::default()
        };
        let expected = ["name", "overlap", "reason_text", "wait_for", "request_id"];
        assert_eq!(named(&read_rotate_key(&wrong).unwrap_err()), expected);
        let wrong = v1::PrepareStandbyRequest {
            name: "tenants/acme".to_owned(),
            wait_timeout: Some(Duration { seconds: 61, nanos: 0 }),
            ..Default::default()
        };
        assert_eq!(named(&read_prepare_standby(&wrong).unwrap_err()), ["name", "wait_timeout"]);
        let wrong = v1::RollBackRotationRequest { name: KEY.to_owned(), overlap: TOO_LONG, ..Default::default() };
        assert_eq!(named(&read_roll_back_rotation(&wrong).unwrap_err()), ["name", "overlap"]);
        let wrong = v1::CancelRotationRequest { name: KEY.to_owned(), ..Default::default() };
        assert_eq!(named(&read_cancel_rotation(&wrong).unwrap_err()), ["name"]);
    }

    #[test]
    fn an_overlap_is_a_day_where_nobody_says_and_none_where_zero_is_said() {
        let overlap = |overlap| read_rotate_key(&v1::RotateKeyRequest { overlap, ..rotate() }).unwrap();
        let unsaid = overlap(None);
        assert_eq!((unsaid.operation.overlap, unsaid.wait), (OVERLAP_DEFAULT, Wait::AllRegions(CREATE_WAIT_DEFAULT)));
        assert_eq!(overlap(Some(Duration::default())).operation.overlap, DurationMillis::ZERO);
    }

    #[test]
    fn each_method_reads_as_its_own_step() {
        let name = || ROTATION.to_owned();
        let complete = v1::CompleteRotationRequest { name: name(), ..Default::default() };
        let cancel = v1::CancelRotationRequest { name: name(), ..Default::default() };
        let roll_back =
            v1::RollBackRotationRequest { name: name(), overlap: Some(Duration::default()), ..Default::default() };
        let complete = read_complete_rotation(&complete).unwrap();
        assert_eq!(
            (complete.operation.step, complete.wait),
            (RotationStep::Complete, Wait::AllRegions(REVOKE_WAIT_DEFAULT))
        );
        assert_eq!(read_cancel_rotation(&cancel).unwrap().operation.step, RotationStep::Cancel);
        assert_eq!(
            read_roll_back_rotation(&roll_back).unwrap().operation.step,
            RotationStep::RollBack { overlap: Some(DurationMillis::ZERO) }
        );
    }
}
