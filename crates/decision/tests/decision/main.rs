//! What a validation answers, and in which order.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod authenticating;
mod content;
mod denials;
mod disclosure;
mod explaining;
mod freshness;
mod holding;
mod last_known;
mod not_found;
mod noting;
mod order;
mod texts;
mod world;
