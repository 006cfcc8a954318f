//! The validation service: a replica of the registry, and the public calls that it answers from its own memory (rank 8).
//!
//! ```text
//! ValidateKey -> gate -> View -> Session (who calls) -> decide -> verdict -> answer
//!                waits   one     the same state          nothing waited for, nothing locked
//!                only if load    and lease for a
//!                asked           whole batch
//! ```
//! In: [`Validation::start`], which puts a replica together (settings, storage, KEK, raft on a runtime and a listener of
//! its own, the public listener, probes, metrics) and is what `latchkey dev` calls too; the handlers of
//! `ValidationService`, `ClusterService` and of what takes a key out of use in `IssuanceService` (`RevokeKey`, `RevokeKeys`,
//! `SuspendKey`), so that a key dies without issuance.
//! Out: what is decided (`decision`), how a state comes to be here (`registry`), layers and statuses (`transport`).
//!
//! # Decisions
//! **The caller is proved on the same view as the key.** One load, one time, one lease: a revoked caller and a revoked
//! key stop at the same revision. It follows that no keyspace is validated on a state that is older than the bound of the
//! keyspace of management keys: who calls is not known then.
//! **An item of a stream is a call of its own.** It has its own view and proves its caller anew, so a stream that is open
//! for days stops with the key of whoever opened it, within the bound of every other call.
//! **What cannot be audited is not explained.** An explanation waits for its entry to be replicated; a validation waits
//! for nothing.
//! **Raft has a runtime of its own.** Its heartbeats must not wait behind a million validations, nor the other way round.
#![forbid(unsafe_code)]

mod answer;
mod at_once;
mod attempts;
mod cluster_service;
mod consistency;
mod denials;
mod halt;
mod init;
mod issuance_service;
mod plant;
mod probes;
mod raft_runtime;
mod restore;
mod running;
mod self_revocation;
mod session;
mod start;
mod stopping;
mod stream;
mod tally;
mod usage_reports;
mod validation_service;

pub use cluster_service::ClusterFace;
pub use init::{InitError, Purpose, init, made};
pub use issuance_service::IssuanceFace;
pub use latchkey_registry::{BackupFile, BackupHeader};
pub use plant::plant_by_environment;
pub use restore::{RestoreError, RestoreOptions, Restored, recover, restore, verify_backup};
pub use running::{Addresses, Running, StopError};
pub use start::{StartError, Validation, telemetry_options};
pub use stopping::{Stop, Stopping};
pub use stream::Answers;
pub use validation_service::ValidationFace;
