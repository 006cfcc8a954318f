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
//! | duty, scope, grant | what an identity may do, where, and the pair of both |
//! | revision | (epoch, log index) of the state: increasing, with holes |
//! | sequence | the number of an audit entry: without holes |
//! | outcome | the answer of a validation |
//! | refusal | the state machine's answer that a command cannot be |
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod base62;
mod cluster;
mod grant;
mod id;
mod name;
mod number;
mod outcome;
mod refusal;
mod revision;
mod revocation;
mod time;

pub use cluster::{ClusterId, NodeId};
pub use grant::{Duty, Grant, Scope, covers};
pub use id::{ID_CHARS, IdError, KeyId, VersionId};
pub use name::{
    IdentityName, KeyName, KeyspaceName, MANAGEMENT_KEYSPACE, NameError, OwnerName, SLUG_CHARS_MAX, SYSTEM_TENANT,
    Slug, TenantName, VersionName,
};
pub use number::{IdentityNumber, KeyspaceNumber, OwnerNumber, RingNumber, TenantNumber};
pub use outcome::Outcome;
pub use refusal::{Quota, Refusal, ResourceKind};
pub use revision::{Revision, Sequence};
pub use revocation::RevocationReason;
pub use time::{DurationMillis, UnixMillis};
