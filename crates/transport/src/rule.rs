//! Which method is how important, and how long a call of it may take. One table for all services.

use std::time::Duration;

/// What a call is worth when there is room for some only. In the order in which they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Health and reflection. Never shed: a full process that looks dead would be restarted.
    Probe,
    /// Raft between replicas.
    Raft,
    /// What takes a key out of use, and what carries it: revoke, suspend, restrict, deny; propose, leases, the barrier.
    Revoke,
    /// Validations.
    Validate,
    /// Management that is not a listing.
    Management,
    /// Listings.
    List,
}

impl Class {
    /// Every class.
    pub const ALL: [Self; 6] = [Self::Probe, Self::Raft, Self::Revoke, Self::Validate, Self::Management, Self::List];

    /// The word for it, as in metric labels and error metadata.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Raft => "raft",
            Self::Revoke => "revoke",
            Self::Validate => "validate",
            Self::Management => "management",
            Self::List => "list",
        }
    }
}

/// The time of a unary call that came without one.
pub(crate) const UNARY_DEFAULT: Duration = Duration::from_secs(2);

/// The longest time of a validation, whatever its caller asked for: an answer that late helps nobody.
const VALIDATION_MAX: Duration = Duration::from_secs(5);

/// The longest `wait_timeout` that a request may carry (`proto/latchkey/v1`).
const WAIT_MAX: Duration = Duration::from_secs(60);

/// The methods that have `wait_for`, whose time without a deadline is 2 s and the wait that the request asks for.
const WAITING: [&str; 14] = [
    "CreateKey",
    "BatchCreateKeys",
    "SuspendKey",
    "ResumeKey",
    "RestrictKey",
    "RevokeKey",
    "RevokeKeys",
    "RotateKey",
    "PrepareStandby",
    "CompleteRotation",
    "CancelRotation",
    "RollBackRotation",
    "HoldRotation",
    "ResumeRotation",
];

/// What takes a key, a version or what it may do out of use.
const REVOKING: [&str; 7] = ["Revoke", "Suspend", "Restrict", "Deny", "Complete", "Cancel", "RollBack"];

/// How long a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeRule {
    /// Where the caller says nothing. `None`: as long as it likes.
    pub(crate) default: Option<Duration>,
    /// Whatever the caller says.
    pub(crate) ceiling: Option<Duration>,
}

/// The class of a method.
pub(crate) fn class(service: &str, method: &str) -> Class {
    match (service, method) {
        ("grpc.health.v1.Health" | "grpc.reflection.v1.ServerReflection", _) => Class::Probe,
        ("latchkey.internal.v1.RaftService", _) => Class::Raft,
        ("latchkey.internal.v1.RegistryService", "Propose" | "RenewLease" | "Confirm" | "Select") => Class::Revoke,
        ("latchkey.internal.v1.RegistryService", "Query") => Class::List,
        ("latchkey.v1.ValidationService", method) if !matches!(method, "ExplainValidation" | "ReportUsage") => {
            Class::Validate
        }
        (_, method) if begins_with_any(method, &REVOKING) => Class::Revoke,
        // What is read for somebody who looks, and takes time.
        ("latchkey.v1.AuditService", "QueryUsage") => Class::List,
        (_, method) if method.starts_with("List") => Class::List,
        _ => Class::Management,
    }
}

/// The time of a method.
pub(crate) fn time(class: Class, method: &str, streaming: bool) -> TimeRule {
    if streaming {
        return TimeRule { default: None, ceiling: None };
    }
    if class == Class::Validate {
        return TimeRule { default: Some(UNARY_DEFAULT), ceiling: Some(VALIDATION_MAX) };
    }
    // The request says how long it waits, and only the handler reads it: the layer gives the longest wait there is, and
    // the handler cuts itself with `Deadline::with_wait`.
    let wait = if WAITING.contains(&method) { WAIT_MAX } else { Duration::ZERO };
    TimeRule { default: Some(UNARY_DEFAULT + wait), ceiling: None }
}

fn begins_with_any(method: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| method.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::{FileDescriptorSet, MethodDescriptorProto};

    use super::*;

    #[test]
    fn what_takes_a_key_out_of_use_outranks_validation_and_validation_outranks_the_rest() {
        let revoke = class("latchkey.v1.IssuanceService", "RevokeKeys");
        let validate = class("latchkey.v1.ValidationService", "BatchValidateKeys");
        let explain = class("latchkey.v1.ValidationService", "ExplainValidation");
        let list = class("latchkey.v1.DirectoryService", "ListTenants");
        assert_eq!((revoke, validate), (Class::Revoke, Class::Validate));
        assert_eq!((explain, list), (Class::Management, Class::List));
        assert!(Class::Raft < revoke && revoke < validate && validate < explain && explain < list);
    }

    #[test]
    fn every_method_of_the_key_life_has_its_class() {
        for (service, method, expected) in [
            ("IssuanceService", "UpdateKey", Class::Management),
            ("IssuanceService", "SuspendKey", Class::Revoke),
            ("IssuanceService", "ResumeKey", Class::Management),
            ("IssuanceService", "RestrictKey", Class::Revoke),
            ("IssuanceService", "RevokeKey", Class::Revoke),
            ("IssuanceService", "ImportKeys", Class::Management),
            ("RotationService", "RotateKey", Class::Management),
            ("RotationService", "PrepareStandby", Class::Management),
            ("RotationService", "GetRotation", Class::Management),
            ("RotationService", "ListRotations", Class::List),
            ("RotationService", "CompleteRotation", Class::Revoke),
            ("RotationService", "CancelRotation", Class::Revoke),
            ("RotationService", "RollBackRotation", Class::Revoke),
            ("RotationService", "HoldRotation", Class::Management),
            ("RotationService", "ResumeRotation", Class::Management),
            ("RotationService", "ListDueRotations", Class::List),
            ("DirectoryService", "UpdateKeyspace", Class::Management),
            ("DirectoryService", "DeleteRole", Class::Management),
            ("DirectoryService", "ListRoles", Class::List),
            ("ValidationService", "StreamValidateKeys", Class::Validate),
            ("ValidationService", "ReportUsage", Class::Management),
            ("AuditService", "GetCheckpoint", Class::Management),
            ("AuditService", "GetInclusionProof", Class::Management),
            ("AuditService", "GetConsistencyProof", Class::Management),
            ("AuditService", "ListAccess", Class::List),
            ("AuditService", "ListExports", Class::List),
            ("AuditService", "ListEntries", Class::List),
            ("AuditService", "QueryUsage", Class::List),
            ("AuditService", "WatchEntries", Class::Management),
        ] {
            assert_eq!(class(&format!("latchkey.v1.{service}"), method), expected, "{method}");
        }
        assert_eq!(class("latchkey.internal.v1.RegistryService", "Select"), Class::Revoke);
    }

    #[test]
    fn the_methods_that_wait_are_those_whose_request_says_for_how_long() {
        let set = FileDescriptorSet::decode(latchkey_wire::FILE_DESCRIPTOR_SET).unwrap();
        let ours = || set.file.iter().filter(|file| file.package() == "latchkey.v1");
        let waits = |method: &MethodDescriptorProto| {
            let mut messages = ours().flat_map(|file| &file.message_type);
            let input = method.input_type().rsplit('.').next();
            let request = messages.find(|message| Some(message.name()) == input).unwrap();
            request.field.iter().any(|field| field.name() == "wait_timeout")
        };
        let methods = ours().flat_map(|file| &file.service).flat_map(|service| &service.method);
        let waiting: BTreeSet<&str> = methods.filter(|method| waits(method)).map(MethodDescriptorProto::name).collect();
        assert_eq!(waiting, BTreeSet::from(WAITING));
    }

    #[test]
    fn streams_have_no_time_and_a_validation_never_more_than_five_seconds() {
        assert_eq!(time(Class::Validate, "StreamValidateKeys", true), TimeRule { default: None, ceiling: None });
        assert_eq!(time(Class::Validate, "ValidateKey", false).ceiling, Some(Duration::from_secs(5)));
        assert_eq!(time(Class::Revoke, "RevokeKey", false).default, Some(Duration::from_secs(62)));
        assert_eq!(time(Class::Management, "GetKey", false).default, Some(Duration::from_secs(2)));
    }
}
