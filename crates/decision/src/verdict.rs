//! The end: what is answered, and what the answer may carry.

use crate::bound::{Bound, Freshness, Stale};
use crate::content::Content;
use crate::{Admitted, Denied};
use latchkey_domain::{DurationMillis, Outcome};
use latchkey_state::Found;

/// What the steps came to. It is no answer before the age of the state was read once more.
#[derive(Debug)]
pub struct Decision<'a> {
    outcome: Outcome,
    found: Option<Found<'a>>,
    content: Option<Content<'a>>,
    bound: Bound<'a>,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub struct Verdict<'a> {
    outcome: Outcome,
    found: Option<Found<'a>>,
    content: Option<Content<'a>>,
    freshness: Freshness,
}

/// What an answer may carry besides its outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// The names of key, version and keyspace: the secret matched, within the caller's grant.
    pub names: bool,
    /// Owner, permissions, roles, metadata, expiry and rotation: the key may be used, or could be but for its limits.
    pub content: bool,
}

impl<'a> From<Admitted<'a>> for Decision<'a> {
    fn from(admitted: Admitted<'a>) -> Self {
        let (content, bound) = admitted.into_parts();
        Self { outcome: Outcome::Valid, found: Some(content.found()), content: Some(content), bound }
    }
}

impl<'a> From<Denied<'a>> for Decision<'a> {
    fn from(denied: Denied<'a>) -> Self {
        let (outcome, found, bound) = denied.into_parts();
        Self { outcome, found, content: None, bound }
    }
}

impl<'a> Decision<'a> {
    /// Makes it an answer. `age` is read when the answer leaves: a process that stood still since it resolved the key
    /// must not answer for a time of which it knows nothing.
    ///
    /// # Errors
    /// [`Stale`], with both numbers.
    pub fn verdict(self, age: DurationMillis) -> Result<Verdict<'a>, Stale> {
        let freshness = self.bound.check(age)?;
        Ok(Verdict { outcome: self.outcome, found: self.found, content: self.content, freshness })
    }
}

impl<'a> Verdict<'a> {
    /// What is answered.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// What the state was that it stands on. An answer that a later state would not change is current at any age.
    #[must_use]
    pub const fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// The version with all that it belongs to, for its names only; where [`Disclosure::names`] says so.
    #[must_use]
    pub fn named(&self) -> Option<Found<'a>> {
        self.found.filter(|_| Disclosure::of(self.outcome).names)
    }

    /// The key, for what it says; where [`Disclosure::content`] says so.
    #[must_use]
    pub fn content(&self) -> Option<Content<'a>> {
        self.content.filter(|_| Disclosure::of(self.outcome).content)
    }
}

impl Disclosure {
    /// The table outcome x field.
    #[must_use]
    pub const fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Malformed | Outcome::NotFound => Self { names: false, content: false },
            Outcome::WrongKeyspace
            | Outcome::Revoked
            | Outcome::Suspended
            | Outcome::NotYetValid
            | Outcome::Expired
            | Outcome::NetworkNotAllowed
            | Outcome::MethodNotAllowed
            | Outcome::ResourceNotAllowed
            | Outcome::InsufficientPermissions => Self { names: true, content: false },
            Outcome::Valid => Self { names: true, content: true },
        }
    }
}
