//! The API from end to end.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]
#![recursion_limit = "256"]

mod bad_requests;
mod batches;
mod borders;
mod changes;
mod destroyed;
mod importing;
mod life;
mod outcomes;
mod pages;
mod rehearsals;
mod request_ids;
mod restoring;
mod strangers;
mod usage;
