//! The records of the directory, the keyring and what the state keeps about itself.

use crate::backups::ReplicaBackups;
use crate::command::ImportRow;
use crate::key::Change;
use alloc::boxed::Box;
use alloc::vec::Vec;
use latchkey_domain::{
    ClusterId, DisplayName, DurationMillis, Environment, ExpiryNotices, Grant, IdentityNumber, ImportFormat,
    ImportFormatId, KekId, KeyId, KeyspaceNumber, LastKnownMax, MethodSet, NetworkSet, NodeId, OwnerNumber,
    PermissionSet, Prefix, ReasonText, ReplicaPlace, ReplicaRole, Revision, RevocationReason, RingNumber, RoleNumber,
    RotationId, RotationPolicy, Sequence, Slug, TenantNumber, UnixMillis, VersionId,
};
use latchkey_transparency::{Frontier, Hash};

/// What the cluster agreed on when it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's id; part of the context of every ciphertext.
    pub id: ClusterId,
    /// The lowest `staleness_max` that a keyspace may choose: what the election timing of the profile allows.
    pub staleness_floor: DurationMillis,
    /// The `staleness_max` of a keyspace that chose none.
    pub staleness_default: DurationMillis,
    /// When it was made.
    pub created_at: UnixMillis,
}

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Its number.
    pub number: TenantNumber,
    /// Its id.
    pub id: Slug,
    /// What people call it.
    pub display_name: DisplayName,
    /// Where notices about it go; e-mail addresses or URLs.
    pub contacts: Vec<DisplayName>,
    /// What it may hold and do at most.
    pub quotas: TenantQuotas,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Its last change; absent: none since it was made.
    pub changed: Option<Change>,
    /// Keys made at or before this are dead.
    pub cut: Option<Box<ScopeCut>>,
    /// Its key in the keyring: the shredding unit.
    pub tenant_key: RingNumber,
    /// Its audit key in the keyring.
    pub audit_key: RingNumber,
}

/// What a tenant may hold and do at most. Absent: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TenantQuotas {
    /// Keyspaces.
    pub keyspaces_max: Option<u32>,
    /// Owners.
    pub owners_max: Option<u32>,
    /// Roles, the built-in ones not counted.
    pub roles_max: Option<u32>,
    /// Identities.
    pub identities_max: Option<u32>,
    /// Writes a second, at least 1; counted by the leader, never by apply.
    pub writes_per_second_max: Option<u32>,
}

/// That all keys of a scope died at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopeCut {
    /// Keys that came into the scope at or before this revision are dead.
    pub revision: Revision,
    /// When that was.
    pub at: UnixMillis,
    /// Why, as a word.
    pub reason: RevocationReason,
    /// Why, as text; may be empty.
    pub text: ReasonText,
    /// Whether each key that it reached is marked as revoked by now.
    pub marked: bool,
}

impl ScopeCut {
    /// A cut as level 1 knew it, without its details. A record with such a cut hashes as it did then.
    #[must_use]
    pub fn of_level_1(revision: Revision) -> Self {
        let (at, reason, text) = (UnixMillis::new(0), RevocationReason::Other, ReasonText::default());
        Self { revision, at, reason, text, marked: false }
    }
}

/// What a replica does with a keyspace's keys when it has lost touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StalenessPolicy {
    /// Answers `UNAVAILABLE`.
    Refuse,
    /// Answers from what it knew last, for so much longer, and says so.
    LastKnown(LastKnownMax),
}

/// What a keyspace chooses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceSettings {
    /// What people call it.
    pub display_name: DisplayName,
    /// The beginning of each key text; unique in the cluster.
    pub prefix: Prefix,
    /// Its environment.
    pub environment: Environment,
    /// Which permissions its keys may have; empty: any.
    pub allowed_permissions: PermissionSet,
    /// The life of a key that asks for none; absent: the maximum, else no end.
    pub default_lifetime: Option<DurationMillis>,
    /// The longest life of a key; absent: unbounded.
    pub maximum_lifetime: Option<DurationMillis>,
    /// From where its keys may be used, besides each key's own; empty: anywhere.
    pub networks: NetworkSet,
    /// How long a replica may answer after it last heard; absent: the cluster's default.
    pub staleness_max: Option<DurationMillis>,
    /// What happens beyond that.
    pub staleness_policy: StalenessPolicy,
    /// How long dead keys stay readable.
    pub dead_retention: DurationMillis,
    /// How many keys it may hold, dead ones included; [`u64::MAX`]: no bound.
    pub keys_max: u64,
    /// Which roles its keys may have, by id, sorted; empty: any.
    pub allowed_roles: Box<[Slug]>,
    /// How many versions all its keys may have, dead ones included; [`u64::MAX`]: no bound.
    pub versions_max: u64,
    /// How many bytes of metadata all its keys may have; [`u64::MAX`]: no bound.
    pub metadata_bytes_max: u64,
    /// Whether whoever holds a key may not revoke it by its text.
    pub self_revocation_off: bool,
    /// The forms of key texts of other systems, each id once; at most [`latchkey_domain::IMPORT_FORMATS_MAX`].
    pub import_formats: Box<[ImportFormat]>,
    /// When the secrets of its keys are to be replaced, and how; absent: whenever somebody asks.
    pub rotation_policy: Option<Box<RotationPolicy>>,
    /// How many of a million accepted validations are recorded singly in the access log; at most [`ACCESS_SAMPLE_MAX`].
    pub access_sample_ppm: u32,
    /// How long before their expiry those whose keys they are are told; absent: [`ExpiryNotices::DEFAULT`].
    pub expiry_notices: Option<ExpiryNotices>,
}

/// All of them, in parts per million.
pub const ACCESS_SAMPLE_MAX: u32 = 1_000_000;

impl KeyspaceSettings {
    pub(crate) const fn is_of_level_6(&self) -> bool {
        self.access_sample_ppm != 0 || self.expiry_notices.is_some()
    }

    /// The import format with this id.
    #[must_use]
    pub fn import_format(&self, id: &ImportFormatId) -> Option<&ImportFormat> {
        self.import_formats.iter().find(|format| format.id() == id)
    }

    pub(crate) const fn is_of_level_5(&self) -> bool {
        self.rotation_policy.is_some()
    }

    pub(crate) const fn is_of_level_4(&self) -> bool {
        self.staleness_policy.is_of_level_4()
    }

    pub(crate) fn is_of_level_3(&self) -> bool {
        !self.import_formats.is_empty()
    }

    pub(crate) fn is_of_level_2(&self) -> bool {
        !self.allowed_roles.is_empty()
            || self.versions_max != u64::MAX
            || self.metadata_bytes_max != u64::MAX
            || self.self_revocation_off
    }
}

/// The keys of one API in one environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// Its number.
    pub number: KeyspaceNumber,
    /// The tenant it is in.
    pub tenant: TenantNumber,
    /// Its id within the tenant.
    pub id: Slug,
    /// What it chose; its `staleness_max` is filled in.
    pub settings: KeyspaceSettings,
    /// How long a replica is current for it after it last heard.
    pub staleness_max: DurationMillis,
    /// The bound that was in force before, and until when it counts for what is confirmed: a replica that has not heard
    /// of a shorter bound answers by the longer one. See [`Self::bound`].
    pub staleness_before: Option<(DurationMillis, UnixMillis)>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Its last change, its counts aside; absent: none since it was made.
    pub changed: Option<Change>,
    /// Keys made at or before this are dead.
    pub cut: Option<Box<ScopeCut>>,
    /// Its data key in the keyring.
    pub data_key: RingNumber,
    /// How many keys it holds, dead ones included.
    pub keys: u64,
}

/// Whoever keys belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub number: OwnerNumber,
    /// The tenant it is in.
    pub tenant: TenantNumber,
    /// Its id within the tenant.
    pub id: Slug,
    /// What people call it.
    pub display_name: DisplayName,
    /// Where notices about its keys go; e-mail addresses or URLs.
    pub contacts: Vec<DisplayName>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Its last change; absent: none since it was made.
    pub changed: Option<Change>,
    /// Keys given to it at or before this are dead.
    pub cut: Option<Box<ScopeCut>>,
}

/// A named set of permissions and methods that a tenant made. The built-in ones have no record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Its number.
    pub number: RoleNumber,
    /// The tenant it is in.
    pub tenant: TenantNumber,
    /// Its id within the tenant.
    pub id: Slug,
    /// What people call it.
    pub display_name: DisplayName,
    /// What it permits.
    pub permissions: PermissionSet,
    /// With which methods its keys may be used; empty: any.
    pub methods: MethodSet,
    /// When it was made.
    pub created_at: UnixMillis,
    /// The revision that made it.
    pub created: Revision,
    /// Its last change; absent: none since it was made.
    pub changed: Option<Change>,
    /// Keys that got it at or before this are dead.
    pub cut: Option<Box<ScopeCut>>,
}

/// A replica that was ever admitted. Raft's membership follows what it is meant to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its id.
    pub node: NodeId,
    /// Where it stands, and how it is reached.
    pub place: ReplicaPlace,
    /// What it is meant to be.
    pub role: ReplicaRole,
    /// When it was admitted.
    pub admitted: Change,
    /// When its role last changed: of a retired one, when it had left.
    pub changed: Change,
    /// The Ed25519 public key that it cosigns checkpoints of the audit log with; absent: it has not told one yet.
    pub node_key: Option<[u8; 32]>,
    /// The backups that it gave and keeps, where there are any; also of one that was retired, whose folder may be there still.
    pub backups: Option<Box<ReplicaBackups>>,
}

/// Who calls the management API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its number.
    pub number: IdentityNumber,
    /// The tenant it is in.
    pub tenant: TenantNumber,
    /// Its id within the tenant.
    pub id: Slug,
    /// What people call it.
    pub display_name: DisplayName,
    /// What it may do, and where.
    pub grants: Vec<Grant>,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Its last change; absent: none since it was made.
    pub changed: Option<Change>,
}

/// What a key of the keyring is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RingPurpose {
    /// Seals log records and the rows of the directory.
    Log,
    /// Keys the digests of secrets.
    Pepper,
    /// Seals secrets for a repeat of the request that made them; hourly, destroyed two hours later.
    Replay,
    /// Wraps a tenant's other keys.
    Tenant(TenantNumber),
    /// Seals a tenant's audit entries.
    Audit(TenantNumber),
    /// Seals a keyspace's records.
    Keyspace(KeyspaceNumber),
}

impl RingPurpose {
    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Pepper => "pepper",
            Self::Replay => "replay",
            Self::Tenant(_) => "tenant",
            Self::Audit(_) => "audit",
            Self::Keyspace(_) => "keyspace",
        }
    }
}

/// A wrapped key. Its plaintext is never in the state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingKey {
    /// Its number: it stands in clear in front of each ciphertext.
    pub number: RingNumber,
    /// 16 random bytes: the context that it was wrapped under, since its number is only known later.
    pub id: [u8; 16],
    /// What it is for.
    pub purpose: RingPurpose,
    /// The key that wraps it; 0 is the KEK.
    pub wrapped_by: RingNumber,
    /// Which KEK wraps it, where one does and that is known.
    pub kek: Option<KekId>,
    /// The key, wrapped.
    pub wrapped: Box<[u8]>,
    /// When it was added.
    pub created_at: UnixMillis,
}

/// A request that carried a `request_id`, and what it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedRequest {
    /// Who asked.
    pub identity: IdentityNumber,
    /// The `request_id`.
    pub id: [u8; 16],
    /// SHA-256 of the request without its `request_id`.
    pub hash: [u8; 32],
    /// When it was answered.
    pub at: UnixMillis,
    /// At which revision.
    pub revision: Revision,
    /// What it made or changed.
    pub subject: RequestSubject,
    /// The key texts, sealed under a replay key; gone after an hour.
    pub replay: Option<Box<[u8]>>,
}

/// What a remembered request made or changed: enough to give the first answer again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestSubject {
    /// A tenant was made.
    Tenant(TenantNumber),
    /// A keyspace was made.
    Keyspace(KeyspaceNumber),
    /// An owner was made.
    Owner(OwnerNumber),
    /// An identity was made.
    Identity(IdentityNumber),
    /// Keys were made in a keyspace, each with its first version.
    Keys(KeyspaceNumber, Box<[(KeyId, VersionId)]>),
    /// A key or a version of it was revoked.
    Revoked(KeyspaceNumber, KeyId, Option<VersionId>),
    /// Something that is answered by "done": a cut, a deletion.
    Nothing,
    /// A role was made or changed.
    Role(RoleNumber),
    /// A key was changed.
    Key(KeyspaceNumber, KeyId),
    /// So many keys were revoked.
    Counted(u64),
    /// A rotation was begun or went on; the version, where this request made it.
    Rotation(KeyspaceNumber, KeyId, RotationId, Option<VersionId>),
    /// Rows of an import became this.
    Imported(KeyspaceNumber, Box<[ImportRow]>),
}

/// What the state knows about its own progress; it changes with every record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The last record applied.
    pub last: Revision,
    /// The replicated clock.
    pub clock: UnixMillis,
    /// Which commands are understood by all.
    pub feature_level: u32,
    /// The next numbers to give.
    pub next: NextNumbers,
    /// The audit tree: its size is the next sequence.
    pub frontier: Frontier,
    /// What the audit service has; absent: none was ever there.
    pub trimmed: Option<Trimmed>,
    /// The newest checkpoint that the audit service signed; absent: none yet.
    pub checkpoint: Option<AuditCheckpoint>,
    /// The epoch that began the audit tree anew, after leaves that were published had been lost; 0: it is the first.
    pub tree_epoch: u64,
    /// The record of that epoch that began the tree anew, where an operator said so; 0: the epoch itself did, or nobody.
    pub tree_index: u64,
    /// The last record that took a key of a tenant out of the keyring: those before it bring it along, wrapped. Absent: none
    /// since level 6.
    pub tenant_keys_gone: Option<Revision>,
}

/// A checkpoint of the audit log, as the replicated state keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditCheckpoint {
    /// How many entries it is of.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// The Ed25519 public key of the audit service that signed it.
    pub key: [u8; 32],
}

/// What the audit service has made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trimmed {
    /// The first entry that it does not have.
    pub next: Sequence,
    /// Since when the oldest entry that it does not have has waited: when it last had all, or last said how far it is.
    pub at: UnixMillis,
}

/// The next number of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NextNumbers {
    /// Of tenants.
    pub tenant: u32,
    /// Of keyspaces.
    pub keyspace: u32,
    /// Of owners.
    pub owner: u32,
    /// Of identities.
    pub identity: u32,
    /// Of roles; those up to [`latchkey_domain::BuiltInRole::NUMBER_MAX`] are built in.
    pub role: u32,
    /// Of keys in the keyring; 0 is the KEK.
    pub ring: u32,
}
