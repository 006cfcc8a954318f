//! The issuance service: the life of keys, and the directory (rank 8).
//!
//! ```text
//! request -> identify -> read -> Authorized -> mint or wrap -> propose -> confirm -> answer, the key text in it once
//! ```
//! It holds no state: what it reads and writes is the cluster's, through `link`, so any number of instances serve side
//! by side, and any of them may die at any time.
//!
//! In: [`Handlers`], the RPCs over any `Registry`; [`Issuance`], the service with its listener, metrics and probes.
//! Out: what a command does (`state`), `RevokeKey` (`link`, since validation serves it too), secrets (`minting`).
//!
//! # Decisions
//! **`validate_only` rehearses.** The command is built and carried out by the real state machine, on a state that holds
//! just the records it refers to; so a rehearsal and the real thing never disagree about a rule. It does not see what
//! needs the whole state: that a prefix is taken by another keyspace, that a quota of the directory is reached, that the
//! `request_id` was used before.
//! **A page shows what the caller's grants cover**, and a listing under a parent that they do not touch is refused.

mod create_keys;
mod directory;
mod handlers;
mod reading;
mod rehearsal;
mod service;
mod services;

pub use handlers::Handlers;
pub use service::{Issuance, Options, Running, StartError};
