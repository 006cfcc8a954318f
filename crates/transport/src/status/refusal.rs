//! Refusals of the state machine.

use std::time::Duration;

use latchkey_domain::{Refusal, ResourceKind};
use latchkey_wire::pb::v1::ErrorReason as Reason;
use tonic::{Code, Status};

use super::Unavailable;
use super::answer::Answer;

/// The process that sealed with a key that is gone takes the current one with its next event.
const RING_KEY_RETRY: Duration = Duration::from_millis(100);

/// A leader with a wrong clock is replaced, or set right by an operator.
const CLOCK_RETRY: Duration = Duration::from_secs(5);

/// What a refusal of the driver of rotations is about.
const ROTATION_CLAIM: &str = "rotation_claim";

/// The status of a refusal.
#[must_use]
pub fn refused(refusal: &Refusal) -> Status {
    answer(refusal).into_status()
}

fn answer(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::PermissionDenied { duty, scope } => Answer::new(
            Code::PermissionDenied,
            Reason::PermissionDenied,
            format!("the identity needs the duty {duty} on {}", place(scope)),
        )
        .with("duty", duty)
        .with("scope", scope),
        Refusal::GrantExceedsCaller { duty, scope } => Answer::new(
            Code::PermissionDenied,
            Reason::GrantExceedsCaller,
            format!("the identity cannot grant {duty} on {}, which it does not hold itself", place(scope)),
        )
        .with("duty", duty)
        .with("scope", scope),
        // Asked for by something else than its name, which is not repeated: it may be a key text.
        Refusal::NotFound { kind, name } if name.is_empty() => {
            let kind = kind.as_str();
            Answer::new(Code::NotFound, Reason::NotFound, format!("there is no such {kind}")).with("kind", kind)
        }
        Refusal::NotFound { kind, name } => {
            let kind = kind.as_str();
            Answer::new(Code::NotFound, Reason::NotFound, format!("there is no {kind} {name}"))
                .with("kind", kind)
                .with("name", name)
        }
        Refusal::AlreadyExists { kind, name } => {
            let kind = kind.as_str();
            Answer::new(Code::AlreadyExists, Reason::AlreadyExists, format!("there is a {kind} {name} already"))
                .with("kind", kind)
                .with("name", name)
        }
        Refusal::PrefixTaken { prefix } => Answer::new(
            Code::AlreadyExists,
            Reason::PrefixTaken,
            format!("another keyspace has the prefix {prefix}; prefixes are unique in the cluster"),
        )
        .with("prefix", prefix),
        Refusal::RequestIdReused => Answer::new(
            Code::AlreadyExists,
            Reason::RequestIdReused,
            "the same request_id came earlier with another request",
        ),
        Refusal::EtagMismatch { current } => {
            Answer::new(Code::Aborted, Reason::EtagMismatch, format!("the etag is not the current one, {current}"))
                .with("current", current)
        }
        Refusal::QuotaExceeded { quota, limit } => {
            let quota = quota.as_str();
            Answer::new(
                Code::ResourceExhausted,
                Reason::QuotaExceeded,
                format!("the bound {quota} of {limit} is reached"),
            )
            .with("quota", quota)
            .with("limit", limit)
            .quota(quota)
        }
        Refusal::PermissionNotAllowed { permission } => failed(
            Reason::PermissionNotAllowed,
            permission,
            format!("the keyspace does not allow the permission {permission}"),
        )
        .with("permission", permission),
        Refusal::ExpiryPast { expire_time, now } => failed(
            Reason::ExpiryPast,
            "expire_time",
            format!("the expiry ({expire_time}) must lie after the time of the cluster ({now})"),
        )
        .with("expire_time_ms", &expire_time.millis())
        .with("now_ms", &now.millis()),
        Refusal::LifetimeTooLong { asked, maximum } => failed(
            Reason::LifetimeTooLong,
            "lifetime",
            format!("the lifetime ({asked}) must be at most the keyspace's maximum ({maximum})"),
        )
        .with("asked_ms", &asked.millis())
        .with("maximum_ms", &maximum.millis()),
        Refusal::NotBeforeAfterExpiry { not_before, expire_time } => failed(
            Reason::NotBeforeAfterExpiry,
            "not_before",
            format!("the not-before ({not_before}) must lie before the expiry ({expire_time})"),
        )
        .with("not_before_ms", &not_before.millis())
        .with("expire_time_ms", &expire_time.millis()),
        Refusal::OwnerNotAllowed { owner, expected } => {
            failed(Reason::OwnerNotAllowed, "owner", format!("the owner {owner} must be {expected}"))
                .with("owner", owner)
                .with("expected", expected)
        }
        Refusal::StalenessTooShort { asked, floor } => failed(
            Reason::StalenessTooShort,
            "staleness_max",
            format!("staleness_max ({asked}) must be at least the cluster's floor ({floor})"),
        )
        .with("asked_ms", &asked.millis())
        .with("floor_ms", &floor.millis()),
        Refusal::Reserved { name } => {
            failed(Reason::Reserved, name, format!("{name} is reserved for Latchkey itself")).with("name", name)
        }
        Refusal::KeyRevoked { name } => {
            failed(Reason::KeyRevoked, name, format!("{name} is revoked, and a revoked key does not change"))
                .with("name", name)
        }
        Refusal::RingKeyGone { number } => Answer::new(
            Code::Unavailable,
            Reason::RingKeyGone,
            format!("the wrapped key {number} is not, or no longer, in the keyring"),
        )
        .with("number", number)
        .retry_after(RING_KEY_RETRY),
        Refusal::RingKeyInUse { number, uses } => failed(
            Reason::RingKeyInUse,
            &format!("keyring/{number}"),
            format!("the wrapped key {number} is in use: {uses} versions and wrapped keys still need it, or it is the newest"),
        )
        .with("number", number)
        .with("uses", uses),
        Refusal::KekNotEverywhere { kek, missing } => {
            let missing = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            failed(
                Reason::KekNotEverywhere,
                &format!("keyring/keks/{kek}"),
                format!(
                    "expected all replicas to have the key-encryption key {kek} and to name it in kek_file, found that these do \
                     not, or have not said so: {missing}"
                ),
            )
            .with("kek", kek)
            .with("missing", &missing)
        }
        Refusal::ClockJump { at, clock } => Answer::new(
            Code::Unavailable,
            Reason::ClockJump,
            format!("the leader's clock ({at}) is more than an hour ahead of the time of the cluster ({clock})"),
        )
        .with("at_ms", &at.millis())
        .with("clock_ms", &clock.millis())
        .retry_after(CLOCK_RETRY),
        Refusal::FeatureLevel { needed, current } => failed(
            Reason::FeatureLevel,
            "feature_level",
            format!("this needs the feature level {needed}, the cluster runs at {current}"),
        )
        .with("needed", needed)
        .with("current", current),
        Refusal::EpochChanged { given, current } => failed(
            Reason::EpochChanged,
            "revision",
            format!("the revision is of epoch {given}, the cluster is in epoch {current}; take a new one"),
        )
        .with("given", given)
        .with("current", current),
        Refusal::NotEmpty { kind, name, holds, count } => {
            let (kind, held) = (kind.as_str(), if *count == 1 { holds.as_str() } else { plural(*holds) });
            let holds = plural(*holds);
            failed(Reason::NotEmpty, name, format!("the {kind} {name} holds {count} {held}"))
                .with("kind", kind)
                .with("name", name)
                .with("holds", holds)
                .with("count", count)
        }
        Refusal::KeyExpired { name, expire_time } => failed(
            Reason::KeyExpired,
            name,
            format!("{name} has expired ({expire_time}), and an expired key does not change"),
        )
        .with("name", name)
        .with("expire_time_ms", &expire_time.millis()),
        Refusal::ExceedsKey { name, field, value } => {
            let message = match value.as_str() {
                "" => format!("no {field} is no bound, and {name} has one"),
                value => format!("{value} is not within the {field} of {name}"),
            };
            failed(Reason::ExceedsKey, field, message).with("name", name).with("field", field).with("value", value)
        }
        Refusal::ParentNotAllowed { name, expected } => {
            failed(Reason::ParentNotAllowed, "parent_key", format!("the parent key {name} must be {expected}"))
                .with("name", name)
                .with("expected", expected)
        }
        Refusal::RoleNotAllowed { role } => {
            failed(Reason::RoleNotAllowed, role, format!("the keyspace does not allow the role {role}"))
                .with("role", role)
        }
        Refusal::RotationInProgress { rotation } => failed(
            Reason::RotationInProgress,
            rotation,
            format!("{rotation} is in progress; complete it, cancel it or roll it back first"),
        )
        .with("rotation", rotation),
        Refusal::RotationNotIn { rotation, state, expected } => {
            failed(Reason::RotationState, rotation, format!("{rotation} is {state}, this needs {expected}"))
                .with("rotation", rotation)
                .with("state", state)
                .with("expected", expected)
        }
        Refusal::SelfRevocationOff => failed(
            Reason::SelfRevocationOff,
            "self_revocation",
            "the keyspace does not let whoever holds a key revoke it".to_owned(),
        ),
        Refusal::FormatInUse { format, count } => failed(
            Reason::FormatInUse,
            format.as_str(),
            format!("{count} imported keys have the format {format}, so it neither changes nor goes"),
        )
        .with("format", format)
        .with("count", count),
        Refusal::ReplicaNotIn { replica, role, expected } => failed(
            Reason::ReplicaState,
            &format!("replicas/{replica}"),
            format!("replica {replica} is a {role}, this needs {expected}"),
        )
        .with("replica", replica)
        .with("role", role)
        .with("expected", expected),
        Refusal::MembershipUnsafe { replica, problem } => {
            failed(Reason::MembershipUnsafe, &format!("replicas/{replica}"), problem.clone()).with("replica", replica)
        }
        Refusal::RotationFenced { fence, current } => failed(
            Reason::RotationFenced,
            ROTATION_CLAIM,
            format!("the fence {fence} is not the current one, {current}: another process drives rotations by now"),
        )
        .with("fence", fence)
        .with("current", current),
        Refusal::RotationClaimed { ends_at } => failed(
            Reason::RotationClaimed,
            ROTATION_CLAIM,
            format!("another process drives rotations until {ends_at}; ask again then"),
        )
        .with("ends_at_ms", &ends_at.millis()),
        Refusal::NodeKeyKnown { replica } => failed(
            Reason::NodeKeyKnown,
            &format!("replicas/{replica}"),
            format!(
                "replica {replica} has a node key already, and one key is of one replica for good; a folder that was copied \
                 must not be started: add a replica with an empty one"
            ),
        )
        .with("replica", replica),
        Refusal::CheckpointConflict { size, problem } => {
            failed(Reason::CheckpointConflict, "checkpoint", problem.clone()).with("size", size)
        }
        Refusal::AuditLogNotLost { entries, problem } => {
            failed(Reason::AuditLogNotLost, "auditLog", problem.clone()).with("entries", entries)
        }
        Refusal::AuditBehind { entries } => Unavailable::AuditBehind { entries: *entries }.into_answer(),
    }
}

/// Resources of a kind, as their collection in a name is called.
const fn plural(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Tenant => "tenants",
        ResourceKind::Keyspace => "keyspaces",
        ResourceKind::Owner => "owners",
        ResourceKind::Identity => "identities",
        ResourceKind::Key => "keys",
        ResourceKind::Version => "versions",
        ResourceKind::Role => "roles",
        ResourceKind::Rotation => "rotations",
        ResourceKind::Replica => "replicas",
    }
}

fn failed(reason: Reason, subject: &str, message: String) -> Answer {
    Answer::new(Code::FailedPrecondition, reason, message).precondition(subject)
}

/// A scope in a sentence: the system's text is empty.
fn place(scope: &latchkey_domain::Scope) -> String {
    let text = scope.to_string();
    if text.is_empty() { "the system".to_owned() } else { text }
}
