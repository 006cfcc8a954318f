//! The fields of tenants, keyspaces, owners and identities that are read alike when one is made and when one changes.

use super::key_details::{positive_span, set};
use super::rotation_policy::{self, Whose};
use crate::pb::v1;
use crate::time::read_span;
use crate::violation::Fields;
use crate::words;
use latchkey_domain::{
    BoundedSet, DisplayName, DurationMillis, Environment, ExpiryNotices, ExpiryNoticesError, Grant, IMPORT_FORMATS_MAX,
    IMPORT_PARTS_MAX, ImportFormat, ImportFormatError, ImportFormatId, ImportPart, LastKnownMax, Network, NetworkSet,
    PermissionPattern, PermissionSet, Prefix, RotationPolicy, Scope, Slug,
};
use latchkey_state::{ACCESS_SAMPLE_MAX, KeyspaceSettings, StalenessPolicy, TenantQuotas};
use std::collections::BTreeSet;

/// Grants of one identity.
pub const GRANTS_MAX: usize = 32;
/// Contacts of one owner, and of one tenant.
pub const CONTACTS_MAX: usize = 16;
/// Roles that one keyspace names as those that its keys may have.
pub const ALLOWED_ROLES_MAX: usize = 64;
/// How long dead keys of a keyspace stay readable that says nothing of it.
pub const DEAD_RETENTION_DEFAULT: DurationMillis = DurationMillis::from_days(90);

/// The resource to be made or changed; an empty one where it is missing, whose mistakes are then told as well.
pub(super) fn resource<T: Clone + Default>(fields: &mut Fields, field: &str, resource: Option<&T>) -> T {
    if resource.is_none() {
        fields.refuse(field, "must be set");
    }
    resource.cloned().unwrap_or_default()
}

/// All that a new keyspace chooses.
pub(super) fn settings(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<KeyspaceSettings> {
    let display_name = fields.take("display_name", DisplayName::parse(&keyspace.display_name));
    let prefix = fields.take("prefix", Prefix::parse(&keyspace.prefix));
    let environment = fields.take("environment", Environment::parse(&keyspace.environment));
    let allowed_permissions = allowed_permissions(fields, keyspace);
    let allowed_roles = allowed_roles(fields, keyspace);
    let default_lifetime = default_lifetime(fields, keyspace);
    let maximum_lifetime = maximum_lifetime(fields, keyspace);
    check_lifetimes(fields, default_lifetime.flatten(), maximum_lifetime.flatten());
    let networks = networks(fields, keyspace);
    let staleness_max = staleness_max(fields, keyspace);
    let staleness_policy = staleness_policy(fields, keyspace);
    let dead_retention = dead_retention(fields, keyspace);
    let self_revocation_off = self_revocation_off(fields, keyspace);
    let import_formats = import_formats(fields, keyspace);
    let rotation_policy = rotation_policy(fields, keyspace);
    let access_sample_ppm = access_sample_ppm(fields, keyspace);
    let expiry_notices = expiry_notices(fields, keyspace);
    let quotas = keyspace_quotas(keyspace);
    Some(KeyspaceSettings {
        display_name: display_name?,
        prefix: prefix?,
        environment: environment?,
        allowed_permissions: allowed_permissions?,
        default_lifetime: default_lifetime?,
        maximum_lifetime: maximum_lifetime?,
        networks: networks?,
        staleness_max: staleness_max?,
        staleness_policy: staleness_policy?,
        dead_retention: dead_retention?,
        keys_max: quotas.keys_max,
        allowed_roles: allowed_roles?,
        versions_max: quotas.versions_max,
        metadata_bytes_max: quotas.metadata_bytes_max,
        self_revocation_off: self_revocation_off?,
        import_formats: import_formats?,
        rotation_policy: rotation_policy?,
        access_sample_ppm: access_sample_ppm?,
        expiry_notices: expiry_notices?,
    })
}

pub(super) fn allowed_permissions(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<PermissionSet> {
    set(fields, "allowed_permissions", &keyspace.allowed_permissions, PermissionPattern::parse)
}

pub(super) fn allowed_roles(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<Box<[Slug]>> {
    let roles: BoundedSet<Slug, ALLOWED_ROLES_MAX> =
        set(fields, "allowed_roles", &keyspace.allowed_roles, Slug::parse)?;
    Some(roles.as_slice().into())
}

#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
pub(super) fn default_lifetime(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<Option<DurationMillis>> {
    optional_span(fields, "default_lifetime", keyspace.default_lifetime.as_ref())
}

#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
pub(super) fn maximum_lifetime(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<Option<DurationMillis>> {
    optional_span(fields, "maximum_lifetime", keyspace.maximum_lifetime.as_ref())
}

/// Notes lifetimes that contradict each other, where the request says both.
pub(super) fn check_lifetimes(fields: &mut Fields, default: Option<DurationMillis>, maximum: Option<DurationMillis>) {
    if let (Some(default), Some(maximum)) = (default, maximum)
        && default > maximum
    {
        fields.refuse("default_lifetime", format_args!("{default} is longer than the maximum_lifetime, {maximum}"));
    }
}

pub(super) fn networks(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<NetworkSet> {
    set(fields, "networks", &keyspace.networks, Network::parse)
}

#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
pub(super) fn staleness_max(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<Option<DurationMillis>> {
    optional_span(fields, "staleness_max", keyspace.staleness_max.as_ref())
}

pub(super) fn staleness_policy(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<StalenessPolicy> {
    let max = optional_span(fields, "last_known_max", keyspace.last_known_max.as_ref())?;
    match (v1::StalenessPolicy::try_from(keyspace.staleness_policy), max) {
        (Ok(v1::StalenessPolicy::Unspecified | v1::StalenessPolicy::Refuse), None) => Some(StalenessPolicy::Refuse),
        (Ok(v1::StalenessPolicy::Unspecified | v1::StalenessPolicy::Refuse), Some(_)) => {
            fields.refuse("last_known_max", "goes with `STALENESS_POLICY_LAST_KNOWN` alone");
            None
        }
        (Ok(v1::StalenessPolicy::LastKnown), None) => {
            let (min, most) = (LastKnownMax::MIN, LastKnownMax::MAX);
            let rule = format_args!("must be set with `STALENESS_POLICY_LAST_KNOWN`: {min} to {most}");
            fields.refuse("last_known_max", rule);
            None
        }
        (Ok(v1::StalenessPolicy::LastKnown), Some(max)) => {
            fields.take("last_known_max", LastKnownMax::new(max)).map(StalenessPolicy::LastKnown)
        }
        (Err(_), _) => {
            fields.refuse("staleness_policy", words::UnknownWord { found: keyspace.staleness_policy });
            None
        }
    }
}

pub(super) fn dead_retention(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<DurationMillis> {
    let span = optional_span(fields, "dead_retention", keyspace.dead_retention.as_ref())?;
    Some(span.unwrap_or(DEAD_RETENTION_DEFAULT))
}

pub(super) fn self_revocation_off(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<bool> {
    match v1::SelfRevocation::try_from(keyspace.self_revocation) {
        Ok(v1::SelfRevocation::Unspecified | v1::SelfRevocation::Allowed) => Some(false),
        Ok(v1::SelfRevocation::Off) => Some(true),
        Err(_) => {
            fields.refuse("self_revocation", words::UnknownWord { found: keyspace.self_revocation });
            None
        }
    }
}

pub(super) fn import_formats(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<Box<[ImportFormat]>> {
    let mut ids = BTreeSet::new();
    let formats = list(fields, "import_formats", &keyspace.import_formats, IMPORT_FORMATS_MAX, |fields, at, format| {
        let read = fields.within(&format!("import_formats[{at}]"), |fields| import_format(fields, format))?;
        if !ids.insert(read.id().clone()) {
            fields.refuse(&format!("import_formats[{at}].id"), "another format has this id");
        }
        Some(read)
    });
    formats.map(Into::into)
}

fn import_format(fields: &mut Fields, format: &v1::ImportFormat) -> Option<ImportFormat> {
    let id = fields.take("id", ImportFormatId::parse(&format.id));
    let digest = fields.take("digest", words::import_digest(format.digest));
    let parts = list(fields, "parts", &format.parts, IMPORT_PARTS_MAX, |fields, at, part| {
        let alphabet = fields.take(&format!("parts[{at}].alphabet"), words::import_alphabet(part.alphabet));
        // What is longer than any part may be is refused with the other lengths.
        let length = |length: u32| u8::try_from(length).unwrap_or(u8::MAX);
        let (length_min, length_max) = (length(part.length_min), length(part.length_max));
        Some(ImportPart { alphabet: alphabet?, length_min, length_max })
    });
    let (id, digest, parts) = (id?, digest?, parts?);
    match ImportFormat::new(id, digest, &format.prefix, parts) {
        Ok(format) => Some(format),
        Err(error) => {
            fields.refuse(field_of(error), error);
            None
        }
    }
}

const fn field_of(error: ImportFormatError) -> &'static str {
    match error {
        ImportFormatError::Prefix => "prefix",
        ImportFormatError::Parts
        | ImportFormatError::Lengths(_)
        | ImportFormatError::Separator(_)
        | ImportFormatError::Bits(_)
        | ImportFormatError::Head => "parts",
    }
}

#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
pub(super) fn rotation_policy(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<Option<Box<RotationPolicy>>> {
    rotation_policy::read(fields, keyspace.rotation_policy.as_ref(), Whose::Keyspace)
}

pub(super) fn access_sample_ppm(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<u32> {
    let ppm = keyspace.access_sample_ppm;
    if ppm > ACCESS_SAMPLE_MAX {
        let rule = format_args!("{ppm} of a million, at most {ACCESS_SAMPLE_MAX} are allowed, which are all of them");
        fields.refuse("access_sample_ppm", rule);
        return None;
    }
    Some(ppm)
}

#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
pub(super) fn expiry_notices(fields: &mut Fields, keyspace: &v1::Keyspace) -> Option<Option<ExpiryNotices>> {
    let Some(v1::ExpiryNotices { before }) = &keyspace.expiry_notices else { return Some(None) };
    fields.within("expiry_notices", |fields| {
        let spans = fields.take_each("before", before.iter().map(read_span))?;
        ExpiryNotices::new(spans).map(Some).map_err(|error| notice_refused(fields, error)).ok()
    })
}

fn notice_refused(fields: &mut Fields, error: ExpiryNoticesError) {
    let field = error.at.map_or_else(|| "before".to_owned(), |at| format!("before[{at}]"));
    fields.refuse(&field, error);
}

/// What a keyspace may hold.
pub(super) struct KeyspaceQuotas {
    pub(super) keys_max: u64,
    pub(super) versions_max: u64,
    pub(super) metadata_bytes_max: u64,
}

/// No limit applies that nobody asked for.
pub(super) fn keyspace_quotas(keyspace: &v1::Keyspace) -> KeyspaceQuotas {
    let v1::KeyspaceQuotas { keys, metadata_bytes, versions } = keyspace.quotas.unwrap_or_default();
    KeyspaceQuotas {
        keys_max: keys.unwrap_or(u64::MAX),
        versions_max: versions.unwrap_or(u64::MAX),
        metadata_bytes_max: metadata_bytes.unwrap_or(u64::MAX),
    }
}

pub(super) fn tenant_quotas(fields: &mut Fields, quotas: Option<v1::TenantQuotas>) -> Option<TenantQuotas> {
    let v1::TenantQuotas { keyspaces, owners, roles, identities, writes_per_second } = quotas.unwrap_or_default();
    if writes_per_second == Some(0) {
        fields.refuse("quotas.writes_per_second", "must be at least 1");
        return None;
    }
    Some(TenantQuotas {
        keyspaces_max: keyspaces,
        owners_max: owners,
        roles_max: roles,
        identities_max: identities,
        writes_per_second_max: writes_per_second,
    })
}

pub(super) fn contacts(fields: &mut Fields, contacts: &[String]) -> Option<Vec<DisplayName>> {
    list(fields, "contacts", contacts, CONTACTS_MAX, |fields, at, contact| {
        let field = format!("contacts[{at}]");
        if contact.is_empty() {
            fields.refuse(&field, "must not be empty");
        }
        fields.take(&field, DisplayName::parse(contact))
    })
}

pub(super) fn grants(fields: &mut Fields, grants: &[v1::Grant]) -> Option<Vec<Grant>> {
    list(fields, "grants", grants, GRANTS_MAX, |fields, at, grant| {
        let duty = fields.take(&format!("grants[{at}].duty"), words::duty(grant.duty));
        let scope = fields.take(&format!("grants[{at}].scope"), Scope::parse(&grant.scope));
        Some(Grant { duty: duty?, scope: scope? })
    })
}

#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
fn optional_span(
    fields: &mut Fields,
    field: &str,
    span: Option<&prost_types::Duration>,
) -> Option<Option<DurationMillis>> {
    match span {
        None => Some(None),
        Some(span) => positive_span(fields, field, span).map(Some),
    }
}

/// Reads a bounded list, item by item.
fn list<T, R>(
    fields: &mut Fields,
    field: &str,
    items: &[T],
    max: usize,
    mut read: impl FnMut(&mut Fields, usize, &T) -> Option<R>,
) -> Option<Vec<R>> {
    if items.len() > max {
        fields.refuse(field, format_args!("{} items, at most {max} are allowed", items.len()));
        return None;
    }
    // Each is read, also after one that was wrong.
    let read: Vec<Option<R>> = items.iter().enumerate().map(|(at, item)| read(fields, at, item)).collect();
    read.into_iter().collect()
}
