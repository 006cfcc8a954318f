//! The audit service against clusters that follow a script, and against the real state machine.

mod following;
mod kills;
mod listing;
mod script;
mod setting;
