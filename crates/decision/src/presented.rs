//! What was presented as a key: the first step, and the last one for whatever is none.

use crate::Denied;
use latchkey_crypto::{PresentedText, Secret, parse};
use latchkey_domain::VersionId;

/// A text that may be a key. The only way to one is [`Self::read`], so nothing else is ever looked up.
#[derive(Debug)]
pub enum Presented<'a> {
    /// A key text of our own form.
    Native(Native<'a>),
    /// An imported text. No keyspace can declare the format of one yet, so nothing makes it.
    Foreign(Foreign),
}

/// A text with the shape and the checksum of ours.
#[derive(Debug)]
pub struct Native<'a> {
    prefix: &'a str,
    version: VersionId,
    secret: Secret,
}

/// What stands for an imported text.
#[derive(Debug)]
pub struct Foreign {
    fingerprint: [u8; 32],
}

impl<'a> Presented<'a> {
    /// Reads a text as it was received.
    ///
    /// # Errors
    /// [`Outcome::Malformed`](latchkey_domain::Outcome::Malformed), which is final.
    pub fn read(text: &'a str) -> Result<Self, Denied<'static>> {
        let PresentedText { prefix, version, secret } = parse(text).ok_or_else(Denied::malformed)?;
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

impl Foreign {
    /// SHA-256 of the text.
    #[must_use]
    pub const fn fingerprint(&self) -> &[u8; 32] {
        &self.fingerprint
    }
}
