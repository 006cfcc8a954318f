//! What the caller says about a new key.

use super::rotation_policy::{self, Whose};
use crate::pb::v1;
use crate::pb::v1::create_key_request::Expiry as PbExpiry;
use crate::time::{TimeError, read_span, read_time};
use crate::violation::Fields;
use latchkey_domain::{
    BoundedSet, DisplayName, DurationMillis, IdentityName, KeyId, KeyName, KeyspaceName, Metadata, Method, NameError,
    Network, OwnerName, PermissionPattern, Purpose, ROLES_MAX, ResourcePattern, RoleName, RoleSet, Slug, Terms,
};
use latchkey_minting::KeyDetails;
use latchkey_state::{Expiry, HolderName};
use std::fmt::Display;

/// `keyspace` is where it is made, if that could be read.
pub(super) fn read(
    fields: &mut Fields,
    request: &v1::CreateKeyRequest,
    keyspace: Option<&KeyspaceName>,
) -> Option<KeyDetails> {
    let holder = fields.take("owner", holder(&request.owner));
    let display_name = fields.take("display_name", DisplayName::parse(&request.display_name));
    let purpose = fields.take("purpose", Purpose::parse(&request.purpose));
    let permissions = set(fields, "permissions", &request.permissions, PermissionPattern::parse);
    let networks = set(fields, "networks", &request.networks, Network::parse);
    let methods = set(fields, "methods", &request.methods, Method::parse);
    let resources = set(fields, "resources", &request.resources, ResourcePattern::parse);
    let roles = roles(fields, "roles", &request.roles, keyspace.map(|keyspace| &keyspace.tenant));
    let parent = parent(fields, &request.parent_key, keyspace);
    let metadata = fields.take("metadata", Metadata::from_pairs(&request.metadata));
    let not_before = fields.take_optional("not_before", request.not_before.as_ref().map(read_time));
    let expiry = read_expiry(fields, request.expiry.as_ref());
    let rotation_policy = rotation_policy::read(fields, request.rotation_policy.as_ref(), Whose::Key);
    Some(KeyDetails {
        holder: holder?,
        display_name: display_name?,
        purpose: purpose?,
        terms: Terms {
            permissions: permissions?,
            networks: networks?,
            methods: methods?,
            resources: resources?,
            roles: RoleSet::default(),
        },
        roles: roles?,
        parent: parent?,
        metadata: metadata?,
        not_before: not_before?,
        expiry: expiry?,
        rotation_policy: rotation_policy?,
    })
}

/// Reads a list into a bounded set. The bound is checked first, so that nobody makes us parse more.
pub(super) fn set<T: Ord, E: Display, const MAX: usize>(
    fields: &mut Fields,
    field: &str,
    texts: &[String],
    parse: impl Fn(&str) -> Result<T, E>,
) -> Option<BoundedSet<T, MAX>> {
    if texts.len() > MAX {
        fields.refuse(field, format_args!("{} items, at most {MAX} are allowed", texts.len()));
        return None;
    }
    let values = fields.take_each(field, texts.iter().map(|text| parse(text)))?;
    fields.take(field, BoundedSet::from_values(values))
}

/// Reads roles of `tenant` into their ids, sorted. Of another tenant there is none that a key could have.
pub(super) fn roles(fields: &mut Fields, field: &str, texts: &[String], tenant: Option<&Slug>) -> Option<Vec<Slug>> {
    let roles: BoundedSet<Slug, ROLES_MAX> = set(fields, field, texts, |text| {
        let name = RoleName::parse(text).map_err(|error| error.to_string())?;
        match tenant {
            Some(tenant) if name.tenant != *tenant => Err("must be a role of the tenant of the key".to_owned()),
            Some(_) | None => Ok(name.role),
        }
    })?;
    Some(roles.as_slice().to_vec())
}

#[expect(clippy::option_option, reason = "absent and wrong are two things, and wrong has been noted")]
fn parent(fields: &mut Fields, text: &str, keyspace: Option<&KeyspaceName>) -> Option<Option<KeyId>> {
    if text.is_empty() {
        return Some(None);
    }
    let name = fields.take("parent_key", KeyName::parse(text))?;
    if keyspace.is_some_and(|keyspace| name.keyspace != *keyspace) {
        fields.refuse("parent_key", "must be a key of the same keyspace");
        return None;
    }
    Some(Some(name.key))
}

pub(super) fn holder(text: &str) -> Result<HolderName, NameError> {
    if text.is_empty() {
        return Ok(HolderName::None);
    }
    if let Ok(identity) = IdentityName::parse(text) {
        return Ok(HolderName::Identity(identity));
    }
    OwnerName::parse(text).map(HolderName::Owner).map_err(|error| NameError {
        expected: "tenants/{tenant}/owners/{owner}, or tenants/{tenant}/identities/{identity} for a management key",
        ..error
    })
}

fn read_expiry(fields: &mut Fields, expiry: Option<&PbExpiry>) -> Option<Expiry> {
    match expiry {
        None => Some(Expiry::Default),
        Some(PbExpiry::ExpireTime(time)) => fields.take("expire_time", read_time(time)).map(Expiry::At),
        Some(PbExpiry::Lifetime(span)) => positive_span(fields, "lifetime", span).map(Expiry::After),
    }
}

/// Reads a span in which zero makes no sense.
pub(super) fn positive_span(fields: &mut Fields, field: &str, span: &prost_types::Duration) -> Option<DurationMillis> {
    match read_span(span) {
        Ok(DurationMillis::ZERO) => {
            fields.refuse(field, "must be above zero");
            None
        }
        read => fields.take::<_, TimeError>(field, read),
    }
}
