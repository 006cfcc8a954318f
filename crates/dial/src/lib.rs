//! Reaching servers that are not ours (rank 4).
//!
//! In: [`Server`], an address, how it proves to be it, and how long it may take; [`Server::call`], one HTTP call with a
//! bounded answer; [`Server::dial`], a connection for any other protocol; [`Reach`], which addresses may be dialled at all;
//! [`read_file`]. Out: what is said (`delivery`, `export`), and the services of this cluster (`transport`).
//!
//! # Decisions
//! **A connection for each call.** Calls are rare, or carry a batch of hundreds, so nothing is kept that could be stale:
//! a renewed authority, token or address is taken up by the next call.
//!
//! **An address is judged once it is resolved, and that same address is dialled.** A name that a tenant chose may mean one
//! address when it is checked and another when it is dialled; between the two there is nothing here.

mod call;
mod error;
mod reach;
mod server;
mod tls;

pub use call::Answer;
pub use error::DialError;
pub use reach::{Reach, is_public};
pub use server::{Connection, Server};
pub use tls::{Trust, read_file};
