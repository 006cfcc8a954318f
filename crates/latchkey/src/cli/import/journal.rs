//! How far an import has come, beside the file that is imported: so that a second run goes on where the first one ended. It
//! holds no secret, and is replaced as a whole after each batch that was acknowledged.

use crate::cli::error::CliError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What the name of the file is followed by.
const SUFFIX: &str = ".latchkey-import";

/// The one form that there is.
const FORM: u32 = 1;

/// How far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Rows of the file that are settled: in, or refused and reported.
    pub(crate) rows: u64,
    /// Of these, imported by this import.
    pub(crate) imported: u64,
    /// Of these, there already.
    pub(crate) existing: u64,
    /// Of these, refused, by the words of the reasons.
    pub(crate) refused: BTreeMap<String, u64>,
    /// How long the report of refused rows is. Bytes.
    pub(crate) report_bytes: u64,
}

/// What the import is of. A journal of another one says nothing about this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    /// The keyspace, in full.
    pub(crate) keyspace: String,
    /// How the file is read.
    pub(crate) source: String,
    /// How long the file is. Bytes.
    pub(crate) file_bytes: u64,
    /// Its SHA-256.
    pub(crate) file_sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    form: u32,
    subject: Subject,
    progress: Progress,
}

/// A journal.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    subject: Subject,
}

impl Journal {
    /// Where the journal of a file lies.
    pub(crate) fn path_of(file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(SUFFIX);
        name.into()
    }

    /// One of a rehearsal: what lies there is neither read nor written.
    pub(crate) const fn unread(path: PathBuf, subject: Subject) -> Self {
        Self { path, subject }
    }

    /// Opens it, and tells how far an earlier run came.
    ///
    /// # Errors
    /// [`CliError`]: it cannot be read, or is that of another import.
    pub(crate) fn open(path: PathBuf, subject: Subject) -> Result<(Self, Option<Progress>), CliError> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Self { path, subject }, None)),
            Err(source) => return Err(CliError::File { verb: "read", path, source }),
        };
        let shown = path.display();
        let remedy = format!("take {shown} away to begin anew: what is in already stays in once");
        let Ok(written) = serde_json::from_str::<Written>(&text) else {
            return Err(CliError::usage(format!("{shown} is no journal of an import")).remedy(remedy));
        };
        if written.form != FORM || written.subject != subject {
            let what =
                format!("{shown} is the journal of another import: of another keyspace, or the file has changed since");
            return Err(CliError::usage(what).remedy(remedy));
        }
        Ok((Self { path, subject }, Some(written.progress)))
    }

    /// Writes down how far it has come; durable on return.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn write(&self, progress: &Progress) -> Result<(), CliError> {
        let written = Written { form: FORM, subject: self.subject.clone(), progress: progress.clone() };
        let text = serde_json::to_string(&written).expect("names, numbers and texts are JSON");
        let mut beside = self.path.clone().into_os_string();
        beside.push(".new");
        let save = || {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)?;
            // The name, too: else a power cut may leave the journal of before.
            let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        save().map_err(|source| CliError::File { verb: "write", path: self.path.clone(), source })
    }

    /// Takes it away: everything is settled.
    ///
    /// # Errors
    /// [`CliError::File`].
    pub(crate) fn remove(&self) -> Result<(), CliError> {
        match fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(CliError::File { verb: "remove", path: self.path.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn subject(bytes: u64) -> Subject {
        let (keyspace, source) = ("tenants/a/keyspaces/b".to_owned(), "unkey".to_owned());
        Subject { keyspace, source, file_bytes: bytes, file_sha256: "00".to_owned() }
    }

    #[test]
    fn a_journal_of_another_import_or_of_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path_of(&folder.path().join("keys.json"));
        let (journal, _) = Journal::open(path.clone(), subject(1)).unwrap();
        journal.write(&Progress::default()).unwrap();
        assert!(Journal::open(path.clone(), subject(2)).unwrap_err().text().contains("take "));
        for text in ["", "{}", "{\"form\": 1", "{\"form\":1,\"subject\":{},\"progress\":{},\"more\":1}"] {
            fs::write(&path, text).unwrap();
            assert!(Journal::open(path.clone(), subject(1)).unwrap_err().text().contains("no journal"), "{text}");
        }
    }

    #[test]
    fn a_journal_is_for_its_owner_only_and_goes_when_all_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = Journal::path_of(&folder.path().join("keys.json"));
        assert!(path.ends_with("keys.json.latchkey-import"));
        let (journal, found) = Journal::open(path.clone(), subject(1)).unwrap();
        assert_eq!(found, None);
        let progress = Progress {
            rows: 1_000,
            imported: 990,
            existing: 1,
            refused: [("X".to_owned(), 9)].into(),
            report_bytes: 70,
        };
        journal.write(&Progress::default()).unwrap();
        journal.write(&progress).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Journal::open(path, subject(1)).unwrap().1, Some(progress));
        journal.remove().unwrap();
        journal.remove().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left beside the file");
    }
}
