//! The RPCs of issuance, called over a real connection; behind them the real state machine in memory.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod directory;
mod house;
mod keys;
mod revoking;
mod service;
