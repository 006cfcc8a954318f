use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use latchkey_domain::{
    DurationMillis, Duty, ImportFormatId, KekId, NodeId, Quota, Refusal, ReplicaRole, ResourceKind, RotationState,
    Scope, UnixMillis,
};
use latchkey_wire::reason::ERROR_DOMAIN;
use latchkey_wire::violation::FieldViolations;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use super::*;
use crate::record::code_name;
use crate::rule::Class;

/// What the comments of `errors.proto` promise for one reason.
struct Promise {
    code: String,
    keys: BTreeSet<String>,
}

/// Reads the promises from the comments in the descriptors.
fn promises() -> BTreeMap<String, Promise> {
    let set = FileDescriptorSet::decode(latchkey_wire::FILE_DESCRIPTOR_SET).unwrap();
    let file = set.file.iter().find(|file| file.name() == "latchkey/v1/errors.proto").unwrap();
    let values = &file.enum_type[0].value;
    let comments = &file.source_code_info.as_ref().unwrap().location;
    let promises = values.iter().enumerate().skip(1).map(|(index, value)| {
        // 5 = enum_type of a file, 2 = value of an enum: descriptor.proto.
        let path = [5, 0, 2, i32::try_from(index).unwrap()];
        let comment = comments.iter().find(|location| location.path == path).unwrap().leading_comments();
        let code = comment.split('`').nth(1).unwrap().to_owned();
        let example = comment.split_once("EXAMPLE metadata: {").map_or("", |(_, example)| example);
        let keys = example.split('"').skip(1).step_by(4).map(str::to_owned).collect();
        (value.name().strip_prefix("ERROR_REASON_").unwrap().to_owned(), Promise { code, keys })
    });
    promises.collect()
}

fn refusals() -> Vec<Refusal> {
    let (early, late) = (UnixMillis::new(1), UnixMillis::new(2));
    let (short, long) = (DurationMillis::new(1), DurationMillis::new(2));
    let text = || "text".to_owned();
    vec![
        Refusal::PermissionDenied { duty: Duty::Issuer, scope: Scope::System },
        Refusal::GrantExceedsCaller { duty: Duty::Admin, scope: Scope::parse("tenants/acme").unwrap() },
        Refusal::NotFound { kind: ResourceKind::Key, name: text() },
        Refusal::AlreadyExists { kind: ResourceKind::Owner, name: text() },
        Refusal::PrefixTaken { prefix: text() },
        Refusal::RequestIdReused,
        Refusal::EtagMismatch { current: text() },
        Refusal::QuotaExceeded { quota: Quota::Tenants, limit: 7 },
        Refusal::PermissionNotAllowed { permission: text() },
        Refusal::ExpiryPast { expire_time: early, now: late },
        Refusal::LifetimeTooLong { asked: long, maximum: short },
        Refusal::NotBeforeAfterExpiry { not_before: late, expire_time: early },
        Refusal::OwnerNotAllowed { owner: text(), expected: "an owner of the same tenant" },
        Refusal::StalenessTooShort { asked: short, floor: long },
        Refusal::Reserved { name: text() },
        Refusal::KeyRevoked { name: text() },
        Refusal::RingKeyGone { number: 17 },
        Refusal::RingKeyInUse { number: 17, uses: 3 },
        Refusal::KekNotEverywhere { kek: KekId([0x1F; 8]), missing: vec![NodeId(2), NodeId(3)] },
        Refusal::ClockJump { at: late, clock: early },
        Refusal::FeatureLevel { needed: 2, current: 1 },
        Refusal::EpochChanged { given: 1, current: 2 },
        Refusal::NodeKeyKnown { replica: NodeId(3) },
        Refusal::CheckpointConflict { size: 9, problem: text() },
        Refusal::AuditLogNotLost { entries: 9, problem: text() },
        Refusal::NotEmpty { kind: ResourceKind::Owner, name: text(), holds: ResourceKind::Key, count: 3 },
        Refusal::KeyExpired { name: text(), expire_time: early },
        Refusal::ExceedsKey { name: text(), field: "permissions", value: text() },
        Refusal::ParentNotAllowed { name: text(), expected: "a key that is not itself a child" },
        Refusal::RoleNotAllowed { role: text() },
        Refusal::RotationInProgress { rotation: text() },
        Refusal::RotationNotIn { rotation: text(), state: RotationState::Completed, expected: "OVERLAP" },
        Refusal::SelfRevocationOff,
        Refusal::AuditBehind { entries: 1_000_000 },
        Refusal::RotationFenced { fence: 3, current: 4 },
        Refusal::RotationClaimed { ends_at: late },
        Refusal::FormatInUse { format: ImportFormatId::parse("unkey").unwrap(), count: 3 },
        Refusal::ReplicaNotIn { replica: NodeId(4), role: ReplicaRole::Retired, expected: "a learner" },
        Refusal::MembershipUnsafe { replica: NodeId(4), problem: "2 of 3 voters are reached".to_owned() },
    ]
}

fn unavailables() -> Vec<Unavailable> {
    vec![
        Unavailable::NoLeader { node: Some(NodeId(2)) },
        Unavailable::NotFresh { age: DurationMillis::new(7_300), bound: DurationMillis::new(5_000) },
        Unavailable::Locked,
        Unavailable::ClockSkew { offset_ms: -812 },
        Unavailable::EpochAhead { given: 4, current: 3 },
        Unavailable::Overloaded { class: Class::List },
        Unavailable::Starting,
        Unavailable::Stopping,
        Unavailable::Fenced,
        Unavailable::DiskFull,
        Unavailable::AuditStopped,
        Unavailable::Removed { node: NodeId(4) },
    ]
}

fn rejections() -> Vec<Rejection> {
    vec![
        Rejection::IdentityMissing,
        Rejection::IdentityUnknown,
        Rejection::FieldsInvalid(FieldViolations::one("a", "one")),
        Rejection::PageTokenInvalid,
        Rejection::MessageTooLong { bytes_max: Some(65_536) },
        Rejection::NotServedHere,
        Rejection::TooManyAttempts { per_minute: 10, retry_after: Duration::from_secs(6) },
        Rejection::WrongTarget { node: 3 },
    ]
}

fn every_status() -> Vec<Status> {
    let refused = refusals().iter().map(refused).collect::<Vec<_>>();
    let unavailable = unavailables().into_iter().map(Status::from);
    let rejected = rejections().into_iter().map(Status::from);
    let not_kept = entries_not_kept(Sequence(100), Sequence(1_024));
    refused
        .into_iter()
        .chain(unavailable)
        .chain(rejected)
        .chain([deadline_exceeded(), not_kept, bug("a test")])
        .collect()
}

#[test]
fn every_reason_is_sent_with_the_code_and_the_metadata_that_its_comment_promises() {
    let mut promises = promises();
    for status in every_status() {
        let info = status.get_details_error_info().expect("every status has an ErrorInfo");
        let promise =
            promises.remove(&info.reason).unwrap_or_else(|| panic!("{} is unknown or sent twice", info.reason));
        assert_eq!(info.domain, ERROR_DOMAIN);
        assert_eq!(code_name(status.code()), promise.code, "{}", info.reason);
        assert_eq!(info.metadata.into_keys().collect::<BTreeSet<_>>(), promise.keys, "{}", info.reason);
    }
    assert!(promises.is_empty(), "nobody sends {:?}", promises.keys());
}

#[test]
fn what_can_be_tried_again_says_when() {
    for status in every_status().into_iter().filter(|status| status.code() == Code::Unavailable) {
        let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
        assert!(retry.is_some_and(|delay| !delay.is_zero()), "{status:?}");
    }
}

#[test]
fn what_is_full_or_has_to_change_first_says_so_in_its_detail() {
    for refusal in refusals() {
        let status = refused(&refusal);
        let details = status.get_error_details();
        assert_eq!(details.quota_failure().is_some(), status.code() == Code::ResourceExhausted, "{refusal:?}");
        assert_eq!(details.precondition_failure().is_some(), status.code() == Code::FailedPrecondition, "{refusal:?}");
    }
}

#[test]
fn a_refusal_for_lack_of_audit_says_when_to_try_again_and_reads_alike_wherever_it_was_decided() {
    let by_apply = refused(&Refusal::AuditBehind { entries: 7 });
    let by_leader = Unavailable::AuditBehind { entries: 7 }.into_status();
    assert_eq!((by_apply.code(), by_apply.details()), (by_leader.code(), by_leader.details()));
    assert!(by_apply.get_details_retry_info().is_some());
}

#[test]
fn too_many_attempts_are_told_with_their_bound_and_when_the_next_one_passes() {
    let status = Rejection::TooManyAttempts { per_minute: 10, retry_after: Duration::from_secs(6) }.into_status();
    assert!(status.get_details_quota_failure().is_some());
    let retry = status.get_details_retry_info().and_then(|info| info.retry_delay);
    assert_eq!(retry, Some(Duration::from_secs(6)));
}

#[test]
fn an_invalid_field_is_told_with_its_path_and_its_rule() {
    let status = Rejection::from(FieldViolations::one("networks[2]", "must be a CIDR block")).into_status();
    let violations = status.get_details_bad_request().unwrap().field_violations;
    let told = violations.iter().map(|violation| (violation.field.as_str(), violation.description.as_str()));
    assert_eq!(told.collect::<Vec<_>>(), [("networks[2]", "must be a CIDR block")]);
    assert_eq!(status.message(), "networks[2]: must be a CIDR block");
}

#[test]
fn a_bug_tells_an_incident_and_not_what_happened() {
    let status = bug("row 17 is missing");
    assert!(!status.message().contains("row 17"), "{}", status.message());
    assert_ne!(bug("a").message(), bug("a").message(), "each has its own");
}
