//! The inventory of keys that an auditor asks for: a row for each key, never a secret or a digest.
//!
//! Columns are declared once, in [`columns`], and written in three ways: CSV (RFC 4180; what a program would take for a formula
//! has an apostrophe before it), JSON lines, and Parquet where this was built with the feature `parquet`.

mod columns;
mod csv;
mod json_lines;
#[cfg(feature = "parquet")]
mod parquet;
mod target;

pub(crate) use columns::{Row, row};
pub(crate) use target::Target;

use crate::cli::error::CliError;
use clap::ValueEnum;
use std::io;
use std::path::Path;

/// How the rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// RFC 4180, with a heading.
    Csv,
    /// An object on each line.
    Jsonl,
    /// Apache Parquet, with types; only where it was built in.
    Parquet,
}

impl Format {
    /// By the end of a name; CSV where it tells nothing.
    pub(crate) fn of(path: &Path) -> Self {
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("jsonl" | "ndjson" | "json") => Self::Jsonl,
            Some("parquet") => Self::Parquet,
            _ => Self::Csv,
        }
    }
}

/// Writes rows in one format.
pub(crate) trait Sheet {
    /// Adds rows.
    fn add(&mut self, rows: &[Row]) -> io::Result<()>;
    /// Ends it and gives back where it was written to.
    fn finish(self: Box<Self>) -> io::Result<Target>;
}

/// Begins a sheet.
///
/// # Errors
/// [`CliError`]: it cannot be written, or this format was not built in.
pub(crate) fn begin(format: Format, target: Target) -> Result<Box<dyn Sheet>, CliError> {
    match format {
        Format::Csv => Ok(Box::new(csv::Csv::begin(target).map_err(CliError::Output)?)),
        Format::Jsonl => Ok(Box::new(json_lines::JsonLines::begin(target))),
        #[cfg(feature = "parquet")]
        Format::Parquet => Ok(Box::new(parquet::Parquet::begin(target).map_err(CliError::Output)?)),
        #[cfg(not(feature = "parquet"))]
        Format::Parquet => Err(CliError::usage("this latchkey was built without Parquet").remedy(
            "build it with: cargo install --path crates/latchkey --features parquet; or take --format csv or jsonl",
        )),
    }
}

#[cfg(test)]
mod tests;
