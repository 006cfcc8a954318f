//! What became of a command, as it travels from the leader to the service that proposed it.

use crate::disk::{DecodeError, required};
use crate::pb::internal::v1 as internal;
use crate::pb::internal::v1::applied::Result as PbResult;
use crate::pb::v1;
use crate::refusal::{read_refusal, write_refusal};
use crate::resource::View;
use latchkey_domain::{DurationMillis, KeyspaceNumber, Refusal, Revision, UnixMillis, VersionId};
use latchkey_state::{Answer, Applied, State};

/// What became of a command, with names where the state has numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposed {
    /// The revision that the answer is of.
    pub revision: Revision,
    /// Whether this is the answer that the same request got earlier.
    pub replayed: bool,
    /// The answer.
    pub answer: Result<Told, Refusal>,
}

/// The answer of a command that was carried out, as public resources.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// Nothing to tell.
    Done,
    /// The tenant made.
    Tenant(v1::Tenant),
    /// The keyspace made.
    Keyspace(v1::Keyspace),
    /// The owner made.
    Owner(v1::Owner),
    /// The identity made.
    Identity(v1::Identity),
    /// The keys made.
    Keys {
        /// In the order of the request, each with its first version.
        keys: Vec<v1::Key>,
        /// On a repeat within the replay window: the key texts, sealed.
        replay: Option<Vec<u8>>,
        /// How long a replica may not know them.
        bound: DurationMillis,
    },
    /// The key, revoked, or with a version revoked.
    Revoked {
        /// The key as it is now.
        key: v1::Key,
        /// The version, where only that was meant.
        version: Option<VersionId>,
        /// How long a replica may go on accepting it.
        bound: DurationMillis,
    },
}

/// Writes what became of a command, seen in the state after it.
#[must_use]
pub fn write_applied(state: &State, now: UnixMillis, applied: &Applied) -> internal::Applied {
    let view = View { revision: applied.revision, ..View::new(state, now) };
    let result = match &applied.answer {
        Err(refusal) => PbResult::Refusal(write_refusal(refusal)),
        Ok(Answer::Done) => PbResult::Nothing(internal::Nothing {}),
        Ok(Answer::Tenant(tenant)) => PbResult::Tenant(view.tenant(tenant)),
        Ok(Answer::Keyspace(keyspace)) => PbResult::Keyspace(view.keyspace(keyspace)),
        Ok(Answer::Owner(owner)) => PbResult::Owner(view.owner(owner)),
        Ok(Answer::Identity(identity)) => PbResult::Identity(view.identity(identity)),
        Ok(Answer::Keys { keys, replay }) => PbResult::Keys(internal::KeysCreated {
            bound_ms: keys.first().map_or(0, |(key, _)| bound_ms(state, key.keyspace)),
            keys: keys.iter().map(|(key, _)| view.key(key)).collect(),
            replay: replay.as_deref().map(<[u8]>::to_vec),
        }),
        Ok(Answer::Revoked { key, version }) => PbResult::Revoked(internal::KeyRevoked {
            key: Some(view.key(key)),
            version_id: version.map(|version| version.bytes().to_vec()),
            bound_ms: bound_ms(state, key.keyspace),
        }),
    };
    internal::Applied { revision: Some(applied.revision.into()), replayed: applied.repeated, result: Some(result) }
}

/// How long a replica may answer for a keyspace after it last heard. A keyspace does not change its bound in this
/// release, so the bound in force is the longest that it had.
fn bound_ms(state: &State, keyspace: KeyspaceNumber) -> u64 {
    state.keyspaces().by_number(keyspace).map_or(0, |keyspace| keyspace.staleness_max.millis())
}

/// Reads what became of a command.
///
/// # Errors
/// [`DecodeError`] where a part is missing or unknown.
pub fn read_applied(applied: internal::Applied) -> Result<Proposed, DecodeError> {
    let answer = match required(applied.result, "applied.result")? {
        PbResult::Refusal(refusal) => Err(read_refusal(refusal)?),
        PbResult::Nothing(internal::Nothing {}) => Ok(Told::Done),
        PbResult::Tenant(tenant) => Ok(Told::Tenant(tenant)),
        PbResult::Keyspace(keyspace) => Ok(Told::Keyspace(keyspace)),
        PbResult::Owner(owner) => Ok(Told::Owner(owner)),
        PbResult::Identity(identity) => Ok(Told::Identity(identity)),
        PbResult::Keys(made) => {
            Ok(Told::Keys { keys: made.keys, replay: made.replay, bound: DurationMillis::new(made.bound_ms) })
        }
        PbResult::Revoked(revoked) => Ok(Told::Revoked {
            key: required(revoked.key, "applied.revoked.key")?,
            version: revoked
                .version_id
                .map(|id| crate::disk::version_id(&id, "applied.revoked.version"))
                .transpose()?,
            bound: DurationMillis::new(revoked.bound_ms),
        }),
    };
    let revision = required(applied.revision, "applied.revision")?.into();
    Ok(Proposed { revision, replayed: applied.replayed, answer })
}
