//! What became of a command, as it travels from the leader to the service that proposed it.

use crate::disk::{DecodeError, fixed, read_import_rows, required, write_import_rows};
use crate::pb::internal::v1 as internal;
use crate::pb::internal::v1::applied::Result as PbResult;
use crate::pb::v1;
use crate::refusal::{read_refusal, write_refusal};
use crate::resource::View;
use latchkey_domain::{DurationMillis, KeyspaceNumber, Refusal, Revision, UnixMillis, VersionId};
use latchkey_state::{Answer, Applied, ImportRow, RotationClaim, State};

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
#[expect(clippy::large_enum_variant, reason = "there is one for each write, on the way to its caller")]
pub enum Told {
    /// Nothing to tell.
    Done,
    /// The tenant, made or changed.
    Tenant(v1::Tenant),
    /// The keyspace, made or changed.
    Keyspace(v1::Keyspace),
    /// The owner, made or changed.
    Owner(v1::Owner),
    /// The role, made or changed.
    Role(v1::Role),
    /// The identity, made or changed.
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
    /// The key, changed, suspended, resumed or restricted.
    Key {
        /// The key as it is now.
        key: v1::Key,
        /// How long a replica may go on deciding by what it was.
        bound: DurationMillis,
    },
    /// What became of the rows of an import, by index.
    Imported(Vec<ImportRow>),
    /// So many keys were revoked.
    Counted(u64),
    /// The claim on driving rotations, taken or renewed.
    Claim(RotationClaim),
    /// A rotation, begun or one step further.
    Rotation {
        /// The rotation as it is now.
        rotation: v1::Rotation,
        /// The key as it is now.
        key: v1::Key,
        /// The version, where this command made it: else what was minted was dropped.
        made: Option<VersionId>,
        /// On a repeat within the replay window, where a version was made: its key text, sealed.
        replay: Option<Vec<u8>>,
        /// How long a replica may go on deciding by what the key was.
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
            bound_ms: keys.first().map_or(0, |(key, _)| bound_ms(&view, key.keyspace)),
            keys: keys.iter().map(|(key, _)| view.key(key)).collect(),
            replay: replay.as_deref().map(<[u8]>::to_vec),
        }),
        Ok(Answer::Revoked { key, version }) => PbResult::Revoked(internal::KeyRevoked {
            key: Some(view.key(key)),
            version_id: version.map(|version| version.bytes().to_vec()),
            bound_ms: bound_ms(&view, key.keyspace),
        }),
        Ok(Answer::Role(role)) => PbResult::Role(view.role(role)),
        Ok(Answer::Key(key)) => {
            PbResult::Key(internal::KeyChanged { key: Some(view.key(key)), bound_ms: bound_ms(&view, key.keyspace) })
        }
        Ok(Answer::Imported { rows, .. }) => {
            PbResult::Imported(internal::KeysImported { rows: write_import_rows(rows) })
        }
        Ok(Answer::Counted(count)) => PbResult::Counted(*count),
        Ok(Answer::Claim(claim)) => PbResult::Claim(internal::RotationClaim {
            holder: claim.holder.to_vec(),
            fence: claim.fence,
            ends_at_unix_ms: claim.ends_at.millis(),
        }),
        Ok(Answer::Rotation { rotation, key, made, replay }) => PbResult::Rotation(internal::RotationMoved {
            rotation: Some(view.rotation(rotation)),
            key: Some(view.key(key)),
            made_version_id: made.map(|version| version.bytes().to_vec()),
            replay: replay.as_deref().map(<[u8]>::to_vec),
            bound_ms: bound_ms(&view, key.keyspace),
        }),
    };
    internal::Applied { revision: Some(applied.revision.into()), replayed: applied.repeated, result: Some(result) }
}

/// How long a replica may answer for a keyspace after it last heard: the longest bound that counts still.
fn bound_ms(view: &View<'_>, keyspace: KeyspaceNumber) -> u64 {
    view.state.bound_of(keyspace, view.now).millis()
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
            version: version(revoked.version_id, "applied.revoked.version")?,
            bound: DurationMillis::new(revoked.bound_ms),
        }),
        PbResult::Role(role) => Ok(Told::Role(role)),
        PbResult::Key(changed) => Ok(Told::Key {
            key: required(changed.key, "applied.key.key")?,
            bound: DurationMillis::new(changed.bound_ms),
        }),
        PbResult::Imported(imported) => Ok(Told::Imported(read_import_rows(&imported.rows)?)),
        PbResult::Counted(count) => Ok(Told::Counted(count)),
        PbResult::Claim(claim) => Ok(Told::Claim(RotationClaim {
            holder: fixed(&claim.holder, "applied.claim.holder")?,
            fence: claim.fence,
            ends_at: UnixMillis::new(claim.ends_at_unix_ms),
        })),
        PbResult::Rotation(moved) => Ok(Told::Rotation {
            rotation: required(moved.rotation, "applied.rotation.rotation")?,
            key: required(moved.key, "applied.rotation.key")?,
            made: version(moved.made_version_id, "applied.rotation.made_version")?,
            replay: moved.replay,
            bound: DurationMillis::new(moved.bound_ms),
        }),
    };
    let revision = required(applied.revision, "applied.revision")?.into();
    Ok(Proposed { revision, replayed: applied.replayed, answer })
}

fn version(id: Option<Vec<u8>>, field: &'static str) -> Result<Option<VersionId>, DecodeError> {
    id.map(|id| crate::disk::version_id(&id, field)).transpose()
}
