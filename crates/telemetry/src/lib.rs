//! Logs, traces and metrics (rank 4), and the two files that touch the machine's clock and entropy.
//!
//! In: [`init`] (logs to stderr, traces to OTLP), [`metrics`] (one recorder a process, one scrape endpoint a service),
//! [`names`] (every metric that Latchkey has), [`Clock`], [`OsEntropy`], and [`trace_context`] (W3C `traceparent` in
//! and out). Out: what is logged and counted; each crate does that where it happens.
//!
//! Logs are fields: a message is fixed and in lower case, ids are fields and never metric labels, and no secret, key
//! text or digest is ever either.

pub mod clock;
mod endpoint;
pub mod entropy;
mod init;
pub mod metrics;
pub mod names;
mod otlp;
mod panic;
pub mod trace_context;

pub use clock::{Clock, SystemClock};
pub use entropy::OsEntropy;
pub use init::{Guard, InitError, LogFormat, Options, init};
pub use metrics::{Endpoint, serve_metrics};
