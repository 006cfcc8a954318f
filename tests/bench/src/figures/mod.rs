//! The figures, one file each: how it is measured, and its lines in the table.

pub(crate) mod appending;
pub(crate) mod batching;
pub(crate) mod counting;
pub(crate) mod creating;
pub(crate) mod finding;
pub(crate) mod importing;
pub(crate) mod listing;
pub(crate) mod loading;
pub(crate) mod streaming;
pub(crate) mod updating;
pub(crate) mod validating;
