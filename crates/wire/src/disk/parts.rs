//! What commands and rows have in common.

use super::policy::{read_policy, write_policy};
use super::{DecodeError, fixed, key_id, parsed, required, span, time, version_id};
use crate::pb::disk::v1 as disk;
use crate::{staleness, words};
use latchkey_domain::{
    BoundedSet, DisplayName, DurationMillis, Environment, ExpiryNotices, Grant, ImportFormat, ImportFormatId,
    ImportPart, ImportStart, KeyId, KeyspaceNumber, Metadata, Method, MethodSet, Network, NetworkSet,
    PermissionPattern, PermissionSet, Prefix, ReasonText, ResourcePattern, ResourceSet, Revision, RoleNumber, RoleSet,
    Scope, Slug, SourceId, TenantNumber, Terms, UnixMillis,
};
use latchkey_state::{Change, Imported, KeyspaceSettings, Revocation, RingPurpose, TenantQuotas};
use std::collections::BTreeMap;
use std::fmt::Display;

/// Bytes of an id.
pub(super) const ID_BYTES: usize = 12;

pub(super) fn write_revision(revision: Revision) -> disk::Revision {
    disk::Revision { epoch: revision.epoch, index: revision.index }
}

pub(super) fn read_revision(revision: disk::Revision) -> Revision {
    Revision::new(revision.epoch, revision.index)
}

pub(super) fn write_change(change: Change) -> disk::Change {
    disk::Change { revision: Some(write_revision(change.revision)), at_unix_ms: change.at.millis() }
}

pub(super) fn read_change(change: &disk::Change) -> Result<Change, DecodeError> {
    Ok(Change {
        revision: read_revision(required(change.revision, "change.revision")?),
        at: time(change.at_unix_ms, "change.at")?,
    })
}

pub(super) fn texts<T: Display>(values: impl Iterator<Item = T>) -> Vec<String> {
    values.map(|value| value.to_string()).collect()
}

pub(super) fn read_names(texts: &[String], field: &'static str) -> Result<Vec<DisplayName>, DecodeError> {
    texts.iter().map(|text| parsed(DisplayName::parse(text), field)).collect()
}

pub(super) fn read_slugs(texts: &[String], field: &'static str) -> Result<Vec<Slug>, DecodeError> {
    texts.iter().map(|text| parsed(Slug::parse(text), field)).collect()
}

/// Ids one after the other, as a row or command holds many of them.
pub(super) fn write_key_ids<'a>(ids: impl Iterator<Item = &'a KeyId>) -> Vec<u8> {
    ids.flat_map(|id| *id.bytes()).collect()
}

pub(super) fn read_key_ids(bytes: &[u8], field: &'static str) -> Result<Vec<KeyId>, DecodeError> {
    if !bytes.len().is_multiple_of(ID_BYTES) {
        return Err(DecodeError::new(field, "a part of an id"));
    }
    bytes.chunks_exact(ID_BYTES).map(|id| key_id(id, field)).collect()
}

pub(super) fn read_permissions(texts: &[String], field: &'static str) -> Result<PermissionSet, DecodeError> {
    read_set(texts, PermissionPattern::parse, field)
}

pub(super) fn read_networks(texts: &[String], field: &'static str) -> Result<NetworkSet, DecodeError> {
    read_set(texts, Network::parse, field)
}

pub(super) fn read_methods(texts: &[String], field: &'static str) -> Result<MethodSet, DecodeError> {
    read_set(texts, Method::parse, field)
}

pub(super) fn read_resources(texts: &[String], field: &'static str) -> Result<ResourceSet, DecodeError> {
    read_set(texts, ResourcePattern::parse, field)
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
        roles: terms.roles.iter().map(|role| role.0).collect(),
    }
}

pub(super) fn read_terms(terms: &disk::Terms) -> Result<Terms, DecodeError> {
    Ok(Terms {
        permissions: read_permissions(&terms.permissions, "terms.permissions")?,
        networks: read_networks(&terms.networks, "terms.networks")?,
        methods: read_methods(&terms.methods, "terms.methods")?,
        resources: read_resources(&terms.resources, "terms.resources")?,
        roles: parsed(RoleSet::from_values(terms.roles.iter().copied().map(RoleNumber)), "terms.roles")?,
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
    let (staleness_policy, last_known_max_ms) = staleness::write_disk(settings.staleness_policy);
    disk::KeyspaceSettings {
        display_name: settings.display_name.to_string(),
        prefix: settings.prefix.to_string(),
        environment: settings.environment.to_string(),
        allowed_permissions: texts(settings.allowed_permissions.iter()),
        default_lifetime_ms: settings.default_lifetime.map(DurationMillis::millis),
        maximum_lifetime_ms: settings.maximum_lifetime.map(DurationMillis::millis),
        networks: texts(settings.networks.iter()),
        staleness_max_ms: settings.staleness_max.map(DurationMillis::millis),
        staleness_policy,
        last_known_max_ms,
        dead_retention_ms: settings.dead_retention.millis(),
        keys_max: settings.keys_max,
        allowed_roles: texts(settings.allowed_roles.iter()),
        versions_max: (settings.versions_max != u64::MAX).then_some(settings.versions_max),
        metadata_bytes_max: (settings.metadata_bytes_max != u64::MAX).then_some(settings.metadata_bytes_max),
        self_revocation_off: settings.self_revocation_off,
        import_formats: write_formats(&settings.import_formats),
        rotation_policy: settings.rotation_policy.as_deref().map(write_policy),
        access_sample_ppm: settings.access_sample_ppm,
        expiry_notices: settings.expiry_notices.as_ref().map(write_expiry_notices),
    }
}

pub(super) fn read_settings(settings: &disk::KeyspaceSettings) -> Result<KeyspaceSettings, DecodeError> {
    let lifetime = |millis: Option<u64>| millis.map(|millis| span(millis, "settings.lifetime")).transpose();
    Ok(KeyspaceSettings {
        display_name: parsed(DisplayName::parse(&settings.display_name), "settings.display_name")?,
        prefix: parsed(Prefix::parse(&settings.prefix), "settings.prefix")?,
        environment: parsed(Environment::parse(&settings.environment), "settings.environment")?,
        allowed_permissions: read_permissions(&settings.allowed_permissions, "settings.allowed_permissions")?,
        default_lifetime: lifetime(settings.default_lifetime_ms)?,
        maximum_lifetime: lifetime(settings.maximum_lifetime_ms)?,
        networks: read_networks(&settings.networks, "settings.networks")?,
        staleness_max: settings.staleness_max_ms.map(|millis| span(millis, "settings.staleness_max")).transpose()?,
        staleness_policy: staleness::read_disk(settings.staleness_policy, settings.last_known_max_ms)?,
        dead_retention: span(settings.dead_retention_ms, "settings.dead_retention")?,
        keys_max: settings.keys_max,
        allowed_roles: read_slugs(&settings.allowed_roles, "settings.allowed_roles")?.into(),
        versions_max: settings.versions_max.unwrap_or(u64::MAX),
        metadata_bytes_max: settings.metadata_bytes_max.unwrap_or(u64::MAX),
        self_revocation_off: settings.self_revocation_off,
        import_formats: read_formats(&settings.import_formats)?.into(),
        rotation_policy: settings.rotation_policy.as_ref().map(read_policy).transpose()?.map(Box::new),
        access_sample_ppm: settings.access_sample_ppm,
        expiry_notices: settings.expiry_notices.as_ref().map(read_expiry_notices).transpose()?,
    })
}

pub(super) fn write_expiry_notices(notices: &ExpiryNotices) -> disk::ExpiryNotices {
    disk::ExpiryNotices { before_ms: notices.spans().iter().map(|span| span.millis()).collect() }
}

pub(super) fn read_expiry_notices(notices: &disk::ExpiryNotices) -> Result<ExpiryNotices, DecodeError> {
    let spans = notices.before_ms.iter().map(|millis| span(*millis, "expiry_notices"));
    parsed(ExpiryNotices::new(spans.collect::<Result<Vec<_>, DecodeError>>()?), "expiry_notices")
}

pub(super) fn write_formats(formats: &[ImportFormat]) -> Vec<disk::ImportFormat> {
    let part = |part: &ImportPart| disk::ImportPart {
        alphabet: disk::ImportAlphabet::from(part.alphabet).into(),
        length_min: part.length_min.into(),
        length_max: part.length_max.into(),
    };
    let format = |format: &ImportFormat| disk::ImportFormat {
        id: format.id().to_string(),
        digest: disk::ImportDigest::from(format.digest()).into(),
        prefix: format.prefix().to_owned(),
        parts: format.parts().iter().map(part).collect(),
    };
    formats.iter().map(format).collect()
}

pub(super) fn read_formats(formats: &[disk::ImportFormat]) -> Result<Vec<ImportFormat>, DecodeError> {
    let length = |length: u32| parsed(u8::try_from(length), "format.part.length");
    let part = |part: &disk::ImportPart| {
        Ok(ImportPart {
            alphabet: parsed(words::disk_import_alphabet(part.alphabet), "format.part.alphabet")?,
            length_min: length(part.length_min)?,
            length_max: length(part.length_max)?,
        })
    };
    let format = |format: &disk::ImportFormat| {
        let id = parsed(ImportFormatId::parse(&format.id), "format.id")?;
        let digest = parsed(words::disk_import_digest(format.digest), "format.digest")?;
        let parts = format.parts.iter().map(part).collect::<Result<_, DecodeError>>()?;
        parsed(ImportFormat::new(id, digest, &format.prefix, parts), "format")
    };
    formats.iter().map(format).collect()
}

pub(super) fn write_imported(imported: &Imported) -> disk::Imported {
    disk::Imported {
        format: imported.format.to_string(),
        start: imported.start.as_str().to_owned(),
        source_id: imported.source_id.to_string(),
        source_created_at_unix_ms: imported.source_created_at.map(UnixMillis::millis),
        version_id: imported.version.bytes().to_vec(),
    }
}

pub(super) fn read_imported(imported: &disk::Imported) -> Result<Imported, DecodeError> {
    let created = imported.source_created_at_unix_ms.map(|millis| time(millis, "imported.source_created_at"));
    Ok(Imported {
        format: parsed(ImportFormatId::parse(&imported.format), "imported.format")?,
        start: required(ImportStart::parse(&imported.start), "imported.start")?,
        source_id: parsed(SourceId::parse(&imported.source_id), "imported.source_id")?,
        source_created_at: created.transpose()?,
        version: version_id(&imported.version_id, "imported.version_id")?,
    })
}

pub(super) fn write_quotas(quotas: &TenantQuotas) -> disk::TenantQuotas {
    disk::TenantQuotas {
        keyspaces_max: quotas.keyspaces_max,
        owners_max: quotas.owners_max,
        roles_max: quotas.roles_max,
        identities_max: quotas.identities_max,
        writes_per_second_max: quotas.writes_per_second_max,
    }
}

pub(super) const fn read_quotas(quotas: &disk::TenantQuotas) -> TenantQuotas {
    TenantQuotas {
        keyspaces_max: quotas.keyspaces_max,
        owners_max: quotas.owners_max,
        roles_max: quotas.roles_max,
        identities_max: quotas.identities_max,
        writes_per_second_max: quotas.writes_per_second_max,
    }
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
