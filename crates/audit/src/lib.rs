//! The audit service: follows the events of the cluster, keeps them in files of its own, and shows them (rank 7).
//!
//! ```text
//! Follow -> gap? root? -> seal under the tenant's audit key -> one write, one sync -> promise -> Trim
//!           both stop                                          segments               witness    the cluster forgets
//!           the service
//!                                     ListEntries, WatchEntries <- open, check the leaf <- the border between tenants
//! ```
//! In: [`journal`], the files and what a kill leaves of them; [`Follower`], what is believed and what stops the service; [`Entries`], what
//! is found and by whom; [`Handlers`], the RPCs over any `Registry`; [`Audit`], the service with its listener, metrics and probes. Out:
//! which events there are (`state`), the tree over them (`transparency`), the grammar of filters (`policy`).
//!
//! # Decisions
//! **Ordinary files.** Entries are only ever appended and read in order; a file does that with one write and one sync a batch, can be
//! copied by any tool, and shows by its length what a kill cut off. A database would add its own log to ours.
//! **Nothing about an entry lies outside its seal** but its number, its tenant's number and its leaf, which hides it. Its index lies in
//! [`run`]s, by terms under the tenant's own key, and goes with that; it is derived, and where it is missing a search walks further.
//! **What cannot be believed ends the process.** A service that went on would trim, and with it the only other copy. Whoever starts it
//! again without a remedy sees the same end.
//! **One process a folder, any number of folders**: each follows by itself. Only what all have made durable should be trimmed, so
//! for now one of them may run.

mod access;
pub mod archive;
pub mod checkpoint;
mod cluster;
pub mod collect;
mod disk;
mod entries;
mod entry;
pub mod exporting;
mod follow;
mod handlers;
mod index;
pub mod journal;
mod keeping;
mod later;
mod list;
mod log_name;
pub mod notices;
mod observing;
mod over_registry;
pub mod proofs;
mod request;
pub mod run;
mod search;
mod service;
mod show;
mod told;
pub mod usage;
mod vault;
mod vault_keys;
mod watch;
mod whole_file;

pub use cluster::{AuditKey, Cluster, Event, Events, Followed};
pub use disk::{Disk, DiskError};
pub use entries::{Entries, Found};
pub use follow::{Follower, Halt, trim};
pub use handlers::{Handlers, Opened};
pub use index::{Index, IndexOptions};
/// Where a cluster says that its log stands.
pub use latchkey_link::LogStanding;
pub use later::{Before, Later, LaterError, later};
pub use list::{Cursor, Page, SCAN_ENTRIES_MAX};
pub use log_name::LogName;
pub use observing::{Observations, observe};
pub use over_registry::OverRegistry;
pub use search::{Search, Visible};
pub use service::{ArchiveOptions, Audit, Options, RunError, Running, StartError};
pub use show::entry_of;
pub use told::{Actor, Told, ToldError};
pub use vault::Vault;
pub use vault_keys::VaultKeys;
