//! The report of refused rows: CSV with line, id in the other system, field, reason and message. Never a key text or a digest.

use super::row::Refused;
use crate::cli::csv_text;
use crate::cli::error::CliError;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const HEADING: [&str; 5] = ["line", "source_id", "field", "reason", "message"];

/// A report that is being written.
#[derive(Debug)]
pub(crate) struct Report {
    file: File,
    path: PathBuf,
    bytes: u64,
}

impl Report {
    /// Begins it, or goes on after the first `bytes` of an earlier run: what that run wrote beyond them it will find again.
    ///
    /// # Errors
    /// [`CliError`]: it cannot be written, or something else lies there, such as the file that is imported.
    pub(crate) fn begin(path: &Path, bytes: u64) -> Result<Self, CliError> {
        let open = || {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
            if !is_report(&mut file)? {
                return Ok(None);
            }
            // A report that went away meanwhile cannot be gone on with; it begins anew, with what comes.
            let bytes = if file.metadata()?.len() >= bytes { bytes } else { 0 };
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            Ok(Some((file, bytes)))
        };
        let opened = open().map_err(|source| CliError::File { verb: "write", path: path.to_owned(), source })?;
        let Some((file, bytes)) = opened else {
            let what = format!("{} is there, and is no report of refused rows", path.display());
            return Err(CliError::usage(what).remedy("name another file, or take this one away"));
        };
        let mut report = Self { file, path: path.to_owned(), bytes };
        if bytes == 0 {
            report.write(&csv_text::line(HEADING))?;
        }
        Ok(report)
    }

    /// Adds rows.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn add(&mut self, rows: &[Refused]) -> Result<(), CliError> {
        let lines: String = rows
            .iter()
            .map(|row| {
                let line = row.line.to_string();
                csv_text::line([line.as_str(), &row.source_id, &row.field, &row.reason, &row.message])
            })
            .collect();
        self.write(&lines)
    }

    /// How long it is.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    fn write(&mut self, text: &str) -> Result<(), CliError> {
        self.bytes += u64::try_from(text.len()).expect("a text fits");
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|source| CliError::File { verb: "write", path: self.path.clone(), source })
    }
}

/// Whether nothing lies there that is not ours to write over.
fn is_report(file: &mut File) -> io::Result<bool> {
    let (heading, mut head) = (csv_text::line(HEADING), Vec::new());
    file.take(heading.len() as u64).read_to_end(&mut head)?;
    // One that was cut short, by a disk that was full, is one too.
    Ok(heading.as_bytes().starts_with(&head))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn refused(line: u64, id: &str) -> Refused {
        Refused {
            line,
            source_id: id.to_owned(),
            field: "f".to_owned(),
            reason: "R".to_owned(),
            message: "a, b".to_owned(),
        }
    }

    #[test]
    fn a_report_goes_on_where_the_journal_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("refused.csv");
        let mut report = Report::begin(&path, 0).unwrap();
        report.add(&[refused(1, "a")]).unwrap();
        let bytes = report.bytes();
        report.add(&[refused(2, "lost")]).unwrap();
        let mut report = Report::begin(&path, bytes).unwrap();
        report.add(&[refused(2, "=b")]).unwrap();
        let text = "line,source_id,field,reason,message\r\n1,a,f,R,\"a, b\"\r\n2,'=b,f,R,\"a, b\"\r\n";
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        fs::remove_file(&path).unwrap();
        assert_eq!(Report::begin(&path, bytes).unwrap().bytes(), 37, "the heading alone");
    }

    #[test]
    fn what_is_no_report_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys.csv");
        fs::write(&path, "id,sha256\r\n1,2\r\n").unwrap();
        let refused = Report::begin(&path, 0).unwrap_err().text();
        assert!(refused.contains("no report"), "{refused}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "id,sha256\r\n1,2\r\n");
        fs::write(&path, "").unwrap();
        assert!(Report::begin(&path, 0).is_ok());
        assert!(Report::begin(&path, 0).is_ok(), "an earlier report is");
    }
}
