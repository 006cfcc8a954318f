//! Commands: what a log record asks of the state machine. They carry names, durations and ciphertext; absolute times
//! are made by apply, and no plaintext secret is ever in one.

mod authority;
mod cut;
mod denial;
mod directory;
mod driver;
mod epoch;
mod import;
mod keys;
mod level;
mod replica;
mod ring;
mod rotation;
mod upkeep;

pub use cut::{Cut, CutScope};
pub use denial::{DENIALS_PER_COMMAND_MAX, DenialStep, FollowUp, LocalDenial, RecordedDenial};
pub use directory::{
    CreateRole, CreateTenant, Delete, DirectoryName, IdentityChanges, KeyspaceChanges, OwnerChanges, RoleChanges,
    TenantChanges, UpdateIdentity, UpdateKeyspace, UpdateOwner, UpdateRole, UpdateTenant,
};
pub use driver::{
    AdvanceRotation, CALLERS_MAX, CLAIM_LIFE_MAX, Caller, ClaimRotations, DriverStep, Evidence, GiveNotices,
    PLANS_PER_COMMAND_MAX, PlanRotations, PlannedRotation, PrepareRotation,
};
pub use epoch::{BeginEpoch, EpochOrigin};
pub use import::{ImportKeys, ImportOutcome, ImportRow, KeyToImport};
pub use keys::{
    End, ExpiryChange, KeyChanges, RESTRICTION_MAX, RestrictKey, ResumeKey, RevokeKeys, SuspendKey, UpdateKey,
};
pub use replica::{AdmitReplica, REPLICAS_MAX, ReplicaStep, StepReplica};
pub use ring::{
    NewRingKey, REKEYED_PER_COMMAND_MAX, RING_KEYS_OF_PURPOSE_MAX, RedigestVersions, ResealInners, RewrappedKey,
    WrappedKey, bootstrap_ring,
};
pub use rotation::{NewCourse, NewVersion, OVERLAP_DEFAULT, PrepareStandby, RotateKey, RotationStep, StepRotation};
pub use upkeep::{
    Explanation, GatheredRefusal, MarkRevoked, REFUSALS_PER_COMMAND_MAX, RevokedScope, SUBJECT_BYTES_MAX,
};

use crate::backups::{Backup, ReplicaBackups};
use crate::key::{Rare, SealedInner, Version};
use crate::records::{AuditCheckpoint, KeyspaceSettings};
use alloc::boxed::Box;
use alloc::vec::Vec;
use latchkey_domain::{
    ClusterId, DisplayName, DurationMillis, Grant, IdentityName, KeyId, KeyName, KeyspaceName, KeyspaceNumber,
    Metadata, NodeId, OwnerName, Purpose, ReasonText, RevocationReason, RingNumber, RotationPolicy, Sequence, Slug,
    Terms, UnixMillis, VersionId,
};

/// The feature level of this build: the newest commands that its `apply` knows. Never asked within `apply`, where the
/// replicated level decides: builds of two ages run side by side.
pub const FEATURE_LEVEL_NEWEST: u32 = 6;

/// Keys that one command may make. Keeps one apply at a few milliseconds.
pub const KEYS_PER_COMMAND_MAX: usize = 1_000;

/// Readings that one [`Operation::AdvanceClock`] may carry: more replicas than anyone votes with.
pub const READINGS_MAX: usize = 64;

/// Who asked for a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A management identity, proved to the service that proposed.
    Identity(IdentityName),
    /// The leader itself.
    Replica(NodeId),
    /// Whoever holds a key, proved by its text to the replica that proposed: for revoking it, and nothing else.
    Key(KeyName),
    /// A service of the cluster on its own account, such as `audit`: for what it gathered, and nothing else.
    Service(Slug),
}

impl Actor {
    /// The lowest feature level that knows it: an older build cannot read a record of another.
    #[must_use]
    pub const fn feature_level(&self) -> u32 {
        match self {
            Self::Identity(_) | Self::Replica(_) => 1,
            Self::Key(_) | Self::Service(_) => 2,
        }
    }
}

/// The mark of a request that must not be carried out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestMark {
    /// The caller's UUID.
    pub id: [u8; 16],
    /// SHA-256 of the request without it.
    pub hash: [u8; 32],
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The leader's clock when it proposed.
    pub at: UnixMillis,
    /// The feature level that it needs.
    pub feature_level: u32,
    /// Random bytes that hide the audit leaf's content.
    pub opening: [u8; 32],
    /// Who asked.
    pub actor: Actor,
    /// Set where a repeat has to get the first answer.
    pub request: Option<RequestMark>,
    /// What is asked.
    pub operation: Operation,
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// The first command of a cluster.
    Bootstrap(Box<Bootstrap>),
    /// Moves the replicated clock to the median of a majority's readings.
    AdvanceClock {
        /// One reading a voter.
        readings: Vec<(NodeId, UnixMillis)>,
    },
    /// Makes a tenant.
    CreateTenant(CreateTenant),
    /// Makes a keyspace.
    CreateKeyspace(Box<CreateKeyspace>),
    /// Makes an owner.
    CreateOwner(CreateOwner),
    /// Makes an identity.
    CreateIdentity(CreateIdentity),
    /// Makes keys: all or none.
    CreateKeys(CreateKeys),
    /// Revokes a key or one version.
    RevokeKey(RevokeKey),
    /// Revokes all keys of a scope at one revision.
    Cut(Cut),
    /// Adds a key to the keyring.
    AddRingKey(NewRingKey),
    /// Destroys a key of the keyring that nothing needs any more.
    DropRingKey(RingNumber),
    /// Lets newer commands pass.
    RaiseFeatureLevel(u32),
    /// Changes a tenant.
    UpdateTenant(UpdateTenant),
    /// Changes a keyspace.
    UpdateKeyspace(Box<UpdateKeyspace>),
    /// Changes an owner.
    UpdateOwner(UpdateOwner),
    /// Makes a role.
    CreateRole(CreateRole),
    /// Changes a role.
    UpdateRole(UpdateRole),
    /// Changes an identity.
    UpdateIdentity(UpdateIdentity),
    /// Deletes a record of the directory.
    Delete(Delete),
    /// Changes a key.
    UpdateKey(Box<UpdateKey>),
    /// Suspends a key.
    SuspendKey(SuspendKey),
    /// Lifts suspension and restriction.
    ResumeKey(ResumeKey),
    /// Lets a key do less for a while.
    RestrictKey(RestrictKey),
    /// Revokes keys by name.
    RevokeKeys(RevokeKeys),
    /// Gives a key a new version.
    RotateKey(Box<RotateKey>),
    /// Makes a version that is kept ready.
    PrepareStandby(Box<PrepareStandby>),
    /// Completes, cancels, holds, resumes or rolls back a rotation.
    StepRotation(StepRotation),
    /// Carries out what the clock has brought about: overlaps and restrictions that have ended.
    Settle,
    /// Takes away keys and versions that have been dead for longer than their keyspace keeps them, where that is so.
    RemoveDead(Vec<(KeyspaceNumber, KeyId)>),
    /// Marks keys that a cut reached as revoked, each with an event of its own.
    MarkRevoked(MarkRevoked),
    /// The audit service has made all entries up to and including this one durable.
    Trim(Sequence),
    /// Refusals of authenticated identities, gathered by the service that refused.
    RecordRefusals(Vec<GatheredRefusal>),
    /// That somebody had a validation explained.
    RecordExplanation(Explanation),
    /// Makes keys that another system made.
    ImportKeys(ImportKeys),
    /// That operators denied keys on one replica, or took that back, told by that replica.
    RecordDenials(Vec<RecordedDenial>),
    /// Admits a replica.
    AdmitReplica(AdmitReplica),
    /// Takes a replica one step on.
    StepReplica(StepReplica),
    /// Begins an epoch.
    BeginEpoch(Box<BeginEpoch>),
    /// Takes or renews the claim on driving rotations.
    ClaimRotations(ClaimRotations),
    /// Plans rotations of keys that are due.
    PlanRotations(PlanRotations),
    /// Makes the new version of a planned rotation.
    PrepareRotation(Box<PrepareRotation>),
    /// Takes a rotation one step on.
    AdvanceRotation(Box<AdvanceRotation>),
    /// Writes down that notice was given that keys are due.
    GiveNotices(GiveNotices),
    /// Writes down that notice was given that keys end.
    GiveExpiryNotices(GiveNotices),
    /// Puts another key of the keyring in the place of the one in use.
    RotateRingKey(NewRingKey),
    /// Wraps keys of the keyring by another than before.
    RewrapRingKeys(Vec<RewrappedKey>),
    /// Puts digests under the newest pepper in the place of those under older ones.
    RedigestVersions(RedigestVersions),
    /// Seals inner digests under the data keys that their keyspaces have now.
    ResealInners(Box<ResealInners>),
    /// A replica tells the public half of the key that it cosigns checkpoints of the audit log with.
    SetNodeKey {
        /// Which replica: the one that asks.
        node: NodeId,
        /// The Ed25519 public key.
        key: [u8; 32],
    },
    /// The audit service has signed a checkpoint.
    RecordCheckpoint {
        /// Which.
        checkpoint: AuditCheckpoint,
        /// It has made all entries up to and including this one durable, as [`Self::Trim`] says; below the checkpoint.
        through: Option<Sequence>,
    },
    /// Audit's copy of the log is lost: another log begins.
    BeginAuditLog(BeginAuditLog),
    /// A backup is about to be given to whoever asks.
    RecordBackup(Backup),
    /// A replica tells which backups its folder holds.
    RecordKeptBackups {
        /// Which replica: the one that asks.
        node: NodeId,
        /// What the folder holds; what was given out is not of it.
        folder: Box<ReplicaBackups>,
    },
}

impl Operation {
    /// Whether it takes something away from a key that may be in the wrong hands: it waits for no room, and is never
    /// refused because audit is behind.
    #[must_use]
    pub fn is_emergency(&self) -> bool {
        matches!(self, Self::RotateKey(operation) if operation.emergency)
            || matches!(
                self,
                Self::RevokeKey(_)
                    | Self::Cut(_)
                    | Self::RevokeKeys(_)
                    | Self::SuspendKey(_)
                    | Self::RestrictKey(_)
                    | Self::StepRotation(_)
            )
    }
}

/// Begins another audit log, since nobody has the first entries of the one that there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BeginAuditLog {
    /// Also where nothing has waited for audit for long, so that the state cannot tell that it is lost.
    pub force: bool,
}

/// Makes the cluster: the system tenant, the management keyspace, the identity `root` and its first key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bootstrap {
    /// The cluster's id.
    pub cluster: ClusterId,
    /// The lowest `staleness_max` that a keyspace may choose.
    pub staleness_floor: DurationMillis,
    /// The `staleness_max` of a keyspace that chose none.
    pub staleness_default: DurationMillis,
    /// Wrapped by the KEK.
    pub log_key: WrappedKey,
    /// Wrapped by the KEK.
    pub pepper: WrappedKey,
    /// Wrapped by the KEK.
    pub replay_key: WrappedKey,
    /// Wrapped by the KEK.
    pub tenant_key: WrappedKey,
    /// Wrapped by the tenant key.
    pub audit_key: WrappedKey,
    /// Wrapped by the tenant key.
    pub keyspace_key: WrappedKey,
    /// The settings of the management keyspace.
    pub management: KeyspaceSettings,
    /// The first key of `root`.
    pub root_key: NewKey,
}

/// Makes a keyspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateKeyspace {
    /// Its name.
    pub name: KeyspaceName,
    /// What it chooses.
    pub settings: KeyspaceSettings,
    /// Wrapped by the tenant key.
    pub data_key: WrappedKey,
}

/// Makes an owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateOwner {
    /// Its name.
    pub name: OwnerName,
    /// What people call it.
    pub display_name: DisplayName,
    /// Where notices go.
    pub contacts: Vec<DisplayName>,
}

/// Makes an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateIdentity {
    /// Its name.
    pub name: IdentityName,
    /// What people call it.
    pub display_name: DisplayName,
    /// What it may do, and where.
    pub grants: Vec<Grant>,
}

/// Makes keys in one keyspace: all or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateKeys {
    /// Where.
    pub keyspace: KeyspaceName,
    /// At most [`KEYS_PER_COMMAND_MAX`].
    pub keys: Vec<NewKey>,
    /// The key texts, sealed under a replay key, where the request can be repeated.
    pub replay: Option<Box<[u8]>>,
}

/// The holder of a new key, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HolderName {
    /// Nobody was named.
    None,
    /// An owner.
    Owner(OwnerName),
    /// An identity: only, and always, in the management keyspace.
    Identity(IdentityName),
}

/// How long a new key lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// As the keyspace says.
    Default,
    /// Until this time.
    At(UnixMillis),
    /// For this long.
    After(DurationMillis),
}

/// A key to be made, with its first version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// Its id.
    pub id: KeyId,
    /// Its first version's id.
    pub version: VersionId,
    /// The pepper that the digest was made with.
    pub pepper: RingNumber,
    /// See [`Version::digest`].
    pub digest: latchkey_crypto::Digest,
    /// See [`Version::inner`].
    pub inner: SealedInner,
    /// Whom it belongs to.
    pub holder: HolderName,
    /// What people call it.
    pub display_name: DisplayName,
    /// What it is for.
    pub purpose: Purpose,
    /// What it may do and from where; its roles are those below.
    pub terms: Terms,
    /// Its roles, by id within the tenant; sorted, at most [`latchkey_domain::ROLES_MAX`].
    pub roles: Vec<Slug>,
    /// The key whose child it is, of the same keyspace.
    pub parent: Option<KeyId>,
    /// The tenant's own words.
    pub metadata: Metadata,
    /// From when on it is accepted.
    pub not_before: Option<UnixMillis>,
    /// How long it lives.
    pub expiry: Expiry,
    /// When its secret is to be replaced, and how; absent: as the keyspace says.
    pub rotation_policy: Option<Box<RotationPolicy>>,
}

impl NewKey {
    fn is_of_level_5(&self) -> bool {
        self.rotation_policy.is_some()
    }

    fn is_of_level_2(&self) -> bool {
        !self.roles.is_empty() || self.parent.is_some()
    }

    /// Its first version, made at `at`.
    #[must_use]
    pub fn first_version(&self, at: UnixMillis) -> Version {
        Version {
            id: self.version,
            pepper: self.pepper,
            digest: self.digest,
            inner: self.inner,
            created_at: at,
            details: Rare::default(),
        }
    }
}

/// Revokes a key, or one version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokeKey {
    /// The key.
    pub key: KeyName,
    /// Only this version of it.
    pub version: Option<VersionId>,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text.
    pub text: ReasonText,
    /// How much longer it is accepted.
    pub grace: DurationMillis,
    /// Refuse unless this is the key's etag.
    pub etag: Option<Box<str>>,
}
