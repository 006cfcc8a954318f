//! What a key may be given: no more than its keyspace allows, and no more than its parent key has.

use crate::key::{Key, Layers};
use crate::records::Keyspace;
use crate::state::State;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use latchkey_domain::{
    BuiltInRole, KeyId, KeyName, KeyspaceName, PermissionPattern, PermissionSet, Quota, Refusal, ResourceKind,
    RoleName, RoleNumber, RoleSet, Slug, Terms, UnixMillis,
};
use latchkey_policy::{Excess, check_terms_where};

/// The end of an answer that a parent does not fit.
const NO_CHILD: &str = "a key that is not itself a child";
const ALIVE: &str = "a key that is not dead";

/// Permissions of a key's own are among those that its keyspace allows.
pub(super) fn need_allowed(keyspace: &Keyspace, permissions: &PermissionSet) -> Result<(), Refusal> {
    let allowed = &keyspace.settings.allowed_permissions;
    let beyond = |pattern: &&PermissionPattern| !allowed.is_empty() && !allowed.covers(pattern);
    match permissions.iter().find(beyond) {
        Some(pattern) => Err(Refusal::PermissionNotAllowed { permission: pattern.to_string() }),
        None => Ok(()),
    }
}

/// The numbers of roles, which are among those that the keyspace allows.
pub(super) fn roles(state: &State, name: &KeyspaceName, keyspace: &Keyspace, ids: &[Slug]) -> Result<RoleSet, Refusal> {
    let allowed = &keyspace.settings.allowed_roles;
    let mut numbers = RoleSet::default();
    for id in ids {
        let role = RoleName::new(name.tenant.clone(), id.clone());
        let number = match BuiltInRole::parse(id.as_str()) {
            Some(built_in) => built_in.number(),
            None => {
                let not_found = || Refusal::NotFound { kind: ResourceKind::Role, name: role.to_string() };
                state.role(&role).ok_or_else(not_found)?.number
            }
        };
        if !allowed.is_empty() && !allowed.contains(id) {
            return Err(Refusal::RoleNotAllowed { role: role.to_string() });
        }
        // More roles than a key holds are refused by whoever reads a request; one that came past that is named.
        numbers = RoleSet::from_values(numbers.iter().copied().chain([number]))
            .map_err(|_| Refusal::RoleNotAllowed { role: role.to_string() })?;
    }
    Ok(numbers)
}

/// A role by name, whoever made it.
pub(super) fn role_name(state: &State, tenant: &Slug, number: RoleNumber) -> String {
    let id = match BuiltInRole::by_number(number) {
        Some(built_in) => Slug::parse(built_in.as_str()).ok(),
        None => state.roles().by_number(number).map(|role| role.id.clone()),
    };
    id.map(|id| RoleName::new(tenant.clone(), id).to_string()).unwrap_or_default()
}

/// Refuses where so much more would be more than the keyspace may hold.
pub(super) fn need_room(state: &State, keyspace: &Keyspace, versions: u64, metadata_bytes: u64) -> Result<(), Refusal> {
    let usage = state.usage(keyspace.number);
    let settings = &keyspace.settings;
    for (quota, limit, used, more) in [
        (Quota::VersionsOfKeyspace, settings.versions_max, usage.versions, versions),
        (Quota::MetadataBytesOfKeyspace, settings.metadata_bytes_max, usage.metadata_bytes, metadata_bytes),
    ] {
        // A bound that was lowered below what is there stops what adds to it, and nothing else.
        if more > 0 && used.saturating_add(more) > limit {
            return Err(Refusal::QuotaExceeded { quota, limit });
        }
    }
    Ok(())
}

/// The parent of a key.
pub(super) struct Parent<'a> {
    state: &'a State,
    name: KeyName,
    key: &'a Arc<Key>,
    layers: Layers<'a>,
}

impl<'a> Parent<'a> {
    /// The parent of a key to be made.
    pub(super) fn for_new(
        state: &'a State,
        name: &KeyspaceName,
        keyspace: &Keyspace,
        id: KeyId,
        now: UnixMillis,
    ) -> Result<Self, Refusal> {
        let name = KeyName { keyspace: name.clone(), key: id };
        let Some(key) = state.key_at(keyspace.number, id) else {
            return Err(Refusal::NotFound { kind: ResourceKind::Key, name: name.to_string() });
        };
        let refused = |expected| Err(Refusal::ParentNotAllowed { name: name.to_string(), expected });
        if key.parent().is_some() {
            return refused(NO_CHILD);
        }
        if state.death_of(key, now).is_some() {
            return refused(ALIVE);
        }
        Ok(Self { state, name, key, layers: state.terms_of(key, now) })
    }

    /// The parent of a key that is there.
    pub(super) fn of(state: &'a State, name: &KeyspaceName, key: &Key, now: UnixMillis) -> Option<Self> {
        let parent = state.key_at(key.keyspace, key.parent()?)?;
        let name = KeyName { keyspace: name.clone(), key: parent.id };
        Some(Self { state, name, key: parent, layers: state.terms_of(parent, now) })
    }

    /// When the parent ends.
    pub(super) fn expires_at(&self) -> Option<UnixMillis> {
        self.key.expires_at
    }

    /// What a child asks for is within what the parent has by itself and by its roles.
    pub(super) fn need_within(&self, terms: &Terms) -> Result<(), Refusal> {
        let excess = match check_terms_where(terms, &self.key.terms, |pattern| self.layers.key_covers(pattern)) {
            Ok(()) => return Ok(()),
            Err(excess) => excess,
        };
        // Empty, where the parent names some, is all.
        let (field, value) = match excess {
            Excess::Permission(pattern) => ("permissions", pattern.to_string()),
            Excess::Network(network) => ("networks", network.map(|one| one.to_string()).unwrap_or_default()),
            Excess::Method(method) => ("methods", method.map(|one| one.to_string()).unwrap_or_default()),
            Excess::Resource(pattern) => ("resources", pattern.map(|one| one.to_string()).unwrap_or_default()),
            Excess::Role(number) => ("roles", role_name(self.state, &self.name.keyspace.tenant, number)),
        };
        Err(Refusal::ExceedsKey { name: self.name.to_string(), field, value })
    }

    /// A child ends no later than its parent.
    pub(super) fn need_no_later(&self, expires_at: Option<UnixMillis>) -> Result<(), Refusal> {
        let Some(end) = self.key.expires_at else { return Ok(()) };
        if expires_at.is_some_and(|expires_at| expires_at <= end) {
            return Ok(());
        }
        let value = expires_at.map(|time| time.to_string()).unwrap_or_default();
        Err(Refusal::ExceedsKey { name: self.name.to_string(), field: "expire_time", value })
    }
}
