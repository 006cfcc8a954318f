//! Rows: state <-> the message of each table.

mod directory;
mod key;
mod progress;
mod replica;
mod request;
mod ring;
mod rotation;

pub use directory::{read_keyspace_row, read_tenant_row, write_keyspace_row, write_tenant_row};
pub(in crate::disk) use progress::read_tree;
pub use progress::{read_checkpoint, write_checkpoint};
pub(in crate::disk) use replica::{read_backup, read_backups, read_place, write_backup, write_backups};
pub(in crate::disk) use ring::{read_kek, write_kek};
pub use ring::{read_ring_key_row, write_ring_key_row};
pub use rotation::{
    read_claim as read_rotation_claim, read_rotation as read_rotation_row, write_claim as write_rotation_claim,
    write_rotation as write_rotation_row,
};

use super::{DecodeError, decode_message};
use directory::{read_identity, read_owner, read_role, write_identity, write_owner, write_role};
use key::{read_key, write_key};
use latchkey_domain::Terms;
use latchkey_state::Row;
use progress::{read_cluster, read_progress, write_cluster, write_progress};
use prost::Message as _;
use replica::{read_replica, write_replica};
use request::{read_request, write_request};
use rotation::{read_claim, read_rotation, write_claim, write_rotation};
use std::collections::HashSet;
use std::sync::Arc;

/// Different terms that one load keeps to share. Beyond it keys carry their own: the bound is on this set, not on keys.
pub const TERMS_SHARED_MAX: usize = 65_536;

/// A row's bytes, before they are sealed. The table is not in them: it is part of the key that they lie under.
#[must_use]
pub fn encode_row(row: &Row) -> Vec<u8> {
    match row {
        Row::Progress(row) => write_progress(row).encode_to_vec(),
        Row::Cluster(row) => write_cluster(row).encode_to_vec(),
        Row::RingKey(row) => write_ring_key_row(row).encode_to_vec(),
        Row::Tenant(row) => write_tenant_row(row).encode_to_vec(),
        Row::Keyspace(row) => write_keyspace_row(row).encode_to_vec(),
        Row::Owner(row) => write_owner(row).encode_to_vec(),
        Row::Identity(row) => write_identity(row).encode_to_vec(),
        Row::Key(row) => write_key(row).encode_to_vec(),
        Row::Request(row) => write_request(row).encode_to_vec(),
        Row::Role(row) => write_role(row).encode_to_vec(),
        Row::Rotation(row) => write_rotation(row).encode_to_vec(),
        Row::Replica(row) => write_replica(row).encode_to_vec(),
        Row::RotationClaim(row) => write_claim(row).encode_to_vec(),
    }
}

/// Reads rows. Keys that say the same share their terms, as they did before they were written.
#[derive(Debug, Default)]
pub struct RowReader {
    terms: HashSet<Arc<Terms>>,
}

impl RowReader {
    /// Reads one row of a table, as numbered by [`RowId::table`](latchkey_state::RowId::table).
    ///
    /// # Errors
    /// [`DecodeError`] for a table that this build does not know and for bytes that it would not have written.
    pub fn decode_row(&mut self, table: u8, bytes: &[u8]) -> Result<Row, DecodeError> {
        Ok(match table {
            0 => Row::Progress(read_progress(&decode_message(bytes)?)?),
            1 => Row::Cluster(Arc::new(read_cluster(&decode_message(bytes)?)?)),
            2 => Row::RingKey(Arc::new(read_ring_key_row(&decode_message(bytes)?)?)),
            3 => Row::Tenant(Arc::new(read_tenant_row(&decode_message(bytes)?)?)),
            4 => Row::Keyspace(Arc::new(read_keyspace_row(&decode_message(bytes)?)?)),
            5 => Row::Owner(Arc::new(read_owner(&decode_message(bytes)?)?)),
            6 => Row::Identity(Arc::new(read_identity(&decode_message(bytes)?)?)),
            7 => Row::Key(Arc::new(read_key(&decode_message(bytes)?, |terms| self.share(terms))?)),
            8 => Row::Request(Arc::new(read_request(&decode_message(bytes)?)?)),
            9 => Row::Role(Arc::new(read_role(&decode_message(bytes)?)?)),
            10 => Row::Rotation(Arc::new(read_rotation(&decode_message(bytes)?)?)),
            11 => Row::Replica(Arc::new(read_replica(&decode_message(bytes)?)?)),
            12 => Row::RotationClaim(read_claim(&decode_message(bytes)?)?),
            _ => return Err(DecodeError::new("table", format_args!("{table} is none of this build"))),
        })
    }

    fn share(&mut self, terms: Terms) -> Arc<Terms> {
        if let Some(shared) = self.terms.get(&terms) {
            return shared.clone();
        }
        let terms = Arc::new(terms);
        if self.terms.len() < TERMS_SHARED_MAX {
            self.terms.insert(terms.clone());
        }
        terms
    }
}
