//! Refusals, as they travel between our services.

use crate::disk::{DecodeError, required};
use crate::pb::internal::v1 as internal;
use crate::pb::internal::v1::refusal::{
    ExceedsKey, FormatInUse, KeyExpired, Kind, MembershipUnsafe, NotEmpty, Numbers, OwnerNotAllowed, ParentNotAllowed,
    Plain, QuotaExceeded, ReplicaNotIn, Resource, RotationNotIn, Spans, Times,
};
use crate::pb::v1;
use crate::words;
use latchkey_domain::{
    DurationMillis, Duty, ImportFormatId, KekId, NodeId, Refusal, ReplicaRole, ResourceKind, Scope, UnixMillis,
};

/// What a refusal can say was expected of an owner. It comes from our own code, so the list is closed.
const EXPECTED_OWNERS: [&str; 2] = ["an owner of the keyspace's tenant", "an identity"];

/// The fields of a key that a refusal can say exceed another key's.
const EXCEEDED_FIELDS: [&str; 7] =
    ["permissions", "networks", "methods", "resources", "roles", "expire_time", "not_before"];

/// What a refusal can say was expected of a parent key.
const EXPECTED_PARENTS: [&str; 2] = ["a key that is not itself a child", "a key that is not dead"];

/// What a refusal can say was expected of a rotation.
/// What a refusal may expect of a replica: texts of our own.
const EXPECTED_REPLICAS: [&str; 4] = ["a learner", "a voter", "another voter besides it", "a replica that is leaving"];

const EXPECTED_STATES: [&str; 18] = [
    "OVERLAP",
    "PREPARED",
    "an old version that lives",
    "PLANNED",
    "DELIVERED",
    "VERIFIED",
    "HELD",
    "a state before OVERLAP",
    "a state that is not final",
    "a rotation of this version",
    "a rotation that is driven",
    "a new version that lives",
    "a new version that is accepted",
    "a time at which it may start",
    "a time at which it may be activated",
    "evidence that the old version is silent",
    "a policy that holds, after its deadline",
    "a hold that is over",
];

/// Writes a refusal.
#[must_use]
pub fn write_refusal(refusal: &Refusal) -> internal::Refusal {
    let kind = match refusal.clone() {
        Refusal::PermissionDenied { duty, scope } => Kind::PermissionDenied(grant(duty, &scope)),
        Refusal::GrantExceedsCaller { duty, scope } => Kind::GrantExceedsCaller(grant(duty, &scope)),
        Refusal::NotFound { kind, name } => Kind::NotFound(resource(kind, name)),
        Refusal::AlreadyExists { kind, name } => Kind::AlreadyExists(resource(kind, name)),
        Refusal::PrefixTaken { prefix } => Kind::PrefixTaken(prefix),
        Refusal::RequestIdReused => Kind::RequestIdReused(Plain {}),
        Refusal::EtagMismatch { current } => Kind::EtagMismatch(current),
        Refusal::QuotaExceeded { quota, limit } => {
            Kind::QuotaExceeded(QuotaExceeded { quota: internal::Quota::from(quota).into(), limit })
        }
        Refusal::PermissionNotAllowed { permission } => Kind::PermissionNotAllowed(permission),
        Refusal::ExpiryPast { expire_time, now } => Kind::ExpiryPast(times(expire_time, now)),
        Refusal::LifetimeTooLong { asked, maximum } => Kind::LifetimeTooLong(spans(asked, maximum)),
        Refusal::NotBeforeAfterExpiry { not_before, expire_time } => {
            Kind::NotBeforeAfterExpiry(times(not_before, expire_time))
        }
        Refusal::OwnerNotAllowed { owner, expected } => {
            Kind::OwnerNotAllowed(OwnerNotAllowed { owner, expected: expected.to_owned() })
        }
        Refusal::StalenessTooShort { asked, floor } => Kind::StalenessTooShort(spans(asked, floor)),
        Refusal::Reserved { name } => Kind::Reserved(name),
        Refusal::KeyRevoked { name } => Kind::KeyRevoked(name),
        Refusal::RingKeyGone { number } => Kind::RingKeyGone(number),
        Refusal::RingKeyInUse { number, uses } => Kind::RingKeyInUse(internal::RingKeyInUse { number, uses }),
        Refusal::KekNotEverywhere { kek, missing } => Kind::KekNotEverywhere(internal::KekNotEverywhere {
            kek: kek.0.to_vec(),
            missing: missing.iter().map(|replica| replica.0).collect(),
        }),
        Refusal::ClockJump { at, clock } => Kind::ClockJump(times(at, clock)),
        Refusal::FeatureLevel { needed, current } => {
            Kind::FeatureLevel(Numbers { given: needed.into(), current: current.into() })
        }
        Refusal::EpochChanged { given, current } => Kind::EpochChanged(Numbers { given, current }),
        Refusal::NodeKeyKnown { replica } => Kind::NodeKeyKnown(replica.0),
        Refusal::CheckpointConflict { size, problem } => {
            Kind::CheckpointConflict(internal::CheckpointConflict { size, problem })
        }
        Refusal::AuditLogNotLost { entries, problem } => {
            Kind::AuditLogNotLost(internal::AuditLogNotLost { entries, problem })
        }
        Refusal::NotEmpty { kind, name, holds, count } => Kind::NotEmpty(NotEmpty {
            resource: Some(resource(kind, name)),
            holds: internal::ResourceKind::from(holds).into(),
            count,
        }),
        Refusal::KeyExpired { name, expire_time } => {
            Kind::KeyExpired(KeyExpired { name, expired_at_unix_ms: expire_time.millis() })
        }
        Refusal::ExceedsKey { name, field, value } => {
            Kind::ExceedsKey(ExceedsKey { name, field: field.to_owned(), value })
        }
        Refusal::ParentNotAllowed { name, expected } => {
            Kind::ParentNotAllowed(ParentNotAllowed { name, expected: expected.to_owned() })
        }
        Refusal::RoleNotAllowed { role } => Kind::RoleNotAllowed(role),
        Refusal::RotationInProgress { rotation } => Kind::RotationInProgress(rotation),
        Refusal::RotationNotIn { rotation, state, expected } => Kind::RotationNotIn(RotationNotIn {
            rotation,
            state: v1::rotation::State::from(state).into(),
            expected: expected.to_owned(),
        }),
        Refusal::SelfRevocationOff => Kind::SelfRevocationOff(Plain {}),
        Refusal::AuditBehind { entries } => Kind::AuditBehind(entries),
        Refusal::RotationFenced { fence, current } => Kind::RotationFenced(Numbers { given: fence, current }),
        Refusal::RotationClaimed { ends_at } => Kind::RotationClaimed(ends_at.millis()),
        Refusal::ReplicaNotIn { replica, role, expected } => Kind::ReplicaNotIn(ReplicaNotIn {
            replica: replica.0,
            role: role.as_str().to_owned(),
            expected: expected.to_owned(),
        }),
        Refusal::MembershipUnsafe { replica, problem } => {
            Kind::MembershipUnsafe(MembershipUnsafe { replica: replica.0, problem })
        }
        Refusal::FormatInUse { format, count } => Kind::FormatInUse(FormatInUse { format: format.to_string(), count }),
    };
    internal::Refusal { kind: Some(kind) }
}

/// Reads a refusal.
///
/// # Errors
/// [`DecodeError`] for a kind, word or name that this build does not know.
pub fn read_refusal(refusal: internal::Refusal) -> Result<Refusal, DecodeError> {
    let time = UnixMillis::new;
    let span = DurationMillis::new;
    Ok(match required(refusal.kind, "refusal.kind")? {
        Kind::PermissionDenied(grant) => {
            let (duty, scope) = read_grant(&grant)?;
            Refusal::PermissionDenied { duty, scope }
        }
        Kind::GrantExceedsCaller(grant) => {
            let (duty, scope) = read_grant(&grant)?;
            Refusal::GrantExceedsCaller { duty, scope }
        }
        Kind::NotFound(Resource { kind, name }) => Refusal::NotFound { kind: read_kind(kind)?, name },
        Kind::AlreadyExists(Resource { kind, name }) => Refusal::AlreadyExists { kind: read_kind(kind)?, name },
        Kind::PrefixTaken(prefix) => Refusal::PrefixTaken { prefix },
        Kind::RequestIdReused(Plain {}) => Refusal::RequestIdReused,
        Kind::EtagMismatch(current) => Refusal::EtagMismatch { current },
        Kind::QuotaExceeded(QuotaExceeded { quota, limit }) => {
            let quota = words::quota(quota).map_err(|error| DecodeError::new("refusal.quota", error))?;
            Refusal::QuotaExceeded { quota, limit }
        }
        Kind::PermissionNotAllowed(permission) => Refusal::PermissionNotAllowed { permission },
        Kind::ExpiryPast(Times { given_unix_ms, other_unix_ms }) => {
            Refusal::ExpiryPast { expire_time: time(given_unix_ms), now: time(other_unix_ms) }
        }
        Kind::LifetimeTooLong(Spans { asked_ms, bound_ms }) => {
            Refusal::LifetimeTooLong { asked: span(asked_ms), maximum: span(bound_ms) }
        }
        Kind::NotBeforeAfterExpiry(Times { given_unix_ms, other_unix_ms }) => {
            Refusal::NotBeforeAfterExpiry { not_before: time(given_unix_ms), expire_time: time(other_unix_ms) }
        }
        Kind::OwnerNotAllowed(OwnerNotAllowed { owner, expected }) => {
            Refusal::OwnerNotAllowed { owner, expected: known(&EXPECTED_OWNERS, &expected, "another owner") }
        }
        Kind::StalenessTooShort(Spans { asked_ms, bound_ms }) => {
            Refusal::StalenessTooShort { asked: span(asked_ms), floor: span(bound_ms) }
        }
        Kind::Reserved(name) => Refusal::Reserved { name },
        Kind::KeyRevoked(name) => Refusal::KeyRevoked { name },
        Kind::RingKeyGone(number) => Refusal::RingKeyGone { number },
        Kind::RingKeyInUse(internal::RingKeyInUse { number, uses }) => Refusal::RingKeyInUse { number, uses },
        Kind::KekNotEverywhere(internal::KekNotEverywhere { kek, missing }) => Refusal::KekNotEverywhere {
            kek: KekId(<[u8; 8]>::try_from(&kek[..]).map_err(|_| DecodeError {
                field: "kek_not_everywhere.kek",
                problem: format!("expected 8 bytes, found {}", kek.len()),
            })?),
            missing: missing.into_iter().map(NodeId).collect(),
        },
        Kind::ClockJump(Times { given_unix_ms, other_unix_ms }) => {
            Refusal::ClockJump { at: time(given_unix_ms), clock: time(other_unix_ms) }
        }
        Kind::FeatureLevel(Numbers { given, current }) => {
            Refusal::FeatureLevel { needed: level(given)?, current: level(current)? }
        }
        Kind::EpochChanged(Numbers { given, current }) => Refusal::EpochChanged { given, current },
        Kind::NodeKeyKnown(replica) => Refusal::NodeKeyKnown { replica: NodeId(replica) },
        Kind::AuditLogNotLost(internal::AuditLogNotLost { entries, problem }) => {
            Refusal::AuditLogNotLost { entries, problem }
        }
        Kind::CheckpointConflict(internal::CheckpointConflict { size, problem }) => {
            Refusal::CheckpointConflict { size, problem }
        }
        Kind::NotEmpty(NotEmpty { resource, holds, count }) => {
            let Resource { kind, name } = required(resource, "refusal.not_empty.resource")?;
            Refusal::NotEmpty { kind: read_kind(kind)?, name, holds: read_kind(holds)?, count }
        }
        Kind::KeyExpired(KeyExpired { name, expired_at_unix_ms }) => {
            Refusal::KeyExpired { name, expire_time: time(expired_at_unix_ms) }
        }
        Kind::ExceedsKey(ExceedsKey { name, field, value }) => {
            Refusal::ExceedsKey { name, field: known(&EXCEEDED_FIELDS, &field, "terms"), value }
        }
        Kind::ParentNotAllowed(ParentNotAllowed { name, expected }) => {
            Refusal::ParentNotAllowed { name, expected: known(&EXPECTED_PARENTS, &expected, "another key") }
        }
        Kind::RoleNotAllowed(role) => Refusal::RoleNotAllowed { role },
        Kind::RotationInProgress(rotation) => Refusal::RotationInProgress { rotation },
        Kind::RotationNotIn(RotationNotIn { rotation, state, expected }) => {
            let state =
                words::rotation_state(state).map_err(|error| DecodeError::new("refusal.rotation.state", error))?;
            Refusal::RotationNotIn { rotation, state, expected: known(&EXPECTED_STATES, &expected, "another state") }
        }
        Kind::SelfRevocationOff(Plain {}) => Refusal::SelfRevocationOff,
        Kind::AuditBehind(entries) => Refusal::AuditBehind { entries },
        Kind::RotationFenced(Numbers { given, current }) => Refusal::RotationFenced { fence: given, current },
        Kind::RotationClaimed(millis) => Refusal::RotationClaimed { ends_at: time(millis) },
        Kind::ReplicaNotIn(ReplicaNotIn { replica, role, expected }) => {
            let role = ReplicaRole::ALL.into_iter().find(|one| one.as_str() == role);
            let role = required(role, "refusal.replica.role")?;
            let expected = known(&EXPECTED_REPLICAS, &expected, "another role");
            Refusal::ReplicaNotIn { replica: NodeId(replica), role, expected }
        }
        Kind::MembershipUnsafe(MembershipUnsafe { replica, problem }) => {
            Refusal::MembershipUnsafe { replica: NodeId(replica), problem }
        }
        Kind::FormatInUse(FormatInUse { format, count }) => {
            let format = ImportFormatId::parse(&format).map_err(|error| DecodeError::new("refusal.format", error))?;
            Refusal::FormatInUse { format, count }
        }
    })
}

/// The text of our own that this is; `other` where a newer release says what this one does not know.
fn known(texts: &[&'static str], found: &str, other: &'static str) -> &'static str {
    texts.iter().copied().find(|text| *text == found).unwrap_or(other)
}

fn grant(duty: Duty, scope: &Scope) -> v1::Grant {
    v1::Grant { duty: v1::Duty::from(duty).into(), scope: scope.to_string() }
}

fn read_grant(grant: &v1::Grant) -> Result<(Duty, Scope), DecodeError> {
    let duty = words::duty(grant.duty).map_err(|error| DecodeError::new("refusal.grant.duty", error))?;
    let scope = Scope::parse(&grant.scope).map_err(|error| DecodeError::new("refusal.grant.scope", error))?;
    Ok((duty, scope))
}

fn resource(kind: ResourceKind, name: String) -> Resource {
    Resource { kind: internal::ResourceKind::from(kind).into(), name }
}

fn read_kind(number: i32) -> Result<ResourceKind, DecodeError> {
    words::resource_kind(number).map_err(|error| DecodeError::new("refusal.resource.kind", error))
}

fn times(given: UnixMillis, other: UnixMillis) -> Times {
    Times { given_unix_ms: given.millis(), other_unix_ms: other.millis() }
}

fn spans(asked: DurationMillis, bound: DurationMillis) -> Spans {
    Spans { asked_ms: asked.millis(), bound_ms: bound.millis() }
}

fn level(number: u64) -> Result<u32, DecodeError> {
    u32::try_from(number).map_err(|error| DecodeError::new("refusal.feature_level", error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::{Quota, RotationState};

    #[test]
    fn a_refusal_of_an_unknown_kind_or_word_is_not_guessed() {
        assert!(read_refusal(internal::Refusal { kind: None }).is_err());
        let unknown = Kind::NotFound(Resource { kind: 99, name: String::new() });
        assert!(read_refusal(internal::Refusal { kind: Some(unknown) }).is_err());
    }

    #[test]
    fn every_refusal_reads_as_it_was_written() {
        let name = || "tenants/acme".to_owned();
        let scope = Scope::parse("tenants/acme/keyspaces/live").unwrap();
        let (time, span) = (UnixMillis::new, DurationMillis::new);
        let mut all = vec![
            Refusal::PermissionDenied { duty: Duty::Issuer, scope: Scope::System },
            Refusal::GrantExceedsCaller { duty: Duty::Root, scope },
            Refusal::PrefixTaken { prefix: "acme".to_owned() },
            Refusal::RequestIdReused,
            Refusal::EtagMismatch { current: "3-7".to_owned() },
            Refusal::PermissionNotAllowed { permission: "orders:*".to_owned() },
            Refusal::ExpiryPast { expire_time: time(1), now: time(2) },
            Refusal::LifetimeTooLong { asked: span(3), maximum: span(2) },
            Refusal::NotBeforeAfterExpiry { not_before: time(5), expire_time: time(4) },
            Refusal::StalenessTooShort { asked: span(1), floor: span(2) },
            Refusal::Reserved { name: name() },
            Refusal::KeyRevoked { name: name() },
            Refusal::RingKeyGone { number: 7 },
            Refusal::RingKeyInUse { number: 7, uses: 3 },
            Refusal::KekNotEverywhere { kek: KekId([7; 8]), missing: vec![NodeId(2), NodeId(3)] },
            Refusal::ClockJump { at: time(9), clock: time(8) },
            Refusal::FeatureLevel { needed: 2, current: 1 },
            Refusal::EpochChanged { given: 2, current: 3 },
            Refusal::NodeKeyKnown { replica: NodeId(3) },
            Refusal::CheckpointConflict { size: 9, problem: name() },
            Refusal::AuditLogNotLost { entries: 9, problem: name() },
            Refusal::NotEmpty { kind: ResourceKind::Owner, name: name(), holds: ResourceKind::Key, count: 3 },
            Refusal::KeyExpired { name: name(), expire_time: time(7) },
            Refusal::RoleNotAllowed { role: name() },
            Refusal::RotationInProgress { rotation: name() },
            Refusal::SelfRevocationOff,
            Refusal::AuditBehind { entries: 1_000_000 },
            Refusal::RotationFenced { fence: 3, current: 4 },
            Refusal::RotationClaimed { ends_at: time(10) },
            Refusal::FormatInUse { format: ImportFormatId::parse("unkey").unwrap(), count: 3 },
        ];
        all.extend(EXPECTED_REPLICAS.into_iter().zip(ReplicaRole::ALL).map(|(expected, role)| Refusal::ReplicaNotIn {
            replica: NodeId(4),
            role,
            expected,
        }));
        all.push(Refusal::MembershipUnsafe { replica: NodeId(4), problem: name() });
        all.extend(EXCEEDED_FIELDS.map(|field| Refusal::ExceedsKey { name: name(), field, value: "a".to_owned() }));
        all.extend(EXPECTED_PARENTS.map(|expected| Refusal::ParentNotAllowed { name: name(), expected }));
        all.extend(RotationState::ALL.map(|state| Refusal::RotationNotIn {
            rotation: name(),
            state,
            expected: EXPECTED_STATES[0],
        }));
        let state = RotationState::Held;
        all.extend(EXPECTED_STATES.map(|expected| Refusal::RotationNotIn { rotation: name(), state, expected }));
        all.extend(EXPECTED_OWNERS.map(|expected| Refusal::OwnerNotAllowed { owner: name(), expected }));
        all.extend(ResourceKind::ALL.map(|kind| Refusal::NotFound { kind, name: name() }));
        all.extend(ResourceKind::ALL.map(|kind| Refusal::AlreadyExists { kind, name: name() }));
        all.extend(Quota::ALL.map(|quota| Refusal::QuotaExceeded { quota, limit: 3 }));
        for refusal in all {
            assert_eq!(read_refusal(write_refusal(&refusal)), Ok(refusal));
        }
    }
}
