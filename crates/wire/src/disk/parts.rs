//! What commands and rows have in common.

use super::{DecodeError, fixed, parsed, required, span, time};
use crate::pb::disk::v1 as disk;
use crate::words;
use latchkey_domain::{
    BoundedSet, DisplayName, DurationMillis, Environment, Grant, KeyspaceNumber, Metadata, Method, Network,
    PermissionPattern, Prefix, ReasonText, ResourcePattern, Revision, Scope, TenantNumber, Terms,
};
use latchkey_state::{KeyspaceSettings, Revocation, RingPurpose};
use std::collections::BTreeMap;
use std::fmt::Display;

pub(super) fn write_revision(revision: Revision) -> disk::Revision {
    disk::Revision { epoch: revision.epoch, index: revision.index }
}

pub(super) fn read_revision(revision: disk::Revision) -> Revision {
    Revision::new(revision.epoch, revision.index)
}

pub(super) fn texts<T: Display>(values: impl Iterator<Item = T>) -> Vec<String> {
    values.map(|value| value.to_string()).collect()
}

pub(super) fn read_names(texts: &[String], field: &'static str) -> Result<Vec<DisplayName>, DecodeError> {
    texts.iter().map(|text| parsed(DisplayName::parse(text), field)).collect()
}

fn read_set<T: Ord, E: Display, const MAX: usize>(
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
    field: &'static str,
) -> Result<BoundedSet<T, MAX>, DecodeError> {
    let values: Result<Vec<T>, DecodeError> = texts.iter().map(|text| parsed(parse(text), field)).collect();
    parsed(BoundedSet::from_values(values?), field)
}

pub(super) fn write_terms(terms: &Terms) -> disk::Terms {
    disk::Terms {
        permissions: texts(terms.permissions.iter()),
        networks: texts(terms.networks.iter()),
        methods: texts(terms.methods.iter()),
        resources: texts(terms.resources.iter()),
    }
}

pub(super) fn read_terms(terms: &disk::Terms) -> Result<Terms, DecodeError> {
    Ok(Terms {
        permissions: read_set(&terms.permissions, PermissionPattern::parse, "terms.permissions")?,
        networks: read_set(&terms.networks, Network::parse, "terms.networks")?,
        methods: read_set(&terms.methods, Method::parse, "terms.methods")?,
        resources: read_set(&terms.resources, ResourcePattern::parse, "terms.resources")?,
    })
}

pub(super) fn write_metadata<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> BTreeMap<String, String> {
    pairs.map(|(word, value)| (word.to_owned(), value.to_owned())).collect()
}

pub(super) fn read_metadata(metadata: &BTreeMap<String, String>) -> Result<Metadata, DecodeError> {
    parsed(Metadata::from_pairs(metadata), "metadata")
}

pub(super) fn write_grants(grants: &[Grant]) -> Vec<disk::Grant> {
    let write =
        |grant: &Grant| disk::Grant { duty: disk::Duty::from(grant.duty).into(), scope: grant.scope.to_string() };
    grants.iter().map(write).collect()
}

pub(super) fn read_grants(grants: &[disk::Grant]) -> Result<Vec<Grant>, DecodeError> {
    let read = |grant: &disk::Grant| {
        Ok(Grant {
            duty: parsed(words::disk_duty(grant.duty), "grant.duty")?,
            scope: parsed(Scope::parse(&grant.scope), "grant.scope")?,
        })
    };
    grants.iter().map(read).collect()
}

pub(super) fn write_settings(settings: &KeyspaceSettings) -> disk::KeyspaceSettings {
    disk::KeyspaceSettings {
        display_name: settings.display_name.to_string(),
        prefix: settings.prefix.to_string(),
        environment: settings.environment.to_string(),
        allowed_permissions: texts(settings.allowed_permissions.iter()),
        default_lifetime_ms: settings.default_lifetime.map(DurationMillis::millis),
        maximum_lifetime_ms: settings.maximum_lifetime.map(DurationMillis::millis),
        networks: texts(settings.networks.iter()),
        staleness_max_ms: settings.staleness_max.map(DurationMillis::millis),
        staleness_policy: disk::StalenessPolicy::from(settings.staleness_policy).into(),
        dead_retention_ms: settings.dead_retention.millis(),
        keys_max: settings.keys_max,
    }
}

pub(super) fn read_settings(settings: &disk::KeyspaceSettings) -> Result<KeyspaceSettings, DecodeError> {
    let lifetime = |millis: Option<u64>| millis.map(|millis| span(millis, "settings.lifetime")).transpose();
    Ok(KeyspaceSettings {
        display_name: parsed(DisplayName::parse(&settings.display_name), "settings.display_name")?,
        prefix: parsed(Prefix::parse(&settings.prefix), "settings.prefix")?,
        environment: parsed(Environment::parse(&settings.environment), "settings.environment")?,
        allowed_permissions: read_set(
            &settings.allowed_permissions,
            PermissionPattern::parse,
            "settings.allowed_permissions",
        )?,
        default_lifetime: lifetime(settings.default_lifetime_ms)?,
        maximum_lifetime: lifetime(settings.maximum_lifetime_ms)?,
        networks: read_set(&settings.networks, Network::parse, "settings.networks")?,
        staleness_max: settings.staleness_max_ms.map(|millis| span(millis, "settings.staleness_max")).transpose()?,
        staleness_policy: parsed(words::disk_staleness_policy(settings.staleness_policy), "settings.staleness_policy")?,
        dead_retention: span(settings.dead_retention_ms, "settings.dead_retention")?,
        keys_max: settings.keys_max,
    })
}

pub(super) fn write_purpose(purpose: RingPurpose) -> disk::RingPurpose {
    use disk::ring_purpose::{Nothing, Purpose};
    let purpose = match purpose {
        RingPurpose::Log => Purpose::Log(Nothing {}),
        RingPurpose::Pepper => Purpose::Pepper(Nothing {}),
        RingPurpose::Replay => Purpose::Replay(Nothing {}),
        RingPurpose::Tenant(number) => Purpose::Tenant(number.0),
        RingPurpose::Audit(number) => Purpose::Audit(number.0),
        RingPurpose::Keyspace(number) => Purpose::Keyspace(number.0),
    };
    disk::RingPurpose { purpose: Some(purpose) }
}

pub(super) fn read_purpose(purpose: Option<disk::RingPurpose>) -> Result<RingPurpose, DecodeError> {
    use disk::ring_purpose::{Nothing, Purpose};
    Ok(match required(purpose.and_then(|purpose| purpose.purpose), "purpose")? {
        Purpose::Log(Nothing {}) => RingPurpose::Log,
        Purpose::Pepper(Nothing {}) => RingPurpose::Pepper,
        Purpose::Replay(Nothing {}) => RingPurpose::Replay,
        Purpose::Tenant(number) => RingPurpose::Tenant(TenantNumber(number)),
        Purpose::Audit(number) => RingPurpose::Audit(TenantNumber(number)),
        Purpose::Keyspace(number) => RingPurpose::Keyspace(KeyspaceNumber(number)),
    })
}

pub(super) fn write_revocation(revocation: &Revocation) -> disk::Revocation {
    disk::Revocation {
        effective_at_unix_ms: revocation.effective_at.millis(),
        asked_at_unix_ms: revocation.asked_at.millis(),
        reason: disk::RevocationReason::from(revocation.reason).into(),
        text: revocation.text.to_string(),
    }
}

pub(super) fn read_revocation(revocation: &disk::Revocation) -> Result<Revocation, DecodeError> {
    Ok(Revocation {
        effective_at: time(revocation.effective_at_unix_ms, "revocation.effective_at")?,
        asked_at: time(revocation.asked_at_unix_ms, "revocation.asked_at")?,
        reason: parsed(words::disk_revocation_reason(revocation.reason), "revocation.reason")?,
        text: parsed(ReasonText::parse(&revocation.text), "revocation.text")?,
    })
}

pub(super) fn read_digest(bytes: &[u8]) -> Result<latchkey_crypto::Digest, DecodeError> {
    Ok(latchkey_crypto::Digest::new(fixed(bytes, "digest")?))
}
