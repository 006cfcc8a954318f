//! What an event tells. Read from its canonical bytes, whose format is a contract, by words and not by what this build knows: the
//! cluster may be newer than its audit service, and what it tells is kept and shown all the same. That is why this is no
//! `latchkey_state::DecodedEvent`, which proves that events are what `state` writes, and so refuses each word that it does not know.

use latchkey_domain::{TenantNumber, UnixMillis};

/// The one format so far.
const FORMAT: u8 = 1;

/// Facts of one event at most; more than any event has, so that a length that is wrong reserves nothing.
const FACTS_MAX: u32 = 1_024;

/// Who did it, as the event names him.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A management identity, by its resource name.
    Identity(String),
    /// A replica on its own account, by its id.
    Replica(u64),
    /// Whoever held a key: its resource name.
    Key(String),
    /// A service on its own account, by its word.
    Service(String),
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// When it happened, by the time of the cluster.
    pub at: UnixMillis,
    /// Who did it.
    pub actor: Actor,
    /// What happened, as a word.
    pub action: String,
    /// The full name of what it happened to.
    pub subject: String,
    /// The tenant that it belongs to; absent: the cluster itself.
    pub tenant: Option<TenantNumber>,
    /// Why, as a word and as text.
    pub reason: Option<(String, String)>,
    /// The `request_id`.
    pub request: Option<[u8; 16]>,
    /// What else there is to know.
    pub facts: Vec<(String, String)>,
}

/// The bytes are no event that this build can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event does not read at byte {position}: {expected}")]
pub struct ToldError {
    /// Where.
    pub position: usize,
    /// What had to stand there.
    pub expected: &'static str,
}

impl Actor {
    /// Its name, as filters compare it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Identity(name) | Self::Key(name) | Self::Service(name) => name,
            Self::Replica(_) => "",
        }
    }
}

impl Told {
    /// What is shown of an event that a newer cluster wrote in a format that this build does not know.
    #[must_use]
    pub fn unreadable(tenant: Option<TenantNumber>) -> Self {
        Self {
            at: UnixMillis::default(),
            actor: Actor::Service(String::new()),
            action: "unreadable".to_owned(),
            subject: String::new(),
            tenant,
            reason: None,
            request: None,
            facts: Vec::new(),
        }
    }

    /// What it belongs to, UUIDs as text: the call with that `request_id`, and the operation that a fact names.
    pub(crate) fn operations(&self) -> impl Iterator<Item = String> {
        let named = self.facts.iter().filter(|(word, _)| word == "operation").map(|(_, id)| id.clone());
        self.request.iter().map(crate::show::uuid).chain(named)
    }

    /// The tenant whose data was destroyed, where that is what happened.
    #[must_use]
    pub fn destroyed_tenant(&self) -> Option<TenantNumber> {
        let tells = matches!(self.action.as_str(), "tenant.deleted" | "tenant.data_destroyed");
        if !tells || self.tenant.is_some() {
            return None;
        }
        let number = self.facts.iter().find(|(word, _)| word == "destroyed").map(|(_, number)| number);
        number?.parse().ok().map(TenantNumber)
    }

    /// Reads the canonical bytes of an event.
    ///
    /// # Errors
    /// [`ToldError`].
    pub fn read(bytes: &[u8]) -> Result<Self, ToldError> {
        let mut reader = Reader { bytes, position: 0 };
        if reader.u8()? != FORMAT {
            return Err(ToldError { position: 0, expected: "format 1" });
        }
        let told = Self {
            at: UnixMillis::new(reader.u64()?),
            actor: reader.actor()?,
            action: reader.text()?,
            subject: reader.text()?,
            tenant: reader.option(|reader| reader.u32().map(TenantNumber))?,
            reason: reader.option(|reader| Ok((reader.text()?, reader.text()?)))?,
            request: reader.option(Reader::fixed)?,
            facts: reader.facts()?,
        };
        if reader.position < bytes.len() { Err(reader.wrong("the end")) } else { Ok(told) }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Reader<'_> {
    fn actor(&mut self) -> Result<Actor, ToldError> {
        let kind = self.u8()?;
        let at = self.position - 1;
        let name = self.text()?;
        match kind {
            0 => Ok(Actor::Identity(name)),
            1 => name.parse().map(Actor::Replica).map_err(|_| self.wrong("the id of a replica before this")),
            2 => Ok(Actor::Key(name)),
            3 => Ok(Actor::Service(name)),
            _ => Err(ToldError { position: at, expected: "a kind of actor" }),
        }
    }

    fn facts(&mut self) -> Result<Vec<(String, String)>, ToldError> {
        let at = self.position;
        let count = self.u32()?;
        if count > FACTS_MAX {
            return Err(ToldError { position: at, expected: "a number of facts" });
        }
        (0..count).map(|_| Ok((self.text()?, self.text()?))).collect()
    }

    fn option<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, ToldError>) -> Result<Option<T>, ToldError> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(ToldError { position: self.position - 1, expected: "0 or 1" }),
        }
    }

    fn text(&mut self) -> Result<String, ToldError> {
        let length = self.u32()?;
        let bytes = self.take(usize::try_from(length).unwrap_or(usize::MAX), "a text of this length")?.to_vec();
        String::from_utf8(bytes).map_err(|_| self.wrong("UTF-8 before this"))
    }

    fn u8(&mut self) -> Result<u8, ToldError> {
        self.fixed().map(u8::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, ToldError> {
        self.fixed().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, ToldError> {
        self.fixed().map(u64::from_be_bytes)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], ToldError> {
        let taken = self.take(N, "a number")?;
        Ok(taken.try_into().expect("as many bytes were taken"))
    }

    fn take(&mut self, count: usize, expected: &'static str) -> Result<&[u8], ToldError> {
        let (bytes, position) = (self.bytes, self.position);
        let taken = bytes[position..].get(..count).ok_or(ToldError { position, expected })?;
        self.position += count;
        Ok(taken)
    }

    const fn wrong(&self, expected: &'static str) -> ToldError {
        ToldError { position: self.position, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The bytes of an event, written by hand from the contract.
    fn bytes() -> Vec<u8> {
        let mut bytes = vec![1];
        bytes.extend(1_000_u64.to_be_bytes());
        let text = |text: &str| [&u32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
        bytes.push(1);
        bytes.extend(text("7"));
        bytes.extend(text("key.created"));
        bytes.extend(text("tenants/a/keyspaces/b/keys/c"));
        bytes.extend([1, 0, 0, 0, 9]);
        bytes.push(1);
        bytes.extend(text("OTHER"));
        bytes.extend(text("why"));
        bytes.push(1);
        bytes.extend([3; 16]);
        bytes.extend(1_u32.to_be_bytes());
        bytes.extend(text("version"));
        bytes.extend(text("v"));
        bytes
    }

    #[test]
    fn an_event_is_read_as_it_was_written() {
        let told = Told::read(&bytes()).unwrap();
        let expected = Told {
            at: UnixMillis::new(1_000),
            actor: Actor::Replica(7),
            action: "key.created".to_owned(),
            subject: "tenants/a/keyspaces/b/keys/c".to_owned(),
            tenant: Some(TenantNumber(9)),
            reason: Some(("OTHER".to_owned(), "why".to_owned())),
            request: Some([3; 16]),
            facts: vec![("version".to_owned(), "v".to_owned())],
        };
        assert_eq!(told, expected);
    }

    #[test]
    fn an_event_that_is_cut_or_longer_is_refused() {
        let whole = bytes();
        assert!((0..whole.len()).all(|length| Told::read(&whole[..length]).is_err()));
        assert!(Told::read(&[whole, vec![0]].concat()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(noise in prop::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), with in any::<u8>()) {
            let _ = Told::read(&noise);
            let mut changed = bytes();
            let at = at.index(changed.len());
            changed[at] = with;
            let _ = Told::read(&changed);
        }
    }
}
