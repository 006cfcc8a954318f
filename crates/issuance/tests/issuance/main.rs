//! The RPCs of issuance, called over a real connection; behind them the real state machine in memory.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod changes;
mod directory;
mod entrance;
mod house;
mod key_life;
mod keys;
mod listing;
mod policies;
mod revoking;
mod service;
