//! What a validation answers, and in which order.
#![expect(clippy::unwrap_used, reason = "a test that fails may panic")]

mod authenticating;
mod disclosure;
mod freshness;
mod not_found;
mod order;
mod texts;
mod world;
