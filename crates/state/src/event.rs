//! Events: what apply emits for each change. Their bytes are canonical and are what the audit tree commits to, so the
//! encoding is a contract: format 1 never changes, see `golden/`.

use crate::command::{Actor, RequestMark};
use crate::encode::Encoder;
use alloc::string::String;
use alloc::vec::Vec;
use latchkey_domain::{ReasonText, Revision, RevocationReason, Sequence, TenantNumber, UnixMillis};
use latchkey_transparency::Hash;

/// The format of [`Event::encode`]; chosen by the feature level.
pub const EVENT_FORMAT: u8 = 1;

/// What happened. The word is part of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// The cluster was made.
    ClusterBootstrapped,
    /// The feature level rose.
    FeatureLevelRaised,
    /// A key was added to the keyring.
    RingKeyAdded,
    /// A key of the keyring was destroyed.
    RingKeyDropped,
    /// A tenant was made.
    TenantCreated,
    /// A keyspace was made.
    KeyspaceCreated,
    /// An owner was made.
    OwnerCreated,
    /// An identity was made.
    IdentityCreated,
    /// A key was made.
    KeyCreated,
    /// A key was revoked.
    KeyRevoked,
    /// A version was revoked.
    VersionRevoked,
    /// All keys of a scope were revoked.
    ScopeRevoked,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 12] = [
        Self::ClusterBootstrapped,
        Self::FeatureLevelRaised,
        Self::RingKeyAdded,
        Self::RingKeyDropped,
        Self::TenantCreated,
        Self::KeyspaceCreated,
        Self::OwnerCreated,
        Self::IdentityCreated,
        Self::KeyCreated,
        Self::KeyRevoked,
        Self::VersionRevoked,
        Self::ScopeRevoked,
    ];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClusterBootstrapped => "cluster.bootstrapped",
            Self::FeatureLevelRaised => "cluster.feature_level_raised",
            Self::RingKeyAdded => "keyring.key_added",
            Self::RingKeyDropped => "keyring.key_dropped",
            Self::TenantCreated => "tenant.created",
            Self::KeyspaceCreated => "keyspace.created",
            Self::OwnerCreated => "owner.created",
            Self::IdentityCreated => "identity.created",
            Self::KeyCreated => "key.created",
            Self::KeyRevoked => "key.revoked",
            Self::VersionRevoked => "version.revoked",
            Self::ScopeRevoked => "scope.revoked",
        }
    }
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The replicated clock.
    pub at: UnixMillis,
    /// Who did it.
    pub actor: Actor,
    /// What happened.
    pub action: Action,
    /// The full name of what it happened to.
    pub subject: String,
    /// The tenant whose audit key seals it; absent: the system's.
    pub tenant: Option<TenantNumber>,
    /// Why, where that was given.
    pub reason: Option<(RevocationReason, ReasonText)>,
    /// The request that it belongs to.
    pub request: Option<RequestMark>,
    /// What else an auditor wants to know; names sorted by the code that emits them.
    pub facts: Vec<(&'static str, String)>,
}

impl Event {
    /// Its canonical bytes in [`EVENT_FORMAT`].
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Encoder::default();
        out.u8(EVENT_FORMAT);
        out.time(self.at);
        match &self.actor {
            Actor::Identity(name) => {
                out.u8(0);
                out.printed(name);
            }
            Actor::Replica(node) => {
                out.u8(1);
                out.printed(node);
            }
        }
        out.text(self.action.as_str());
        out.text(&self.subject);
        out.option(self.tenant, |out, tenant| out.u32(tenant.0));
        out.option(self.reason.as_ref(), |out, (reason, text)| {
            out.text(reason.as_str());
            out.text(text.as_str());
        });
        out.option(self.request, |out, mark| out.fixed(&mark.id));
        out.list(self.facts.iter(), |out, (name, value)| {
            out.text(name);
            out.text(value);
        });
        out.finish()
    }
}

/// An event with its place in the audit tree: what the outbox holds until the audit service has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number; also its leaf index.
    pub sequence: Sequence,
    /// The record that caused it.
    pub revision: Revision,
    /// The tenant whose audit key seals it; absent: the system's.
    pub tenant: Option<TenantNumber>,
    /// The event's canonical bytes.
    pub event: Vec<u8>,
    /// `HMAC(opening, sequence)`: shows that the leaf commits to the event.
    pub o: [u8; 32],
    /// The tree's root with this leaf.
    pub root: Hash,
}
