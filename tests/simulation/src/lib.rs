//! Real replicas in simulated time: the registry as it ships, over storage in memory, a network and clocks that a seed
//! governs, with everything that goes wrong.
//!
//! ```text
//! scenario -> World: a tick of 1 ms -> turmoil runs each machine -> every replica is asked -> every rule is looked at
//!                faults by seed ------^                                (decide)              (invariants)
//! ```
//! Only here are figures of time asserted: simulated time is nobody else's processor. Runs with one seed are alike and not
//! the same, since rows are written by threads; so a failure comes with its events.
#![forbid(unsafe_code)]

pub mod clock;
pub mod decide;
pub mod faults;
pub mod figures;
pub mod furniture;
pub mod ground;
pub mod history;
pub mod invariants;
pub mod net;
pub mod random;
pub mod scenarios;
pub mod world;
