//! The audit service against clusters that follow a script, and against the real state machine.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod archiving;
mod destroyed;
mod exporting;
mod following;
mod house;
mod kills;
mod later;
mod listing;
mod notices;
mod proving;
mod rekey;
mod retention;
mod script;
mod service;
mod setting;
