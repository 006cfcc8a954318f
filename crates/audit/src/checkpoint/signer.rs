//! Signing: what extends what was signed before, and nothing else.

use super::handing_over::{HandoverFile, Previous};
use super::judge::{Before, Judged, judge};
use super::key_file::CheckpointKey;
use super::last_file::LastFile;
use latchkey_domain::planted::{self, Plant};
use latchkey_state::AuditCheckpoint;
use latchkey_transparency::note::Note;
use latchkey_transparency::{Checkpoint, Hash};

/// Why nothing was signed. An operator has to act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Fork {
    /// What was expected, and what was found.
    pub what: String,
}

/// What came of asking for a signature.
#[derive(Debug)]
pub enum Signed {
    /// The note, with the signature of the log alone. What it says is durable as the last.
    Note(Note),
    /// Another audit service of this cluster is ahead.
    Behind,
    /// What was signed cannot be written down now, so it is not signed.
    NotNow(std::io::Error),
}

/// Signs for one log with one key.
#[derive(Debug)]
pub struct Signer {
    key: CheckpointKey,
    file: LastFile,
    last: Option<Checkpoint>,
    handovers: HandoverFile,
    previous: Option<Previous>,
}

impl Signer {
    /// With this key, and what it signed last.
    ///
    /// # Errors
    /// [`Fork`]: what it signed last cannot be told.
    pub fn open(key: CheckpointKey) -> Result<Self, Fork> {
        let file = LastFile::beside(key.path());
        let last = file.read(key.public()).map_err(|what| Fork { what })?;
        let handovers = HandoverFile::open(&key)?;
        Ok(Self { key, file, last, handovers, previous: None })
    }

    /// Goes on from what another key signed last, which hands the log over with the first signature of this one.
    ///
    /// # Errors
    /// [`Fork`]: what it signed last cannot be told.
    pub fn after(mut self, previous: CheckpointKey) -> Result<Self, Fork> {
        self.previous = Some(Previous::open(previous)?);
        Ok(self)
    }

    /// The public key.
    #[must_use]
    pub const fn public(&self) -> [u8; 32] {
        self.key.public()
    }

    /// What was signed last: by this key, or else by the one before it.
    #[must_use]
    pub fn last(&self) -> Option<&Checkpoint> {
        self.last.as_ref().or_else(|| self.previous.as_ref().and_then(|previous| previous.last.as_ref()))
    }

    /// The public key that the newest checkpoint of this log is signed by; `None`: neither this one nor the one before it signed any.
    #[must_use]
    pub fn signed_by(&self, origin: &str) -> Option<[u8; 32]> {
        let is_of_log = |last: &&Checkpoint| last.origin == origin;
        if self.last.as_ref().filter(is_of_log).is_some() {
            return Some(self.public());
        }
        let previous = self.previous.as_ref()?;
        previous.last.as_ref().filter(is_of_log).map(|_| previous.public())
    }

    /// The notes that lead from older keys of this log to this one. Those of a tree that an epoch ended lead nowhere in the next.
    pub fn handovers(&self, origin: &str) -> impl Iterator<Item = &Note> {
        self.handovers.notes.iter().filter(move |(_, said)| said.last.origin == origin).map(|(note, _)| note)
    }

    /// Signs the tree that is durable here, where it extends what was signed last, and what the cluster recorded. The two roots are
    /// those of the durable tree at the sizes of these.
    ///
    /// # Errors
    /// [`Fork`]: it does not. Nothing was signed.
    pub fn sign(
        &mut self,
        here: &Checkpoint,
        recorded: Option<&AuditCheckpoint>,
        (root_at_last, root_at_recorded): (Option<Hash>, Option<Hash>),
    ) -> Result<Signed, Fork> {
        let before = Before { last: self.last(), recorded, root_at_last, root_at_recorded };
        match judge(here, self.public(), &before) {
            Judged::Fork(what) if !planted::is(Plant::SignUnchecked) => return Err(Fork { what }),
            Judged::Behind if !planted::is(Plant::SignUnchecked) => return Ok(Signed::Behind),
            Judged::Sign | Judged::Fork(_) | Judged::Behind => {}
        }
        let mut note = Note::new(&here.text()).map_err(|error| Fork { what: error.to_string() })?;
        note.sign(&self.key.signer(&here.origin));
        if self.last.is_none()
            && let Some(previous) = self.previous.as_ref().filter(|previous| !previous.has_handed_over(&self.handovers))
        {
            let handed_over = match previous.lacks(&here.origin, recorded) {
                Some(what) => Err(std::io::Error::other(what)),
                None => previous.hand_over(&self.key, &here.origin, &mut self.handovers),
            };
            if let Err(error) = handed_over {
                tracing::warn!(%error, "that one key goes on where another ends cannot be written down");
                return Ok(Signed::NotNow(error));
            }
        }
        if self.last.as_ref() != Some(here) {
            // Whoever learns of the signature learns of what can never be taken back.
            if let Err(error) = self.file.write(&note) {
                tracing::warn!(path = %self.file.path().display(), %error, "what would be signed cannot be written down");
                return Ok(Signed::NotNow(error));
            }
            self.last = Some(here.clone());
        }
        Ok(Signed::Note(note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_telemetry::OsEntropy;
    use latchkey_transparency::note::{Algorithm, VerifierKey};
    use std::fs;
    use std::path::Path;

    const ORIGIN: &str = "latchkey/test";

    fn signer(folder: &Path) -> Signer {
        Signer::open(CheckpointKey::open_or_make(&folder.join("key"), &mut OsEntropy).unwrap()).unwrap()
    }

    fn here(size: u64) -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size, root: Hash::new([u8::try_from(size).unwrap(); 32]) }
    }

    #[test]
    fn what_was_signed_is_remembered_by_the_next_process_and_binds_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = signer(folder.path());
        let Signed::Note(note) = first.sign(&here(5), None, (None, None)).unwrap() else {
            panic!("nothing was signed")
        };
        let key = VerifierKey::new(ORIGIN, Algorithm::Ed25519, &first.public()).unwrap();
        assert_eq!(Checkpoint::open(&note, &key, &[]).unwrap().0, here(5));
        drop(first);
        let mut second = signer(folder.path());
        assert_eq!(second.last(), Some(&here(5)));
        // A disk that was rolled back: there is less than was signed.
        let told = second.sign(&here(4), None, (None, None)).unwrap_err();
        assert!(told.what.contains("rolled back"), "{told}");
        // A fork: more, but not after what was signed.
        let told = second.sign(&here(6), None, (Some(Hash::new([9; 32])), None)).unwrap_err();
        assert!(told.what.contains("the log was changed"), "{told}");
        assert!(matches!(second.sign(&here(6), None, (Some(here(5).root), None)), Ok(Signed::Note(_))));
    }

    fn key(path: &Path) -> CheckpointKey {
        CheckpointKey::open_or_make(path, &mut OsEntropy).unwrap()
    }

    #[test]
    fn a_new_key_is_bound_by_what_the_old_one_signed_and_both_say_that_it_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut old = Signer::open(key(&path("old"))).unwrap();
        drop(old.sign(&here(5), None, (None, None)).unwrap());
        let open = || Signer::open(key(&path("new"))).unwrap().after(key(&path("old"))).unwrap();
        let mut new = open();
        assert_eq!((new.last(), new.signed_by(ORIGIN)), (Some(&here(5)), Some(old.public())));
        // A rolled back disk and a fork, of what the old key signed and nobody recorded.
        assert!(new.sign(&here(4), None, (None, None)).unwrap_err().what.contains("rolled back"));
        assert!(new.sign(&here(6), None, (Some(here(9).root), None)).unwrap_err().what.contains("was changed"));
        assert_eq!(new.handovers(ORIGIN).count(), 0, "nothing was signed, and nothing handed over");
        assert!(matches!(new.sign(&here(6), None, (Some(here(5).root), None)), Ok(Signed::Note(_))));
        assert_eq!(new.signed_by(ORIGIN), Some(new.public()));
        // By the next process too; the old file is no longer asked for, nor does it hand over twice.
        for mut again in [open(), Signer::open(key(&path("new"))).unwrap()] {
            assert!(matches!(
                again.sign(&here(7), None, (Some(again.last().unwrap().root), None)),
                Ok(Signed::Note(_))
            ));
            let notes: Vec<_> = again.handovers(ORIGIN).cloned().collect();
            let [note] = &notes[..] else { panic!("{notes:?}") };
            let said = latchkey_transparency::Handover::open(note).unwrap();
            assert_eq!((said.last, said.old.public(), said.new.public()), (here(5), old.public(), new.public()));
        }
        // Of the tree that an epoch begins, none of them has signed anything: there is nobody to go on from.
        let next = Checkpoint { origin: format!("{ORIGIN}/e2"), ..here(1) };
        let mut restored = open();
        assert!(matches!(restored.sign(&next, None, (None, None)), Ok(Signed::Note(_))));
        assert_eq!((restored.handovers(ORIGIN).count(), restored.handovers(&next.origin).count()), (1, 0));
        drop(restored.sign(&here(7), None, (None, None)).unwrap());
        // A third key has the whole way.
        let mut third = Signer::open(key(&path("third"))).unwrap().after(key(&path("new"))).unwrap();
        drop(third.sign(&here(8), None, (Some(here(7).root), None)).unwrap());
        assert_eq!(third.handovers(ORIGIN).count(), 2);
        // Notes that lead elsewhere are not those of this key.
        fs::copy(path("third.handovers"), path("old.handovers")).unwrap();
        assert!(Signer::open(key(&path("old"))).unwrap_err().what.contains("put back the file"));
    }

    #[test]
    fn a_key_that_signed_on_after_a_handover_that_came_to_nothing_hands_over_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut old = Signer::open(key(&path("old"))).unwrap();
        drop(old.sign(&here(5), None, (None, None)).unwrap());
        let open = || Signer::open(key(&path("new"))).unwrap().after(key(&path("old"))).unwrap();
        fs::create_dir(path("new.last.new")).unwrap();
        let mut new = open();
        assert!(matches!(new.sign(&here(6), None, (Some(here(5).root), None)), Ok(Signed::NotNow(_))));
        assert_eq!(new.handovers(ORIGIN).count(), 1, "it was handed over, and nothing signed");
        // Somebody puts the old key back, and tries again later.
        drop(old.sign(&here(7), None, (Some(here(5).root), None)).unwrap());
        fs::remove_dir(path("new.last.new")).unwrap();
        let mut new = open();
        assert!(matches!(new.sign(&here(8), None, (Some(here(7).root), None)), Ok(Signed::Note(_))));
        let [note] = &new.handovers(ORIGIN).cloned().collect::<Vec<_>>()[..] else { panic!("one note") };
        assert_eq!(latchkey_transparency::Handover::open(note).unwrap().last, here(7));
    }

    #[test]
    fn a_key_that_does_not_know_what_it_signed_hands_nothing_over_and_says_what_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let mut old = Signer::open(key(&path("old"))).unwrap();
        drop(old.sign(&here(4), None, (None, None)).unwrap());
        let stale = fs::read_to_string(path("old.last")).unwrap();
        drop(old.sign(&here(5), None, (Some(here(4).root), None)).unwrap());
        let recorded = AuditCheckpoint { size: 5, root: here(5).root, key: old.public() };
        let newest = fs::read_to_string(path("old.last")).unwrap();
        let sign = |previous: &str| {
            let mut new = Signer::open(key(&path("new"))).unwrap().after(key(&path(previous))).unwrap();
            let at_last = new.last().map(|last| last.root);
            (new.sign(&here(6), Some(&recorded), (at_last, Some(here(5).root))).unwrap(), new.handovers(ORIGIN).count())
        };
        // The key was moved without the file beside it, or with a copy of before.
        for left in [None, Some(&stale)] {
            fs::remove_file(path("old.last")).unwrap();
            left.inspect(|left| fs::write(path("old.last"), left).unwrap());
            let (Signed::NotNow(why), 0) = sign("old") else { panic!("it was signed") };
            assert!(why.to_string().contains("put back the file"), "{why}");
            fs::write(path("old.last"), &newest).unwrap();
        }
        // Nor does a key that never signed, in the place of the one that did.
        let (Signed::NotNow(why), 0) = sign("between") else { panic!("it was signed") };
        assert!(why.to_string().contains("checkpoint_key_file_previous"), "{why}");
        assert!(!path("new.last").exists() && !path("new.handovers").exists());
        assert!(matches!(sign("old"), (Signed::Note(_), 1)));
    }

    #[test]
    fn without_a_whole_last_file_of_this_key_nothing_is_signed() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = signer(folder.path());
        drop(first.sign(&here(5), None, (None, None)));
        let last = folder.path().join("key.last");
        let (written, open) = (fs::read_to_string(&last).unwrap(), || {
            Signer::open(CheckpointKey::open_or_make(&folder.path().join("key"), &mut OsEntropy).unwrap())
        });
        for damaged in ["", "nonsense", &written.replace("\n5\n", "\n4\n"), &written[..written.len() - 3]] {
            fs::write(&last, damaged).unwrap();
            let told = open().unwrap_err();
            assert!(told.what.contains("belongs to the key"), "{told}");
        }
        fs::write(&last, &written).unwrap();
        assert!(open().is_ok());
        // Of another key: the two files belong together.
        fs::remove_file(folder.path().join("key")).unwrap();
        assert!(open().is_err());
    }

    #[test]
    fn what_cannot_be_written_down_is_not_signed() {
        let folder = tempfile::tempdir().unwrap();
        let mut signer = signer(folder.path());
        fs::create_dir(folder.path().join("key.last.new")).unwrap();
        assert!(matches!(signer.sign(&here(5), None, (None, None)), Ok(Signed::NotNow(_))));
        assert_eq!(signer.last(), None);
    }
}
