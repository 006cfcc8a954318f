//! Who calls: a management key goes the way of every other key, and names an identity at its end.

use crate::{Access, Ground, Question, Undecided, decide};
use alloc::sync::Arc;
use core::fmt;
use core::net::IpAddr;
use latchkey_domain::{DurationMillis, Grant, IdentityName, KeyName, KeyspaceName};
use latchkey_policy::AccessContext;
use latchkey_state::{Holder, Identity, Key, Tenant};

/// An identity that proved itself with a management key.
#[derive(Clone, Copy, Debug)]
pub struct Identified<'a> {
    identity: &'a Arc<Identity>,
    tenant: &'a Arc<Tenant>,
    key: &'a Arc<Key>,
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
    let context = AccessContext { client_address: client, ..AccessContext::default() };
    let access = Access { query: None, context: &context };
    let decision = decide(key_text, ground, Question::management(), access, || Ok::<_, Undecided>(age));
    let verdict = decision.and_then(|decision| Ok(decision.verdict(age)?)).map_err(NotIdentified::Undecided)?;
    let key = verdict.named().filter(|_| verdict.content().is_some()).ok_or(NotIdentified::Unknown)?.key;
    let Holder::Identity(number) = key.holder else { return Err(NotIdentified::Unknown) };
    let identity = ground.state.identities().by_number(number).ok_or(NotIdentified::Unknown)?;
    let tenant = ground.state.tenants().by_number(identity.tenant).ok_or(NotIdentified::Unknown)?;
    Ok(Identified { identity, tenant, key })
}

impl<'a> Identified<'a> {
    /// Who it is.
    #[must_use]
    pub const fn identity(&self) -> &'a Arc<Identity> {
        self.identity
    }

    /// What it may do, and where.
    #[must_use]
    pub fn grants(&self) -> &'a [Grant] {
        &self.identity.grants
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
