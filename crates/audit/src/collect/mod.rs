//! What replicas observed, taken from them and kept: the store of usage and of the access log.
//!
//! ```text
//! replica -> Collector, once a second -> log: sealed, one sync -> acknowledged with the next take
//!                                          '-> memory: sums by minute -> every five minutes, or when it is full: runs, by tier
//!                                                                           minutes -> hours -> days, lines, names
//! runs of one part of time: eight of a level -> one of the next; once that time is over -> one
//! runs of lines: as long as each is a small part of what there is room for, as the oldest of them go
//! ```
//! **Exactly once.** A batch is known by (node, incarnation, number). It counts once it is in the log, synced; the position of each node
//! is written with the runs, in one file that is replaced as a whole (the manifest), and the log says what came after. So whatever a
//! kill cuts off, the same batch comes again or is known. A disk that loses what it said was synced is beyond this.
//! **Each tier is complete by itself**: what comes late is added to minutes, hours and days alike, so nothing is rolled up too early and
//! nothing is counted twice; retention takes whole files away.
//! **Memory**: at most [`MEMORY_BYTES_MAX`] of sums, twice that while they are written; a reader of a run holds up to 2.5 bytes for each
//! key in it.

mod batch;
mod collector;
mod expire;
mod log;
mod manifest;
mod memory;
mod merging;
mod options;
mod raw;
mod shelf;
mod store;
mod tier;

pub use batch::{Batch, BatchError, RawCell, RawLine, RawNames};
pub use collector::{Collector, collect};
pub use options::Options;
pub use raw::RawPage;
pub use store::{Observed, ObservedError, Taken};

pub(crate) use batch::outcome_word;
pub(crate) use memory::Memory;
pub(crate) use store::Snapshot;
pub(crate) use tier::Tier;

/// Bytes of sums that are held before they are written.
pub const MEMORY_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
pub(crate) mod tests;
