//! Rows as CSV.

use super::columns::{COLUMNS, Cell, Row};
use super::{Sheet, Target};
use crate::cli::csv_text;
use prost_types::Timestamp;
use std::io::{self, Write as _};

/// Between the items of a list.
const JOINT: &str = "; ";

/// A sheet.
pub(super) struct Csv(Target);

impl Csv {
    /// Writes the heading.
    pub(super) fn begin(mut target: Target) -> io::Result<Self> {
        target.write_all(csv_text::line(COLUMNS.iter().map(|column| column.name)).as_bytes())?;
        Ok(Self(target))
    }
}

impl Sheet for Csv {
    fn add(&mut self, rows: &[Row]) -> io::Result<()> {
        for row in rows {
            let cells: Vec<String> = row.iter().map(shown).collect();
            self.0.write_all(csv_text::line(cells.iter().map(String::as_str)).as_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<Target> {
        Ok(self.0)
    }
}

fn shown(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => text.clone(),
        Cell::Texts(texts) => texts.join(JOINT),
        Cell::Time(moment) => moment.map(moment_text).unwrap_or_default(),
        Cell::Number(number) => number.to_string(),
    }
}

/// A moment as RFC 3339.
pub(super) fn moment_text(millis: i64) -> String {
    let nanos = i32::try_from(millis.rem_euclid(1_000) * 1_000_000).expect("less than a second of nanoseconds");
    Timestamp { seconds: millis.div_euclid(1_000), nanos }.to_string()
}
