//! The keys that a filter selects.

use super::listing::key_filter;
use super::{bound_at, name};
use crate::Selected;
use latchkey_domain::{KeyspaceName, Refusal, ResourceKind, UnixMillis};
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
    let matches = key_filter(state, filter)?;
    let living = |key: &&std::sync::Arc<latchkey_state::Key>| !state.key_worth(key, now).is_dead();
    let keys = state.keys_of(keyspace.number, None).filter(living).filter(|key| matches(key, now));
    Ok(Selected { revision: state.revision(), keys: keys.map(|key| key.id).collect(), bound: bound_at(keyspace, now) })
}
