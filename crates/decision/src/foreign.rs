//! Texts that another system made, where a keyspace declares their form.

use crate::{Ground, Question};
use core::fmt;
use latchkey_crypto::Inner;
use latchkey_domain::{IMPORT_FORMATS_MAX, KeyspaceNumber};
use latchkey_state::Found;

/// A text that has the exact form of an import format of the one keyspace that it may be of.
pub struct Foreign<'a> {
    text: &'a str,
    keyspace: KeyspaceNumber,
    fingerprints: [Option<Fingerprint<'a>>; IMPORT_FORMATS_MAX],
}

/// What a text may be found by: the whole of it or its last part, as a format says.
pub(crate) struct Fingerprint<'a> {
    hashed: &'a str,
    pub(crate) inner: Inner,
}

impl<'a> Foreign<'a> {
    /// Reads a text that is none of our own form. It is looked up only where the request names a keyspace, or the
    /// caller's grant holds exactly one: elsewhere it would be tried against the keys of others.
    pub(crate) fn read(text: &'a str, ground: Ground<'_>, question: Question<'_>) -> Option<Self> {
        let keyspace = question.keyspace_of_foreign(ground.state)?;
        let mut foreign = Self { text, keyspace: keyspace.number, fingerprints: [const { None }; IMPORT_FORMATS_MAX] };
        let formats = keyspace.settings.import_formats.iter();
        for hashed in formats.filter_map(|format| Some(format.shape(text)?.hashed(format.digest()))) {
            foreign.add(hashed);
        }
        let is_of_none = foreign.fingerprints().next().is_none();
        (!is_of_none).then_some(foreign)
    }

    /// Formats mostly name the same digest of a text: it is made once.
    fn add(&mut self, hashed: &'a str) {
        if self.fingerprints().any(|known| known.hashed.len() == hashed.len()) {
            return;
        }
        if let Some(free) = self.fingerprints.iter_mut().find(|one| one.is_none()) {
            *free = Some(Fingerprint { hashed, inner: Inner::of_foreign(hashed) });
        }
    }

    /// The keyspace in which it is looked for.
    pub(crate) const fn keyspace(&self) -> KeyspaceNumber {
        self.keyspace
    }

    /// What it may be found by; at least one, each another end of the text.
    pub(crate) fn fingerprints(&self) -> impl Iterator<Item = &Fingerprint<'a>> {
        self.fingerprints.iter().flatten()
    }

    /// Whether the key came in by a format that names this digest of the text, and the text begins as it must.
    pub(crate) fn is_of(&self, found: &Found<'_>, fingerprint: &Fingerprint<'_>) -> bool {
        let Some(imported) = found.key.imported() else { return false };
        let format = found.keyspace.settings.import_format(&imported.format);
        let Some((format, shaped)) = format.and_then(|format| Some((format, format.shape(self.text)?))) else {
            return false;
        };
        shaped.hashed(format.digest()).len() == fingerprint.hashed.len()
            && (!format.compares_start() || shaped.head() == imported.start.as_str())
    }
}

/// Neither the text nor what it is known by is ever printed.
impl fmt::Debug for Foreign<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foreign({} bytes)", self.text.len())
    }
}
