//! Events read from their canonical bytes. Strict: what [`crate::Event::encode`] never gives is no event.

use crate::command::Actor;
use crate::event::{Action, EVENT_FORMAT};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::FromStr as _;
use latchkey_domain::{IdentityName, KeyName, NodeId, ReasonText, RevocationReason, Slug, TenantNumber, UnixMillis};

/// An event, as its bytes tell it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedEvent {
    /// The replicated clock.
    pub at: UnixMillis,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub action: Action,
    /// The full name of what it happened to.
    pub subject: String,
    /// The tenant that it belongs to; absent: the system.
    pub tenant: Option<TenantNumber>,
    /// Why, where that was given.
    pub reason: Option<(RevocationReason, ReasonText)>,
    /// The id of the request that it belongs to.
    pub request: Option<[u8; 16]>,
    /// What else an auditor wants to know.
    pub facts: Vec<(String, String)>,
}

/// Bytes that are no event of a format that this build knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventError;

impl DecodedEvent {
    /// Reads canonical bytes.
    ///
    /// # Errors
    /// [`EventError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EventError> {
        let mut rest = Reader(bytes);
        let event = rest.event().ok_or(EventError)?;
        if rest.0.is_empty() { Ok(event) } else { Err(EventError) }
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn event(&mut self) -> Option<DecodedEvent> {
        if self.u8()? != EVENT_FORMAT {
            return None;
        }
        Some(DecodedEvent {
            at: self.time()?,
            actor: self.actor()?,
            action: self.action()?,
            subject: self.text()?,
            tenant: self.option(|rest| rest.u32().map(TenantNumber))?,
            reason: self.option(Self::reason)?,
            request: self.option(Self::fixed)?,
            facts: self.facts()?,
        })
    }

    fn actor(&mut self) -> Option<Actor> {
        let kind = self.u8()?;
        let text = self.text()?;
        let actor = match kind {
            0 => Actor::Identity(IdentityName::parse(&text).ok()?),
            1 => Actor::Replica(NodeId(u64::from_str(&text).ok()?)),
            2 => Actor::Key(KeyName::parse(&text).ok()?),
            3 => Actor::Service(Slug::parse(&text).ok()?),
            _ => return None,
        };
        // A number has one form, whatever else would parse.
        let is_canonical = !matches!(actor, Actor::Replica(node) if node.to_string() != text);
        is_canonical.then_some(actor)
    }

    fn action(&mut self) -> Option<Action> {
        let word = self.text()?;
        Action::ALL.into_iter().find(|action| action.as_str() == word)
    }

    fn reason(&mut self) -> Option<(RevocationReason, ReasonText)> {
        let word = self.text()?;
        let reason = RevocationReason::ALL.into_iter().find(|reason| reason.as_str() == word)?;
        Some((reason, ReasonText::parse(&self.text()?).ok()?))
    }

    fn facts(&mut self) -> Option<Vec<(String, String)>> {
        // Each fact takes bytes, so a count that lies ends the loop and reserves nothing.
        let count = self.u32()?;
        (0..count).map(|_| Some((self.text()?, self.text()?))).collect()
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<Option<T>> {
        match self.u8()? {
            0 => Some(None),
            1 => read(self).map(Some),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(str::from_utf8(text).ok()?.to_string())
    }

    fn time(&mut self) -> Option<UnixMillis> {
        let millis = u64::from_be_bytes(self.fixed()?);
        (millis <= UnixMillis::LAST.millis()).then(|| UnixMillis::new(millis))
    }

    fn u8(&mut self) -> Option<u8> {
        self.fixed().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.fixed().map(u32::from_be_bytes)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }
}
