//! The records of the directory, the keyring and what the state keeps about itself.

use alloc::boxed::Box;
use alloc::vec::Vec;
use latchkey_domain::{
    ClusterId, DisplayName, DurationMillis, Environment, Grant, IdentityNumber, KeyId, KeyspaceNumber, NetworkSet,
    OwnerNumber, PermissionSet, Prefix, Revision, RingNumber, Slug, TenantNumber, UnixMillis, VersionId,
};
use latchkey_transparency::Frontier;

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
    /// When it was made.
    pub created_at: UnixMillis,
    /// Keys made at or before this revision are dead.
    pub cut: Option<Revision>,
    /// Its key in the keyring: the shredding unit.
    pub tenant_key: RingNumber,
    /// Its audit key in the keyring.
    pub audit_key: RingNumber,
}

/// What a replica does with a keyspace's keys when it has lost touch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StalenessPolicy {
    /// Answers `UNAVAILABLE`.
    Refuse,
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
    /// How many keys it may hold, dead ones included.
    pub keys_max: u64,
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
    /// How long a replica may answer for it after it last heard.
    pub staleness_max: DurationMillis,
    /// When it was made.
    pub created_at: UnixMillis,
    /// Keys made at or before this revision are dead.
    pub cut: Option<Revision>,
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
    /// Keys given to it at or before this revision are dead.
    pub cut: Option<Revision>,
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
    /// Something that is answered by "done": a cut.
    Nothing,
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
    /// Of keys in the keyring; 0 is the KEK.
    pub ring: u32,
}
