//! The records of a CSV file (RFC 4180) as objects, by the names of the heading.

use super::row::{Fields, Refused, reason};
use serde_json::Value;
use std::io::{self, BufRead};

/// A row is a key with its metadata; a quotation mark that never closes must not take the rest of the file along.
const ROW_BYTES_MAX: usize = 1 << 20;

/// What is particular about a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manner {
    /// Names of the heading are read in small letters.
    pub(crate) any_case: bool,
    /// A value may be held together by single quotation marks too, as API Gateway documents it.
    pub(crate) single_quotes: bool,
}

/// Reads records.
#[derive(Debug)]
pub(crate) struct CsvRows<R> {
    input: R,
    delimiter: u8,
    manner: Manner,
    heading: Vec<String>,
    /// Where we are, and where the record begins.
    line: u64,
    begins: u64,
    cells: Vec<Vec<u8>>,
}

impl<R: BufRead> CsvRows<R> {
    /// Reads the heading; `None` where it names a column twice or is not UTF-8. `delimiter` is that of [`delimiter`].
    ///
    /// # Errors
    /// [`io::Error`] of the file.
    pub(crate) fn new(input: R, delimiter: u8, manner: Manner) -> io::Result<Option<Self>> {
        let mut rows = Self { input, delimiter, manner, heading: Vec::new(), line: 1, begins: 1, cells: Vec::new() };
        rows.skip()?;
        for name in std::mem::take(&mut rows.cells) {
            let Ok(name) = std::str::from_utf8(&name) else { return Ok(None) };
            let name = name.trim_start_matches('\u{feff}').trim();
            let name = if manner.any_case { name.to_ascii_lowercase() } else { name.to_owned() };
            if rows.heading.contains(&name) {
                return Ok(None);
            }
            rows.heading.push(name);
        }
        Ok(Some(rows))
    }

    /// The names of the columns.
    pub(crate) fn heading(&self) -> &[String] {
        &self.heading
    }

    /// The next record and the line that it begins on; `None` at the end.
    ///
    /// # Errors
    /// [`io::Error`] of the file.
    pub(crate) fn next(&mut self) -> io::Result<Option<Fields>> {
        if !self.skip()? {
            return Ok(None);
        }
        let line = self.begins;
        let refused = |message: String| {
            let reason = reason::ROW_MALFORMED.to_owned();
            Refused { line, source_id: String::new(), field: String::new(), reason, message }
        };
        let cells: Result<Vec<&str>, _> = self.cells.iter().map(|cell| std::str::from_utf8(cell)).collect();
        let Ok(cells) = cells else { return Ok(Some((line, Err(refused("this is not UTF-8".to_owned()))))) };
        let mut cells: Vec<String> = cells.into_iter().map(str::to_owned).collect();
        if self.manner.single_quotes && cells.len() > self.heading.len() {
            cells = rejoined(cells);
        }
        if cells.len() != self.heading.len() {
            let (found, expected) = (cells.len(), self.heading.len());
            return Ok(Some((line, Err(refused(format!("{found} columns where the heading has {expected}"))))));
        }
        let fields = self.heading.iter().cloned().zip(cells.into_iter().map(Value::String)).collect();
        Ok(Some((line, Ok(fields))))
    }

    /// Passes over the next record; whether there was one.
    ///
    /// # Errors
    /// [`io::Error`] of the file.
    pub(crate) fn skip(&mut self) -> io::Result<bool> {
        while let Some(byte @ (b'\n' | b'\r')) = self.peek()? {
            self.advance(byte);
        }
        self.begins = self.line;
        self.cells.clear();
        if self.peek()?.is_none() {
            return Ok(false);
        }
        let (mut cell, mut quoted, mut bytes) = (Vec::new(), false, 0);
        while let Some(byte) = self.peek()? {
            self.advance(byte);
            bytes += 1;
            match byte {
                b'"' if quoted && self.peek()? == Some(b'"') => {
                    self.advance(b'"');
                    cell.push(b'"');
                }
                b'"' if quoted => quoted = false,
                b'"' if cell.is_empty() => quoted = true,
                b'\n' if !quoted || bytes > ROW_BYTES_MAX => break,
                b'\r' if !quoted && self.peek()? == Some(b'\n') => {}
                _ if !quoted && byte == self.delimiter => self.cells.push(std::mem::take(&mut cell)),
                _ => cell.push(byte),
            }
        }
        self.cells.push(cell);
        Ok(true)
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    fn advance(&mut self, byte: u8) {
        self.input.consume(1);
        self.line += u64::from(byte == b'\n');
    }
}

/// What stands between the columns: by the heading, a comma unless only another of the usual ones is there.
pub(crate) fn delimiter(heading: &[u8]) -> u8 {
    let line = heading.split(|byte| *byte == b'\n').next().unwrap_or_default();
    [b',', b';', b'\t'].into_iter().find(|sign| line.contains(sign)).unwrap_or(b',')
}

/// Puts together again what single quotation marks held together.
fn rejoined(cells: Vec<String>) -> Vec<String> {
    let mut joined: Vec<String> = Vec::with_capacity(cells.len());
    let mut open = false;
    for cell in cells {
        match joined.last_mut().filter(|_| open) {
            Some(last) => {
                last.push(',');
                last.push_str(&cell);
            }
            None => joined.push(cell.clone()),
        }
        open = match open {
            true => !cell.ends_with('\''),
            false => cell.starts_with('\'') && !(cell.len() > 1 && cell.ends_with('\'')),
        };
    }
    joined
        .iter()
        .map(|cell| cell.strip_prefix('\'').and_then(|cell| cell.strip_suffix('\'')).unwrap_or(cell).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &[u8], manner: Manner) -> Vec<(u64, Result<String, String>)> {
        let mut rows = CsvRows::new(text, delimiter(text), manner).unwrap().unwrap();
        let mut all = Vec::new();
        while let Some((line, row)) = rows.next().unwrap() {
            all.push((line, row.map(|row| Value::Object(row).to_string()).map_err(|refused| refused.message)));
        }
        all
    }

    #[test]
    fn a_record_that_does_not_fit_the_heading_costs_itself_only() {
        let told = rows(b"a,b\n1\n1,2,3\n\n\xff,2\n5,6\n", Manner::default());
        assert_eq!(told.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3, 5, 6]);
        assert_eq!(told[0].1, Err("1 columns where the heading has 2".to_owned()));
        assert_eq!(told[2].1, Err("this is not UTF-8".to_owned()));
        assert_eq!(told[3].1, Ok("{\"a\":\"5\",\"b\":\"6\"}".to_owned()));
    }

    #[test]
    fn marks_quotes_ends_and_delimiters_are_those_of_people() {
        let told = rows(
            "\u{feff}Key;NAME\r\n\"a;\"\"1\"\"\nb\";x\r\n2;y".as_bytes(),
            Manner { any_case: true, ..Manner::default() },
        );
        assert_eq!(told[0], (2, Ok("{\"key\":\"a;\\\"1\\\"\\nb\",\"name\":\"x\"}".to_owned())));
        assert_eq!(told[1].0, 4);
        let manner = Manner { single_quotes: true, ..Manner::default() };
        let told = rows(b"a,b,c\n1,'p,q',2\n1,'p',2\n", manner);
        assert_eq!(told[0].1, Ok("{\"a\":\"1\",\"b\":\"p,q\",\"c\":\"2\"}".to_owned()));
        assert_eq!(told[1].1, Ok("{\"a\":\"1\",\"b\":\"'p'\",\"c\":\"2\"}".to_owned()));
    }

    #[test]
    fn a_heading_that_names_a_column_twice_is_none() {
        assert!(CsvRows::new(&b"a,A\n"[..], b',', Manner { any_case: true, ..Manner::default() }).unwrap().is_none());
        assert!(CsvRows::new(&b"a,A\n"[..], b',', Manner::default()).unwrap().is_some());
    }
}
