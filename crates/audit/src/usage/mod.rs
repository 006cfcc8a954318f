//! Usage: what was counted, and how it is asked for.
//!
//! Each row of a run is one version, owner, keyspace or tenant with all its steps of one part of time, so that a key's day by the minute is
//! one row of a few runs, however many keys there are. Totals have rows of their own; who came most has a ranking (a sketch) of each hour
//! and day, whose error is told. Sums of rows that are shown are exact.

pub(crate) mod answer;
pub(crate) mod countries;
pub(crate) mod counts;
pub mod figures;
mod latency;
pub(crate) mod names;
mod networks;
pub(crate) mod points;
mod query;
pub(crate) mod request;
mod scan;
mod select;
pub(crate) mod series;
mod show;
pub(crate) mod sketch;

pub(crate) use query::QueryError;
pub(crate) use show::Names;

#[cfg(test)]
mod tests;
