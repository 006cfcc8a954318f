//! What operators were told and has not ended: a line for each cause and operator, so that a restart tells nobody again, and the end
//! to those who heard of the beginning.
//!
//! ```text
//! sink.behind elk 1795420800000 6f1d...      kind, what it is about, since when, a digest of who was told
//! ```

use super::{Cause, Kind};
use crate::notices::ledger::mark;
use crate::whole_file::{folder_of, write_whole};
use latchkey_domain::UnixMillis;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const NAME: &str = "operators";

/// What operators were told and has not ended.
#[derive(Debug)]
pub struct Told {
    path: PathBuf,
    all: BTreeMap<(Cause, String), UnixMillis>,
}

impl Told {
    /// Opens the one in a folder. What cannot be read was told to nobody: better told twice than not at all.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        let path = folder.join(NAME);
        let text = fs::read_to_string(&path).unwrap_or_default();
        Self { path, all: text.lines().filter_map(read).collect() }
    }

    /// All causes that somebody was told of.
    pub(super) fn causes(&self) -> impl Iterator<Item = Cause> {
        let mut causes: Vec<_> = self.all.keys().map(|(cause, _)| cause.clone()).collect();
        causes.dedup();
        causes.into_iter()
    }

    /// Since when a cause is told.
    pub(super) fn since(&self, cause: &Cause) -> Option<UnixMillis> {
        self.all.iter().find(|((found, _), _)| found == cause).map(|(_, since)| *since)
    }

    /// Whether somebody was told of it.
    pub(super) fn has(&self, cause: &Cause, contact: &str) -> bool {
        self.all.contains_key(&(cause.clone(), mark(&[contact])))
    }

    /// Somebody was told of it.
    pub(super) fn add(&mut self, cause: &Cause, contact: &str, since: UnixMillis) {
        self.all.insert((cause.clone(), mark(&[contact])), since);
        self.keep();
    }

    /// Somebody was told that it ended.
    pub(super) fn remove(&mut self, cause: &Cause, contact: &str) {
        self.all.remove(&(cause.clone(), mark(&[contact])));
        self.keep();
    }

    /// Nobody is to be told that it ended any more.
    pub(super) fn forget(&mut self, cause: &Cause) {
        let before = self.all.len();
        self.all.retain(|(found, _), _| found != cause);
        if self.all.len() != before {
            self.keep();
        }
    }

    fn keep(&self) {
        if let Err(error) = self.write() {
            let path = self.path.display();
            tracing::warn!(%path, %error, "what operators were told cannot be written down; after a restart they are told again");
        }
    }

    fn write(&self) -> io::Result<()> {
        let mut text = String::new();
        for ((Cause { kind, about }, who), since) in &self.all {
            let _ = writeln!(text, "{} {about} {} {who}", kind.as_str(), since.millis());
        }
        fs::create_dir_all(folder_of(&self.path))?;
        write_whole(&self.path, &text)
    }
}

fn read(line: &str) -> Option<((Cause, String), UnixMillis)> {
    let [kind, about, since, who] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
    let kind = Kind::ALL.into_iter().find(|found| found.as_str() == kind)?;
    let cause = Cause { kind, about: about.to_owned() };
    Some(((cause, who.to_owned()), UnixMillis::new(since.parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_knows_what_was_told_and_names_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Told::open(&folder.path().join("notices"));
        let cause = Cause { kind: Kind::SinkBehind, about: "elk".to_owned() };
        let mut told = open();
        told.add(&cause, "ops@example.com", UnixMillis::new(5));
        told.add(&cause, "https://h.example/?token=x", UnixMillis::new(5));
        let mut again = open();
        assert!(again.has(&cause, "ops@example.com") && !again.has(&cause, "other@example.com"));
        assert_eq!((again.since(&cause), again.causes().count()), (Some(UnixMillis::new(5)), 1));
        let text = fs::read_to_string(folder.path().join("notices/operators")).unwrap();
        assert!(!text.contains("example"), "{text}");
        again.remove(&cause, "ops@example.com");
        again.forget(&cause);
        assert_eq!(open().causes().count(), 0);
        fs::write(folder.path().join("notices/operators"), "sink.behind elk\nnonsense 1 2 3\n").unwrap();
        assert_eq!(open().causes().count(), 0);
    }
}
