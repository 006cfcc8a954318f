//! The store on a disk.
//!
//! ```text
//! <folder>/facts       who the replica is
//! <folder>/lock        held while a process has the folder open
//! <folder>/witness     how many syncs were acknowledged: what sled must at least remember
//! <folder>/reserve     room that is given back when the disk is full
//! <folder>/sled/       trees `log`, `words`, `rows`
//! <folder>/snapshots/  ordinary files
//! ```

mod chores;
mod chunks;
mod desk;
mod engine;
mod fatal;
mod folder;
mod log;
mod open;
mod options;
mod rows;
mod shared;
mod snapshots;
mod space;
mod standing;
mod store;
mod witness;
mod words;
mod writer;

pub use options::{FreeSpace, OnFatal, Options};
#[cfg(feature = "testing")]
pub use options::{Planted, Testing};
pub use store::SledStore;
