//! From a file to batches: opened once, read once, never in memory whole.

use super::batch::{Batch, fits, key_of};
use super::csv_rows::{self, CsvRows, Manner};
use super::fields::Tally;
use super::formats::Formats;
use super::from::{Reader, Source};
use super::json_rows::JsonRows;
use super::naming::Naming;
use super::row::{Fields, Refused, reason};
use crate::cli::error::CliError;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes read at once.
const READ_BYTES: usize = 1 << 18;

/// A file that tells how much of it was read.
#[derive(Debug)]
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// The rows of either kind of file.
#[derive(Debug)]
enum Rows {
    Json(JsonRows<BufReader<Counted>>),
    Csv(CsvRows<BufReader<Counted>>),
}

/// A file that is imported.
#[derive(Debug)]
pub(crate) struct Supply {
    path: PathBuf,
    rows: Rows,
    reader: Reader,
    read: Arc<AtomicU64>,
    /// The batch that begins with a row that did not fit into the one before.
    begun: Batch,
}

/// How long a file is, and its SHA-256 as hexadecimal digits. The file is locked for this process until it ends: two imports
/// of one file at the same time would write the same journal.
///
/// # Errors
/// [`CliError`].
pub(crate) fn measure(path: &Path) -> Result<(File, u64, String), CliError> {
    let failed = |source| CliError::File { verb: "read", path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        let what =
            format!("{} is no file that can be read twice, so an import of it could not be resumed", path.display());
        return Err(CliError::usage(what).remedy("save it to a file first, for your eyes only: umask 077"));
    }
    if matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)) {
        return Err(CliError::usage(format!("another import of {} is running", path.display())));
    }
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; READ_BYTES]);
    loop {
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        bytes += count as u64;
    }
    let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((file, bytes, sha256))
}

impl Supply {
    /// Opens a file at its beginning.
    ///
    /// # Errors
    /// [`CliError`]: it cannot be read, or its heading is none.
    pub(crate) fn open(path: &Path, reader: Reader) -> Result<Self, CliError> {
        let failed = |source| CliError::File { verb: "read", path: path.to_owned(), source };
        let read = Arc::new(AtomicU64::new(0));
        let mut file = File::open(path).map_err(failed)?;
        let mut first = BufReader::new(&file);
        let head = first.fill_buf().map_err(failed)?.to_vec();
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let input = BufReader::with_capacity(READ_BYTES, Counted { file, read: Arc::clone(&read) });
        let rows = if is_json(&head, reader.source) {
            Rows::Json(JsonRows::new(input))
        } else {
            let manner = Manner { any_case: reader.source == Source::Aws, single_quotes: reader.source == Source::Aws };
            let rows = CsvRows::new(input, csv_rows::delimiter(&head), manner).map_err(failed)?;
            let rows =
                rows.ok_or_else(|| CliError::usage("expected a heading of UTF-8 that names each column once"))?;
            check_heading(rows.heading(), &reader)?;
            Rows::Csv(rows)
        };
        Ok(Self { path: path.to_owned(), rows, reader, read, begun: Batch::default() })
    }

    /// Passes over rows that are settled; how many there were.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn skip(&mut self, count: u64) -> Result<u64, CliError> {
        for skipped in 0..count {
            let there = match &mut self.rows {
                Rows::Json(rows) => rows.skip(),
                Rows::Csv(rows) => rows.skip(),
            };
            if !there.map_err(|source| self.failed(source))? {
                return Ok(skipped);
            }
        }
        Ok(count)
    }

    /// The next row, read.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn row(&mut self, tally: &mut Tally) -> Result<Option<Result<super::row::Row, Refused>>, CliError> {
        Ok(self.raw()?.map(|(line, fields)| fields.and_then(|fields| self.reader.read(line, fields, tally))))
    }

    /// The next batch; `None` at the end. Without formats its rows are of none.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn batch(
        &mut self,
        formats: Option<&Formats>,
        naming: &Naming,
        tally: &mut Tally,
    ) -> Result<Option<Batch>, CliError> {
        let (mut batch, mut next) = (std::mem::take(&mut self.begun), Batch::default());
        while !batch.is_full() {
            let Some(row) = self.row(tally)? else { break };
            let chosen =
                row.and_then(|row| Ok((formats.map_or(Ok(""), |formats| formats.choose(&row))?.to_owned(), row)));
            let (format, row) = match chosen {
                Ok(chosen) => chosen,
                Err(refused) => {
                    batch.refused.push(refused);
                    continue;
                }
            };
            let (row, owner, roles) = naming.apply(row);
            let (owner_name, role_names) =
                (owner.as_ref().map(|(full, _)| full.clone()), roles.iter().map(|(full, _)| full.clone()).collect());
            let (line, key) = (row.line, key_of(row, &format, owner_name.unwrap_or_default(), role_names));
            if !fits(&key) {
                let (source_id, reason) = (key.source_id, reason::ROW_MALFORMED.to_owned());
                let message = "the row is longer than a request may be".to_owned();
                batch.refused.push(Refused { line, source_id, field: String::new(), reason, message });
                continue;
            }
            let full = batch.is_full_for(&key);
            let batch = if full { &mut next } else { &mut batch };
            batch.owners.extend(owner);
            batch.roles.extend(roles);
            batch.push(line, key);
            if full {
                break;
            }
        }
        batch.read_bytes = self.read_bytes();
        self.begun = next;
        Ok((batch.rows() > 0).then_some(batch))
    }

    /// How much of the file was read.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    fn raw(&mut self) -> Result<Option<Fields>, CliError> {
        let next = match &mut self.rows {
            Rows::Json(rows) => rows.next(),
            Rows::Csv(rows) => rows.next(),
        };
        next.map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> CliError {
        CliError::File { verb: "read", path: self.path.clone(), source }
    }
}

/// By what a file begins with: objects and arrays are JSON. Two sources have one form only.
fn is_json(head: &[u8], source: Source) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head);
    match source {
        Source::Unkey => true,
        Source::Aws | Source::Csv => false,
        Source::Prefixed => {
            head.iter().find(|byte| !byte.is_ascii_whitespace()).is_some_and(|byte| b"{[".contains(byte))
        }
    }
}

/// That the columns are there without which no row is a key.
fn check_heading(heading: &[String], reader: &Reader) -> Result<(), CliError> {
    let has = |name: &str| heading.iter().any(|column| column == name);
    match reader.source {
        Source::Csv => reader.mapping.fits(heading).map_err(|what| {
            CliError::usage(what).remedy("say which column is what: --map digest=COLUMN --map source_id=COLUMN ...")
        }),
        Source::Aws if !(has("key") && has("name")) => {
            Err(CliError::usage("expected a heading with the columns name and key, as API Gateway takes it"))
        }
        Source::Prefixed if !(has("longTokenHash") || has("long_token_hash")) => {
            Err(CliError::usage("expected a heading with the columns shortToken and longTokenHash"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::import::fields::Keep;
    use crate::cli::import::from::Mapping;

    #[test]
    fn a_row_that_no_request_holds_is_refused_and_ends_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.json");
        let row = |id: &str, name: &str| {
            let digest = "0b".repeat(32);
            let hash = format!("{{\"value\": \"{digest}\", \"variant\": \"sha256_hex\"}}");
            format!("{{\"keyId\": \"{id}\", \"hash\": {hash}, \"name\": \"{name}\"}}\n")
        };
        let text = row("long", &"x".repeat(1_000 << 10)) + &row("short", "y");
        std::fs::write(&path, text).unwrap();
        let reader = Reader { source: Source::Unkey, mapping: Mapping::default(), keep: Keep::default() };
        let mut supply = Supply::open(&path, reader).unwrap();
        let naming = Naming { tenant: "acme".to_owned(), owners_as_metadata: false };
        let batch = supply.batch(None, &naming, &mut Tally::default()).unwrap().unwrap();
        let refused: Vec<_> = batch.refused.iter().map(|row| (row.line, row.source_id.as_str())).collect();
        assert_eq!((refused, batch.places), (vec![(1, "long")], vec![(2, "short".to_owned())]));
        assert!(supply.batch(None, &naming, &mut Tally::default()).unwrap().is_none());
    }
}
