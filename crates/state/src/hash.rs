//! The state hash: an incremental sum over logical rows, so that replicas can compare a million keys for the price of
//! what changed. It finds replicas that differ by accident; it is not meant to withstand someone who crafts rows.

use crate::row::Row;
use latchkey_domain::Revision;
use sha2::{Digest as _, Sha256};

/// Four lanes of 64 bits, each a wrapping sum over the rows' SHA-256.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StateHash([u64; 4]);

/// A state hash at a revision: what replicas compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashedAt {
    /// After which record.
    pub revision: Revision,
    /// The hash.
    pub hash: StateHash,
}

impl StateHash {
    /// With `row` added.
    #[must_use]
    pub fn plus(self, row: &Row) -> Self {
        self.combine(row, u64::wrapping_add)
    }

    /// With `row` taken away.
    #[must_use]
    pub fn minus(self, row: &Row) -> Self {
        self.combine(row, u64::wrapping_sub)
    }

    /// With all rows of another added: a sum may be made in parts.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        for (lane, more) in self.0.iter_mut().zip(other.0) {
            *lane = lane.wrapping_add(more);
        }
        self
    }

    fn combine(mut self, row: &Row, operation: fn(u64, u64) -> u64) -> Self {
        let digest: [u8; 32] = Sha256::digest(row.canonical_bytes()).into();
        for (lane, chunk) in self.0.iter_mut().zip(digest.chunks_exact(8)) {
            let value = u64::from_be_bytes(chunk.try_into().expect("chunks of eight bytes"));
            *lane = operation(*lane, value);
        }
        self
    }

    /// Its 32 bytes.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (chunk, lane) in bytes.chunks_exact_mut(8).zip(self.0) {
            chunk.copy_from_slice(&lane.to_be_bytes());
        }
        bytes
    }

    /// From its 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let mut lanes = [0; 4];
        for (lane, chunk) in lanes.iter_mut().zip(bytes.chunks_exact(8)) {
            *lane = u64::from_be_bytes(chunk.try_into().expect("chunks of eight bytes"));
        }
        Self(lanes)
    }
}
