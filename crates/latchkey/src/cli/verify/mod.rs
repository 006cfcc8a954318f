//! Verifying an audit log by somebody who trusts nobody but some public keys: offline, from files, or over plain HTTP.
//!
//! In: [`whole`], a log of tiles, each leaf up to the root; [`evidence`], single entries with their proofs and what they say;
//! [`Trusted`], whose signatures count; [`Source`], where files come from. Out: what a proof is (`transparency`).

pub(crate) mod evidence;
mod meter;
mod source;
#[cfg(test)]
mod tests;
mod trusted;
pub(crate) mod whole;

pub(crate) use meter::Meter;
pub(crate) use source::Source;
pub(crate) use trusted::{Believed, Trusted};

use crate::cli::error::CliError;
use std::fmt;

/// The first thing that is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    /// The file or the entry.
    pub(crate) place: String,
    /// What was expected, and what was found.
    pub(crate) what: String,
}

impl Wrong {
    pub(crate) fn at(place: impl Into<String>, what: impl fmt::Display) -> Self {
        Self { place: place.into(), what: what.to_string() }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// Why there is no verdict that all is well.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Something is wrong with the log.
    Wrong(Wrong),
    /// It cannot be said: a file or a server cannot be read.
    Cannot(CliError),
}

impl From<Wrong> for Failure {
    fn from(wrong: Wrong) -> Self {
        Self::Wrong(wrong)
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        Self::Cannot(error)
    }
}
