//! The audit service: follows the events of the cluster, keeps them in files of its own, and shows them (rank 8).
//!
//! In: [`store`], the files. Out: which events there are (`state`), and the tree over them (`transparency`).

mod search;
pub mod store;
mod told;

pub use search::{Search, Visible};
pub use told::{Actor, Told, ToldError};
