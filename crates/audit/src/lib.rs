//! The audit service: follows the events of the cluster, keeps them in files of its own, and shows them (rank 8).
//!
//! In: [`store`], the files. Out: which events there are (`state`), and the tree over them (`transparency`).

mod archive;
mod cluster;
mod entry;
mod follow;
mod list;
mod search;
pub mod store;
mod told;
mod vault;

pub use archive::{Archive, Found};
pub use cluster::{AuditKey, Cluster, Event, Events, Followed};
pub use follow::{Follower, Halt, trim};
pub use list::{Cursor, Page, SCAN_ENTRIES_MAX};
pub use search::{Search, Visible};
pub use told::{Actor, Told, ToldError};
pub use vault::Vault;
