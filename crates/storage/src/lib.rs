//! sled, fenced: what one replica keeps on its disk.
//!
//! In: the raft log, raft's own words, the state rows, snapshot files, the folder that holds them, and the care that
//! makes them survive a power cut. Out: everything that knows what the bytes mean. Callers hand over rows and
//! records that are sealed and encoded already; this crate chunks them, checks them and makes them durable.
//!
//! [`Store`] is the one interface. [`SledStore`] keeps its promises on a disk, [`MemoryStore`] keeps the same promises
//! in memory, loses in [`MemoryStore::cut_power`] what a disk would lose, and fails on request. The suite in
//! `conformance` (feature `testing`) holds both to the same words.
//!
//! # What is durable, and when
//! | operation | durable |
//! |---|---|
//! | [`Store::append`], [`Store::truncate_from`], [`Store::save_word`], [`Store::sync`] | before `done` is called |
//! | [`Store::set_base`], [`Store::commit_generation`], [`SnapshotWriter::finish`], [`SnapshotReceiver::finish`] | on return |
//! | [`Store::write_rows`], [`Store::save_word_lazily`] | with the next durable operation, never torn |
//! | [`Store::promise_purge`] | hidden at once; removed once the state at or beyond it is durable |

#[cfg(feature = "testing")]
pub mod conformance;
mod disk;
mod error;
mod facts;
mod frame;
mod log;
mod log_view;
mod memory;
mod queue;
mod rows;
mod snapshot;
mod space;
mod store;
mod word;

pub use disk::{FreeSpace, OnFatal, Options, SledStore};
#[cfg(feature = "testing")]
pub use disk::{Planted, Testing};
pub use error::{OpenError, StoreError};
pub use facts::{FORMAT, Facts};
pub use frame::{RECORD_BYTES_MAX, VALUE_BYTES_MAX};
pub use log::{LogBounds, LogRecord, Purged};
pub use memory::{Faults, MemoryStore};
pub use rows::{
    Base, Generation, Mark, ROW_BATCH_MAX, ROW_ID_BYTES_MAX, ROW_TABLE_MAX, Row, RowBatch, RowKey, StateSource,
};
pub use snapshot::{Encoder, SnapshotName, SnapshotNameError, SnapshotReader, SnapshotReceiver, SnapshotWriter};
pub use space::{Space, SpaceLimits};
pub use store::{Done, Store, wait};
pub use word::Word;
