//! Rows as objects, a line each. Every column is in each of them: what is not there is null.

use super::columns::{COLUMNS, Cell, Row};
use super::csv::moment_text;
use super::{Sheet, Target};
use serde_json::{Map, Value};
use std::io::{self, Write as _};

/// A sheet.
pub(super) struct JsonLines(Target);

impl JsonLines {
    pub(super) const fn begin(target: Target) -> Self {
        Self(target)
    }
}

impl Sheet for JsonLines {
    fn add(&mut self, rows: &[Row]) -> io::Result<()> {
        for row in rows {
            let fields = COLUMNS.iter().zip(row).map(|(column, cell)| (column.name.to_owned(), value(cell)));
            writeln!(self.0, "{}", Value::Object(fields.collect::<Map<_, _>>()))?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<Target> {
        Ok(self.0)
    }
}

fn value(cell: &Cell) -> Value {
    match cell {
        Cell::Text(text) if text.is_empty() => Value::Null,
        Cell::Text(text) => text.clone().into(),
        Cell::Texts(texts) => texts.clone().into(),
        Cell::Time(moment) => moment.map(moment_text).into(),
        Cell::Number(number) => (*number).into(),
    }
}
