//! How a service is served, and how another one is reached (rank 5).
//!
//! ```text
//! TCP -> connections -> connection -> observe -> shed  -> deadline -> catch   -> explain -> caller -> router -> handler
//!        (bounded)      HTTP/2        span       by       cut at      a panic    tonic's    who       by
//!                       (bounded)     metrics    class    its time    answers    errors     calls     name
//! ```
//! In: [`Server`], the one place where that stack is put together; [`Caller`], [`Deadline`]: what a handler finds in
//! the extensions of its request; [`status`], the one file where refusals become gRPC statuses; [`ClusterSecret`],
//! which internal services ask for as a [`Proof`]; [`Dialer`], the client's side. Out: what the services do.
//!
//! Off loopback there is TLS 1.3 under all of it, mutual ([`tls`]); the settings refuse plain text anywhere else.
//!
//! # A handler's view
//! ```ignore
//! let caller = request.extensions().get::<Caller>();     // peer address, and the management key text, if one came
//! let deadline = request.extensions().get::<Deadline>(); // absent on streams
//! return Err(status::refused(&refusal));                 // a refusal
//! return Err(Unavailable::NoLeader { node: None }.into()); // try again, or elsewhere
//! ```

mod begun;
mod bell;
mod caller;
mod catch;
mod cluster_guard;
mod cluster_secret;
mod connection;
mod connections;
mod corked;
mod deadline;
mod dialer;
mod direct;
mod explain;
mod health;
mod held;
mod limits;
mod method;
mod observe;
mod proof;
mod record;
mod router;
mod rule;
mod security;
mod server;
mod shed;
pub mod status;
mod strangers;
#[cfg(test)]
mod test_support;
pub mod tls;

pub use caller::{BearerToken, Caller};
pub use cluster_guard::{AttachClusterSecret, CLUSTER_SECRET_KEY, Guarded, RequireClusterSecret};
pub use cluster_secret::{ClusterSecret, ClusterSecretError};
pub use deadline::Deadline;
pub use dialer::{Dialer, Peer, channel};
pub use direct::{AtOnce, Direct};
pub use health::{Health, Probe};
pub use limits::{BATCH_MESSAGE_BYTES_MAX, INTERNAL_MESSAGE_BYTES_MAX, Limits, PUBLIC_MESSAGE_BYTES_MAX};
pub use proof::{AttachProof, Proof, Proven, RequireProof};
pub use rule::Class;
pub use security::Security;
pub use server::{BindError, ServeError, Server};
pub use status::{Rejection, Unavailable};
pub use strangers::Strangers;
