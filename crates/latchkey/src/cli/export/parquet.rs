//! Rows as Apache Parquet: texts as STRING, moments as TIMESTAMP in milliseconds of UTC, lists as LIST.

use super::columns::{COLUMNS, Cell, Kind, Row};
use super::{Sheet, Target};
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use std::io;
use std::sync::Arc;

/// Rows of a group: what a reader has to have in memory at once.
const GROUP_ROWS: usize = 20_000;

/// A sheet.
pub(super) struct Parquet {
    writer: SerializedFileWriter<Target>,
    waiting: Vec<Row>,
}

impl Parquet {
    pub(super) fn begin(target: Target) -> io::Result<Self> {
        let schema = Arc::new(parse_message_type(&schema()).map_err(failed)?);
        let properties = WriterProperties::builder().set_created_by("latchkey".to_owned()).build();
        let writer = SerializedFileWriter::new(target, schema, Arc::new(properties)).map_err(failed)?;
        Ok(Self { writer, waiting: Vec::new() })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        let rows = std::mem::take(&mut self.waiting);
        let mut group = self.writer.next_row_group()?;
        let mut index = 0;
        while let Some(mut column) = group.next_column()? {
            let cells = rows.iter().map(|row| &row[index]);
            match COLUMNS[index].kind {
                Kind::Text | Kind::Texts => {
                    let (values, definitions, repetitions) = texts(cells);
                    let repetitions = (COLUMNS[index].kind == Kind::Texts).then_some(repetitions);
                    let writer = column.typed::<ByteArrayType>();
                    writer.write_batch(&values, Some(&definitions), repetitions.as_deref())?;
                }
                Kind::Time | Kind::Number => {
                    let (values, definitions) = numbers(cells);
                    column.typed::<Int64Type>().write_batch(&values, Some(&definitions), None)?;
                }
            }
            column.close()?;
            index += 1;
        }
        group.close()?;
        Ok(())
    }
}

impl Sheet for Parquet {
    fn add(&mut self, rows: &[Row]) -> io::Result<()> {
        self.waiting.extend_from_slice(rows);
        if self.waiting.len() >= GROUP_ROWS { self.write_group().map_err(failed) } else { Ok(()) }
    }

    fn finish(mut self: Box<Self>) -> io::Result<Target> {
        if !self.waiting.is_empty() {
            self.write_group().map_err(failed)?;
        }
        self.writer.into_inner().map_err(failed)
    }
}

/// The schema in the language of the format.
fn schema() -> String {
    let fields = COLUMNS.iter().map(|column| {
        let name = column.name;
        match column.kind {
            Kind::Text => format!("optional binary {name} (STRING);"),
            Kind::Texts => {
                format!(
                    "required group {name} (LIST) {{ repeated group list {{ required binary element (STRING); }} }}"
                )
            }
            Kind::Time => format!("optional int64 {name} (TIMESTAMP(MILLIS,true));"),
            Kind::Number => format!("optional int64 {name};"),
        }
    });
    format!("message key {{ {} }}", fields.collect::<Vec<_>>().join(" "))
}

/// Values, with what tells nulls and empty lists (definition levels) and where a list begins (repetition levels).
fn texts<'a>(cells: impl Iterator<Item = &'a Cell>) -> (Vec<ByteArray>, Vec<i16>, Vec<i16>) {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    for cell in cells {
        let items = match cell {
            Cell::Text(text) if !text.is_empty() => std::slice::from_ref(text),
            Cell::Texts(texts) => texts.as_slice(),
            _ => &[],
        };
        if items.is_empty() {
            definitions.push(0);
            repetitions.push(0);
        }
        for (at, item) in items.iter().enumerate() {
            values.push(ByteArray::from(item.as_str()));
            definitions.push(1);
            repetitions.push(i16::from(at > 0));
        }
    }
    (values, definitions, repetitions)
}

fn numbers<'a>(cells: impl Iterator<Item = &'a Cell>) -> (Vec<i64>, Vec<i16>) {
    let numbers = cells.map(|cell| match cell {
        Cell::Time(moment) => *moment,
        Cell::Number(number) => Some(*number),
        Cell::Text(_) | Cell::Texts(_) => None,
    });
    let numbers: Vec<Option<i64>> = numbers.collect();
    (numbers.iter().copied().flatten().collect(), numbers.iter().map(|number| i16::from(number.is_some())).collect())
}

fn failed(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}
