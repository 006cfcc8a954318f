//! `latchkey dev --seed-file`: what a cluster for trying begins with, among it keys whose texts are known beforehand.
//!
//! A key of a seed has the same text in every cluster, since its secret comes from a word in the file instead of from the
//! machine's entropy. Whoever has the file has the keys, so nothing but `dev` does this.

mod apply;
mod entropy;
mod file;
mod keys;

pub use apply::SeedError;
pub use file::{Seed, SeedFileError};

pub(crate) use apply::apply;
pub use keys::SeededKey;
