//! The RPCs of rotation, called over a real connection; behind them the real state machine in memory.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod authority;
mod house;
mod listing;
mod racing;
mod rehearsing;
mod rotating;
mod service;
mod standby;
mod stepping;
