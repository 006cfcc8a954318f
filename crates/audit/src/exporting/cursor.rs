//! How far a sink is in which log, and how much was gone before it could take it: a line in a file, which a kill leaves as it was or as
//! it is to be.
//!
//! ```text
//! 4711                                         the next sequence
//! 4711 256                                     and what it missed, where it missed any
//! 4711 0 0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d      and the name of the log, where it has one
//! ```

use crate::LogName;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const NAME: &str = "cursor";

/// How far a sink is.
#[derive(Debug)]
pub struct Cursor {
    folder: PathBuf,
    next: Option<u64>,
    missed: u64,
    log: Option<LogName>,
}

/// Why a cursor cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum CursorError {
    /// The file system.
    #[error("cannot {verb} {path}")]
    Io {
        /// Make, read, write.
        verb: &'static str,
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Something else lies there.
    #[error("{path} holds no sequence: remove it, and the sink begins again where its settings say")]
    Content {
        /// Which.
        path: PathBuf,
    },
}

impl Cursor {
    /// Opens the one in a folder, which is made where it is missing.
    ///
    /// # Errors
    /// [`CursorError`].
    pub fn open(folder: PathBuf) -> Result<Self, CursorError> {
        fs::create_dir_all(&folder).map_err(|source| CursorError::Io { verb: "make", path: folder.clone(), source })?;
        let path = folder.join(NAME);
        match fs::read_to_string(&path) {
            Ok(text) => {
                let (next, missed, log) = read(text.trim()).ok_or(CursorError::Content { path })?;
                Ok(Self { folder, next: Some(next), missed, log })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Self { folder, next: None, missed: 0, log: None })
            }
            Err(source) => Err(CursorError::Io { verb: "read", path, source }),
        }
    }

    /// None at all, in the place of one that is being moved.
    pub(super) const fn nowhere() -> Self {
        Self { folder: PathBuf::new(), next: None, missed: 0, log: None }
    }

    /// The next sequence; `None`: the sink is new.
    #[must_use]
    pub const fn next(&self) -> Option<u64> {
        self.next
    }

    /// How many sequences were gone before the sink could take them.
    #[must_use]
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// The log that it is of; `None`: that was not known when it was moved last.
    #[must_use]
    pub const fn log(&self) -> Option<LogName> {
        self.log
    }

    /// From its next move on it is of this log.
    pub const fn be_of(&mut self, log: LogName) {
        self.log = Some(log);
    }

    /// Moves it, durably, over so many sequences that are gone.
    ///
    /// # Errors
    /// [`CursorError`]: it may be where it was or where it was to be.
    pub fn move_to(&mut self, next: u64, gone: u64) -> Result<(), CursorError> {
        let missed = self.missed.saturating_add(gone);
        // What there is nothing to say of is left out, as builds did that did not know of it.
        let line = match (missed, self.log) {
            (_, Some(log)) => format!("{next} {missed} {log}\n"),
            (0, None) => format!("{next}\n"),
            (_, None) => format!("{next} {missed}\n"),
        };
        let path = self.folder.join(NAME);
        let new = self.folder.join(format!("{NAME}.new"));
        let told = |verb, path: &Path| {
            let path = path.to_owned();
            move |source| CursorError::Io { verb, path, source }
        };
        let written = File::create(&new).and_then(|mut file| {
            file.write_all(line.as_bytes())?;
            file.sync_data()
        });
        written.map_err(told("write", &new))?;
        fs::rename(&new, &path).map_err(told("replace", &path))?;
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(told("sync", &self.folder))?;
        (self.next, self.missed) = (Some(next), missed);
        Ok(())
    }
}

/// The next sequence, what was missed, and the log.
fn read(text: &str) -> Option<(u64, u64, Option<LogName>)> {
    let mut words = text.split(' ');
    let next = words.next()?.parse().ok()?;
    let missed = words.next().map_or(Some(0), |missed| missed.parse().ok())?;
    let log = words.next().map(LogName::parse);
    match (log, words.next()) {
        (Some(None), _) | (_, Some(_)) => None,
        (log, None) => Some((next, missed, log.flatten())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_where_it_was_left() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cursor::open(folder.path().join("exports/elk"));
        assert_eq!(open().unwrap().next(), None);
        open().unwrap().move_to(7, 0).unwrap();
        assert_eq!(open().unwrap().next(), Some(7));
        // A kill while the next one was written.
        fs::write(folder.path().join("exports/elk/cursor.new"), "").unwrap();
        assert_eq!(open().unwrap().next(), Some(7));
        open().unwrap().move_to(8, 0).unwrap();
        assert_eq!(open().unwrap().next(), Some(8));
        for other in ["eight", "8  1", "8 one", "8 1 1"] {
            fs::write(folder.path().join("exports/elk/cursor"), other).unwrap();
            assert!(matches!(open(), Err(CursorError::Content { .. })), "{other}");
        }
    }

    #[test]
    fn what_was_missed_adds_up_over_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Cursor::open(folder.path().join("elk")).unwrap();
        open().move_to(7, 0).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("elk/cursor")).unwrap(), "7\n");
        open().move_to(300, 256).unwrap();
        open().move_to(301, 0).unwrap();
        open().move_to(400, 2).unwrap();
        assert_eq!((open().next(), open().missed(), open().log()), (Some(400), 258, None));
        let log = LogName::of(&latchkey_transparency::Hash::new([7; 32]));
        let mut named = open();
        named.be_of(log);
        named.move_to(401, 0).unwrap();
        assert_eq!((open().next(), open().missed(), open().log()), (Some(401), 258, Some(log)));
        open().move_to(402, 0).unwrap();
        assert_eq!((open().next(), open().log()), (Some(402), Some(log)));
    }
}
