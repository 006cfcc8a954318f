//! The keys that a filter selects, as they are at one revision.

use latchkey_domain::{DurationMillis, KeyId, Revision};
use latchkey_transport::status;
use latchkey_wire::pb::internal::v1 as pb;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use tonic::Status;

/// The ids of all keys of a keyspace that match a filter and are not dead, at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The revision of the state that was read.
    pub revision: Revision,
    /// The ids, increasing.
    pub keys: Vec<KeyId>,
    /// How long a replica may go on accepting them once they are revoked.
    pub bound: DurationMillis,
}

impl Selected {
    /// Takes in the next message of `Select`.
    ///
    /// # Errors
    /// `INTERNAL`: one of us sent what is none.
    pub fn take(&mut self, message: pb::SelectResponse) -> Result<(), Status> {
        let damaged = || status::bug("a selection holds what is no id");
        self.revision = message.revision.ok_or_else(damaged)?.into();
        self.bound = DurationMillis::new(message.bound_ms);
        for id in message.key_ids {
            let id = <[u8; 12]>::try_from(&id[..]).ok().and_then(KeyId::from_bytes).ok_or_else(damaged)?;
            self.keys.push(id);
        }
        Ok(())
    }

    /// What names exactly this set of keys: SHA-256 over their ids, in hexadecimal digits.
    #[must_use]
    pub fn name(&self) -> String {
        let mut hash = Sha256::new();
        for key in &self.keys {
            hash.update(key.bytes());
        }
        hash.finalize().iter().fold(String::new(), |mut name, byte| {
            write!(name, "{byte:02x}").expect("a string takes what is written");
            name
        })
    }
}
