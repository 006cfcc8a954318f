//! What replicas have seen of the use of versions. It is pulled from all of them and merged, and never stored.
//!
//! What is not known is kept apart from what was not seen, all the way: a replica that does not answer is named, one that
//! restarted says since when it counts, and what did not fit in its memory says until when nothing is known.

mod curve;
mod gathered;
mod known;
mod usage;

pub use curve::{BUCKETS_MAX, Curve};
pub use gathered::{Gathered, Heard, Witness};
pub use known::{counted_from, departed};
pub use usage::{CallerUse, VersionUse};

/// Versions in one gathering: with their callers and curves, what ten replicas answer fits in a message.
pub const VERSIONS_PER_GATHERING: usize = 100;
