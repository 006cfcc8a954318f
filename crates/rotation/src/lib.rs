//! The rotation service: a new secret takes the place of the old one, and nobody is refused who did nothing wrong
//! (rank 8).
//!
//! ```text
//! request -> entrance -> Authorized -> mint -> propose -> confirm -> answer, the key text in it once
//!            who calls                 (not for a step)
//! ```
//! It holds no state: where a rotation stands is the cluster's to know, and each step is one write to it. So any number
//! of instances serve side by side, any of them may die at any time, and it does not matter which took the step before.
//!
//! In: [`Handlers`], the RPCs over any `Registry`; [`Rotation`], the service with its listener, metrics and probes;
//! [`driver`], which begins what policies ask for and takes each rotation to its end, in one process at a time.
//! Out: what a step does (`state`), secrets (`minting`), what is common to all services without state (`link`).
//!
//! # Decisions
//! **A secret is minted before it is known whether it is needed.** Whether a standby is there is for apply to say, in the
//! state that the command meets; asking first would be a race. So `RotateKey` always carries a new version, and where a
//! standby takes the place, what was minted is dropped and shown to nobody.
//! **What ends, ends without us.** An overlap is over by the clock that decides validations, not by a timer of this process:
//! where nobody drives, old versions go on until their time and no longer.

pub mod driver;
mod evidence;
mod handlers;
mod reading;
mod rotating;
mod services;
mod stepping;

pub use handlers::{Handlers, Options, Rotation};
pub use latchkey_link::service::{Running, StartError};
