//! A region that has lost the others: what it answers from what it knew last, for how long, and what an operator can stop
//! there.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod barrier;
mod cluster;
mod denials;
mod last_known;
