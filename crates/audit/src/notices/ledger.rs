//! Who was told what today: a line for each, by digests that name nobody.
//!
//! ```text
//! 20780                                day since 1970
//! digest of what was told  digest of who was told for which tenant
//! ```

use sha2::{Digest as _, Sha256};
use std::collections::{HashMap, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

const NAME: &str = "told";
/// How often a contact is told anything of one tenant's in a day: whoever may write contacts down must not fill anybody's mailbox.
const TOLD_A_DAY_MAX: u32 = 200;

/// Who was told what today.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    day: u64,
    told: HashSet<String>,
    /// How often, by contact and tenant.
    counts: HashMap<String, u32>,
}

/// One telling.
#[derive(Clone, Copy, Debug)]
pub struct Telling<'a> {
    /// The tenant that it is about; empty: the cluster.
    pub tenant: &'a str,
    /// What kind it is.
    pub kind: &'a str,
    /// What it is about.
    pub about: &'a str,
    /// Who is told.
    pub contact: &'a str,
}

impl Telling<'_> {
    fn what(&self) -> String {
        mark(&[self.kind, self.about, self.contact])
    }

    fn whom(&self) -> String {
        mark(&[self.tenant, self.contact])
    }
}

impl Ledger {
    /// Opens the one in a folder. One that cannot be read is as one that is empty: better told twice than not at all.
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        let path = folder.join(NAME);
        let text = fs::read_to_string(&path).unwrap_or_default();
        // The first line is the day; what a kill left of the last one is no digest, and is told again.
        let mut lines = text.lines();
        let day = lines.next().and_then(|day| day.parse().ok()).unwrap_or_default();
        let mut ledger = Self { path, day, told: HashSet::new(), counts: HashMap::new() };
        lines.for_each(|line| ledger.add(line));
        ledger
    }

    /// Whether a contact was told this of it today.
    #[must_use]
    pub fn was_told(&self, day: u64, telling: Telling<'_>) -> bool {
        self.day == day && self.told.contains(&telling.what())
    }

    /// Whether a contact was told enough of this tenant today.
    #[must_use]
    pub fn is_full(&self, day: u64, telling: Telling<'_>) -> bool {
        let count = || self.counts.get(&telling.whom()).copied().unwrap_or_default();
        self.day == day && !telling.tenant.is_empty() && count() >= TOLD_A_DAY_MAX
    }

    /// Writes down that it was.
    ///
    /// # Errors
    /// The file system's: it may be told again.
    pub fn tell(&mut self, day: u64, telling: Telling<'_>) -> io::Result<()> {
        let line = format!("{} {}", telling.what(), telling.whom());
        if self.day == day {
            let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
            writeln!(file, "{line}")?;
            file.sync_data()?;
        } else {
            // What was told yesterday is of no use any more.
            let new = self.path.with_extension("new");
            let mut file = File::create(&new)?;
            writeln!(file, "{day}\n{line}")?;
            file.sync_data()?;
            fs::rename(&new, &self.path)?;
            (self.day, self.told, self.counts) = (day, HashSet::new(), HashMap::new());
        }
        self.add(&line);
        Ok(())
    }

    fn add(&mut self, line: &str) {
        let (what, whom) = line.split_once(' ').unwrap_or((line, ""));
        self.told.insert(what.to_owned());
        *self.counts.entry(whom.to_owned()).or_default() += 1;
    }
}

/// A digest that names nobody.
pub(super) fn mark(parts: &[&str]) -> String {
    let digest = Sha256::digest(parts.join("\0"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn telling<'a>(kind: &'a str, about: &'a str, contact: &'a str) -> Telling<'a> {
        Telling { tenant: "tenants/acme", kind, about, contact }
    }

    #[test]
    fn nobody_is_told_the_same_twice_a_day_also_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("notices")).unwrap();
        let open = || Ledger::open(&folder.path().join("notices"));
        let (key, other) = (telling("due", "key", "a@b"), telling("due", "other", "a@b"));
        let mut ledger = open();
        assert!(!ledger.was_told(5, key));
        ledger.tell(5, key).unwrap();
        ledger.tell(5, other).unwrap();
        let mut again = open();
        assert!(again.was_told(5, key) && again.was_told(5, other));
        assert!(!again.was_told(5, telling("held", "key", "a@b")) && !again.was_told(5, telling("due", "key", "c@d")));
        assert!(!again.was_told(6, key), "the next day");
        again.tell(6, key).unwrap();
        assert!(open().was_told(6, key) && !open().was_told(6, other));
        let text = fs::read_to_string(folder.path().join("notices/told")).unwrap();
        assert!(!text.contains("a@b") && !text.contains("key"), "{text}");
    }

    #[test]
    fn a_tenant_fills_no_mailbox_also_over_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut ledger = Ledger::open(folder.path());
        for at in 0..TOLD_A_DAY_MAX {
            let about = format!("key {at}");
            assert!(!ledger.is_full(5, telling("due", &about, "a@b")));
            ledger.tell(5, telling("due", &about, "a@b")).unwrap();
        }
        let next = telling("due", "one more", "a@b");
        let again = Ledger::open(folder.path());
        assert!(ledger.is_full(5, next) && again.is_full(5, next) && !again.is_full(6, next));
        assert!(!again.is_full(5, Telling { tenant: "tenants/other", ..next }), "another tenant");
        assert!(!again.is_full(5, Telling { contact: "c@d", ..next }), "another contact");
        assert!(!again.is_full(5, Telling { tenant: "", ..next }), "what is about the cluster");
    }
}
