//! Logs, traces and metrics (rank 4), and the two files that touch the machine's clock and entropy.
//!
//! In: [`init`] (logs to stderr; spans, log records and metrics to a collector), [`metrics`] (one recorder a process, one
//! scrape endpoint a service), [`names`] (every metric that Latchkey has: the contract), [`trace`] (which call is traced,
//! and how that travels), [`Clock`], [`OsEntropy`]. Out: what is logged and counted; each crate does that where it happens.
//!
//! Logs are fields: a message is fixed and in lower case, ids are fields and never metric labels, and no secret, key
//! text or digest is ever either.

pub mod clock;
mod endpoint;
pub mod entropy;
mod filter;
pub mod folder;
mod init;
mod lines;
pub mod metrics;
pub mod names;
mod otlp;
mod panic;
mod process;
pub mod trace;

pub use clock::{Clock, SystemClock};
pub use endpoint::{Begun, Plain, Underlay};
pub use entropy::OsEntropy;
pub use filter::{FilterError, change_log_filter, log_filter};
pub use init::{Guard, InitError, LogFormat, Options, init};
pub use metrics::{Endpoint, serve_metrics, serve_metrics_over};
pub use trace::TraceParent;
