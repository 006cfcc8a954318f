//! The command line, and every service in one process (rank 9).
//!
//! In: [`cli`], all commands, over the public API; [`Dev`], which is `latchkey dev`: every service with an embedded store, on
//! loopback; [`guide`], what it prints to try, and [`env_file`], what a shell takes to use it; [`Seed`], what it may begin
//! with; [`Observer`], a Prometheus beside it. Out: what the services do; they are started by the same functions as in
//! production, over the same listeners, so that what works here works there.
//!
//! # Decisions
//! **Two sibling folders.** `data` is what a replica writes, `secrets` what it must never hold: the KEK, the cluster's
//! secret, the text of root's first key. A copy of the one is worth nothing without the other, from the first minute on.
//! **A first start that was interrupted begins anew.** The data folder gets its name when it is whole; without it nothing has
//! ever run, so leftovers are removed.
//! **Settings come from flags alone.** A variable for one service would be a mistake to the other.

pub mod cli;
mod dev;
pub mod env_file;
mod first_start;
pub mod guide;
mod layout;
mod observe;
mod pki;
mod seed;

pub use dev::{Dev, DevError};
pub use layout::{Layout, Ports};
pub use observe::Observer;
pub use seed::{Seed, SeedError, SeedFileError, SeededKey};
