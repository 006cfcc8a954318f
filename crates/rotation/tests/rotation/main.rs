//! The RPCs of rotation, called over a real connection; behind them the real state machine in memory.
#![expect(clippy::unwrap_used, reason = "what fails here is a failed test")]

mod authority;
mod courses;
mod driving;
mod due;
mod evidence;
mod expiring;
mod fragile;
mod house;
mod killed;
mod listing;
mod racing;
mod rehearsing;
mod rotating;
mod sealed;
mod seeing;
mod service;
mod standby;
mod stepping;
mod stuck;
mod undone;
mod waiting;
