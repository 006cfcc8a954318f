//! Texts that another system made, where a keyspace declares their form.

use crate::{Ground, Question};
use core::fmt;
use latchkey_domain::{IMPORT_FORMATS_MAX, KeyspaceNumber};
use latchkey_state::Found;

/// A text that has the exact form of an import format of the one keyspace that it may be of.
pub struct Foreign<'a> {
    text: &'a str,
    keyspace: KeyspaceNumber,
    /// What the formats of this form say was hashed: the whole text or an end of it, each once.
    hashed: [Option<&'a str>; IMPORT_FORMATS_MAX],
}

impl<'a> Foreign<'a> {
    /// Reads a text that is none of our own form. It is looked up only where the request names a keyspace, or the
    /// caller's grant holds exactly one: elsewhere it would be tried against the keys of others.
    pub(crate) fn read(text: &'a str, ground: Ground<'_>, question: Question<'_>) -> Option<Self> {
        let keyspace = question.keyspace_of_foreign(ground.state)?;
        let mut foreign = Self { text, keyspace: keyspace.number, hashed: [None; IMPORT_FORMATS_MAX] };
        let formats = keyspace.settings.import_formats.iter();
        for hashed in formats.filter_map(|format| Some(format.shape(text)?.hashed(format.digest()))) {
            foreign.add(hashed);
        }
        let is_of_none = foreign.hashed().next().is_none();
        (!is_of_none).then_some(foreign)
    }

    fn add(&mut self, hashed: &'a str) {
        // All are ends of one text, so those of one length are the same.
        let is_known = self.hashed().any(|known| known.len() == hashed.len());
        if let Some(free) = self.hashed.iter_mut().find(|one| one.is_none() && !is_known) {
            *free = Some(hashed);
        }
    }

    /// The keyspace in which it is looked for.
    pub(crate) const fn keyspace(&self) -> KeyspaceNumber {
        self.keyspace
    }

    /// What may have been hashed of it; at least one, each another end of the text.
    pub(crate) fn hashed(&self) -> impl Iterator<Item = &'a str> {
        self.hashed.iter().flatten().copied()
    }

    /// Whether the key came in by a format that names this digest of the text, and the text begins as it must.
    pub(crate) fn is_of(&self, found: &Found<'_>, hashed: &str) -> bool {
        let Some(imported) = found.key.imported() else { return false };
        let format = found.keyspace.settings.import_format(&imported.format);
        let Some((format, shaped)) = format.and_then(|format| Some((format, format.shape(self.text)?))) else {
            return false;
        };
        shaped.hashed(format.digest()).len() == hashed.len()
            && (!format.compares_start() || shaped.head() == imported.start.as_str())
    }
}

/// The text is never printed.
impl fmt::Debug for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foreign({} bytes)", self.text.len())
    }
}
