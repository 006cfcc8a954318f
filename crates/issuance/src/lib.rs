//! The issuance service: the life of keys, and the directory (rank 8).
//!
//! ```text
//! request -> entrance -> Authorized -> mint or wrap -> propose -> confirm -> answer, the key text in it once
//! ```
//! It holds no state: what it reads and writes is the cluster's, through `link`, so any number of instances serve side
//! by side, and any of them may die at any time.
//!
//! In: [`Handlers`], the RPCs over any `Registry`; [`Issuance`], the service with its listener, metrics and probes.
//! Out: what a command does (`state`), secrets (`minting`), what is common to all services without state and what
//! validation serves too (`link`): the entrance, `RevokeKey`, `RevokeKeys`, `SuspendKey`.
//!
//! # Decisions
//! **`validate_only` rehearses.** The command is built as ever, without a secret, and a replica carries it out on a copy
//! of its state: so a rehearsal and the real thing never disagree. It does not see whether the `request_id` was used
//! before.
//! **A page shows what the caller's grants cover**, and a listing under a parent that they do not touch is refused.

mod create_keys;
mod creating;
mod deleting;
mod directory_service;
mod handlers;
mod import_keys;
mod issuance_service;
mod key_life;
mod reading;
mod service;
mod updating;

pub use handlers::Handlers;
pub use latchkey_link::service::{Options, Running, StartError};
pub use service::Issuance;
