//! Who calls: a management key goes the way of every other key, and names an identity at its end.

use crate::{Access, Ground, Question, Undecided, decide_noting};
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;
use latchkey_domain::{DurationMillis, Grant, IdentityName, KeyName, KeyspaceName};
use latchkey_policy::AccessContext;
use latchkey_state::{Found, Holder, Identity, Key, Tenant};

/// An identity that proved itself with a management key.
#[derive(Clone, Copy, Debug)]
pub struct Identified<'a> {
    identity: &'a Arc<Identity>,
    tenant: &'a Arc<Tenant>,
    key: &'a Arc<Key>,
    known_max: DurationMillis,
}

/// Nobody was identified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotIdentified {
    /// The text proves nobody. Which of unknown, ended, revoked, or from elsewhere is not told.
    Unknown,
    /// It cannot be said now.
    Undecided(Undecided),
}

/// Finds out whose management key this is. `client` is the address that the caller comes from; a management key may
/// be bound to networks. The state must be as fresh as the keyspace of management keys asks for: a revoked one stops
/// working within its bound, like any other.
///
/// # Errors
/// [`NotIdentified`].
pub fn authenticate<'a>(
    key_text: &str,
    client: Option<IpAddr>,
    ground: Ground<'a>,
    age: DurationMillis,
) -> Result<Identified<'a>, NotIdentified> {
    authenticate_noting(key_text, client, ground, age, |_| {})
}

/// As [`authenticate`], and tells `note` which version was used, as [`decide_noting`] does: a management key is used by
/// whoever calls with it.
///
/// # Errors
/// As [`authenticate`].
pub fn authenticate_noting<'a>(
    key_text: &str,
    client: Option<IpAddr>,
    ground: Ground<'a>,
    age: DurationMillis,
    note: impl FnOnce(Found<'a>),
) -> Result<Identified<'a>, NotIdentified> {
    let context = AccessContext { client_address: client, ..AccessContext::default() };
    let access = Access { query: None, context: &context };
    let decision = decide_noting(key_text, ground, Question::management(), access, || Ok::<_, Undecided>(age), note);
    let verdict = decision.and_then(|decision| Ok(decision.verdict(age)?)).map_err(NotIdentified::Undecided)?;
    let found = verdict.named().filter(|_| verdict.content().is_some()).ok_or(NotIdentified::Unknown)?;
    let key = found.key;
    let Holder::Identity(number) = key.holder else { return Err(NotIdentified::Unknown) };
    let identity = ground.state.identities().by_number(number).ok_or(NotIdentified::Unknown)?;
    let tenant = ground.state.tenants().by_number(identity.tenant).ok_or(NotIdentified::Unknown)?;
    Ok(Identified { identity, tenant, key, known_max: found.keyspace.bound() })
}

/// As [`authenticate`], for somebody who validates: on a state that is too old for who he is, he is who he was known to be
/// last if he may ask for a keyspace whose policy that is. What he is answered is then bound to such keyspaces
/// ([`Question::by`]), and a management key that is revoked stops within the longest bound of any. Tells `note` which
/// version was used, as [`authenticate_noting`] does.
///
/// # Errors
/// [`NotIdentified`]. Who is unknown to a state that is too old is not told so: he may have come since.
pub fn authenticate_validator<'a>(
    key_text: &str,
    client: Option<IpAddr>,
    ground: Ground<'a>,
    age: DurationMillis,
    note: impl FnOnce(Found<'a>),
) -> Result<Identified<'a>, NotIdentified> {
    let stale = match authenticate_noting(key_text, client, ground, age, note) {
        Err(stale @ NotIdentified::Undecided(Undecided::Stale(_))) => stale,
        known => return known,
    };
    let identified = recognise(key_text, client, ground).map_err(|_| stale)?;
    let may = Question::new(identified.grants(), None).has_last_known(ground.state, age);
    if may { Ok(identified) } else { Err(stale) }
}

/// As [`authenticate`], by what was known last, however long ago that was: for what can only take away, and is asked for
/// when nobody can be asked.
///
/// # Errors
/// [`NotIdentified`], but not for the age of the state.
pub fn recognise<'a>(
    key_text: &str,
    client: Option<IpAddr>,
    ground: Ground<'a>,
) -> Result<Identified<'a>, NotIdentified> {
    authenticate(key_text, client, ground, DurationMillis::ZERO)
}

impl<'a> Identified<'a> {
    /// Who it is.
    #[must_use]
    pub const fn identity(&self) -> &'a Arc<Identity> {
        self.identity
    }

    /// Whose it is.
    #[must_use]
    pub const fn tenant(&self) -> &'a Arc<Tenant> {
        self.tenant
    }

    /// What it may do, and where.
    #[must_use]
    pub fn grants(&self) -> &'a [Grant] {
        &self.identity.grants
    }

    /// Up to this age of the state it is known who he is: the bound of the keyspace of management keys.
    #[must_use]
    pub const fn known_max(&self) -> DurationMillis {
        self.known_max
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> IdentityName {
        IdentityName::new(self.tenant.id.clone(), self.identity.id.clone())
    }

    /// The name of the key with which it proved itself.
    #[must_use]
    pub fn key_name(&self) -> KeyName {
        KeyName { keyspace: KeyspaceName::management(), key: self.key.id }
    }
}

impl fmt::Display for NotIdentified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("the text proves no identity"),
            Self::Undecided(undecided) => undecided.fmt(f),
        }
    }
}

impl core::error::Error for NotIdentified {}
