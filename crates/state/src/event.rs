//! Events: what apply emits for each change. Their bytes are canonical and are what the audit tree commits to, so the
//! encoding is a contract: format 1 never changes, see `golden/`.

use crate::command::{Actor, RequestMark};
use crate::encode::Encoder;
use alloc::string::String;
use alloc::vec::Vec;
use latchkey_domain::{ReasonText, Revision, RevocationReason, Sequence, TenantNumber, UnixMillis};
use latchkey_transparency::Hash;

/// The format of [`Event::encode`]; chosen by the feature level.
pub const EVENT_FORMAT: u8 = 1;

/// What happened. The word is part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The cluster was made.
    ClusterBootstrapped,
    /// The feature level rose.
    FeatureLevelRaised,
    /// A key was added to the keyring.
    RingKeyAdded,
    /// A key of the keyring was destroyed.
    RingKeyDropped,
    /// A tenant was made.
    TenantCreated,
    /// A keyspace was made.
    KeyspaceCreated,
    /// An owner was made.
    OwnerCreated,
    /// An identity was made.
    IdentityCreated,
    /// A key was made.
    KeyCreated,
    /// A key was revoked.
    KeyRevoked,
    /// A version was revoked.
    VersionRevoked,
    /// All keys of a scope were revoked.
    ScopeRevoked,
    /// Each key of a scope that was revoked has its own event by now.
    ScopeMarked,
    /// A tenant changed.
    TenantUpdated,
    /// A tenant was deleted.
    TenantDeleted,
    /// A keyspace changed.
    KeyspaceUpdated,
    /// A keyspace was deleted.
    KeyspaceDeleted,
    /// An owner changed.
    OwnerUpdated,
    /// An owner was deleted.
    OwnerDeleted,
    /// A role was made.
    RoleCreated,
    /// A role changed.
    RoleUpdated,
    /// A role was deleted.
    RoleDeleted,
    /// An identity changed.
    IdentityUpdated,
    /// An identity was deleted.
    IdentityDeleted,
    /// A key changed.
    KeyUpdated,
    /// A key was suspended.
    KeySuspended,
    /// Suspension and restriction of a key were lifted.
    KeyResumed,
    /// A key may do less for a while.
    KeyRestricted,
    /// The time of a restriction ran out.
    RestrictionEnded,
    /// A dead key left after its retention.
    KeyRemoved,
    /// A dead version left.
    VersionRemoved,
    /// A standby was made.
    RotationPrepared,
    /// A version took the place of another.
    RotationStarted,
    /// Only the new version is accepted.
    RotationCompleted,
    /// A rotation ended before its new version was accepted, or with its key.
    RotationCancelled,
    /// The old version stayed.
    RotationRolledBack,
    /// An authenticated identity was refused.
    AccessRefused,
    /// Somebody had a validation explained.
    ValidationExplained,
    /// A replica stopped accepting a key since an operator told it so.
    KeyDeniedLocally,
    /// An operator took that back.
    KeyAllowedLocally,
    /// A key was imported.
    KeyImported,
    /// A replica was admitted.
    ReplicaAdmitted,
    /// A replica got a vote.
    ReplicaPromoted,
    /// A replica lost its vote.
    ReplicaDemoted,
    /// A replica is to leave.
    ReplicaRemoved,
    /// A replica has left.
    ReplicaRetired,
    /// A replica was to lead.
    LeadershipTransferred,
    /// The cluster went on in a new epoch.
    EpochBegan,
    /// A rotation was planned, since its key is due.
    RotationPlanned,
    /// The new secret lies where its consumer reads it.
    RotationDelivered,
    /// The new version is accepted.
    RotationActivated,
    /// The new version is known everywhere, and its consumer has it.
    RotationVerified,
    /// The end of the old version is set.
    RotationOverlapBegan,
    /// A rotation waits.
    RotationHeld,
    /// A rotation goes on.
    RotationResumed,
    /// A rotation could not go on.
    RotationFailed,
    /// Another process drives rotations.
    RotationsClaimed,
    /// Notice was given that a key is due.
    KeyRotationDue,
    /// Notice was given that a key soon ends.
    KeyExpiresSoon,
    /// A key of the keyring took the place of another.
    RingKeyRotated,
    /// Keys of the keyring are wrapped by another than before.
    RingKeysRewrapped,
    /// Digests of secrets are under another pepper than before.
    VersionsRedigested,
    /// Inner digests are sealed under another data key than before.
    InnersResealed,
    /// A replica told the key that it cosigns with.
    ReplicaKeySet,
    /// A backup was taken.
    BackupCreated,
    /// Another audit log began: this is its first entry.
    AuditLogBegan,
    /// A backup is kept no more.
    BackupRemoved,
    /// The data of a tenant that was deleted before was destroyed.
    TenantDataDestroyed,
    /// The old version of a rotation soon ends though it is used.
    RotationEndsInUse,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 69] = [
        Self::ClusterBootstrapped,
        Self::FeatureLevelRaised,
        Self::RingKeyAdded,
        Self::RingKeyDropped,
        Self::TenantCreated,
        Self::KeyspaceCreated,
        Self::OwnerCreated,
        Self::IdentityCreated,
        Self::KeyCreated,
        Self::KeyRevoked,
        Self::VersionRevoked,
        Self::ScopeRevoked,
        Self::ScopeMarked,
        Self::TenantUpdated,
        Self::TenantDeleted,
        Self::KeyspaceUpdated,
        Self::KeyspaceDeleted,
        Self::OwnerUpdated,
        Self::OwnerDeleted,
        Self::RoleCreated,
        Self::RoleUpdated,
        Self::RoleDeleted,
        Self::IdentityUpdated,
        Self::IdentityDeleted,
        Self::KeyUpdated,
        Self::KeySuspended,
        Self::KeyResumed,
        Self::KeyRestricted,
        Self::RestrictionEnded,
        Self::KeyRemoved,
        Self::VersionRemoved,
        Self::RotationPrepared,
        Self::RotationStarted,
        Self::RotationCompleted,
        Self::RotationCancelled,
        Self::RotationRolledBack,
        Self::AccessRefused,
        Self::ValidationExplained,
        Self::KeyDeniedLocally,
        Self::KeyAllowedLocally,
        Self::KeyImported,
        Self::ReplicaAdmitted,
        Self::ReplicaPromoted,
        Self::ReplicaDemoted,
        Self::ReplicaRemoved,
        Self::ReplicaRetired,
        Self::LeadershipTransferred,
        Self::EpochBegan,
        Self::RotationPlanned,
        Self::RotationDelivered,
        Self::RotationActivated,
        Self::RotationVerified,
        Self::RotationOverlapBegan,
        Self::RotationHeld,
        Self::RotationResumed,
        Self::RotationFailed,
        Self::RotationsClaimed,
        Self::KeyRotationDue,
        Self::KeyExpiresSoon,
        Self::RingKeyRotated,
        Self::RingKeysRewrapped,
        Self::VersionsRedigested,
        Self::InnersResealed,
        Self::ReplicaKeySet,
        Self::BackupCreated,
        Self::AuditLogBegan,
        Self::BackupRemoved,
        Self::TenantDataDestroyed,
        Self::RotationEndsInUse,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterBootstrapped => "cluster.bootstrapped",
            Self::FeatureLevelRaised => "cluster.feature_level_raised",
            Self::RingKeyAdded => "keyring.key_added",
            Self::RingKeyDropped => "keyring.key_dropped",
            Self::TenantCreated => "tenant.created",
            Self::KeyspaceCreated => "keyspace.created",
            Self::OwnerCreated => "owner.created",
            Self::IdentityCreated => "identity.created",
            Self::KeyCreated => "key.created",
            Self::KeyRevoked => "key.revoked",
            Self::VersionRevoked => "version.revoked",
            Self::ScopeRevoked => "scope.revoked",
            Self::ScopeMarked => "scope.marked",
            Self::TenantUpdated => "tenant.updated",
            Self::TenantDeleted => "tenant.deleted",
            Self::KeyspaceUpdated => "keyspace.updated",
            Self::KeyspaceDeleted => "keyspace.deleted",
            Self::OwnerUpdated => "owner.updated",
            Self::OwnerDeleted => "owner.deleted",
            Self::RoleCreated => "role.created",
            Self::RoleUpdated => "role.updated",
            Self::RoleDeleted => "role.deleted",
            Self::IdentityUpdated => "identity.updated",
            Self::IdentityDeleted => "identity.deleted",
            Self::KeyUpdated => "key.updated",
            Self::KeySuspended => "key.suspended",
            Self::KeyResumed => "key.resumed",
            Self::KeyRestricted => "key.restricted",
            Self::RestrictionEnded => "key.restriction_ended",
            Self::KeyRemoved => "key.removed",
            Self::VersionRemoved => "version.removed",
            Self::RotationPrepared => "rotation.prepared",
            Self::RotationStarted => "rotation.started",
            Self::RotationCompleted => "rotation.completed",
            Self::RotationCancelled => "rotation.cancelled",
            Self::RotationRolledBack => "rotation.rolled_back",
            Self::AccessRefused => "access.refused",
            Self::ValidationExplained => "validation.explained",
            Self::KeyDeniedLocally => "key.denied_locally",
            Self::KeyAllowedLocally => "key.allowed_locally",
            Self::KeyImported => "key.imported",
            Self::ReplicaAdmitted => "replica.admitted",
            Self::ReplicaPromoted => "replica.promoted",
            Self::ReplicaDemoted => "replica.demoted",
            Self::ReplicaRemoved => "replica.removed",
            Self::ReplicaRetired => "replica.retired",
            Self::LeadershipTransferred => "leadership.transferred",
            Self::EpochBegan => "epoch.began",
            Self::RotationPlanned => "rotation.planned",
            Self::RotationDelivered => "rotation.delivered",
            Self::RotationActivated => "rotation.activated",
            Self::RotationVerified => "rotation.verified",
            Self::RotationOverlapBegan => "rotation.overlap_began",
            Self::RotationHeld => "rotation.held",
            Self::RotationResumed => "rotation.resumed",
            Self::RotationFailed => "rotation.failed",
            Self::RotationsClaimed => "rotation.claimed",
            Self::KeyRotationDue => "key.rotation_due",
            Self::KeyExpiresSoon => "key.expires_soon",
            Self::RingKeyRotated => "keyring.key_rotated",
            Self::RingKeysRewrapped => "keyring.keys_rewrapped",
            Self::VersionsRedigested => "keyring.versions_redigested",
            Self::InnersResealed => "keyring.inners_resealed",
            Self::ReplicaKeySet => "replica.key_set",
            Self::BackupCreated => "backup.created",
            Self::AuditLogBegan => "audit.log_began",
            Self::BackupRemoved => "backup.removed",
            Self::TenantDataDestroyed => "tenant.data_destroyed",
            Self::RotationEndsInUse => "rotation.ends_in_use",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The replicated clock.
    pub at: UnixMillis,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub action: Action,
    /// The full name of what it happened to.
    pub subject: String,
    /// The tenant whose audit key seals it; absent: the system's.
    pub tenant: Option<TenantNumber>,
    /// Why, where that was given.
    pub reason: Option<(RevocationReason, ReasonText)>,
    /// The request that it belongs to.
    pub request: Option<RequestMark>,
    /// What else an auditor wants to know; names sorted by the code that emits them.
    pub facts: Vec<(&'static str, String)>,
}

impl Event {
    /// Its canonical bytes in [`EVENT_FORMAT`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u8(EVENT_FORMAT);
        out.time(self.at);
        match &self.actor {
            Actor::Identity(name) => {
                out.u8(0);
                out.printed(name);
            }
            Actor::Replica(node) => {
                out.u8(1);
                out.printed(node);
            }
            Actor::Key(name) => {
                out.u8(2);
                out.printed(name);
            }
            Actor::Service(word) => {
                out.u8(3);
                out.printed(word);
            }
        }
        out.text(self.action.as_str());
        out.text(&self.subject);
        out.option(self.tenant, |out, tenant| out.u32(tenant.0));
        out.option(self.reason.as_ref(), |out, (reason, text)| {
            out.text(reason.as_str());
            out.text(text.as_str());
        });
        out.option(self.request, |out, mark| out.fixed(&mark.id));
        out.list(self.facts.iter(), |out, (name, value)| {
            out.text(name);
            out.text(value);
        });
        out.finish()
    }
}

/// An event with its place in the audit tree: what the outbox holds until the audit service has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number; also its leaf index.
    pub sequence: Sequence,
    /// The record that caused it.
    pub revision: Revision,
    /// The tenant whose audit key seals it; absent: the system's.
    pub tenant: Option<TenantNumber>,
    /// The event's canonical bytes.
    pub event: Vec<u8>,
    /// `HMAC(opening, sequence)`: shows that the leaf commits to the event.
    pub o: [u8; 32],
    /// The tree's root with this leaf.
    pub root: Hash,
}
