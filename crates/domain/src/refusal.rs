//! Refusals: answers that tell a caller what to change. A refusal is deterministic, is replicated with the command
//! that it answers, and changed nothing.

use crate::{DurationMillis, Duty, ImportFormatId, KekId, NodeId, ReplicaRole, RotationState, Scope, UnixMillis};
use alloc::string::String;
use alloc::vec::Vec;

/// What kind of resource a refusal speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceKind {
    /// `tenants/{tenant}`
    Tenant,
    /// `tenants/{tenant}/keyspaces/{keyspace}`
    Keyspace,
    /// `tenants/{tenant}/owners/{owner}`
    Owner,
    /// `tenants/{tenant}/identities/{identity}`
    Identity,
    /// `…/keys/{key}`
    Key,
    /// `…/versions/{version}`
    Version,
    /// `tenants/{tenant}/roles/{role}`
    Role,
    /// `…/rotations/{rotation}`
    Rotation,
    /// `replicas/{replica}`
    Replica,
}

impl ResourceKind {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::Tenant,
        Self::Keyspace,
        Self::Owner,
        Self::Identity,
        Self::Key,
        Self::Version,
        Self::Role,
        Self::Rotation,
        Self::Replica,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Keyspace => "keyspace",
            Self::Owner => "owner",
            Self::Identity => "identity",
            Self::Key => "key",
            Self::Version => "version",
            Self::Role => "role",
            Self::Rotation => "rotation",
            Self::Replica => "replica",
        }
    }
}

/// A bound that a tenant, keyspace or the cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Quota {
    /// Living and dead keys of one keyspace.
    KeysOfKeyspace,
    /// Keyspaces of one tenant.
    KeyspacesOfTenant,
    /// Owners of one tenant.
    OwnersOfTenant,
    /// Identities of one tenant.
    IdentitiesOfTenant,
    /// Tenants of the cluster.
    Tenants,
    /// Keys of one command.
    KeysOfCommand,
    /// Requests remembered for their `request_id`.
    RememberedRequests,
    /// Roles of one tenant.
    RolesOfTenant,
    /// Versions of all keys of one keyspace, dead ones included.
    VersionsOfKeyspace,
    /// Versions of one key that can still be accepted.
    VersionsOfKey,
    /// Bytes of metadata over all keys of one keyspace.
    MetadataBytesOfKeyspace,
    /// Writes a second of one tenant, counted by the leader.
    WritesPerSecondOfTenant,
    /// Replicas of the cluster that are not retired.
    Replicas,
    /// Keys that one replica denies.
    LocalDenials,
}

impl Quota {
    /// Every quota.
    pub const ALL: [Self; 14] = [
        Self::KeysOfKeyspace,
        Self::KeyspacesOfTenant,
        Self::OwnersOfTenant,
        Self::IdentitiesOfTenant,
        Self::Tenants,
        Self::KeysOfCommand,
        Self::RememberedRequests,
        Self::RolesOfTenant,
        Self::VersionsOfKeyspace,
        Self::VersionsOfKey,
        Self::MetadataBytesOfKeyspace,
        Self::WritesPerSecondOfTenant,
        Self::Replicas,
        Self::LocalDenials,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::KeysOfKeyspace => "keys_of_keyspace",
            Self::KeyspacesOfTenant => "keyspaces_of_tenant",
            Self::OwnersOfTenant => "owners_of_tenant",
            Self::IdentitiesOfTenant => "identities_of_tenant",
            Self::Tenants => "tenants",
            Self::KeysOfCommand => "keys_of_command",
            Self::RememberedRequests => "remembered_requests",
            Self::RolesOfTenant => "roles_of_tenant",
            Self::VersionsOfKeyspace => "versions_of_keyspace",
            Self::VersionsOfKey => "versions_of_key",
            Self::MetadataBytesOfKeyspace => "metadata_bytes_of_keyspace",
            Self::WritesPerSecondOfTenant => "writes_per_second_of_tenant",
            Self::Replicas => "replicas",
            Self::LocalDenials => "local denials of the replica",
        }
    }
}

/// Why a command was refused, with the facts that let the caller act.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The identity holds no grant for this.
    PermissionDenied {
        /// The duty that would have been enough.
        duty: Duty,
        /// Where it was needed.
        scope: Scope,
    },
    /// The identity would give away more than it holds.
    GrantExceedsCaller {
        /// The duty that the caller does not hold there.
        duty: Duty,
        /// Where it was to be granted.
        scope: Scope,
    },
    /// There is no such resource.
    NotFound {
        /// What was looked for.
        kind: ResourceKind,
        /// Its name.
        name: String,
    },
    /// There is one of that name.
    AlreadyExists {
        /// What was to be made.
        kind: ResourceKind,
        /// Its name.
        name: String,
    },
    /// Another keyspace has this prefix; prefixes are unique in the cluster.
    PrefixTaken {
        /// The prefix.
        prefix: String,
    },
    /// The same `request_id` came earlier with another request.
    RequestIdReused,
    /// The etag given is not the current one.
    EtagMismatch {
        /// The current etag.
        current: String,
    },
    /// A bound is reached.
    QuotaExceeded {
        /// Which.
        quota: Quota,
        /// Its value.
        limit: u64,
    },
    /// A permission is not among those that the keyspace allows.
    PermissionNotAllowed {
        /// The permission or pattern.
        permission: String,
    },
    /// The expiry is not after now.
    ExpiryPast {
        /// What was asked for.
        expire_time: UnixMillis,
        /// The replicated clock.
        now: UnixMillis,
    },
    /// The life asked for is longer than the keyspace's maximum.
    LifetimeTooLong {
        /// What was asked for.
        asked: DurationMillis,
        /// The keyspace's maximum.
        maximum: DurationMillis,
    },
    /// The not-before lies at or after the expiry.
    NotBeforeAfterExpiry {
        /// From when the key was to be accepted.
        not_before: UnixMillis,
        /// When it was to end.
        expire_time: UnixMillis,
    },
    /// The owner given is of another tenant, or an owner where an identity is needed, or the other way round.
    OwnerNotAllowed {
        /// The name given.
        owner: String,
        /// What was expected instead.
        expected: &'static str,
    },
    /// The staleness bound is below the cluster's floor.
    StalenessTooShort {
        /// What was asked for.
        asked: DurationMillis,
        /// The cluster's floor.
        floor: DurationMillis,
    },
    /// The resource is reserved for Latchkey itself.
    Reserved {
        /// Its name.
        name: String,
    },
    /// The key is revoked, and a revoked key does not change.
    KeyRevoked {
        /// Its name.
        name: String,
    },
    /// The wrapped key that this command refers to is not, or no longer, in the keyring.
    RingKeyGone {
        /// Its number.
        number: u32,
    },
    /// The wrapped key is in use, or too many rotations of its kind are under way.
    RingKeyInUse {
        /// Its number.
        number: u32,
        /// How many versions and wrapped keys of the state still need it.
        uses: u64,
    },
    /// Not every replica has the key-encryption key that the keyring is to be moved to. Only the leader knows, so this is
    /// never the answer of a record.
    KekNotEverywhere {
        /// Which key-encryption key.
        kek: KekId,
        /// The replicas that do not have it, do not name it first, or have not spoken.
        missing: Vec<NodeId>,
    },
    /// The time stamped lies more than an hour ahead of the replicated clock.
    ClockJump {
        /// What the leader stamped.
        at: UnixMillis,
        /// The replicated clock.
        clock: UnixMillis,
    },
    /// The command needs a newer feature level than the cluster runs at.
    FeatureLevel {
        /// What the command needs.
        needed: u32,
        /// What the cluster runs at.
        current: u32,
    },
    /// It holds something that lives, or more than one command may take away.
    NotEmpty {
        /// What was to be deleted.
        kind: ResourceKind,
        /// Its name.
        name: String,
        /// What it holds.
        holds: ResourceKind,
        /// How many of these.
        count: u64,
    },
    /// The key has expired, and an expired key does not change.
    KeyExpired {
        /// Its name.
        name: String,
        /// When it ended.
        expire_time: UnixMillis,
    },
    /// What is asked for is not within what the key, or the parent key, has.
    ExceedsKey {
        /// The name of the key that bounds it.
        name: String,
        /// The field, such as `permissions`.
        field: &'static str,
        /// What is not within.
        value: String,
    },
    /// The key cannot be the parent.
    ParentNotAllowed {
        /// Its name.
        name: String,
        /// What was expected instead.
        expected: &'static str,
    },
    /// The role is not among those that the keyspace allows.
    RoleNotAllowed {
        /// Its name.
        role: String,
    },
    /// A rotation of the key is in progress.
    RotationInProgress {
        /// Its name.
        rotation: String,
    },
    /// The rotation is not in a state in which this can be done.
    RotationNotIn {
        /// Its name.
        rotation: String,
        /// The state that it is in.
        state: RotationState,
        /// The state, or what else was expected.
        expected: &'static str,
    },
    /// The keyspace does not let whoever holds a key revoke it.
    SelfRevocationOff,
    /// Keys were imported by the format, so it neither changes nor goes.
    FormatInUse {
        /// Its id.
        format: ImportFormatId,
        /// How many keys.
        count: u64,
    },
    /// The replica is not what it would have to be.
    ReplicaNotIn {
        /// Its id.
        replica: NodeId,
        /// What it is.
        role: ReplicaRole,
        /// What was expected instead.
        expected: &'static str,
    },
    /// The change of membership could cost a quorum or a revocation. Judged by the leader alone, so it is no record.
    MembershipUnsafe {
        /// The replica that it is about.
        replica: NodeId,
        /// What was found, and what was expected.
        problem: String,
    },
    /// Audit is too far behind, and this can wait.
    AuditBehind {
        /// How many entries nobody has taken yet.
        entries: u64,
    },
    /// Another process drives rotations by now.
    RotationFenced {
        /// The fence given.
        fence: u64,
        /// The current one; 0: nobody drives them yet.
        current: u64,
    },
    /// Another process drives rotations.
    RotationClaimed {
        /// Until when at least.
        ends_at: UnixMillis,
    },
    /// A revision of an older epoch was given; a new one has to be taken.
    EpochChanged {
        /// The epoch given.
        given: u64,
        /// The cluster's epoch.
        current: u64,
    },
    /// The replica has another node key, or the key is another replica's.
    NodeKeyKnown {
        /// The replica that has a key, or this one.
        replica: NodeId,
    },
    /// The checkpoint does not go on from what was signed before, or is none of the audit tree.
    CheckpointConflict {
        /// How many entries it is of.
        size: u64,
        /// What was expected, and what was found.
        problem: String,
    },
    /// Another audit log needs not begin: the one that there is seems not to be lost.
    AuditLogNotLost {
        /// How many entries wait for audit.
        entries: u64,
        /// What was expected, and what was found.
        problem: String,
    },
}
