//! The way from a service to the replicated state (rank 6).
//!
//! ```text
//! Entrance -> handler -> Authorized<T> -> Registry::propose -> answers::told -> regions, visibility
//! who calls              may he?          leader, applied      a refusal      Registry::confirm: who
//! (1 s kept)                              or: rehearse         is a status    decides by it
//! ```
//! In: [`Registry`], what a handler asks of the state, with two implementers: [`Link`] (over gRPC, from any process) and
//! the replica's own (`registry`); [`Entrance`], [`identify`] and [`Authorized`]: no command without a proven identity
//! that holds the grant, and [`Refusals`], what they were refused; [`Material`]: wrapped keys, unwrapped with this
//! process's own access to the KEK, and what it takes to mint with them; [`revoke_key`], [`revoke_keys`] and
//! [`suspend_key`], which issuance and validation both serve; [`evidence`], what replicas saw of the use of versions; [`service`] and [`process`], a service without state as a
//! whole. Out: what the state machine decides (`state`), and who it is served by (`registry`).
//!
//! # Decisions
//! **[`Registry`] speaks the generated messages.** Both implementers answer from the same function, one of them without a
//! network between; typed reading stands once, in [`answers`].
//! **A write whose outcome is unknown is repeated only where a repeat cannot do it twice**: it carries a
//! [`RequestMark`](latchkey_state::RequestMark), or does nothing the second time. Any other gets `DEADLINE_EXCEEDED`, not
//! `UNAVAILABLE`, which clients repeat by themselves (`proto/retry.json`).
//! **A rehearsal is a read.** `validate_only` sends the command with a query; a replica carries it out on a copy of its
//! state, which costs about a microsecond. A state of our own with just the records that a command refers to knew neither
//! taken prefixes nor quotas, and nothing of a key's versions.
//! **Reads go to the leader first** and ask for all that this process has seen, so that a caller reads what he wrote; any
//! other replica answers where the leader does not.

pub mod answers;
mod authorized;
mod backoff;
mod confirm;
pub mod driving;
mod entrance;
pub mod evidence;
mod follow;
mod identities;
mod identity;
mod judgement;
mod link;
mod material;
mod observing;
pub mod process;
pub mod query;
mod refusals;
mod refused;
mod registry;
mod rehearsal;
mod repeats;
mod replicas;
mod revoke_key;
mod revoke_keys;
pub mod security;
mod select;
pub mod service;
mod suspend_key;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod vouching;

pub use authorized::{Authorized, READERS};
pub use confirm::{Time, regions, visibility, wait_for};
pub use entrance::{Call, Entrance};
pub use follow::{FollowItem, FollowedEvent, Following, write_entry};
pub use identity::{ProvenIdentity, identify};
pub use link::Link;
pub use material::{ClusterMaterial, KeyspaceMaterial, Material, TenantMaterial};
pub use observing::{Observing, ObservingReplica};
pub use refusals::Refusals;
pub use refused::{Unreadable, fields_invalid, list_invalid};
pub use registry::{Barrier, Query, Registry};
pub use rehearsal::rehearse;
pub use repeats::MintKeys;
pub use revoke_key::{carry_out_revocation, revoke_key, scope_of_key};
pub use revoke_keys::revoke_keys;
pub use select::Selected;
pub use suspend_key::suspend_key;
pub use vouching::{LogCosigner, LogStanding, Vouching, log_standing};
