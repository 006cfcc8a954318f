//! The replicated state machine: `Command` -> [`State::apply`] -> [`Applied`].
//!
//! Pure: time, ids and random bytes come with the command, so that every replica computes the same. Ten rules hold here,
//! each with a test named after it in `tests/state/rules.rs`; `crates/README.md` lists them.
//!
//! In: the records, the rows that they lie in, the commands, what a command does, the events that it leaves, the state
//! hash. Out: how any of it is written to disk or to the wire, and who may be believed.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod apply;
mod bound;
mod command;
mod decode;
mod directory;
mod encode;
mod event;
mod hash;
mod index;
mod invariants;
mod key;
pub mod listing;
mod load;
mod packed;
mod records;
mod row;
mod state;
mod upkeep;

pub use apply::{Answer, Applied, ENTRIES_WAITING_MAX, ENTRY_WAIT_MAX, may_give};
pub use command::{
    Actor, AdmitReplica, BeginEpoch, Bootstrap, Command, CreateIdentity, CreateKeys, CreateKeyspace, CreateOwner,
    CreateRole, CreateTenant, Cut, CutScope, DENIALS_PER_COMMAND_MAX, Delete, DenialStep, DirectoryName, End,
    EpochOrigin, Expiry, ExpiryChange, Explanation, FEATURE_LEVEL_NEWEST, FollowUp, GatheredRefusal, HolderName,
    IdentityChanges, ImportKeys, ImportOutcome, ImportRow, KEYS_PER_COMMAND_MAX, KeyChanges, KeyToImport,
    KeyspaceChanges, LocalDenial, MarkRevoked, NewKey, NewRingKey, NewVersion, OVERLAP_DEFAULT, OVERLAP_MAX, Operation,
    OwnerChanges, PrepareStandby, READINGS_MAX, REFUSALS_PER_COMMAND_MAX, REPLICAS_MAX, RESTRICTION_MAX,
    RecordedDenial, ReplicaStep, RequestMark, RestrictKey, ResumeKey, RevokeKey, RevokeKeys, RevokedScope, RoleChanges,
    RotateKey, RotationStep, SUBJECT_BYTES_MAX, StepReplica, StepRotation, SuspendKey, TenantChanges, UpdateIdentity,
    UpdateKey, UpdateKeyspace, UpdateOwner, UpdateRole, UpdateTenant, WrappedKey, bootstrap_ring,
};
pub use decode::{DecodedEvent, EventError};
pub use directory::{Directory, Listed, NO_TENANT};
pub use event::{Action, EVENT_FORMAT, Entry, Event};
pub use hash::{HashedAt, StateHash};
pub use index::Usage;
pub use key::{
    By, Change, Details, Holder, Imported, Key, Layers, Methods, Rare, Restriction, Revocation, SEALED_INNER_BYTES,
    SealedInner, Suspension, Version, VersionDetails, Versions, Worth,
};
pub use load::{LoadError, Loading};
pub use records::{
    Cluster, Identity, Keyspace, KeyspaceSettings, NextNumbers, Owner, Progress, RememberedRequest, Replica,
    RequestSubject, RingKey, RingPurpose, Role, Rotation, ScopeCut, StalenessPolicy, Tenant, TenantQuotas, Trimmed,
};
pub use row::{Changes, Row, RowId};
pub use state::{Found, State};
pub use upkeep::KeyAt;

use latchkey_domain::DurationMillis;

/// How long a `request_id` is remembered.
pub const REQUEST_MEMORY: DurationMillis = DurationMillis::from_secs(24 * 3_600);

/// How long a repeat gets the key text again.
pub const REPLAY_WINDOW: DurationMillis = DurationMillis::from_secs(3_600);

/// How long a replay key lives: every box that it sealed has closed by then.
pub const REPLAY_KEY_LIFE: DurationMillis = DurationMillis::from_secs(2 * 3_600);
