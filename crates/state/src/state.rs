//! The state: copy-on-write ordered maps, so that a clone costs about a microsecond and readers keep a whole.
//!
//! There is one way in: [`State::install`] and [`State::remove`], by row. They keep the derived indexes and the hash,
//! whoever calls: apply, a load from disk, or a snapshot.

mod install;

use crate::command::FEATURE_LEVEL_NEWEST;
use crate::directory::{Directory, Listed, NO_TENANT};
use crate::hash::{HashedAt, StateHash};
use crate::index::{Index, Usage, imported_at};
use crate::key::{Key, Version};
use crate::packed::Packed;
use crate::records::{
    Cluster, Identity, Keyspace, Owner, Progress, RememberedRequest, Replica, RingKey, RingPurpose, Role, Tenant,
};
use crate::rotation::{Rotation, RotationClaim};
use crate::row::{Row, RowId};
use alloc::sync::Arc;
use core::ops::Bound::{Excluded, Included, Unbounded};
use imbl::OrdMap;
use latchkey_crypto::Digest;
use latchkey_domain::{
    IdentityName, IdentityNumber, ImportFormatId, KeyId, KeyName, KeyspaceName, KeyspaceNumber, NodeId, OwnerName,
    OwnerNumber, Prefix, Revision, RingNumber, RoleName, RoleNumber, RotationId, RotationName, Slug, SourceId,
    TenantName, TenantNumber, Terms, UnixMillis, VersionId,
};

macro_rules! listed {
    ($record:ty, $number:ty, $tenant:expr) => {
        impl Listed for $record {
            type Number = $number;
            fn number(&self) -> $number {
                self.number
            }
            fn tenant(&self) -> TenantNumber {
                $tenant(self)
            }
            fn slug(&self) -> &Slug {
                &self.id
            }
        }
    };
}
listed!(Tenant, TenantNumber, |_| NO_TENANT);
listed!(Keyspace, KeyspaceNumber, |record: &Keyspace| record.tenant);
listed!(Owner, OwnerNumber, |record: &Owner| record.tenant);
listed!(Role, RoleNumber, |record: &Role| record.tenant);
listed!(Identity, IdentityNumber, |record: &Identity| record.tenant);

/// The replicated state at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    cluster: Option<Arc<Cluster>>,
    progress: Progress,
    ring: OrdMap<RingNumber, Arc<RingKey>>,
    tenants: Directory<Tenant>,
    keyspaces: Directory<Keyspace>,
    owners: Directory<Owner>,
    identities: Directory<Identity>,
    keys: Packed<(KeyspaceNumber, KeyId), Arc<Key>>,
    requests: Packed<(IdentityNumber, [u8; 16]), Arc<RememberedRequest>>,
    roles: Directory<Role>,
    rotations: OrdMap<(KeyspaceNumber, KeyId, RotationId), Arc<Rotation>>,
    replicas: OrdMap<NodeId, Arc<Replica>>,
    rotation_claim: Option<RotationClaim>,
    // Derived from the rows above.
    prefixes: OrdMap<Prefix, KeyspaceNumber>,
    versions: Packed<VersionId, Arc<Key>>,
    request_ends: Packed<(UnixMillis, IdentityNumber, [u8; 16])>,
    index: Index,
    hash: StateHash,
}

/// A version and all that it belongs to.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// The tenant.
    pub tenant: &'a Arc<Tenant>,
    /// The keyspace.
    pub keyspace: &'a Arc<Keyspace>,
    /// The key.
    pub key: &'a Arc<Key>,
    /// The version asked for.
    pub version: &'a Version,
}

impl State {
    pub(crate) const fn index(&self) -> &Index {
        &self.index
    }

    /// How much the keys of a keyspace have.
    #[must_use]
    pub fn usage(&self, keyspace: KeyspaceNumber) -> Usage {
        self.index.usage.get(&keyspace).copied().unwrap_or_default()
    }

    /// The row with this id. The progress row exists once a record was applied.
    #[must_use]
    pub fn row(&self, id: RowId) -> Option<Row> {
        match id {
            RowId::Progress => (self.progress != Progress::default()).then(|| Row::Progress(self.progress.clone())),
            RowId::Cluster => self.cluster.clone().map(Row::Cluster),
            RowId::RingKey(number) => self.ring.get(&number).cloned().map(Row::RingKey),
            RowId::Tenant(number) => self.tenants.by_number(number).cloned().map(Row::Tenant),
            RowId::Keyspace(number) => self.keyspaces.by_number(number).cloned().map(Row::Keyspace),
            RowId::Owner(number) => self.owners.by_number(number).cloned().map(Row::Owner),
            RowId::Identity(number) => self.identities.by_number(number).cloned().map(Row::Identity),
            RowId::Key(keyspace, key) => self.keys.get(&(keyspace, key)).cloned().map(Row::Key),
            RowId::Request(identity, id) => self.requests.get(&(identity, id)).cloned().map(Row::Request),
            RowId::Role(number) => self.roles.by_number(number).cloned().map(Row::Role),
            RowId::Rotation(keyspace, key, id) => self.rotations.get(&(keyspace, key, id)).cloned().map(Row::Rotation),
            RowId::Replica(node) => self.replicas.get(&node).cloned().map(Row::Replica),
            RowId::RotationClaim => self.rotation_claim.map(Row::RotationClaim),
        }
    }

    /// All rows, in the order of their ids.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        let single = [RowId::Progress, RowId::Cluster].into_iter().filter_map(|id| self.row(id));
        single
            .chain(self.ring.values().cloned().map(Row::RingKey))
            .chain(self.tenants.iter().cloned().map(Row::Tenant))
            .chain(self.keyspaces.iter().cloned().map(Row::Keyspace))
            .chain(self.owners.iter().cloned().map(Row::Owner))
            .chain(self.identities.iter().cloned().map(Row::Identity))
            .chain(self.keys.values().cloned().map(Row::Key))
            .chain(self.requests.values().cloned().map(Row::Request))
            .chain(self.roles.iter().cloned().map(Row::Role))
            .chain(self.rotations.values().cloned().map(Row::Rotation))
            .chain(self.replicas.values().cloned().map(Row::Replica))
            .chain(self.rotation_claim.map(Row::RotationClaim))
    }

    /// What the cluster agreed on; absent before its first command.
    #[must_use]
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// Where it stands.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The last record applied.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.progress.last
    }

    /// Whether this build knows all that the replicated feature level lets pass. A replica for which this is false
    /// fences itself: it can keep the log, but not follow it.
    #[must_use]
    pub const fn is_understood(&self) -> bool {
        self.progress.feature_level <= FEATURE_LEVEL_NEWEST
    }

    /// The replicated clock.
    #[must_use]
    pub const fn clock(&self) -> UnixMillis {
        self.progress.clock
    }

    /// The hash over all rows.
    #[must_use]
    pub const fn hash(&self) -> StateHash {
        self.hash
    }

    /// The hash and the revision that it is of.
    #[must_use]
    pub const fn hashed_at(&self) -> HashedAt {
        HashedAt { revision: self.progress.last, hash: self.hash }
    }

    /// All wrapped keys, by number.
    pub fn ring(&self) -> impl Iterator<Item = &Arc<RingKey>> {
        self.ring.values()
    }

    /// One wrapped key.
    #[must_use]
    pub fn ring_key(&self, number: RingNumber) -> Option<&Arc<RingKey>> {
        self.ring.get(&number)
    }

    /// The newest wrapped key of a purpose.
    #[must_use]
    pub fn newest_ring_key(&self, purpose: RingPurpose) -> Option<&Arc<RingKey>> {
        self.ring_keys_of(purpose).next_back()
    }

    /// All replicas that were ever admitted, by id.
    pub fn replicas(&self) -> impl Iterator<Item = &Arc<Replica>> {
        self.replicas.values()
    }

    /// A replica that was admitted.
    #[must_use]
    pub fn replica(&self, node: NodeId) -> Option<&Arc<Replica>> {
        self.replicas.get(&node)
    }

    /// Tenants.
    #[must_use]
    pub const fn tenants(&self) -> &Directory<Tenant> {
        &self.tenants
    }

    /// Keyspaces.
    #[must_use]
    pub const fn keyspaces(&self) -> &Directory<Keyspace> {
        &self.keyspaces
    }

    /// Owners.
    #[must_use]
    pub const fn owners(&self) -> &Directory<Owner> {
        &self.owners
    }

    /// Roles, the built-in ones not among them.
    #[must_use]
    pub const fn roles(&self) -> &Directory<Role> {
        &self.roles
    }

    /// Identities.
    #[must_use]
    pub const fn identities(&self) -> &Directory<Identity> {
        &self.identities
    }

    /// A tenant by name.
    #[must_use]
    pub fn tenant(&self, name: &TenantName) -> Option<&Arc<Tenant>> {
        self.tenants.by_id(NO_TENANT, &name.tenant)
    }

    /// A keyspace by name.
    #[must_use]
    pub fn keyspace(&self, name: &KeyspaceName) -> Option<&Arc<Keyspace>> {
        self.keyspaces.by_id(self.tenant(&name.parent())?.number, &name.keyspace)
    }

    /// An owner by name.
    #[must_use]
    pub fn owner(&self, name: &OwnerName) -> Option<&Arc<Owner>> {
        self.owners.by_id(self.tenant(&name.parent())?.number, &name.owner)
    }

    /// A role that a tenant made, by name.
    #[must_use]
    pub fn role(&self, name: &RoleName) -> Option<&Arc<Role>> {
        self.roles.by_id(self.tenant(&name.parent())?.number, &name.role)
    }

    /// A rotation by name.
    #[must_use]
    pub fn rotation(&self, name: &RotationName) -> Option<&Arc<Rotation>> {
        let keyspace = self.keyspace(&name.key.keyspace)?.number;
        self.rotations.get(&(keyspace, name.key.key, name.rotation))
    }

    /// A rotation by the numbers and ids that it lies under.
    #[must_use]
    pub fn rotation_at(&self, keyspace: KeyspaceNumber, key: KeyId, rotation: RotationId) -> Option<&Arc<Rotation>> {
        self.rotations.get(&(keyspace, key, rotation))
    }

    pub(crate) fn all_rotations(&self) -> impl Iterator<Item = &Arc<Rotation>> {
        self.rotations.values()
    }

    /// The rotations of a key, in the order of their ids.
    pub fn rotations_of(&self, keyspace: KeyspaceNumber, key: KeyId) -> impl Iterator<Item = &Arc<Rotation>> {
        let ids = (keyspace, key, RotationId::LOWEST)..=(keyspace, key, RotationId::HIGHEST);
        self.rotations.range(ids).map(|(_, rotation)| rotation)
    }

    /// Who drives rotations; absent: nobody ever did.
    #[must_use]
    pub const fn rotation_claim(&self) -> Option<&RotationClaim> {
        self.rotation_claim.as_ref()
    }

    /// An identity by name.
    #[must_use]
    pub fn identity(&self, name: &IdentityName) -> Option<&Arc<Identity>> {
        self.identities.by_id(self.tenant(&name.parent())?.number, &name.identity)
    }

    /// The keyspace that has this prefix.
    #[must_use]
    pub fn keyspace_of_prefix(&self, prefix: &Prefix) -> Option<&Arc<Keyspace>> {
        self.keyspaces.by_number(*self.prefixes.get(prefix)?)
    }

    /// A key by name.
    #[must_use]
    pub fn key(&self, name: &KeyName) -> Option<&Arc<Key>> {
        self.keys.get(&(self.keyspace(&name.keyspace)?.number, name.key))
    }

    /// A key by its keyspace's number and its id.
    #[must_use]
    pub fn key_at(&self, keyspace: KeyspaceNumber, key: KeyId) -> Option<&Arc<Key>> {
        self.keys.get(&(keyspace, key))
    }

    pub(crate) fn all_keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.values()
    }

    /// All keys in the order of their numbers, beginning after `after`.
    pub(crate) fn all_keys_after(&self, after: Option<(KeyspaceNumber, KeyId)>) -> impl Iterator<Item = &Arc<Key>> {
        let start = after.map_or(Unbounded, Excluded);
        self.keys.range(start, Unbounded).map(|(_, key)| key)
    }

    /// The keys of a keyspace in the order of their ids, beginning after `after`.
    pub fn keys_of(&self, keyspace: KeyspaceNumber, after: Option<KeyId>) -> impl Iterator<Item = &Arc<Key>> {
        let start = match after {
            Some(key) => Excluded((keyspace, key)),
            None => Included((keyspace, KeyId::LOWEST)),
        };
        self.keys.range(start, Included((keyspace, KeyId::HIGHEST))).map(|(_, key)| key)
    }

    /// The keys of a keyspace from the last to the first, beginning before `before`.
    pub(crate) fn keys_before(
        &self,
        keyspace: KeyspaceNumber,
        before: Option<KeyId>,
    ) -> impl Iterator<Item = &Arc<Key>> {
        let end = match before {
            Some(key) => Excluded((keyspace, key)),
            None => Included((keyspace, KeyId::HIGHEST)),
        };
        self.keys.range_back(Included((keyspace, KeyId::LOWEST)), end).map(|(_, key)| key)
    }

    /// The same terms as a neighbour in the keyspace holds them. Most keys of a keyspace may do the same, and a million
    /// of them live in memory.
    pub(crate) fn shared_terms(&self, keyspace: KeyspaceNumber, id: KeyId, terms: &Terms) -> Option<&Arc<Terms>> {
        let lowest = Included((keyspace, KeyId::LOWEST));
        let (_, neighbour) = self.keys.range_back(lowest, Included((keyspace, id))).next()?;
        (*neighbour.terms == *terms).then_some(&neighbour.terms)
    }

    /// How many keys there are.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.keys.len()
    }

    /// How many requests are remembered.
    #[must_use]
    pub fn request_count(&self) -> usize {
        self.requests.len()
    }

    /// A version by its public id, with all that it belongs to. The hot path: one ordered lookup and two small ones.
    #[must_use]
    pub fn version(&self, id: VersionId) -> Option<Found<'_>> {
        let key = self.versions.get(&id)?;
        let keyspace = self.keyspaces.by_number(key.keyspace)?;
        let tenant = self.tenants.by_number(keyspace.tenant)?;
        Some(Found { tenant, keyspace, key, version: key.version(id)? })
    }

    /// The version that an imported text proves, by the first half of its digest under its pepper. Whether the other half
    /// is right is for the caller to ask.
    #[must_use]
    pub fn imported(&self, keyspace: KeyspaceNumber, digest: &Digest) -> Option<Found<'_>> {
        let key = self.key_at(keyspace, *self.index.imported.get(&imported_at(keyspace, digest))?)?;
        let keyspace = self.keyspaces.by_number(keyspace)?;
        let tenant = self.tenants.by_number(keyspace.tenant)?;
        Some(Found { tenant, keyspace, key, version: key.imported_version()? })
    }

    /// The key that has this id in the system that it came from.
    pub(crate) fn key_of_source(&self, keyspace: KeyspaceNumber, source_id: &SourceId) -> Option<&Arc<Key>> {
        // A tuple key cannot be looked up by reference, and this is asked once for each row of an import.
        let key = self.index.sources.get(&(keyspace, source_id.clone()))?;
        self.key_at(keyspace, *key)
    }

    /// How many keys were imported by a format.
    pub(crate) fn keys_of_format(&self, keyspace: KeyspaceNumber, format: &ImportFormatId) -> u64 {
        self.index.formats.get(&(keyspace, format.clone())).copied().unwrap_or_default()
    }

    /// The name of a keyspace.
    #[must_use]
    pub fn keyspace_name(&self, keyspace: &Keyspace) -> KeyspaceName {
        let tenant = self.tenants.by_number(keyspace.tenant).expect("a keyspace's tenant is checked on every way in");
        KeyspaceName::new(tenant.id.clone(), keyspace.id.clone())
    }

    pub(crate) fn request(&self, identity: IdentityNumber, id: [u8; 16]) -> Option<&Arc<RememberedRequest>> {
        self.requests.get(&(identity, id))
    }

    /// The remembered request that needs attention first, if its time has come.
    pub(crate) fn request_due(&self, now: UnixMillis) -> Option<&Arc<RememberedRequest>> {
        let (at, identity, id) = self.request_ends.first()?.0;
        (*at <= now).then(|| self.requests.get(&(*identity, *id))).flatten()
    }
}
