//! Words: what an entry is found by, before it is a term under its tenant's key.

use crate::told::Told;
use latchkey_crypto::DataKey;
use std::collections::BTreeSet;

/// A term at rest.
pub(super) type Term = [u8; 8];

/// A field and its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Word(Vec<u8>);

impl Word {
    /// Any entry of the tenant.
    pub(crate) fn any() -> Self {
        Self(vec![b'*'])
    }

    /// Who did it.
    pub(crate) fn actor(name: &str) -> Self {
        Self::of(b'a', name)
    }

    /// What happened, whole.
    pub(crate) fn action(word: &str) -> Self {
        Self::of(b'n', word)
    }

    /// What happened, as far as its last dot: what begins so.
    pub(crate) fn action_begins(prefix: &str) -> Option<Self> {
        let at = prefix.rfind('.')?;
        Some(Self::of(b'g', &prefix[..=at]))
    }

    /// What it happened to, or belongs to.
    pub(crate) fn within(name: &str) -> Self {
        Self::of(b'w', name)
    }

    /// The operation that it belongs to: a UUID as text.
    pub(crate) fn operation(id: &str) -> Self {
        Self::of(b'o', id)
    }

    /// The term of it under a tenant's key.
    pub(super) fn term(&self, key: &DataKey) -> Term {
        key.term(&self.0)
    }

    fn of(field: u8, value: &str) -> Self {
        Self([&[field], value.as_bytes()].concat())
    }
}

/// All that an entry is found by.
pub(crate) fn words(told: &Told) -> BTreeSet<Word> {
    let (action, subject) = (told.action.as_str(), told.subject.as_str());
    let mut words = BTreeSet::from([Word::any(), Word::actor(told.actor.name()), Word::action(action)]);
    words.extend(action.match_indices('.').filter_map(|(at, _)| Word::action_begins(&action[..=at])));
    words.extend(subject.match_indices('/').map(|(at, _)| Word::within(&subject[..at])));
    words.insert(Word::within(subject));
    words.extend(told.facts.iter().filter(|(word, _)| word == "owner").map(|(_, owner)| Word::within(owner)));
    words.extend(told.operations().map(|operation| Word::operation(&operation)));
    words
}
