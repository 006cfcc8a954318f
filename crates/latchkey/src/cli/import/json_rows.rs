//! The objects of a JSON file, one after the other, whatever holds them: an array, a line each, or pages of an API
//! (`{"data": [...]}`, `{"keys": [...]}`). The file is never in memory whole, and a row that is broken costs itself only.

use super::row::{Fields, Refused, reason};
use std::io::{self, BufRead};

/// A row is a key with its metadata; what is longer is another kind of file.
const ROW_BYTES_MAX: usize = 1 << 20;

/// Members of a page that hold its rows.
const PAGE_MEMBERS: [&[u8]; 2] = [b"data", b"keys"];

/// Reads objects.
#[derive(Debug)]
pub(crate) struct JsonRows<R> {
    input: R,
    line: u64,
    begun: bool,
    /// What we are inside of, outermost first.
    frames: Vec<Frame>,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// Between `[` and `]`.
    Array,
    /// Between the member with the rows and the `}` of its page.
    Page,
}

/// How the scan of an object ended.
enum Scanned {
    /// It is in the buffer.
    Whole,
    /// It is a page: its rows follow.
    Page,
    /// It has no end where it should.
    Broken,
    /// It is longer than a row may be.
    TooLong,
}

impl<R: BufRead> JsonRows<R> {
    pub(crate) const fn new(input: R) -> Self {
        Self { input, line: 1, begun: false, frames: Vec::new(), buffer: Vec::new() }
    }

    /// The next object and the line that it begins on; `None` at the end.
    ///
    /// # Errors
    /// [`io::Error`] of the file.
    pub(crate) fn next(&mut self) -> io::Result<Option<Fields>> {
        let Some((line, scanned)) = self.scan_next()? else { return Ok(None) };
        let read = match scanned {
            Scanned::Whole => serde_json::from_slice(&self.buffer)
                .map_err(|error| malformed(line, format!("this is no JSON object (column {})", error.column()))),
            Scanned::TooLong => Err(malformed(line, format!("a row has at most {ROW_BYTES_MAX} bytes"))),
            Scanned::Broken | Scanned::Page => Err(malformed(line, "this is no JSON object that ends".to_owned())),
        };
        Ok(Some((line, read)))
    }

    /// Passes over the next object; whether there was one.
    ///
    /// # Errors
    /// [`io::Error`] of the file.
    pub(crate) fn skip(&mut self) -> io::Result<bool> {
        Ok(self.scan_next()?.is_some())
    }

    fn scan_next(&mut self) -> io::Result<Option<(u64, Scanned)>> {
        if !self.begun {
            self.begun = true;
            // A byte order mark.
            if self.input.fill_buf()?.starts_with(b"\xEF\xBB\xBF") {
                self.input.consume(3);
            }
        }
        loop {
            let line = self.line;
            match self.peek()? {
                None if self.frames.is_empty() => return Ok(None),
                None => {
                    self.frames.clear();
                    return Ok(Some((line, Scanned::Broken)));
                }
                Some(b'{') => match self.scan_object()? {
                    Scanned::Page => self.frames.push(Frame::Page),
                    scanned => {
                        self.leave_pages()?;
                        return Ok(Some((line, scanned)));
                    }
                },
                Some(b'[') => {
                    self.advance(b'[');
                    self.frames.push(Frame::Array);
                }
                Some(b']') if self.frames.last() == Some(&Frame::Array) => {
                    self.advance(b']');
                    self.frames.pop();
                    self.leave_pages()?;
                }
                Some(byte) if byte == b',' || byte.is_ascii_whitespace() => self.advance(byte),
                Some(_) => {
                    self.skip_line()?;
                    return Ok(Some((line, Scanned::Broken)));
                }
            }
        }
    }

    /// Copies an object into the buffer, up to its end or to where it proves to be a page.
    fn scan_object(&mut self) -> io::Result<Scanned> {
        self.buffer.clear();
        // `before` is the last byte that means something; a key is a text that follows `{` or `,` in the object itself.
        let (mut open, mut before, mut too_long) = (Vec::new(), b' ', false);
        let mut key: Vec<u8> = Vec::new();
        loop {
            let Some(byte) = self.peek()? else { return Ok(Scanned::Broken) };
            let opens_value = before == b':' && open.len() == 1 && matches!(byte, b'[' | b'{');
            if opens_value && PAGE_MEMBERS.contains(&key.as_slice()) {
                return Ok(Scanned::Page);
            }
            // An object begins as the value of a member or in an array. Elsewhere it is the next row, and this one has no end.
            let begins_value = matches!(before, b'[' | b':') || before == b',' && open.last() == Some(&b'[');
            if byte == b'{' && !open.is_empty() && !begins_value {
                return Ok(Scanned::Broken);
            }
            if byte == b'"' {
                let begin = self.buffer.len();
                let is_key = open.len() == 1 && matches!(before, b'{' | b',');
                if !self.scan_text()? {
                    self.skip_line()?;
                    return Ok(Scanned::Broken);
                }
                if is_key {
                    key = self.buffer.get(begin + 1..self.buffer.len() - 1).unwrap_or_default().to_vec();
                }
            } else {
                self.advance(byte);
                self.buffer.push(byte);
                match byte {
                    b'{' | b'[' => open.push(byte),
                    b'}' | b']' => drop(open.pop()),
                    _ => {}
                }
            }
            too_long |= self.buffer.len() > ROW_BYTES_MAX;
            if too_long {
                self.buffer.clear();
            }
            if open.is_empty() {
                return Ok(if too_long { Scanned::TooLong } else { Scanned::Whole });
            }
            if !byte.is_ascii_whitespace() {
                before = byte;
            }
        }
    }

    /// Copies a text with its quotation marks; whether it ends on its line, as JSON wants.
    fn scan_text(&mut self) -> io::Result<bool> {
        let (mut escaped, mut begun) = (false, false);
        loop {
            let Some(byte) = self.peek()? else { return Ok(false) };
            if byte == b'\n' {
                return Ok(false);
            }
            self.advance(byte);
            if self.buffer.len() <= ROW_BYTES_MAX {
                self.buffer.push(byte);
            }
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' if begun => return Ok(true),
                b'"' => begun = true,
                _ => {}
            }
        }
    }

    /// Where what just ended was the content of a page, passes over the rest of that page.
    fn leave_pages(&mut self) -> io::Result<()> {
        while self.frames.last() == Some(&Frame::Page) {
            self.frames.pop();
            let mut depth = 1_usize;
            while let (true, Some(byte)) = (depth > 0, self.peek()?) {
                if byte == b'"' {
                    self.buffer_aside(Self::scan_text)?;
                    continue;
                }
                self.advance(byte);
                match byte {
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// With a buffer of no account: the row that is in it is still wanted.
    fn buffer_aside<T>(&mut self, scan: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        let kept = std::mem::take(&mut self.buffer);
        let scanned = scan(self);
        self.buffer = kept;
        scanned
    }

    /// To the beginning of the next line.
    fn skip_line(&mut self) -> io::Result<()> {
        while let Some(byte) = self.peek()? {
            self.advance(byte);
            if byte == b'\n' {
                break;
            }
        }
        Ok(())
    }

    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.input.fill_buf()?.first().copied())
    }

    fn advance(&mut self, byte: u8) {
        self.input.consume(1);
        self.line += u64::from(byte == b'\n');
    }
}

fn malformed(line: u64, message: String) -> Refused {
    let reason = reason::ROW_MALFORMED.to_owned();
    Refused { line, source_id: String::new(), field: String::new(), reason, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The line of each row with the value of `id`, or `None` where it is refused.
    fn read(text: &str) -> Vec<(u64, Option<u64>)> {
        let mut rows = JsonRows::new(text.as_bytes());
        let mut all = Vec::new();
        while let Some((line, row)) = rows.next().unwrap() {
            all.push((line, row.ok().map(|row| row["id"].as_u64().unwrap())));
        }
        let mut skipped = JsonRows::new(text.as_bytes());
        let mut count = 0;
        while skipped.skip().unwrap() {
            count += 1;
        }
        assert_eq!(count, all.len(), "passing over counts as reading does");
        all
    }

    #[test]
    fn a_row_that_is_broken_costs_itself_only() {
        let told = read(
            "{\"id\": 1}\n{\"id\": 2, \"a\": \"never\n{\"id\": 3}\n{\"id\": 4,\n{\"id\": 5}\nnonsense\n{\"id\": 6}\n",
        );
        let expected = [(1, Some(1)), (2, None), (3, Some(3)), (4, None), (5, Some(5)), (6, None), (7, Some(6))];
        assert_eq!(told, expected);
        assert_eq!(read("[{\"id\": 1}, {\"id\": }, {\"id\": 3}]"), [(1, Some(1)), (1, None), (1, Some(3))]);
        assert_eq!(read("[{\"id\": 1},\n"), [(1, Some(1)), (2, None)], "an array without its end is told");
        assert_eq!(read("{\"id\": 1, \"a\""), [(1, None)]);
    }

    #[test]
    fn arrays_lines_and_pages_are_read_alike() {
        let both = [(1, Some(1)), (1, Some(2))];
        assert_eq!(read("[{\"id\":1},{\"id\":2}]"), both);
        assert_eq!(read("\u{feff}{\"id\":1} {\"id\":2}"), both);
        assert_eq!(
            read("{\"meta\":{\"data\":7},\"data\":[{\"id\":1},{\"id\":2}],\"pagination\":{\"x\":\"]}\"}}"),
            both
        );
        assert_eq!(read("{\"apiId\":\"a\",\"keys\":[{\"id\":1},{\"id\":2}]}"), both);
        assert_eq!(read("[{\"data\":[{\"id\":1}]},{\"data\":{\"id\":2}}]"), both);
        assert_eq!(
            read("{\"data\":[]}\n{\"data\":{\"keys\":[{\"id\":1}],\"total\":1}}\n{\"id\":2}"),
            [(2, Some(1)), (3, Some(2))]
        );
        assert_eq!(read("{\"id\":1,\"meta\":{\"data\":[1],\"keys\":[]},\"x\":\"\\\"}{\"}"), [(1, Some(1))]);
        assert_eq!(read("\n[\n\n{\n\"id\":1}\n,\n{\"id\":2}\n]\n"), [(4, Some(1)), (7, Some(2))]);
        assert!(read("").is_empty() && read("[]").is_empty());
    }

    #[test]
    fn a_row_that_is_too_long_is_passed_over() {
        let long = format!("{{\"id\": 1, \"a\": \"{}\"}}\n{{\"id\": 2}}", "x".repeat(ROW_BYTES_MAX));
        assert_eq!(read(&long), [(1, None), (2, Some(2))]);
    }
}
