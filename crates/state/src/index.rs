//! What is found of keys otherwise than by their names: derived from the rows, never stored and never hashed. One way
//! in and one way out, so that it can always be made again from the rows and be compared.

mod ring;

use crate::command::RevokedScope;
use crate::key::{Holder, Imported, Key};
use crate::packed::Packed;
use crate::records::{Keyspace, Owner, RingPurpose, Role, ScopeCut, Tenant};
use crate::rotation::Rotation;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use imbl::{OrdMap, OrdSet};
use latchkey_crypto::Digest;
use latchkey_domain::{
    Grant, IdentityNumber, ImportFormatId, KeyId, KeyspaceNumber, OwnerNumber, RingNumber, RoleNumber, RotationId,
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
    pub(crate) groups: Packed<(Group, KeyspaceNumber, KeyId)>,
    pub(crate) counts: OrdMap<Group, u64>,
    /// By parent.
    pub(crate) children: Packed<(KeyspaceNumber, KeyId, KeyId)>,
    pub(crate) created: Packed<Timed>,
    /// Those that changed since they were made.
    pub(crate) changed: Packed<Timed>,
    /// Those that end by time.
    pub(crate) expiring: Packed<Timed>,
    pub(crate) due: OrdSet<(UnixMillis, KeyspaceNumber, KeyId, Due)>,
    /// Rotations in progress by the end of their overlap; those without one come last.
    pub(crate) rotating: OrdSet<(KeyspaceNumber, UnixMillis, KeyId, RotationId)>,
    pub(crate) usage: OrdMap<KeyspaceNumber, Usage>,
    /// How many rotations of a keyspace count against what it may have at once.
    pub(crate) unsettled: OrdMap<KeyspaceNumber, u64>,
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
    /// How many versions have a digest under each pepper.
    pub(crate) peppers: OrdMap<RingNumber, u64>,
    /// How many versions have an inner digest under each data key.
    pub(crate) inners: OrdMap<RingNumber, u64>,
    /// How many keys of the keyring each of them, or the KEK, wraps.
    pub(crate) wrapped: OrdMap<RingNumber, u64>,
    /// The keys of the keyring by what they are for.
    pub(crate) purposes: OrdSet<(RingPurpose, RingNumber)>,
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
    /// A key comes, goes, or changes. What finds it by the same words before and after is left alone.
    pub(crate) fn key(&mut self, old: Option<&Key>, new: Option<&Key>) {
        move_all(&mut self.groups, old.map(groups_of), new.map(groups_of));
        move_one(&mut self.children, old.and_then(child_of), new.and_then(child_of));
        move_one(&mut self.created, old.map(created_of), new.map(created_of));
        move_one(&mut self.changed, old.and_then(changed_of), new.and_then(changed_of));
        move_one(&mut self.expiring, old.and_then(expiring_of), new.and_then(expiring_of));
        for (key, way) in [(old, Way::Out), (new, Way::In)] {
            let Some(key) = key else { continue };
            if let Some(due) = due_of(key) {
                way.set(&mut self.due, due);
            }
            for (group, ..) in groups_of(key) {
                let count = way.count(self.counts.get(&group).copied().unwrap_or_default(), 1);
                put_or_remove(&mut self.counts, group, count);
            }
            if let Some(imported) = key.imported() {
                self.imported(key, imported, way);
            }
            let usage = self.usage.get(&key.keyspace).copied().unwrap_or_default();
            let more = usage_of(key);
            let versions = way.count(usage.versions, more.versions);
            let metadata_bytes = way.count(usage.metadata_bytes, more.metadata_bytes);
            put_or_remove(&mut self.usage, key.keyspace, Usage { versions, metadata_bytes });
        }
        self.versions(old, new);
    }

    /// All keys come at once, where none was: in the order of their numbers.
    pub(crate) fn all_keys(&mut self, keys: &[Arc<Key>]) {
        let keys = || keys.iter().map(|key| &**key);
        self.groups = sorted(keys().flat_map(groups_of));
        self.children = sorted(keys().filter_map(child_of));
        self.created = sorted(keys().map(created_of));
        self.changed = sorted(keys().filter_map(changed_of));
        self.expiring = sorted(keys().filter_map(expiring_of));
        let (mut counts, mut usage) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, Usage>::new());
        for key in keys() {
            groups_of(key).for_each(|(group, ..)| *counts.entry(group).or_default() += 1);
            let (sum, more) = (usage.entry(key.keyspace).or_default(), usage_of(key));
            sum.versions += more.versions;
            sum.metadata_bytes += more.metadata_bytes;
        }
        self.counts = counts.into_iter().collect();
        self.usage = usage.into_iter().collect();
        keys().filter_map(due_of).for_each(|due| Way::In.set(&mut self.due, due));
        for (key, imported) in keys().filter_map(|key| Some((key, key.imported()?))) {
            self.imported(key, imported, Way::In);
        }
        self.all_versions(keys());
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
        if let Some(end) = rotation.clock_end() {
            way.set(&mut self.due, (end, keyspace, key, Due::Overlap));
        }
        // A standby waits for whoever asks for it, and keeps no policy from rotating other keys.
        if rotation.state.is_unsettled() && !rotation.is_standby() {
            let count = way.count(self.unsettled.get(&keyspace).copied().unwrap_or_default(), 1);
            put_or_remove(&mut self.unsettled, keyspace, count);
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

fn groups_of(key: &Key) -> impl Iterator<Item = (Group, KeyspaceNumber, KeyId)> {
    let holder = match key.holder {
        Holder::None => None,
        Holder::Owner(number) => Some(Group::Owner(number)),
        Holder::Identity(number) => Some(Group::Identity(number)),
    };
    let groups = holder.into_iter().chain(key.terms.roles.iter().copied().map(Group::Role));
    groups.map(|group| (group, key.keyspace, key.id))
}

fn child_of(key: &Key) -> Option<(KeyspaceNumber, KeyId, KeyId)> {
    Some((key.keyspace, key.parent()?, key.id))
}

fn created_of(key: &Key) -> Timed {
    (key.keyspace, key.created_at, key.id)
}

fn changed_of(key: &Key) -> Option<Timed> {
    Some((key.keyspace, key.details.as_ref()?.changed?.at, key.id))
}

fn expiring_of(key: &Key) -> Option<Timed> {
    Some((key.keyspace, key.expires_at?, key.id))
}

fn due_of(key: &Key) -> Option<(UnixMillis, KeyspaceNumber, KeyId, Due)> {
    let restriction = key.details.as_ref()?.restriction.as_ref()?;
    Some((restriction.ends_at, key.keyspace, key.id, Due::Restriction))
}

fn usage_of(key: &Key) -> Usage {
    let metadata_bytes = key.details.as_ref().map_or(0, |details| details.metadata.bytes() as u64);
    Usage { versions: key.versions.len() as u64, metadata_bytes }
}

fn sorted<T: Ord + Copy>(places: impl Iterator<Item = T>) -> Packed<T> {
    let mut places: Vec<_> = places.collect();
    places.sort_unstable();
    Packed::from_sorted(places.into_iter().map(|place| (place, ())))
}

fn move_one<T: Ord + Copy>(set: &mut Packed<T>, old: Option<T>, new: Option<T>) {
    if old == new {
        return;
    }
    if let Some(old) = old {
        set.remove(&old);
    }
    if let Some(new) = new {
        set.insert(new, ());
    }
}

fn move_all<T: Ord + Copy, I: Iterator<Item = T>>(set: &mut Packed<T>, old: Option<I>, new: Option<I>) {
    let [old, new] = [old, new].map(|places| places.into_iter().flatten().collect::<Vec<_>>());
    for place in old.iter().filter(|place| !new.contains(place)) {
        set.remove(place);
    }
    for place in new.iter().filter(|place| !old.contains(place)) {
        set.insert(*place, ());
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
