//! Checkpoints: who vouches for the log, and when nobody does.
//!
//! ```text
//! published tree -> extends what we signed last? -> extends what the cluster recorded? -> the last is durable -> signed
//!                   neither: an alarm, and no signature                                                            |
//! archive `checkpoint` <- note with all lines <- each replica that answers within 5 s cosigns what it computed <---'
//!        '-> RecordCheckpoint: the cluster binds us, and everybody after us -> what lies below it may be trimmed
//! ```
//! In: the key ([`CheckpointKey`]), the judgement and the signature ([`Signer`]), gathering cosignatures, and [`Checkpoints`], who does
//! it once a second. Out: what a note is (`transparency`), where it is shown (`archive`, `proofs`).
//!
//! # Decisions
//! **What was signed last lies beside the key, and not in the data folder.** A data folder that is put back from a copy, or rolled
//! back by whoever runs the disk, is then shorter than what was signed, and that is found at once.
//! **A replica that refuses is an alarm; a majority of refusals ends the service.** One bad disk among the replicas must not be able to
//! stop the log, and one bad log must not go on.
//! **Nothing waits for a replica that is away for longer than a minute.** A checkpoint without a cosignature is worth less, and says so
//! by having none; an outage of all replicas for audit alone must not become one of all writes.

mod gather;
mod handing_over;
mod judge;
mod keeper;
mod key_file;
mod last_file;
mod signer;

pub use keeper::{Checkpoints, Signing, verifier_keys};
pub use key_file::{CheckpointKey, CheckpointKeyError};
pub use signer::{Fork, Signer};
