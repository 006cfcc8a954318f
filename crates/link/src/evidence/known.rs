//! What the state says of how far evidence reaches.

use latchkey_domain::{ReplicaRole, UnixMillis, VersionId};
use latchkey_state::State;

/// From when on every replica counts the use of a version; `None`: no rotation of its key is in progress, and none does.
///
/// A replica counts once its state has the rotation, and answers from no state that is older than the bound of the
/// keyspace: a bound after the rotation was made, no answer is left uncounted. A shorter bound that came since changes
/// nothing of that: whoever has not heard of it answers by the longer one. Neither does a new epoch, which whoever it
/// leaves behind has not heard of: what he answers for a bound longer, nobody is told.
#[must_use]
pub fn counted_from(state: &State, version: VersionId) -> Option<UnixMillis> {
    let key = state.version(version)?.key;
    let made = state.rotation_at(key.keyspace, key.id, key.rotation()?)?.created_at;
    let known = departed(state).map_or(made, |departed| departed.max(made));
    Some(known.plus(state.bound_of(key.keyspace, made)))
}

/// When the last replica left the cluster: what it saw before, nobody knows any more.
#[must_use]
pub fn departed(state: &State) -> Option<UnixMillis> {
    let retired = state.replicas().filter(|replica| replica.role == ReplicaRole::Retired);
    retired.map(|replica| replica.changed.at).max()
}
