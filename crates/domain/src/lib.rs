//! The words of Latchkey as types. Parsing happens once, at the edge, into these; nothing here reads a clock, draws
//! randomness or does I/O.
//!
//! # Glossary
//! | word | meaning |
//! |---|---|
//! | tenant | an organisation; nothing crosses its border |
//! | keyspace | the keys of one API in one environment: prefix, policy, limits, data key |
//! | environment | `development`, `staging`, `production`, or a word of the tenant's own |
//! | owner | whoever a key belongs to: groups keys, has contacts |
//! | key | the durable thing with an id; permissions and restrictions belong to it and survive rotation |
//! | version | one secret of a key, with its own id and state |
//! | key text | what the caller sends: prefix, version id, secret, checksum |
//! | digest | what is kept of the secret |
//! | permission | a word such as `orders:read` (wildcard `orders:*`) |
//! | identity | who calls: a named resource with grants, proved by a management key |
//! | role | a named set of permissions and methods, given to keys |
//! | rotation | how one version of a key takes the place of another |
//! | standby | a version that is made and not yet accepted |
//! | workload | what a process is, by the SPIFFE id in its certificate |
//! | duty, scope, grant | what an identity may do, where, and the pair of both |
//! | revision | (epoch, log index) of the state: increasing, with holes |
//! | sequence | the number of an audit entry: without holes |
//! | outcome | the answer of a validation |
//! | refusal | the state machine's answer that a command cannot be |
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod base62;
mod bounded_set;
mod cluster;
mod delivery;
mod environment;
mod expiry_notices;
mod grammar;
mod grant;
mod http_method;
mod id;
mod import_format;
mod import_refusal;
mod kek_id;
mod last_known_max;
mod metadata;
mod name;
mod network;
mod number;
mod outcome;
mod permission;
mod permission_set;
pub mod planted;
mod prefix;
mod refusal;
mod replica;
mod resource;
mod revision;
mod revocation;
mod role;
mod rotation;
mod rotation_policy;
mod rotation_terms;
mod terms;
mod text;
mod time;
mod workload;

pub use bounded_set::{BoundedSet, TooMany};
pub use cluster::{ClusterId, NodeId};
pub use delivery::{Delivery, RecipientKey, RecipientKeyError, RsaKey};
pub use environment::{ENVIRONMENT_BYTES_MAX, Environment, EnvironmentError, EnvironmentRule};
pub use expiry_notices::{ExpiryNotices, ExpiryNoticesError, ExpiryNoticesRule};
pub use grammar::GrammarError;
pub use grant::{Duty, Grant, Scope, covers};
pub use http_method::{METHOD_BYTES_MAX, METHODS_MAX, Method, MethodError, MethodRule, MethodSet};
pub use id::{ID_CHARS, IdError, KeyId, RotationId, VersionId};
pub use import_format::{
    IMPORT_BITS_MIN, IMPORT_FORMATS_MAX, IMPORT_HIDDEN_BITS_MIN, IMPORT_PART_CHARS_MAX, IMPORT_PARTS_MAX,
    IMPORT_PREFIX_CHARS_MAX, ImportAlphabet, ImportDigest, ImportFormat, ImportFormatError, ImportFormatId, ImportPart,
    ImportStart, Shaped,
};
pub use import_refusal::ImportRefusal;
pub use kek_id::KekId;
pub use last_known_max::{LastKnownMax, LastKnownMaxError};
pub use metadata::{METADATA_BYTES_MAX, METADATA_KEY_BYTES_MAX, METADATA_PAIRS_MAX, Metadata, MetadataError};
pub use name::{
    IdentityName, KeyName, KeyspaceName, MANAGEMENT_KEYSPACE, NameError, OwnerName, RoleName, RotationName,
    SLUG_CHARS_MAX, SYSTEM_TENANT, Slug, TenantName, VersionName,
};
pub use network::{NETWORKS_MAX, Network, NetworkError, NetworkSet};
pub use number::{IdentityNumber, KeyspaceNumber, OwnerNumber, RingNumber, RoleNumber, TenantNumber};
pub use outcome::Outcome;
pub use permission::{
    PERMISSION_BYTES_MAX, PERMISSION_SEGMENT_BYTES_MAX, Permission, PermissionError, PermissionPattern, PermissionRef,
    PermissionRule,
};
pub use permission_set::{PERMISSIONS_MAX, PermissionSet};
pub use prefix::{PREFIX_BYTES_MAX, Prefix, PrefixError, PrefixRule};
pub use refusal::{Quota, Refusal, ResourceKind};
pub use replica::{ADDRESS_BYTES_MAX, PlaceError, REGION_BYTES_MAX, ReplicaPlace, ReplicaRole};
pub use resource::{ResourceError, ResourcePath, ResourcePattern, ResourceRule, ResourceSet};
pub use revision::{Revision, Sequence};
pub use revocation::RevocationReason;
pub use role::{BuiltInRole, ROLES_MAX, RoleSet};
pub use rotation::{HoldCause, RotationState};
pub use rotation_policy::{
    AT_ONCE_DEFAULT, AT_ONCE_MAX, CRON_BYTES_MAX, NOTICES_MAX, PHASE_FILTER_BYTES_MAX, PHASES_MAX, RiskClass,
    RotationMode, RotationPhase, RotationPolicy, RotationPolicyError, RotationPolicyRule, RotationWindow,
    TIME_ZONE_BYTES_MAX, WINDOWS_MAX,
};
pub use rotation_terms::{AtDeadline, HOLD_MAX, OVERLAP_MAX, OverlapStart, RotationTerms};
pub use terms::Terms;
pub use text::{DisplayName, Purpose, ReasonText, SourceId, TextError, TextRule};
pub use time::{DurationMillis, UnixMillis};
pub use workload::{SPIFFE_ID_BYTES_MAX, TrustDomain, Workload, read_spiffe_id};
