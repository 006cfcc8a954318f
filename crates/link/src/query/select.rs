//! The keys that a filter selects.

use super::listing::key_filter;
use super::name;
use crate::Selected;
use latchkey_domain::{KeyId, KeyspaceName, Refusal, ResourceKind, UnixMillis};
use latchkey_state::State;
use latchkey_transport::status;
use tonic::Status;

/// The living keys of a keyspace that match a filter, in one state. It looks at each key of the keyspace.
///
/// # Errors
/// `NOT_FOUND`; `INVALID_ARGUMENT` for what is no name or filter.
pub fn select(state: &State, now: UnixMillis, keyspace: &str, filter: &str) -> Result<Selected, Status> {
    let parsed = name(KeyspaceName::parse(keyspace))?;
    let Some(keyspace) = state.keyspace(&parsed) else {
        let name = parsed.to_string();
        return Err(status::refused(&Refusal::NotFound { kind: ResourceKind::Keyspace, name }));
    };
    let filter = key_filter(state, filter)?;
    let matching = state.select_keys(keyspace.number, &filter, now, None, usize::MAX).into_iter();
    let living =
        |id: &KeyId| state.key_at(keyspace.number, *id).is_some_and(|key| !state.key_worth(key, now).is_dead());
    let keys = matching.filter(living).collect();
    Ok(Selected { revision: state.revision(), keys, bound: state.bound_of(keyspace.number, now) })
}
