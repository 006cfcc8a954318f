//! From a text to its version: the lookup, the caller's grant and the secret.
//!
//! # What timing tells
//! Version ids are public, but which of them exist is not, and a secret must not be found byte by byte. So whatever the
//! text says, the same work is done: one lookup of the version and one of its key, one hash of the secret, one HMAC
//! under a pepper, one comparison whose time does not depend on where it fails. Where there is no version, or none
//! within the caller's grant, a decoy takes its place: from there on an unknown id, another tenant's key and a wrong
//! secret are one path through the code, which ends in one value.

use crate::bound::Bound;
use crate::presented::{Native, Presented};
use crate::{Foreign, Ground, Question};
use core::fmt;
use core::hint::black_box;
use latchkey_crypto::{Digest, Inner};
use latchkey_domain::{KeyId, KeyspaceNumber, RingNumber, VersionId};
use latchkey_state::{Found, State};

/// What a digest is compared with where there is none. That it is matched would change nothing.
const DECOY: Digest = Digest::new([0; 32]);

/// A text that was looked up, and what became of it. How fresh the state was has not been asked yet.
#[derive(Debug)]
pub struct Resolved<'a> {
    ground: Ground<'a>,
    question: Question<'a>,
    standing: Standing<'a>,
}

/// What a text turned out to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Standing<'a> {
    /// A version within the caller's grant, of the keyspace asked for, whose secret matched.
    Found(Found<'a>),
    /// The same, but of another keyspace than the one asked for.
    Elsewhere(Found<'a>),
    /// None of these.
    Unknown,
}

/// A pepper that the state refers to is not at hand. The secret cannot be judged, and nobody guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PepperMissing {
    /// Its number in the keyring; absent where there is no pepper at all.
    pub number: Option<RingNumber>,
}

/// Looks a text up: by its public version id, inside the caller's grant, the secret compared in constant time.
///
/// # Errors
/// [`PepperMissing`]: a bug, or a replica that has only begun to load its state.
pub fn resolve<'a>(
    presented: &Presented<'_>,
    ground: Ground<'a>,
    question: Question<'a>,
) -> Result<Resolved<'a>, PepperMissing> {
    let found = match presented {
        Presented::Native(native) => find(native, ground, question)?,
        Presented::Foreign(foreign) => find_foreign(foreign, ground)?,
    };
    let standing = match found {
        None => Standing::Unknown,
        Some(found) if question.asks_for(found.tenant, found.keyspace) => Standing::Found(found),
        Some(found) => Standing::Elsewhere(found),
    };
    Ok(Resolved { ground, question, standing })
}

/// The version that a text of our own form names by its public id, within the caller's grant: whose secret was meant where
/// nothing was found. For the access log alone, and never for whoever asked.
#[must_use]
pub fn claimed<'a>(key_text: &str, ground: Ground<'a>, question: Question<'_>) -> Option<Found<'a>> {
    let Ok(Presented::Native(native)) = Presented::read_own(key_text) else { return None };
    let found = ground.state.version(native.version())?;
    is_within(&found, &native, question).then_some(found)
}

impl<'a> Resolved<'a> {
    pub(crate) const fn ground(&self) -> Ground<'a> {
        self.ground
    }

    pub(crate) const fn standing(&self) -> Standing<'a> {
        self.standing
    }

    /// The version whose secret matched, of whatever keyspace within the caller's grant.
    pub(crate) const fn matched(&self) -> Option<Found<'a>> {
        match self.standing {
            Standing::Found(found) | Standing::Elsewhere(found) => Some(found),
            Standing::Unknown => None,
        }
    }

    pub(crate) fn bound(&self) -> Bound<'a> {
        let caller_max = self.question.caller_max();
        match self.standing {
            Standing::Found(found) => Bound::of_keyspace(found.keyspace, caller_max),
            // A key never changes its keyspace, and the secret proves that the caller has the key.
            Standing::Elsewhere(_) => Bound::none(caller_max),
            Standing::Unknown => Bound::of_question(self.ground.state, self.question),
        }
    }
}

fn find<'a>(
    native: &Native<'_>,
    ground: Ground<'a>,
    question: Question<'a>,
) -> Result<Option<Found<'a>>, PepperMissing> {
    let found = ground.state.version(native.version());
    if found.is_none() {
        look_up_decoy(ground.state, native.version());
    }
    let found = found.filter(|found| is_within(found, native, question));
    let (pepper, digest) = match found {
        Some(found) => {
            let number = found.version.pepper;
            let pepper = ground.peppers.get(&number).ok_or(PepperMissing { number: Some(number) })?;
            (pepper, &found.version.digest)
        }
        None => {
            let (_, pepper) = ground.peppers.last_key_value().ok_or(PepperMissing { number: None })?;
            (pepper, &DECOY)
        }
    };
    let matches = pepper.digest(&Inner::of(native.version(), native.secret())).matches(digest);
    Ok(found.filter(|_| matches))
}

/// The prefix is in front of the checksum but not of the secret's hash: a text may not claim another keyspace.
fn is_within(found: &Found<'_>, native: &Native<'_>, question: Question<'_>) -> bool {
    found.keyspace.settings.prefix.as_str() == native.prefix() && question.reaches(found.tenant, found.keyspace)
}

/// As [`find`], by the digest of a foreign text under each pepper. Whatever came of one, all are tried.
fn find_foreign<'a>(foreign: &Foreign<'_>, ground: Ground<'a>) -> Result<Option<Found<'a>>, PepperMissing> {
    if ground.peppers.is_empty() {
        return Err(PepperMissing { number: None });
    }
    let keyspace = foreign.keyspace();
    let mut known = None;
    for hashed in foreign.hashed() {
        let inner = Inner::of_foreign(hashed);
        for (number, pepper) in ground.peppers {
            let digest = pepper.digest(&inner);
            let found = ground.state.imported(keyspace, &digest);
            if found.is_none() {
                look_up_decoy_key(ground.state, keyspace, &digest);
            }
            let matches = digest.matches(found.map_or(&DECOY, |found| &found.version.digest));
            known = known
                .or(found.filter(|found| matches && found.version.pepper == *number && foreign.is_of(found, hashed)));
        }
    }
    Ok(known)
}

/// What [`State::imported`] does after it has found a digest, for one that it has not.
fn look_up_decoy_key(state: &State, keyspace: KeyspaceNumber, digest: &Digest) {
    let (id, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    black_box(state.key_at(keyspace, KeyId::from_random(*id)));
    let tenant = state.keyspaces().by_number(keyspace).map(|keyspace| keyspace.tenant);
    black_box(tenant.and_then(|tenant| state.tenants().by_number(tenant)));
}

/// What [`State::version`] does after it has found an id, for one that it has not: the keys of the youngest keyspace
/// are searched, in the same map and to the same depth.
fn look_up_decoy(state: &State, version: VersionId) {
    let keyspace = KeyspaceNumber(state.progress().next.keyspace.saturating_sub(1));
    let key = KeyId::from_random(*version.bytes());
    black_box(state.key_at(keyspace, key));
    let tenant = state.keyspaces().by_number(keyspace).map(|keyspace| keyspace.tenant);
    black_box(tenant.and_then(|tenant| state.tenants().by_number(tenant)));
}

impl fmt::Display for PepperMissing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            Some(RingNumber(number)) => write!(f, "pepper {number} is not at hand"),
            None => f.write_str("no pepper is at hand"),
        }
    }
}

impl core::error::Error for PepperMissing {}
