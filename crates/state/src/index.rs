//! What is found of keys otherwise than by their names: derived from the rows, never stored and never hashed. One way
//! in and one way out, so that it can always be made again from the rows and be compared.

use crate::command::RevokedScope;
use crate::key::{Holder, Imported, Key};
use crate::records::{Keyspace, Owner, Role, Rotation, ScopeCut, Tenant};
use imbl::{OrdMap, OrdSet};
use latchkey_crypto::Digest;
use latchkey_domain::{
    Grant, IdentityNumber, ImportFormatId, KeyId, KeyspaceNumber, OwnerNumber, RoleNumber, RotationId, RotationState,
    Scope, SourceId, UnixMillis,
};

/// What a key belongs to besides its keyspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Owner(OwnerNumber),
    Identity(IdentityNumber),
    Role(RoleNumber),
}

/// What of a key the clock ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Due {
    Overlap,
    Restriction,
}

/// How much the keys of a keyspace have, dead ones included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Their versions.
    pub versions: u64,
    /// Bytes of their metadata.
    pub metadata_bytes: u64,
}

/// A key in an order of time, and what to look it up by.
pub(crate) type Timed = (KeyspaceNumber, UnixMillis, KeyId);

/// Keys in other orders than that of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) groups: OrdSet<(Group, KeyspaceNumber, KeyId)>,
    pub(crate) counts: OrdMap<Group, u64>,
    /// By parent.
    pub(crate) children: OrdSet<(KeyspaceNumber, KeyId, KeyId)>,
    pub(crate) created: OrdSet<Timed>,
    /// Those that changed since they were made.
    pub(crate) changed: OrdSet<Timed>,
    /// Those that end by time.
    pub(crate) expiring: OrdSet<Timed>,
    pub(crate) due: OrdSet<(UnixMillis, KeyspaceNumber, KeyId, Due)>,
    /// Rotations in progress by the end of their overlap; those without one come last.
    pub(crate) rotating: OrdSet<(KeyspaceNumber, UnixMillis, KeyId, RotationId)>,
    pub(crate) usage: OrdMap<KeyspaceNumber, Usage>,
    /// What was cut, where not each key that it reached is marked yet.
    pub(crate) unmarked: OrdSet<RevokedScope>,
    /// Who holds grants on a tenant or a keyspace, so that they go with it.
    pub(crate) grantees: OrdSet<(Scope, IdentityNumber)>,
    /// Keys by the first half of the digest of their imported text. Digests are keyed by the pepper, so nobody can choose
    /// two with the same half.
    pub(crate) imported: OrdMap<(KeyspaceNumber, [u8; 16]), KeyId>,
    /// Keys by their id in the system that they came from.
    pub(crate) sources: OrdMap<(KeyspaceNumber, SourceId), KeyId>,
    /// How many keys came in by each format.
    pub(crate) formats: OrdMap<(KeyspaceNumber, ImportFormatId), u64>,
}

/// What an imported text is found by.
pub(crate) fn imported_at(keyspace: KeyspaceNumber, digest: &Digest) -> (KeyspaceNumber, [u8; 16]) {
    let (half, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    (keyspace, *half)
}

/// Whether something comes or goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    In,
    Out,
}

impl Way {
    fn set<T: Ord + Clone>(self, set: &mut OrdSet<T>, item: T) {
        match self {
            Self::In => drop(set.insert(item)),
            Self::Out => drop(set.remove(&item)),
        }
    }

    fn put<K: Ord + Clone, V: Clone>(self, map: &mut OrdMap<K, V>, key: K, value: V) {
        match self {
            Self::In => drop(map.insert(key, value)),
            Self::Out => drop(map.remove(&key)),
        }
    }

    fn count(self, count: u64, by: u64) -> u64 {
        match self {
            Self::In => count + by,
            Self::Out => count - by,
        }
    }
}

impl Index {
    pub(crate) fn key(&mut self, key: &Key, way: Way) {
        let (keyspace, id) = (key.keyspace, key.id);
        let holder = match key.holder {
            Holder::None => None,
            Holder::Owner(number) => Some(Group::Owner(number)),
            Holder::Identity(number) => Some(Group::Identity(number)),
        };
        for group in holder.into_iter().chain(key.terms.roles.iter().copied().map(Group::Role)) {
            way.set(&mut self.groups, (group, keyspace, id));
            let count = way.count(self.counts.get(&group).copied().unwrap_or_default(), 1);
            put_or_remove(&mut self.counts, group, count);
        }
        way.set(&mut self.created, (keyspace, key.created_at, id));
        if let Some(end) = key.expires_at {
            way.set(&mut self.expiring, (keyspace, end, id));
        }
        let mut metadata_bytes = 0;
        if let Some(details) = key.details.as_ref() {
            metadata_bytes = details.metadata.bytes() as u64;
            if let Some(changed) = details.changed {
                way.set(&mut self.changed, (keyspace, changed.at, id));
            }
            if let Some(parent) = details.parent {
                way.set(&mut self.children, (keyspace, parent, id));
            }
            if let Some(restriction) = &details.restriction {
                way.set(&mut self.due, (restriction.ends_at, keyspace, id, Due::Restriction));
            }
            if let Some(imported) = &details.imported {
                self.imported(key, imported, way);
            }
        }
        let usage = self.usage.get(&keyspace).copied().unwrap_or_default();
        let versions = way.count(usage.versions, key.versions.len() as u64);
        let metadata_bytes = way.count(usage.metadata_bytes, metadata_bytes);
        put_or_remove(&mut self.usage, keyspace, Usage { versions, metadata_bytes });
    }

    fn imported(&mut self, key: &Key, imported: &Imported, way: Way) {
        let (keyspace, id) = (key.keyspace, key.id);
        if let Some(version) = key.imported_version() {
            way.put(&mut self.imported, imported_at(keyspace, &version.digest), id);
        }
        if !imported.source_id.is_empty() {
            way.put(&mut self.sources, (keyspace, imported.source_id.clone()), id);
        }
        let format = (keyspace, imported.format.clone());
        let count = way.count(self.formats.get(&format).copied().unwrap_or_default(), 1);
        put_or_remove(&mut self.formats, format, count);
    }

    pub(crate) fn rotation(&mut self, rotation: &Rotation, way: Way) {
        let Rotation { id, keyspace, key, .. } = *rotation;
        if rotation.state.is_final() {
            return;
        }
        way.set(&mut self.rotating, (keyspace, rotation.overlap_ends_at.unwrap_or(UnixMillis::LAST), key, id));
        if let Some(end) = rotation.overlap_ends_at.filter(|_| rotation.state == RotationState::Overlap) {
            way.set(&mut self.due, (end, keyspace, key, Due::Overlap));
        }
    }

    pub(crate) fn tenant(&mut self, tenant: &Tenant, way: Way) {
        self.cut(RevokedScope::Tenant(tenant.number), tenant.cut.as_deref(), way);
    }

    pub(crate) fn keyspace(&mut self, keyspace: &Keyspace, way: Way) {
        self.cut(RevokedScope::Keyspace(keyspace.number), keyspace.cut.as_deref(), way);
    }

    pub(crate) fn owner(&mut self, owner: &Owner, way: Way) {
        self.cut(RevokedScope::Owner(owner.number), owner.cut.as_deref(), way);
    }

    pub(crate) fn role(&mut self, role: &Role, way: Way) {
        self.cut(RevokedScope::Role(role.number), role.cut.as_deref(), way);
    }

    pub(crate) fn grants(&mut self, identity: IdentityNumber, grants: &[Grant], way: Way) {
        for grant in grants.iter().filter(|grant| grant.scope != Scope::System) {
            way.set(&mut self.grantees, (grant.scope.clone(), identity));
        }
    }

    fn cut(&mut self, scope: RevokedScope, cut: Option<&ScopeCut>, way: Way) {
        if cut.is_some_and(|cut| !cut.marked) {
            way.set(&mut self.unmarked, scope);
        }
    }
}

/// What says nothing leaves no trace, so that equal states are equal.
fn put_or_remove<K: Ord + Clone, V: Default + Eq + Clone>(map: &mut OrdMap<K, V>, key: K, value: V) {
    if value == V::default() {
        map.remove(&key);
    } else {
        map.insert(key, value);
    }
}
