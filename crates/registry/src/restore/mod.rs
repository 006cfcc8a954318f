//! Going on when a cluster cannot by itself: from a backup, or from the folder of one replica that is left over.
//!
//! ```text
//! backup, or rows + log  ->  State of the old epoch  ->  BeginEpoch, and what was taken away since  ->  store.new  ->  store
//! ```
//! All of it happens while no replica runs. What comes of it is the folder of a cluster of one in a new epoch, as if that
//! replica had just installed a snapshot: nothing of the old log is left, and old replicas are refused by their epoch. The
//! new store gets its name last, so whatever interrupts this leaves a folder that does not start, and can be done again.

mod error;
mod go_on;
mod remains;
mod replay;
mod swap;

pub use error::RestoreError;
pub use go_on::{After, GoneOn, NewEpoch};
pub use remains::Remains;
pub use swap::{is_interrupted, is_made};
