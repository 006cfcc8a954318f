//! Readers: the fields of a row in the words of another system, to a key. Pure; a file for each system.

mod aws;
mod mapped;
mod prefixed;
mod unkey;

pub(crate) use mapped::Mapping;

use super::fields::{Keep, Tally};
use super::row::{Refused, Row};
use clap::ValueEnum;
use serde_json::{Map, Value};

/// Where keys come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Source {
    /// Unkey: JSON of its API, of a database dump, or as its own migrations take it; by SHA-256 of the whole text.
    Unkey,
    /// Seam's prefixed-api-key: CSV or JSON with shortToken and longTokenHash; by SHA-256 of the last part.
    Prefixed,
    /// Amazon API Gateway: its CSV, by value.
    Aws,
    /// Any CSV, with --map: by SHA-256 or by value.
    Csv,
}

impl Source {
    /// Its word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Unkey => "unkey",
            Self::Prefixed => "prefixed",
            Self::Aws => "aws",
            Self::Csv => "csv",
        }
    }
}

/// A way to read rows.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    pub(crate) source: Source,
    pub(crate) mapping: Mapping,
    pub(crate) keep: Keep,
}

impl Reader {
    /// Reads one row.
    pub(crate) fn read(&self, line: u64, fields: Map<String, Value>, tally: &mut Tally) -> Result<Row, Refused> {
        let fields = super::fields::Fields::new(line, fields, &self.keep, tally);
        match self.source {
            Source::Unkey => unkey::read(fields),
            Source::Prefixed => prefixed::read(fields),
            Source::Aws => aws::read(fields),
            Source::Csv => mapped::read(fields, &self.mapping),
        }
    }
}

#[cfg(test)]
mod tests;
