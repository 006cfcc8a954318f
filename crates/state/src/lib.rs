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
mod backups;
mod bound;
mod command;
mod decode;
mod directory;
mod driving;
mod due;
mod encode;
mod event;
mod expiring;
mod hash;
mod index;
mod invariants;
mod key;
pub mod listing;
mod load;
mod log_name;
mod packed;
mod records;
mod ring;
mod rotation;
mod row;
mod state;
mod upkeep;

pub use apply::{Answer, Applied, ENTRIES_WAITING_MAX, ENTRY_WAIT_MAX, may_give};
pub use backups::{BACKUPS_MAX, Backup, ReplicaBackups};
pub use command::{
    Actor, AdmitReplica, AdvanceRotation, BeginAuditLog, BeginEpoch, Bootstrap, CALLERS_MAX, CLAIM_LIFE_MAX, Caller,
    ClaimRotations, Command, CreateIdentity, CreateKeys, CreateKeyspace, CreateOwner, CreateRole, CreateTenant, Cut,
    CutScope, DENIALS_PER_COMMAND_MAX, Delete, DenialStep, DirectoryName, DriverStep, End, EpochOrigin, Evidence,
    Expiry, ExpiryChange, Explanation, FEATURE_LEVEL_NEWEST, FollowUp, GatheredRefusal, GiveNotices, HolderName,
    IdentityChanges, ImportKeys, ImportOutcome, ImportRow, KEYS_PER_COMMAND_MAX, KeyChanges, KeyToImport,
    KeyspaceChanges, LocalDenial, MarkRevoked, NewCourse, NewKey, NewRingKey, NewVersion, OVERLAP_DEFAULT, Operation,
    OwnerChanges, PLANS_PER_COMMAND_MAX, PlanRotations, PlannedRotation, PrepareRotation, PrepareStandby, READINGS_MAX,
    REFUSALS_PER_COMMAND_MAX, REKEYED_PER_COMMAND_MAX, REPLICAS_MAX, RESTRICTION_MAX, RING_KEYS_OF_PURPOSE_MAX,
    RecordedDenial, RedigestVersions, ReplicaStep, RequestMark, ResealInners, RestrictKey, ResumeKey, RevokeKey,
    RevokeKeys, RevokedScope, RewrappedKey, RoleChanges, RotateKey, RotationStep, SUBJECT_BYTES_MAX, StepReplica,
    StepRotation, SuspendKey, TenantChanges, UpdateIdentity, UpdateKey, UpdateKeyspace, UpdateOwner, UpdateRole,
    UpdateTenant, WrappedKey, bootstrap_ring,
};
pub use decode::{DecodedEvent, EventError};
pub use directory::{Directory, Listed, NO_TENANT};
pub use driving::{AGE_DAYS, DrivenRotations, DueKey, PhaseTally, RotationAt, Survey, SurveyedKeyspace, VersionState};
pub use due::ROTATION_RETRY;
pub use event::{Action, EVENT_FORMAT, Entry, Event};
pub use expiring::{EXPIRING_DAYS, ExpiringKey, ExpiryAt, ExpiryNotice, OwedExpiries};
pub use hash::{HashedAt, StateHash};
pub use index::Usage;
pub use key::{
    By, Change, Details, Holder, Imported, Key, Layers, Methods, Rare, Restriction, Revocation, SEALED_INNER_BYTES,
    SealedInner, Suspension, Version, VersionDetails, Versions, Worth,
};
pub use load::{LoadError, Loading};
pub use log_name::{cosigner_name, log_name};
pub use records::{
    ACCESS_SAMPLE_MAX, AuditCheckpoint, Cluster, Identity, Keyspace, KeyspaceSettings, NextNumbers, Owner, Progress,
    RememberedRequest, Replica, RequestSubject, RingKey, RingPurpose, Role, ScopeCut, StalenessPolicy, Tenant,
    TenantQuotas, Trimmed,
};
pub use ring::RingUses;
pub use rotation::{Course, HOLD_BEFORE_OVERLAP_MAX, Held, Rotation, RotationClaim, WARNING_LEVEL};
pub use row::{Changes, Row, RowId};
pub use state::{Found, State};
pub use upkeep::KeyAt;

pub use latchkey_domain::OVERLAP_MAX;

use latchkey_domain::DurationMillis;

/// How long a `request_id` is remembered.
pub const REQUEST_MEMORY: DurationMillis = DurationMillis::from_secs(24 * 3_600);

/// How long a repeat gets the key text again.
pub const REPLAY_WINDOW: DurationMillis = DurationMillis::from_secs(3_600);

/// How long a replay key lives: every box that it sealed has closed by then.
pub const REPLAY_KEY_LIFE: DurationMillis = DurationMillis::from_secs(2 * 3_600);
