//! What was presented as a key: the first step, and the last one for whatever is none.

use crate::bound::FOR_EVER;
use crate::{Denied, Foreign, Ground, Question};
use latchkey_crypto::{PresentedText, Secret, parse};
use latchkey_domain::VersionId;

/// A text that may be a key. The only ways to one are [`Self::read`] and [`Self::read_own`], so nothing else is ever
/// looked up.
#[derive(Debug)]
pub enum Presented<'a> {
    /// A key text of our own form.
    Native(Native<'a>),
    /// A text of another system, of a form that a keyspace declares.
    Foreign(Foreign<'a>),
}

/// A text with the shape and the checksum of ours.
#[derive(Debug)]
pub struct Native<'a> {
    prefix: &'a str,
    version: VersionId,
    secret: Secret,
}

impl<'a> Presented<'a> {
    /// Reads a text as it was received. One that is none of our own is one of another system only where the keyspace asked
    /// for declares its form.
    ///
    /// # Errors
    /// [`Outcome::Malformed`](latchkey_domain::Outcome::Malformed), which is final.
    pub fn read(text: &'a str, ground: Ground<'_>, question: Question<'_>) -> Result<Self, Denied<'static>> {
        let malformed = || Denied::malformed(question.caller_max());
        let foreign = |_| Foreign::read(text, ground, question).map(Self::Foreign).ok_or_else(malformed);
        Self::read_own(text).or_else(foreign)
    }

    /// Reads a text of our own form.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_own(text: &'a str) -> Result<Self, Denied<'static>> {
        let PresentedText { prefix, version, secret } = parse(text).ok_or_else(|| Denied::malformed(FOR_EVER))?;
        Ok(Self::Native(Native { prefix, version, secret }))
    }
}

impl Native<'_> {
    /// What the text begins with. Well-formed; whether a keyspace has it is another question.
    #[must_use]
    pub const fn prefix(&self) -> &str {
        self.prefix
    }

    /// The version that the text claims to be.
    #[must_use]
    pub const fn version(&self) -> VersionId {
        self.version
    }

    pub(crate) const fn secret(&self) -> &Secret {
        &self.secret
    }
}
