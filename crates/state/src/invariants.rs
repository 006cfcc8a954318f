//! What must hold in every state. Checked after each record in tests and simulation: it reads everything.

use crate::hash::StateHash;
use crate::row::Row;
use crate::state::State;
use alloc::format;
use alloc::string::String;

impl State {
    /// Reads the whole state and tells the first thing that is wrong with it.
    ///
    /// # Errors
    /// A sentence that names the record and what was expected of it.
    pub fn check_invariants(&self) -> Result<(), String> {
        let hash = self.rows().fold(StateHash::default(), |hash, row| hash.plus(&row));
        if hash != self.hash() {
            return Err("the state hash is not the sum over its rows".into());
        }
        let rebuilt = Self::load(self.rows()).map_err(|error| format!("{error:?}"))?;
        if rebuilt != *self {
            return Err("the state differs from what its rows make".into());
        }
        for keyspace in self.keyspaces().iter() {
            let keys = self.keys_of(keyspace.number, None).count() as u64;
            if keys != keyspace.keys {
                return Err(format!("keyspace {} counts {} keys and holds {keys}", keyspace.id, keyspace.keys));
            }
        }
        for row in self.rows() {
            let Row::Key(key) = row else { continue };
            if key.versions.is_empty() {
                return Err(format!("key {} has no version", key.id));
            }
            for version in &key.versions {
                let found = self.version(version.id).ok_or_else(|| format!("version {} is not found", version.id))?;
                if found.key.id != key.id {
                    return Err(format!("version {} leads to another key", version.id));
                }
                if self.ring_key(version.pepper).is_none() {
                    return Err(format!("the pepper of version {} is gone", version.id));
                }
            }
        }
        Ok(())
    }
}
